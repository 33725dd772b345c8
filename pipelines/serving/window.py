"""A window on the log that follows it: what was read stays read, and only what is new is read again.

Comes in: a stream. Goes out: the same tables as `logged.read_logged` and `read_positives` give. The log only
grows, so what was read once is true for ever; whoever looks every evening at the newest fortnight reads one
day. It takes some 0.4 kB an answer: 10 MB for a fortnight of the teaching world.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S, Scenario
from pipelines.serving.logged import ANSWERED, frame_of, read_rows
from pipelines.serving.prediction_log import unreadable
from pipelines.serving.predictions import Stream
from pipelines.serving.rollout import Route
from pipelines.workspace import Workspace

Ints = NDArray[np.int64]

NOTHING = 10**15  # A day, or a second, before which nothing has been read yet.
_EMPTY: Ints = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class _Part:
    """Answers that were read together, without their labels, and how long each took in milliseconds."""

    rows: pd.DataFrame
    waits: NDArray[np.float64]


class Window:
    """The newest days of one stream. For one thread."""

    def __init__(self, workspace: Workspace, scenario: Scenario, stream: Stream) -> None:
        self._workspace, self._scenario, self._stream = workspace, scenario, stream
        self._last, self._from_day = -1, NOTHING
        self._parts: list[_Part] = []
        self._ids = self._labels = self._times = _EMPTY
        self._positives, self._positives_from = pd.DataFrame(), NOTHING

    def read(
        self,
        from_day: int,
        until_day: int,
        *,
        at_s: int | None = None,
        routes: Sequence[Route] = ANSWERED,
    ) -> pd.DataFrame:
        """As `logged.read_logged`; days before the earliest that was asked for are forgotten.

        Raises
        ------
        Unavailable, Damaged
            As there.
        """
        self._follow(from_day)
        parts = [part.rows for part in self._parts]
        rows = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
        wanted = (rows["day"] >= from_day) & (rows["day"] < until_day) & rows["route"].isin(routes)
        rows = rows[wanted].sort_values(["event_time", "event_id"], kind="stable", ignore_index=True)
        event_ids = rows["event_id"].to_numpy(np.int64)
        place = np.searchsorted(self._ids, event_ids)
        # One more at the end, so that an id beyond all others has a place too.
        ids, labels, times = (np.append(each, -1) for each in (self._ids, self._labels, self._times))
        known = ids[place] == event_ids
        if at_s is not None:
            known &= times[place] <= at_s
        label = pd.array(labels[place].astype(np.int8), dtype="Int8")
        label_time = pd.array(times[place], dtype="Int64")
        label[~known], label_time[~known] = pd.NA, pd.NA
        rows["label"], rows["label_time"] = label, label_time
        return rows

    def positives(self, known_from_s: int, known_until_s: int) -> pd.DataFrame:
        """As `logged.read_positives`."""
        self._follow(None)
        if known_from_s < self._positives_from:
            self._positives, self._positives_from = self._read_positives(known_from_s), known_from_s
        found = self._positives
        return found[found["label_time"].between(known_from_s, known_until_s)].reset_index(drop=True)

    def waits(self, day: int) -> list[float]:
        """How long each answer of that day took that somebody got, in milliseconds, the shortest first."""
        self._follow(None)
        found = [
            part.waits[
                (part.rows["day"] == day).to_numpy() & part.rows["route"].isin(ANSWERED[:2]).to_numpy()
            ]
            for part in self._parts
        ]
        return sorted(np.concatenate(found).tolist()) if found else []

    def _follow(self, from_day: int | None) -> None:
        """Read what is new; and all, where an earlier day is asked for than before."""
        if from_day is not None and from_day < self._from_day:
            self._last, self._from_day, self._parts = -1, from_day, []
            self._ids = self._labels = self._times = _EMPTY
        try:
            with self._workspace.connect() as connection:
                connection.execute("BEGIN")  # predictions and labels as of one moment
                rows = read_rows(connection, self._stream, self._from_day, self._last)
                told = self._read_labels(connection)
                newest = self._newest(connection)
        except sqlite3.Error as error:
            raise unreadable(self._workspace, error) from error
        if rows or not self._parts:
            waits = np.array([row[-1] for row in rows], dtype=np.float64)
            self._parts.append(_Part(frame_of(self._scenario, [row[:-1] for row in rows]), waits))
        self._learn(told, rows)
        self._last = max(self._last, newest)
        if from_day is not None and from_day > self._from_day:
            self._drop_before(from_day)

    def _learn(self, told: list[Any], rows: list[Any]) -> None:
        """Take new labels up, in the order of their events' ids."""
        if told:
            new = np.array([(row[0], row[1], row[2]) for row in told], dtype=np.int64)
            together = [
                np.concatenate([old, new[:, place]])
                for place, old in enumerate((self._ids, self._labels, self._times))
            ]
            order = np.argsort(together[0], kind="stable")
            self._ids, self._labels, self._times = (each[order] for each in together)
        if self._positives_from < NOTHING and (told or rows):
            positives = self._new_positives(told, rows)
            if len(positives):
                # A table without rows has no kinds of columns that could be joined with others.
                known = [self._positives] if len(self._positives) else []
                found = pd.concat([*known, positives], ignore_index=True)
                self._positives = found.drop_duplicates(ignore_index=True)

    def _drop_before(self, day: int) -> None:
        """Forget days that nobody asks for any more; a label is learned after its event."""
        self._from_day = day
        kept = [(part, (part.rows["day"] >= day).to_numpy()) for part in self._parts]
        self._parts = [
            part if keep.all() else _Part(part.rows[keep].reset_index(drop=True), part.waits[keep])
            for part, keep in kept
            if keep.any()
        ] or self._parts[-1:]
        later = self._times > day * DAY_S
        self._ids, self._labels, self._times = (
            each[later] for each in (self._ids, self._labels, self._times)
        )

    def _read_labels(self, connection: sqlite3.Connection) -> list[Any]:
        # In the entries' own order, where few are new: by an index SQLite would look at all of them.
        by_seq = "NOT INDEXED" if self._last >= 0 else ""
        query = (
            f"SELECT event_id, label, label_time FROM feedback {by_seq} WHERE {_OF_STREAM} AND seq "
            f"> :last "
            "AND label_time > :since_s"
        )
        since_s = self._from_day * DAY_S
        return connection.execute(query, self._named() | {"since_s": since_s}).fetchall()

    def _new_positives(self, told: list[Any], rows: list[Any]) -> pd.DataFrame:
        """Positives of which a label or an answer is new."""
        ids = {row[0]: row[2] for row in told if row[1] == 1}
        answered = np.array([row[0] for row in rows], dtype=np.int64)
        there = self._ids[self._labels == 1]
        times = dict(zip(there.tolist(), self._times[self._labels == 1].tolist(), strict=True))
        ids |= {each: times[each] for each in answered[np.isin(answered, there)].tolist()}
        if not ids:
            return self._positives.iloc[:0]
        query = (
            f"SELECT DISTINCT event_id, {self._entity} FROM predictions p WHERE {_OF_STREAM} "
            "AND event_id IN (SELECT value FROM json_each(:ids))"
        )
        with self._workspace.connect() as connection:
            connection.row_factory = None
            found = connection.execute(query, self._named() | {"ids": json.dumps(list(ids))}).fetchall()
        return self._table([(entity, ids[event_id]) for event_id, entity in found])

    def _read_positives(self, known_from_s: int) -> pd.DataFrame:
        """Alert entity and label_time of the positives known since then."""
        query = (
            f"SELECT DISTINCT {self._entity}, f.label_time FROM feedback f JOIN predictions p "
            "ON p.scenario = f.scenario AND p.branch = f.branch AND p.world = f.world "
            "AND p.event_id = f.event_id WHERE f.scenario = :scenario AND f.branch = :branch "
            "AND f.world = :world AND f.label = 1 AND f.label_time >= :known_from"
        )
        with self._workspace.connect() as connection:
            connection.row_factory = None
            rows = connection.execute(query, self._named() | {"known_from": known_from_s}).fetchall()
        return self._table(rows)

    def _table(self, rows: Sequence[tuple[Any, int]]) -> pd.DataFrame:
        columns = list(zip(*rows, strict=True)) if rows else [(), ()]
        name = self._scenario.alert_entity
        return pd.DataFrame({name: columns[0], "label_time": np.array(columns[1], dtype=np.int64)})

    @property
    def _entity(self) -> str:
        """SQL of whom an alert is about."""
        return "p.event_id" if self._scenario.alert_entity == "event_id" else "json_extract(p.event, :path)"

    def _newest(self, connection: sqlite3.Connection) -> int:
        query = (
            "SELECT max(coalesce((SELECT max(seq) FROM predictions), 0), "
            "coalesce((SELECT max(seq) FROM feedback), 0))"
        )
        return int(connection.execute(query).fetchone()[0])

    def _named(self) -> dict[str, Any]:
        stream = vars(self._stream)
        named = {name: stream[name] for name in ("scenario", "branch", "world")}
        return named | {"last": self._last, "path": f'$."{self._scenario.alert_entity}"'}


def follow(workspace: Workspace, stream: Stream) -> Window:
    """The window on that stream; the same one again while the workspace's database is the same file."""
    try:
        file = workspace.database.stat().st_ino
    except OSError:
        file = 0
    return _kept(workspace, stream, file)


# Two, for whoever plays two worlds in turn: of more, each evening would be read anew, as without this.
@lru_cache(maxsize=2)
def _kept(workspace: Workspace, stream: Stream, _file: int) -> Window:
    return Window(workspace, find_scenario(stream.scenario), stream)


_OF_STREAM = "scenario = :scenario AND branch = :branch AND world = :world"

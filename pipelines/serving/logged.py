"""The log as a table: what was answered between two days, with what is known by now to be true.

Comes in: a workspace, a scenario, days. Goes out: one row an answer, for whoever counts: monitoring,
ledgers, notebooks. Single answers are traced in `prediction_log`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from pipelines import branches
from pipelines.errors import Damaged
from pipelines.scenarios.scenario import Scenario
from pipelines.serving.prediction_log import unreadable
from pipelines.serving.predictions import Stream
from pipelines.serving.rollout import Route
from pipelines.workspace import Workspace

# Every route whose answer somebody got; a shadow only looks on.
ANSWERED: tuple[Route, ...] = ("champion", "canary", "version")

_PLAIN = ("event_id", "event_time", "day", "version", "route", "score", "decision")
_QUERY = f"""
SELECT {", ".join(f"p.{name}" for name in _PLAIN)}, p.cold_start, p.event, p.features, f.label, f.label_time
FROM predictions p
LEFT JOIN feedback f ON f.scenario = p.scenario AND f.branch = p.branch AND f.world = p.world
    AND f.event_id = p.event_id
WHERE p.scenario = :scenario AND p.branch = :branch AND p.world = :world
    AND p.day >= :from_day AND p.day < :until_day AND p.route IN (SELECT value FROM json_each(:routes))
"""


def read_logged(
    workspace: Workspace,
    scenario: Scenario,
    from_day: int,
    until_day: int,
    *,
    branch: str | None = None,
    at_s: int | None = None,
    routes: Sequence[Route] = ANSWERED,
    world: str | None = None,
) -> pd.DataFrame:
    """What was answered about the events of days `from_day` to `until_day`, the last not included.

    Parameters
    ----------
    at_s : int, optional
        Seconds since day 0: labels that were learned later are missing, as they were then.
    routes : sequence of str
        Whose answers; all that a client got, and no shadow's, when left out.
    world : str, optional
        Which history the events continue; the one that was answered about last when left out.

    Returns
    -------
    DataFrame of shape (n_answers, 10 + raw columns + features), sorted by event_time, event_id
        event_id, event_time, day, version, route, score, decision (bool), cold_start, label (Int8, missing
        where not learned), label_time (Int64), the raw columns, and the features that the model saw under
        their own names; a feature that is called as a raw column is that column. Empty when nothing was
        answered.

    Raises
    ------
    Unavailable
        The database can't be read.
    Damaged
        A row holds other features than the scenario has.
    """
    branch = branch or _live(workspace, scenario.name)
    rows = _rows(workspace, scenario.name, branch, world, from_day, until_day, routes)
    # Sorted here: SQLite would carry every row's features through its sorter.
    rows.sort(key=itemgetter(1, 0))
    found = frame_of(scenario, [row[:-2] for row in rows])
    label, label_time = zip(*(row[-2:] for row in rows), strict=True) if rows else ((), ())
    told = pd.DataFrame({"label": label, "label_time": label_time}, dtype=object).astype(
        {"label": "Int8", "label_time": "Int64"}
    )
    if at_s is not None:
        told = told.mask(~(told["label_time"] <= at_s).fillna(False).astype(bool))
    found["label"], found["label_time"] = told["label"], told["label_time"]
    return found


def frame_of(scenario: Scenario, rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """Rows of the log as a table, without their labels, which are missing in it.

    Parameters
    ----------
    rows : sequence
        event_id, event_time, day, version, route, score, decision, cold_start, event and features of each.

    Raises
    ------
    Damaged
        A row holds other features than the scenario has.
    """
    names = [feature.name for feature in scenario.features]
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [[] for _ in range(10)]
    found: dict[str, Any] = dict(zip(_PLAIN, columns, strict=False))
    frame = pd.DataFrame({name: np.array(found[name]) for name in _PLAIN}, copy=False)
    if not rows:
        frame = frame.astype(dict.fromkeys(("event_id", "event_time", "day", "version"), np.int64))
        frame = frame.astype({"route": object, "score": np.float64})
    cold, events, blobs = columns[7:10]
    raw = json.loads(f"[{','.join(events)}]")
    # Of a raw column and a feature of one name the raw column stands: the feature is its value.
    listed = {column.name: [each[column.name] for each in raw] for column in scenario.columns}
    matrix = _matrix(blobs, len(names))
    seen = {name: matrix[:, place] for place, name in enumerate(names) if name not in listed}
    return pd.DataFrame(
        {
            **{name: frame[name] for name in _PLAIN[:-1]},
            "decision": frame["decision"].astype(bool),
            "cold_start": pd.Series(cold, dtype=object),
            "label": pd.array([pd.NA] * len(frame), dtype="Int8"),
            "label_time": pd.array([pd.NA] * len(frame), dtype="Int64"),
            **listed,
            **seen,
        },
        copy=False,
    )


def read_rows(connection: sqlite3.Connection, stream: Stream, from_day: int, after: int) -> list[Any]:
    """Answers of a stream since a day that were logged after entry `after`, as `frame_of` takes them.

    Each has one value more: how long it took, in milliseconds.
    """
    connection.row_factory = None
    # In the entries' own order, where few are new: by an index SQLite would look at all of them.
    by_seq = "NOT INDEXED" if after >= 0 else ""
    query = (
        f"SELECT {', '.join(_PLAIN)}, cold_start, event, features, latency_ms FROM predictions {by_seq} "
        "WHERE scenario = :scenario AND branch = :branch AND world = :world AND day >= :from_day "
        "AND seq > :after ORDER BY seq"
    )
    return connection.execute(query, vars(stream) | {"from_day": from_day, "after": after}).fetchall()


def read_positives(
    workspace: Workspace, scenario: Scenario, known_from_s: int, known_until_s: int, branch: str | None = None
) -> pd.DataFrame:
    """The positives among the answered events that became known in that time, both ends included.

    Returns
    -------
    DataFrame of shape (n_positives, 2)
        The scenario's alert entity and label_time.

    Raises
    ------
    Unavailable
        The database can't be read.
    """
    entity, branch = scenario.alert_entity, branch or _live(workspace, scenario.name)
    named = "p.event_id" if entity == "event_id" else "json_extract(p.event, :path)"
    query = (
        f"SELECT DISTINCT {named}, f.label_time FROM feedback f "
        "JOIN predictions p ON p.scenario = f.scenario AND p.branch = f.branch AND p.world = f.world "
        "AND p.event_id = f.event_id "
        "WHERE f.scenario = :scenario AND f.branch = :branch AND f.label = 1 "
        "AND f.label_time BETWEEN :known_from AND :known_until"
    )
    values: dict[str, Any] = {"path": f'$."{entity}"', "scenario": scenario.name, "branch": branch}
    values_s = {"known_from": known_from_s, "known_until": known_until_s}
    found = _select(workspace, query, values | values_s)
    columns = list(zip(*found, strict=True)) if found else [(), ()]
    return pd.DataFrame({entity: columns[0], "label_time": np.array(columns[1], dtype=np.int64)})


@dataclass(frozen=True)
class Log:
    """One branch's log, read afresh each time; `window.Window` reads the same and follows it."""

    workspace: Workspace
    scenario: Scenario
    branch: str

    def read(
        self,
        from_day: int,
        until_day: int,
        *,
        at_s: int | None = None,
        routes: Sequence[Route] = ANSWERED,
    ) -> pd.DataFrame:
        """As `read_logged`."""
        of = (self.workspace, self.scenario, from_day, until_day)
        return read_logged(*of, branch=self.branch, at_s=at_s, routes=routes)

    def positives(self, known_from_s: int, known_until_s: int) -> pd.DataFrame:
        """As `read_positives`."""
        return read_positives(self.workspace, self.scenario, known_from_s, known_until_s, self.branch)


def decisions_of(workspace: Workspace, stream: Stream, event_ids: Sequence[int]) -> dict[int, bool]:
    """Whether an alert was raised on each of these events; those that nobody answered are left out.

    Raises
    ------
    Unavailable
        The database can't be read.
    """
    query = (
        "SELECT event_id, decision FROM predictions WHERE scenario = :scenario AND branch = :branch "
        "AND world = :world AND route IN ('champion', 'canary') "
        "AND event_id IN (SELECT value FROM json_each(:ids))"
    )
    found = _select(workspace, query, {"ids": json.dumps(list(event_ids)), **vars(stream)})
    return {int(event_id): bool(decision) for event_id, decision in found}


def label_of(workspace: Workspace, stream: Stream, event_id: int) -> tuple[int, int] | None:
    """What turned out to be true of one event, and when that was known (seconds since day 0); None before.

    Raises
    ------
    Unavailable
        The database can't be read.
    """
    query = (
        "SELECT label, label_time FROM feedback WHERE scenario = :scenario AND branch = :branch "
        "AND world = :world AND event_id = :event_id"
    )
    found = _select(workspace, query, {"event_id": event_id, **vars(stream)})
    return (int(found[0][0]), int(found[0][1])) if found else None


def newest_day(workspace: Workspace, scenario: str, branch: str | None = None) -> int | None:
    """The day of the newest event that was answered, in the world that was answered about last."""
    query = (
        "SELECT max(day) FROM predictions WHERE scenario = :scenario AND branch = :branch AND world = "
        "(SELECT world FROM predictions WHERE scenario = :scenario AND branch = :branch "
        "ORDER BY seq DESC LIMIT 1)"
    )
    branch = branch or _live(workspace, scenario)
    found = _select(workspace, query, {"scenario": scenario, "branch": branch})
    return found[0][0] if found else None


def _matrix(blobs: Sequence[bytes], width: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The features of all rows, joined once and read as one array, a column at a time in memory."""
    joined = np.frombuffer(b"".join(blobs), dtype="<f8")
    if len(joined) != len(blobs) * width:
        raise Damaged(
            f"The log holds rows of other than {width} features.",
            "They are of an older Flightdeck; reset the workspace, or look at newer days.",
        )
    return np.asfortranarray(joined.reshape(len(blobs), width))


def _rows(
    workspace: Workspace,
    scenario: str,
    branch: str,
    world: str | None,
    from_day: int,
    until_day: int,
    routes: Sequence[Route],
) -> list[Any]:
    values: dict[str, Any] = {"scenario": scenario, "branch": branch}
    if world is None:
        query = (
            "SELECT world FROM predictions WHERE scenario = :scenario AND branch = :branch "
            "ORDER BY seq DESC LIMIT 1"
        )
        newest = _select(workspace, query, values)
        if not newest:
            return []
        world = str(newest[0][0])
    days = {"from_day": from_day, "until_day": until_day}
    return _select(workspace, _QUERY, values | days | {"world": world, "routes": json.dumps(list(routes))})


def _select(workspace: Workspace, query: str, values: Mapping[str, object]) -> list[Any]:
    """Plain tuples, as making a Row of each answer takes longer than reading it; none without a log."""
    if not workspace.database.is_file():
        return []
    try:
        with workspace.connect() as connection:
            connection.row_factory = None
            begun = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'feedback'").fetchone()
            return connection.execute(query, values).fetchall() if begun else []
    except sqlite3.Error as error:
        raise unreadable(workspace, error) from error


def _live(workspace: Workspace, scenario: str) -> str:
    """The branch that is lived in."""
    try:
        return branches.live(workspace, scenario)
    except sqlite3.Error as error:
        raise unreadable(workspace, error) from error

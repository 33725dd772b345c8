"""The prediction log: every answer given, kept before it is given; and what turned out to be true.

Comes in: predictions, and labels for them. Goes out: rows of the tables predictions and feedback in the
workspace's app.db, on disk when `write` returns. From them an answer can be repeated and traced, and
what serving remembers be built again.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines import branches
from pipelines.errors import Missing, Unavailable
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving import corrections
from pipelines.serving.predictions import Answered, Entry, Label, Prediction, Stream, derive_id
from pipelines.workspace import Workspace

_TABLES = """
CREATE TABLE IF NOT EXISTS predictions (
    seq INTEGER PRIMARY KEY,
    prediction_id TEXT NOT NULL UNIQUE,
    workspace TEXT NOT NULL,
    branch TEXT NOT NULL,
    scenario TEXT NOT NULL,
    world TEXT NOT NULL,
    event_id INTEGER NOT NULL,
    event_time INTEGER NOT NULL,
    day INTEGER NOT NULL,
    event TEXT NOT NULL,
    version INTEGER NOT NULL,
    route TEXT NOT NULL,
    score REAL NOT NULL,
    decision INTEGER NOT NULL,
    cold_start TEXT NOT NULL,
    features BLOB NOT NULL,
    at REAL NOT NULL,
    latency_ms REAL NOT NULL
);
DROP INDEX IF EXISTS predictions_of_event;
CREATE INDEX IF NOT EXISTS predictions_by_event ON predictions (scenario, branch, world, event_id);
CREATE INDEX IF NOT EXISTS predictions_of_day ON predictions (scenario, branch, world, day);
CREATE TABLE IF NOT EXISTS feedback (
    seq INTEGER PRIMARY KEY,
    prediction_id TEXT NOT NULL,
    workspace TEXT NOT NULL,
    branch TEXT NOT NULL,
    scenario TEXT NOT NULL,
    world TEXT NOT NULL,
    event_id INTEGER NOT NULL,
    label INTEGER NOT NULL,
    label_time INTEGER NOT NULL,
    at REAL NOT NULL,
    UNIQUE (scenario, branch, world, event_id)
);
CREATE TABLE IF NOT EXISTS prediction_log_probe (one INTEGER PRIMARY KEY, at INTEGER NOT NULL);
"""


class PredictionLog:
    """One workspace's log, for the one thread that writes it.

    It makes no file before there is something to keep.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._connection: sqlite3.Connection | None = None
        self._file = 0  # Inode of the open file: a workspace may be reset under a running gateway.
        self._opened = 0
        self._last = 0  # Highest seq in either table.

    def write(self, predictions: Sequence[Prediction], labels: Sequence[Label] = ()) -> None:
        """Keep all of these, in this order, or none; they are on disk when this returns.

        Many at once cost little more than one: what takes time is the disk's promise at the end.

        Raises
        ------
        Unavailable
            The disk or the database did not take them. The next call tries afresh.
        """
        try:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            self._last = _last(connection)  # a branch may have been copied meanwhile
            self._insert("predictions", _PREDICTION_COLUMNS, map(_prediction_row, predictions))
            self._insert("feedback", _LABEL_COLUMNS, map(_label_row, labels))
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise self._unwritable(error) from error

    def probe(self) -> None:
        """Find out by one small write whether the disk takes anything again.

        Raises
        ------
        Unavailable
            It does not.
        """
        try:
            now = int(time.time())
            self._open().execute("INSERT OR REPLACE INTO prediction_log_probe VALUES (1, ?)", (now,))
        except (sqlite3.Error, OSError) as error:
            raise self._unwritable(error) from error

    def mark(self) -> tuple[int, int, int]:
        """Changes with every change that others make to the file; the first number when it is another file.

        It costs some microseconds, so it can be asked before each answer.

        Raises
        ------
        Unavailable
            The database can't be read.
        """
        try:
            file = self._workspace.database.stat().st_ino
        except OSError:
            file = 0
        if file != self._file:
            self.close()
        found = self._select("PRAGMA data_version")
        return (self._file, self._opened, found[0][0]) if found else (0, 0, 0)

    def of_event(self, stream: Stream, event_id: int) -> list[Prediction]:
        """What was answered for this event, by whichever version, oldest first."""
        query = f"SELECT * FROM predictions WHERE {_OF_STREAM} AND event_id = :event_id ORDER BY seq"
        return [_prediction(row) for row in self._select(query, event_id=event_id, **vars(stream))]

    def highest_id(self, stream: Stream, below: int) -> int:
        """The highest event id that was answered, of those below `below`; -1 when there is none."""
        query = f"SELECT max(event_id) FROM predictions WHERE {_OF_STREAM} AND event_id < :below"
        found = self._select(query, below=below, **vars(stream))
        return int(found[0][0]) if found and found[0][0] is not None else -1

    def answered(self, prediction_ids: Sequence[str]) -> dict[str, Answered]:
        """The events of these predictions, by prediction id; those that are not there are left out."""
        query = (
            f"SELECT {_ANSWERED} FROM predictions WHERE prediction_id IN (SELECT value FROM json_each(:ids))"
        )
        rows = self._select(query, ids=json.dumps(list(prediction_ids)))
        return {row["prediction_id"]: _answered(row) for row in rows}

    def answered_events(self, stream: Stream, event_ids: Sequence[int]) -> dict[int, Answered]:
        """What was answered for these events, by event id; what a shadow scored is left out."""
        query = (
            f"SELECT {_ANSWERED} FROM predictions WHERE {_OF_STREAM} AND route != 'shadow' "
            "AND event_id IN (SELECT value FROM json_each(:ids)) ORDER BY seq DESC"
        )
        rows = self._select(query, ids=json.dumps(list(event_ids)), **vars(stream))
        return {row["event_id"]: _answered(row) for row in rows}  # the first answer comes last, and stays

    def labels_of(self, stream: Stream, event_ids: Sequence[int]) -> dict[int, Label]:
        """What was learned about these events, by event id."""
        query = (
            f"SELECT * FROM feedback WHERE {_OF_STREAM} AND event_id IN (SELECT value FROM json_each(:ids))"
        )
        rows = self._select(query, ids=json.dumps(list(event_ids)), **vars(stream))
        return {row["event_id"]: _label(row) for row in rows}

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        self._file = 0

    def _unwritable(self, error: Exception) -> Unavailable:
        # A connection that a full disk has hit is not trusted again; the next one counts anew.
        self.close()
        return Unavailable(
            f"The prediction log of workspace '{self._workspace.name}' can't be written: {error}. "
            "Nothing was answered: what is not logged can't be traced.",
            "Free some space on the disk; serving then goes on by itself.",
        )

    def _insert(self, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
        numbered = [(seq, *row) for seq, row in enumerate(rows, start=self._last + 1)]
        if not numbered:
            return
        names, values = ", ".join(("seq", *columns)), ", ".join("?" * (len(columns) + 1))
        self._open().executemany(f"INSERT INTO {table} ({names}) VALUES ({values})", numbered)
        self._last += len(numbered)

    def _select(self, query: str, **values: object) -> list[sqlite3.Row]:
        if not self._workspace.database.is_file():
            return []
        try:
            return self._open().execute(query, values).fetchall()
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise unreadable(self._workspace, error) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._workspace.open_database()
            self._connection.isolation_level = None  # Transactions begin and end where it is written.
            self._connection.executescript(_TABLES)
            self._file = self._workspace.database.stat().st_ino
            self._opened += 1
        return self._connection


def replay(workspace: Workspace, stream: Stream, after: int = 0) -> Iterator[Entry]:
    """What happened in the stream after entry `after`, in order.

    An event that several versions scored comes once for each of them.

    Raises
    ------
    Unavailable
        The database can't be read.
    """
    # What was corrected counts as its source says now, and what should never have come not at all.
    event, corrected = "event", ""
    if corrections.are_there(workspace):
        event = "coalesce(c.event, p.event)"
        corrected = "LEFT JOIN corrections c USING (scenario, branch, world, event_id)"
    # What a shadow scored was scored by somebody else too. One query, because it sees one state of both.
    query = (
        f"SELECT seq, event_id, event_time, {event}, NULL FROM predictions p {corrected} "
        f"WHERE {_OF_STREAM} AND seq > :after AND route != 'shadow' "
        + ("AND (c.event_id IS NULL OR c.event IS NOT NULL) " if corrected else "")
        + f"UNION ALL SELECT seq, event_id, label_time, NULL, label FROM feedback "
        f"WHERE {_OF_STREAM} AND seq > :after ORDER BY seq"
    )
    for seq, event_id, time_s, event, label in _look_up(workspace, query, {"after": after, **vars(stream)}):
        yield Entry(seq, event_id, time_s, None if event is None else json.loads(event), label)


def copy_branch(
    connection: sqlite3.Connection, scenario: str, source: str, target: str, before_day: int
) -> None:
    """Let branch `target` begin with what was answered and learned on `source` before that day.

    The copies have ids of their own, derived like any other's.
    """
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'feedback'").fetchone():
        return
    connection.create_function("derive_id", 7, derive_id, deterministic=True)
    last = {"last": _last(connection)}
    own_id = "derive_id({0}workspace, :target, {0}scenario, {0}world, {0}event_id, {0}version, {0}route)"
    branches.copy_rows(
        connection,
        "predictions",
        *(scenario, source, target),
        "day < :before_day",
        last | {"before_day": before_day},
        changed={"seq": "seq + :last", "prediction_id": own_id.format("")},
    )
    # A label of an event that nobody answered names no prediction.
    of_prediction = (
        f"coalesce((SELECT {own_id.format('p.')} FROM predictions p "
        "WHERE p.prediction_id = feedback.prediction_id), prediction_id)"
    )
    branches.copy_rows(
        connection,
        "feedback",
        *(scenario, source, target),
        "label_time <= :known_by",
        last | {"known_by": before_day * DAY_S},
        changed={"seq": "seq + :last", "prediction_id": of_prediction},
    )


def recent(workspace: Workspace, scenario: str, limit: int = 20) -> list[Prediction]:
    """The newest predictions of a scenario, newest first, of all routes: for pages."""
    query = "SELECT * FROM predictions WHERE scenario = :scenario ORDER BY seq DESC LIMIT :limit"
    return [_prediction(row) for row in _look_up(workspace, query, {"scenario": scenario, "limit": limit})]


def trace(workspace: Workspace, prediction_id: str) -> Prediction:
    """The logged prediction of that id, from which its version, run and data can be followed back.

    Raises
    ------
    Missing
        Nothing was logged under it.
    """
    query = "SELECT * FROM predictions WHERE prediction_id = :prediction_id"
    found = _look_up(workspace, query, {"prediction_id": prediction_id})
    if not found:
        raise unknown_prediction(prediction_id)
    return _prediction(found[0])


def unknown_prediction(prediction_id: str) -> Missing:
    """The error for an id that is not in the log."""
    return Missing(
        f"There is no prediction '{prediction_id[:40]}'.",
        "Send the prediction_id that an answer carried, with the same workspace.",
    )


def features_of(prediction: Prediction) -> NDArray[np.float64]:
    """The row that the model saw, in the order of its card's features."""
    return np.frombuffer(prediction.features, dtype="<f8").astype(np.float64)


def _look_up(workspace: Workspace, query: str, values: Mapping[str, object]) -> list[sqlite3.Row]:
    """Rows, for whoever only looks; none before the log has begun."""
    if not workspace.database.is_file():
        return []
    try:
        with workspace.connect() as connection:
            begun = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'feedback'").fetchone()
            return connection.execute(query, values).fetchall() if begun else []
    except sqlite3.Error as error:
        raise unreadable(workspace, error) from error


def unreadable(workspace: Workspace, error: Exception) -> Unavailable:
    """The error for a log that can't be read."""
    return Unavailable(
        f"The prediction log of workspace '{workspace.name}' can't be read: {error}.",
        "Check the disk; serving then goes on by itself.",
    )


def _last(connection: sqlite3.Connection) -> int:
    """The highest seq in either table."""
    each = (f"SELECT max(seq) FROM {table}" for table in ("predictions", "feedback"))
    return max(int(connection.execute(query).fetchone()[0] or 0) for query in each)


def _prediction_row(prediction: Prediction) -> tuple[Any, ...]:
    """In the order of `_PREDICTION_COLUMNS`."""
    event = json.dumps(prediction.event)
    return (*_plain_values(prediction), *_stream_values(prediction.stream), prediction.day, event)


def _label_row(label: Label) -> tuple[Any, ...]:
    """In the order of `_LABEL_COLUMNS`."""
    return (*_label_values(label), *_stream_values(label.stream))


def _prediction(row: sqlite3.Row) -> Prediction:
    values = {name: row[name] for name in _PLAIN if name != "prediction_id"}
    values |= {"stream": _stream(row), "event": json.loads(row["event"]), "decision": bool(row["decision"])}
    return Prediction(**values)


def _label(row: sqlite3.Row) -> Label:
    return Label(stream=_stream(row), **{name: row[name] for name in _LABEL})


def _answered(row: sqlite3.Row) -> Answered:
    return Answered(row["prediction_id"], _stream(row), row["event_id"], row["event_time"])


def _stream(row: sqlite3.Row) -> Stream:
    return Stream(row["workspace"], row["branch"], row["scenario"], row["world"])


_ANSWERED = "prediction_id, workspace, branch, scenario, world, event_id, event_time"
_OF_STREAM = "scenario = :scenario AND branch = :branch AND world = :world"
# Columns that are attributes of a record as they stand.
_PLAIN, _LABEL = (
    tuple(each.name for each in fields(record) if each.name not in ("stream", "event"))
    for record in (Prediction, Label)
)
_STREAM = tuple(each.name for each in fields(Stream))
_plain_values, _label_values, _stream_values = (attrgetter(*names) for names in (_PLAIN, _LABEL, _STREAM))
_PREDICTION_COLUMNS = (*_PLAIN, *_STREAM, "day", "event")
_LABEL_COLUMNS = (*_LABEL, *_STREAM)

"""The prediction log on real SQLite: kept whole, in order, or not at all."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from pipelines.errors import Missing, Unavailable
from pipelines.serving.prediction_log import PredictionLog, features_of, recent, replay, trace
from pipelines.serving.predictions import Answered, Label, Prediction, Stream
from pipelines.workspace import Workspace

STREAM = Stream("me", "main", "fraud", "small-1")
FEATURES = np.array([0.1, -1.0, 3e300])


def prediction(event_id: int = 1, **changes: object) -> Prediction:
    made = Prediction(
        stream=STREAM,
        event_id=event_id,
        event_time=86_400 * 3 + event_id,
        event={"customer_id": 7, "amount": 62.5},
        version=2,
        route="champion",
        score=0.1 + 0.2,
        decision=False,
        cold_start="",
        features=FEATURES.astype("<f8").tobytes(),
        at=1000.0,
        latency_ms=2.5,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def label(of: Prediction, value: int = 1) -> Label:
    return Label(of.prediction_id, of.stream, of.event_id, value, of.event_time + 5, 1001.0)


@pytest.fixture
def log(workspace: Workspace) -> PredictionLog:
    return PredictionLog(workspace)


def rows(workspace: Workspace, table: str = "predictions") -> int:
    with sqlite3.connect(workspace.database) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_what_was_written_is_read_back_to_the_last_bit(log: PredictionLog, workspace: Workspace) -> None:
    written = prediction(cold_start="customer_id", decision=True)
    log.write([written])
    assert log.of_event(STREAM, 1) == [written]
    event = Answered(written.prediction_id, STREAM, 1, written.event_time)
    assert log.answered([written.prediction_id, "x"]) == {written.prediction_id: event}
    assert log.answered_events(STREAM, [1, 2]) == {1: event}
    assert trace(workspace, written.prediction_id) == written
    assert recent(workspace, "fraud") == [written]
    assert features_of(written).tolist() == FEATURES.tolist()
    assert written.day == 3


def test_who_asks_about_events_does_not_read_the_whole_log(log: PredictionLog) -> None:
    # given a log that says which queries it is asked
    log.write([prediction(1)], [label(prediction(1))])
    asked: list[str] = []
    connection = log._open()
    connection.set_trace_callback(asked.append)
    log.of_event(STREAM, 1), log.answered_events(STREAM, [1, 2]), log.labels_of(STREAM, [1, 2])
    connection.set_trace_callback(None)

    # then each finds its events by their ids, whatever else there is
    plans = [connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall() for query in asked]
    assert len(plans) == 3
    for query, plan in zip(asked, plans, strict=True):
        assert any("event_id=?" in row["detail"] for row in plan), (query, [row["detail"] for row in plan])


def test_looking_makes_no_file(log: PredictionLog, workspace: Workspace) -> None:
    assert log.of_event(STREAM, 1) == []
    assert log.answered(["x"]) == log.answered_events(STREAM, [1]) == log.labels_of(STREAM, [1]) == {}
    assert log.mark() == (0, 0, 0)
    assert list(replay(workspace, STREAM)) == []
    assert recent(workspace, "fraud") == []
    with pytest.raises(Missing, match="no prediction 'x'"):
        trace(workspace, "x")
    assert not workspace.database.exists()


def test_ids_are_derived_from_what_was_predicted() -> None:
    made = prediction()
    assert made.prediction_id == prediction(at=5.0, latency_ms=9.0, score=0.9).prediction_id
    others = [
        prediction(2),
        prediction(version=3),
        prediction(route="shadow"),
        prediction(stream=Stream("ada", "main", "fraud", "small-1")),
        prediction(stream=Stream("me", "what-if", "fraud", "small-1")),
        prediction(stream=Stream("me", "main", "biopsies", "small-1")),
        prediction(stream=Stream("me", "main", "fraud", "full-1")),
    ]
    assert len({made.prediction_id} | {other.prediction_id for other in others}) == 8


def test_all_of_a_group_is_kept_or_none(log: PredictionLog, workspace: Workspace) -> None:
    # given a log with one prediction
    log.write([prediction(1)])

    # when a group comes whose last is in the log already
    with pytest.raises(Unavailable, match="can't be written"):
        log.write([prediction(2), prediction(3), prediction(1)])

    # then nothing of it is kept, and the next group is
    assert rows(workspace) == 1
    log.write([prediction(2)])
    assert rows(workspace) == 2


def test_a_group_is_on_disk_when_write_returns(log: PredictionLog, workspace: Workspace) -> None:
    log.write([prediction(number) for number in range(100)], [label(prediction(5))])
    assert rows(workspace) == 100
    assert rows(workspace, "feedback") == 1
    with sqlite3.connect(workspace.database) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    connection = log._open()
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


def test_replay_tells_events_and_labels_in_the_order_they_came(
    log: PredictionLog, workspace: Workspace
) -> None:
    log.write([prediction(1), prediction(2)])
    log.write([], [label(prediction(1))])
    log.write([prediction(3)])
    log.write([prediction(9, stream=Stream("me", "main", "fraud", "full-1"))])
    entries = list(replay(workspace, STREAM))
    assert [(entry.event_id, entry.label) for entry in entries] == [(1, None), (2, None), (1, 1), (3, None)]
    assert entries[0].event == {"customer_id": 7, "amount": 62.5}
    assert entries[2].time_s == prediction(1).event_time + 5
    later = list(replay(workspace, STREAM, after=entries[1].seq))
    assert [entry.event_id for entry in later] == [1, 3]


def test_a_log_opened_again_goes_on_where_it_was(log: PredictionLog, workspace: Workspace) -> None:
    log.write([prediction(1)], [label(prediction(1))])
    log.close()
    again = PredictionLog(workspace)
    again.write([prediction(2)])
    assert [entry.seq for entry in replay(workspace, STREAM)] == [1, 2, 3]


def test_a_label_is_found_by_its_event(log: PredictionLog) -> None:
    told = label(prediction(1))
    log.write([prediction(1)], [told])
    assert log.labels_of(STREAM, [1]).get(1) == told
    assert log.labels_of(STREAM, [2]) == {}


def test_the_mark_changes_when_others_write_and_not_by_itself(
    log: PredictionLog, workspace: Workspace
) -> None:
    log.write([prediction(1)])
    before = log.mark()
    log.write([prediction(2)])
    assert log.mark() == before
    with workspace.connect() as connection:
        connection.execute("CREATE TABLE other (x)")
    assert log.mark() != before
    assert log.mark()[0] == before[0]


def test_another_file_in_its_place_is_noticed(log: PredictionLog, workspace: Workspace) -> None:
    # given a log in use
    log.write([prediction(1)])
    before = log.mark()

    # when the workspace is reset
    for path in workspace.root.glob("app.db*"):
        path.unlink()

    # then the file is seen to be gone, and a new one is begun
    assert log.mark() == (0, 0, 0)
    log.write([prediction(1)])
    assert log.mark()[0] != before[0] or log.mark()[1] != before[1]
    assert rows(workspace) == 1


def test_a_database_that_is_none_is_named_with_what_to_do(workspace: Workspace) -> None:
    workspace.database.write_bytes(b"this is no database" * 100)
    log = PredictionLog(workspace)
    with pytest.raises(Unavailable, match="can't be written"):
        log.write([prediction(1)])
    with pytest.raises(Unavailable, match="can't be read"):
        recent(workspace, "fraud")

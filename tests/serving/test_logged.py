"""The log as a table: every answer once, with what was known at the time and nothing later."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import page_samples as samples
import pytest

from pipelines.errors import Damaged, Unavailable
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving.logged import newest_day, read_logged, read_positives
from pipelines.serving.prediction_log import PredictionLog
from pipelines.serving.predictions import Label, Prediction, Stream
from pipelines.workspace import Home, Workspace

FRAUD = find_scenario("fraud")
NAMES = [feature.name for feature in FRAUD.features]
STREAM = Stream("me", "main", "fraud", "small-1")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace of this test's own."""
    return Workspace(Home(tmp_path))


def prediction(event_id: int, day: int, route: str = "champion", stream: Stream = STREAM) -> Prediction:
    features = np.arange(len(NAMES), dtype="<f8") + event_id
    return Prediction(
        stream,
        event_id,
        day * DAY_S + event_id,
        {"customer_id": 7, "terminal_id": 9, "amount": float(event_id)},
        1,
        route,  # type: ignore[arg-type]
        0.25,
        True,
        "",
        features.tobytes(),
        0.0,
        1.0,
    )


def keep(workspace: Workspace, *predictions: Prediction, labels: tuple[Label, ...] = ()) -> None:
    log = PredictionLog(workspace)
    log.write(predictions, labels)
    log.close()


def label(of: Prediction, value: int, at_day: int) -> Label:
    return Label(of.prediction_id, of.stream, of.event_id, value, at_day * DAY_S, 0.0)


def test_rows_hold_what_was_answered_and_what_the_model_saw(workspace: Workspace) -> None:
    # given two answers, the later event first
    first, second = prediction(5, day=60), prediction(3, day=61)
    keep(workspace, second, first, labels=(label(first, 1, at_day=67),))
    # when
    rows = read_logged(workspace, FRAUD, 60, 62)
    # then
    assert rows["event_id"].tolist() == [5, 3]
    assert rows["day"].tolist() == [60, 61]
    assert rows["amount"].tolist() == [5.0, 3.0]
    assert rows["weekend"].tolist() == [NAMES.index("weekend") + 5.0, NAMES.index("weekend") + 3.0]
    assert rows["label"].tolist()[0] == 1
    assert rows["label"].isna().tolist() == [False, True]
    assert rows["decision"].dtype == bool
    assert str(rows["label"].dtype) == "Int8"


def test_a_label_is_missing_before_it_was_learned(workspace: Workspace) -> None:
    made = prediction(1, day=60)
    keep(workspace, made, labels=(label(made, 1, at_day=67),))
    assert read_logged(workspace, FRAUD, 60, 61, at_s=67 * DAY_S)["label"].tolist() == [1]
    early = read_logged(workspace, FRAUD, 60, 61, at_s=67 * DAY_S - 1)
    assert early["label"].isna().all()
    assert early["label_time"].isna().all()


def test_only_the_days_routes_branch_and_world_that_are_asked_for(workspace: Workspace) -> None:
    # given
    keep(
        workspace,
        prediction(9, 60, stream=Stream("me", "main", "fraud", "full-1")),
        prediction(8, 60, stream=Stream("me", "what-if", "fraud", "small-1")),
        prediction(1, 59),
        prediction(2, 60),
        prediction(2, 60, "shadow"),
        prediction(3, 61, "canary"),
        prediction(4, 62),
    )
    # then
    assert read_logged(workspace, FRAUD, 60, 62)["event_id"].tolist() == [2, 3]
    assert read_logged(workspace, FRAUD, 60, 62, routes=("shadow",))["event_id"].tolist() == [2]
    assert read_logged(workspace, FRAUD, 0, 99, world="full-1")["event_id"].tolist() == [9]
    assert read_logged(workspace, FRAUD, 0, 99, branch="what-if")["event_id"].tolist() == [8]
    assert newest_day(workspace, "fraud") == 62


def test_without_a_log_the_table_is_empty_and_whole(workspace: Workspace) -> None:
    rows = read_logged(workspace, FRAUD, 0, 99)
    assert len(rows) == 0
    assert {"event_id", "score", "label", "amount", *NAMES} <= set(rows.columns)
    assert newest_day(workspace, "fraud") is None
    assert not workspace.database.exists()


def test_positives_are_those_that_became_known_in_time(workspace: Workspace) -> None:
    made = [prediction(number, day=60) for number in range(3)]
    told = (label(made[0], 1, 67), label(made[1], 0, 67), label(made[2], 1, 70))
    keep(workspace, *made, labels=told)
    found = read_positives(workspace, FRAUD, 60 * DAY_S, 69 * DAY_S)
    assert found.values.tolist() == [[7, 67 * DAY_S]]


def test_rows_of_other_features_are_refused(workspace: Workspace) -> None:
    odd = prediction(1, 60)
    object.__setattr__(odd, "features", b"\0" * 8)
    keep(workspace, odd)
    with pytest.raises(Damaged, match="other than 15 features"):
        read_logged(workspace, FRAUD, 60, 61)


def test_a_database_that_is_none_is_said(workspace: Workspace) -> None:
    workspace.root.mkdir(parents=True)
    workspace.database.write_bytes(b"this is no database" * 100)
    with pytest.raises(Unavailable, match="can't be read"):
        read_logged(workspace, FRAUD, 60, 61)


def test_a_week_of_thirteen_thousand_rows_takes_a_tenth_of_a_second_of_work(workspace: Workspace) -> None:
    # given
    keep(workspace, *(prediction(number, day=60 + number % 7) for number in range(13_000)))
    read_logged(workspace, FRAUD, 60, 61)
    # when it is read thrice: processor time, because other processes share the machine
    took = []
    for _ in range(3):
        began = time.process_time()
        assert len(read_logged(workspace, FRAUD, 60, 67)) == 13_000
        took.append(time.process_time() - began)
    # then
    assert min(took) <= 0.15, took


def test_a_world_reads_back_as_the_features_that_were_computed(workspace: Workspace) -> None:
    samples.answered(workspace, 63)
    rows = read_logged(workspace, FRAUD, 60, 63)
    assert rows["day"].unique().tolist() == [60, 61, 62]
    assert rows["customer_count_7d"].between(1, 60).all()

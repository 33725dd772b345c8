"""The contract that every scenario keeps, so that no stage needs to know which one it works for."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pipelines.errors import BadInput
from pipelines.scenarios import SCENARIOS, find_scenario
from pipelines.scenarios.scenario import (
    DAY_S,
    Begun,
    Calendar,
    Count,
    Is,
    LabelledCount,
    LabelRate,
    Mean,
    Scenario,
    Size,
    Value,
    alerts_in,
    read_happened,
)

SIZES: tuple[Size, ...] = ("small", "teaching", "full")


@pytest.fixture(scope="module", params=SCENARIOS.values(), ids=lambda scenario: scenario.name)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    """Each scenario in turn."""
    chosen: Scenario = request.param
    return chosen


@pytest.fixture(scope="module")
def events(scenario: Scenario) -> pd.DataFrame:
    """Its smallest world."""
    return scenario.produce("small", seed=1)


def test_events_have_the_declared_columns_and_nothing_that_tells_the_label(
    scenario: Scenario, events: pd.DataFrame
) -> None:
    raw = [column.name for column in scenario.columns]
    assert events.columns.tolist() == ["event_id", "event_time", "label_time", *raw, "label"]
    assert {str(events[name].dtype) for name in ("event_id", "event_time", "label_time")} == {"int64"}
    assert str(events["label"].dtype) == "int8"
    assert set(events["label"]) == {0, 1}
    assert not events.isna().to_numpy().any()


def test_events_are_numbered_in_order_of_time_within_the_world(
    scenario: Scenario, events: pd.DataFrame
) -> None:
    assert events["event_id"].tolist() == list(range(len(events)))
    assert events["event_time"].is_monotonic_increasing
    assert events["event_time"].min() >= 0
    assert events["event_time"].max() // DAY_S == scenario.length("small") - 1
    assert (events["label_time"] - events["event_time"]).eq(scenario.label_delay_days * DAY_S).all()


def test_numbers_keep_their_bounds_and_decimals(scenario: Scenario, events: pd.DataFrame) -> None:
    for column in scenario.columns:
        if column.kind == "number":
            assert column.low is not None
            assert column.high is not None
            values = events[column.name].to_numpy()
            assert values.dtype == np.float64
            assert column.low <= min(values.min(), float(column.example)), column.name
            assert column.high >= max(values.max(), float(column.example)), column.name
            assert (values == values.round(column.decimals)).all(), column.name


def test_categories_are_all_there_and_no_others(scenario: Scenario, events: pd.DataFrame) -> None:
    for column in scenario.columns:
        assert (column.kind == "category") == bool(column.categories)
        if column.categories:
            assert set(events[column.name]) == set(column.categories)
            assert column.example in column.categories


def test_one_seed_gives_one_world(scenario: Scenario, events: pd.DataFrame) -> None:
    again, other = scenario.produce("small", seed=1), scenario.produce("small", seed=2)
    pd.testing.assert_frame_equal(events, again, check_exact=True)
    assert not events.equals(other)


def test_features_refer_to_columns_there_are(scenario: Scenario) -> None:
    kinds = {column.name: column.kind for column in scenario.columns}
    for feature in scenario.features:
        if isinstance(feature, Value | Mean):
            assert kinds[feature.column] == "number"
        if isinstance(feature, Count | Mean | LabelledCount | LabelRate):
            assert kinds[feature.entity] == "id"
            assert feature.days >= 1
        if isinstance(feature, Is):
            column = next(each for each in scenario.columns if each.name == feature.column)
            assert column.kind == "category"
            assert feature.value in column.categories
        if isinstance(feature, Calendar):
            assert feature.part in ("weekend", "night")
    names = [feature.name for feature in scenario.features]
    assert len(set(names)) == len(names)
    assert scenario.baseline in names
    assert scenario.alert_entity == "event_id" or kinds[scenario.alert_entity] == "id"


def test_no_world_outlasts_the_declared_days(scenario: Scenario) -> None:
    lengths = [scenario.length(size) for size in SIZES]
    assert max(lengths) == scenario.days


def test_alerts_are_in_proportion_to_whom_they_are_about(scenario: Scenario, events: pd.DataFrame) -> None:
    # given
    if scenario.alert_entity == "event_id":
        present = len(events) / scenario.length("small")
    else:
        present = events[scenario.alert_entity].nunique()
    # when
    alerts = alerts_in(scenario, events)
    # then
    assert alerts == max(1, round(scenario.alerts_per_day * present / scenario.alert_entities))
    assert 1 <= alerts <= scenario.alerts_per_day


def test_an_unknown_scenario_is_refused_and_those_there_are_listed() -> None:
    with pytest.raises(BadInput, match=r"no scenario 'frauds'.*fraud, biopsies, maintenance"):
        find_scenario("frauds")


def test_listing_the_scenarios_imports_no_scikit_learn() -> None:
    code = "import sys, pipelines.scenarios; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_a_day_is_the_same_however_long_the_world_is_made(scenario: Scenario, events: pd.DataFrame) -> None:
    shorter = scenario.produce("small", seed=1, until_day=30)
    before = events[events["event_time"] < 30 * DAY_S].reset_index(drop=True)
    pd.testing.assert_frame_equal(shorter, before)


def test_an_episode_changes_what_comes_after_its_day_and_nothing_before(
    scenario: Scenario, events: pd.DataFrame
) -> None:
    for episode in scenario.episodes:
        changed = scenario.produce("small", 1, happened=(Begun(episode.name, 40),))
        before, after = events["event_time"] < 40 * DAY_S, events["event_time"] >= 40 * DAY_S
        pd.testing.assert_frame_equal(changed[before], events[before])
        assert not changed[after].equals(events[after]), episode.name
        bounds = {column.name: (column.low, column.high) for column in scenario.columns}
        for name, (low, high) in bounds.items():
            assert low is None or changed[name].min() >= low, name
            assert high is None or changed[name].max() <= high, name


def test_episodes_are_read_in_order_of_their_days_and_refused_by_name(scenario: Scenario) -> None:
    name = scenario.episodes[0].name
    assert read_happened(scenario, f"{name}@50, {name}@40") == (Begun(name, 40), Begun(name, 50))
    assert read_happened(scenario, "") == ()
    for wrong in ("flood@3", name, f"{name}@", f"{name}@-1", f"{name}@x"):
        with pytest.raises(BadInput, match="is no episode of"):
            read_happened(scenario, wrong)

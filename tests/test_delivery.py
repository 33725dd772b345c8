"""What a source sends is not what happened: each fault is of the kind and the share that was asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipelines.ingestion import collect, receive
from pipelines.scenarios import SCENARIOS
from pipelines.scenarios.biopsies import BIOPSIES
from pipelines.scenarios.delivery import MISHAP_DAYS, deliver
from pipelines.scenarios.fraud import FRAUD
from pipelines.scenarios.scenario import DAY_S, Scenario

DAY = 45
MISHAPS = ("unit", "nulls", "renamed", "late")

each_world = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: scenario.name)


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    """What happened in the small world of payments."""
    return collect(FRAUD, "small", 1, DAY)


@each_world
def test_without_faults_what_is_sent_is_what_happened(scenario: Scenario) -> None:
    pd.testing.assert_frame_equal(receive(scenario, "small", 1, DAY), collect(scenario, "small", 1, DAY))


@each_world
@pytest.mark.parametrize("mishap", ["none", *MISHAPS])
def test_the_same_seed_damages_the_same_records(scenario: Scenario, mishap: str) -> None:
    first, second = (receive(scenario, "small", 3, DAY, "", 0.1, mishap) for _ in range(2))  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(first, second)
    assert not first.equals(receive(scenario, "small", 4, DAY, "", 0.1, mishap))  # type: ignore[arg-type]


def test_a_later_day_leaves_the_earlier_ones_as_they_were_sent() -> None:
    earlier, later = (receive(FRAUD, "small", 1, day, damaged=0.1) for day in (DAY, DAY + 5))
    pd.testing.assert_frame_equal(
        later.iloc[: len(earlier)].drop(columns="label"), earlier.drop(columns="label")
    )


@pytest.mark.parametrize("share", [0.0, 0.004, 0.05, 0.2])
def test_so_many_records_are_damaged_in_four_ways_at_equal_odds(truth: pd.DataFrame, share: float) -> None:
    # when
    sent = deliver(FRAUD, truth, 1, share)
    # then
    counts = {
        "twice": sent["event_id"].duplicated().sum(),
        "missing": sent["amount"].isna().sum(),
        "below": (sent["amount"] < 0).sum(),
        "above": (sent["amount"] > 10_000).sum(),
    }
    expected = share * len(truth) / 4
    for count in counts.values():
        # Each is binomial: within five standard deviations of what is expected.
        assert abs(count - expected) <= 5 * np.sqrt(expected) + 0.1


def test_only_numbers_are_damaged_and_the_rest_arrives_as_it_was(truth: pd.DataFrame) -> None:
    sent = deliver(FRAUD, truth, 1, 0.2).drop_duplicates("event_id")
    assert len(sent) == len(truth)
    for name in ("event_id", "event_time", "label_time", "customer_id", "terminal_id", "label"):
        assert (sent[name].to_numpy() == truth[name].to_numpy()).all() or name == "label"
    assert sent["label"].isna().to_numpy().tolist() == truth["label"].isna().tolist()


def test_the_events_given_are_left_as_they_are(truth: pd.DataFrame) -> None:
    before = truth.copy()
    for mishap in MISHAPS:
        deliver(FRAUD, truth, 1, 0.1, mishap)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(truth, before)


def newest(events: pd.DataFrame) -> pd.Series:
    return events["event_time"] >= (DAY - MISHAP_DAYS) * DAY_S


def test_cents_for_euros_are_a_hundred_times_as_much_on_the_newest_days(truth: pd.DataFrame) -> None:
    sent = deliver(FRAUD, truth, 1, mishap="unit")
    rows = newest(truth)
    assert sent["amount"][rows].to_numpy() == pytest.approx(truth["amount"][rows].to_numpy() * 100)
    assert sent["amount"][~rows].equals(truth["amount"][~rows])


def test_half_a_column_is_empty_on_the_newest_days(truth: pd.DataFrame) -> None:
    sent = deliver(FRAUD, truth, 1, mishap="nulls")
    rows = newest(truth)
    assert 0.45 < sent["amount"][rows].isna().mean() < 0.55
    assert sent["amount"][~rows].notna().all()


def test_a_renamed_column_holds_the_newest_days_and_its_old_name_does_not(truth: pd.DataFrame) -> None:
    sent = deliver(FRAUD, truth, 1, mishap="renamed")
    rows = newest(truth)
    assert sent["amount"].isna().equals(rows)
    assert sent["amount_v2"][rows].equals(truth["amount"][rows])
    assert sent["amount_v2"][~rows].isna().all()


@each_world
def test_a_late_source_lacks_the_newest_day_and_nothing_else(scenario: Scenario) -> None:
    sent, truth = receive(scenario, "small", 1, DAY, mishap="late"), collect(scenario, "small", 1, DAY)
    pd.testing.assert_frame_equal(sent, truth[truth["event_time"] < (DAY - 1) * DAY_S])


def test_real_measurements_are_damaged_in_the_same_ways() -> None:
    sent = receive(BIOPSIES, "small", 1, 90, damaged=0.2)
    numbers = [column.name for column in BIOPSIES.columns]
    assert sent["event_id"].duplicated().any()
    assert sent[numbers].isna().any().any()
    assert (sent[numbers] < 0).any().any()


def test_no_events_can_be_delivered(truth: pd.DataFrame) -> None:
    for mishap in ("none", *MISHAPS):
        assert deliver(FRAUD, truth.head(0), 1, 0.1, mishap).empty  # type: ignore[arg-type]

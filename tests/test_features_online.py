"""Features at inference: equal to training's to the last bit, bounded in memory, ready for the unknown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.errors import BadInput
from pipelines.features import offline
from pipelines.features.online import OnlineState
from pipelines.features.parity import prove_equal, replay
from pipelines.ingestion import collect
from pipelines.scenarios import SCENARIOS
from pipelines.scenarios.fraud import FRAUD
from pipelines.scenarios.scenario import DAY_S as DAY
from pipelines.scenarios.scenario import Scenario

NAMES = [feature.name for feature in FRAUD.features]


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    """The small world of payments on day 45."""
    return collect(FRAUD, "small", seed=1, until_day=45)


def payment(
    event_id: int, event_time: int, customer: int = 1, terminal: int = 1, amount: float = 10.0
) -> dict[str, Any]:
    """A raw event as the gateway hands it on."""
    return {
        "event_id": event_id,
        "event_time": event_time,
        "customer_id": customer,
        "terminal_id": terminal,
        "amount": amount,
    }


def arrivals(events: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Raw events one at a time, as plain Python values."""
    for values in events.drop(columns=["label_time", "label"]).to_dict("records"):
        yield {str(name): value for name, value in values.items()}


def feature(state: OnlineState, event: dict[str, Any], name: str) -> float:
    return float(state.compute(event)[NAMES.index(name)])


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("seed", [1, 2])
def test_replayed_one_at_a_time_events_get_training_s_features(scenario: Scenario, seed: int) -> None:
    # given a history that is loaded, and as many days after it in which labels come in
    events = collect(scenario, "small", seed, until_day=45)
    rows = len(events) // 3
    # when
    parity = prove_equal(scenario, events, rows)
    # then
    assert parity.equal, parity.examples
    assert parity.largest_difference == 0.0
    assert (parity.rows, parity.columns) == (rows, len(scenario.features))
    assert parity.examples.empty


def test_from_the_very_first_event_on_nothing_differs() -> None:
    # given no history at all, and every label learned on the way
    events = collect(FRAUD, "small", seed=3, until_day=45).head(15_000)
    assert prove_equal(FRAUD, events, rows=10**6).equal
    found = replay(FRAUD, events, rows=len(events))
    assert found[:, NAMES.index("terminal_risk_7d")].max() > 0


def test_events_of_the_same_second_count_in_the_order_of_their_ids(events: pd.DataFrame) -> None:
    # given payments whose times are cut to the hour, so that most share theirs
    crowded = events.assign(event_time=events["event_time"] // 3600 * 3600)
    crowded = crowded.assign(label_time=crowded["event_time"] + 7 * DAY)
    # when, then
    assert prove_equal(FRAUD, crowded, rows=5000).equal


def test_labels_that_take_differently_long_are_equal_too(events: pd.DataFrame) -> None:
    # given labels that come after an hour to ten days, in another order than their events
    delay = np.random.default_rng(1).integers(3600, 10 * DAY, len(events))
    label_time = events["event_time"] + delay
    irregular = events.assign(label_time=label_time, label=FRAUD.produce("small", 1)["label"].astype("Int8"))
    irregular["label"] = irregular["label"].mask(label_time > 45 * DAY)
    # when, then
    assert prove_equal(FRAUD, irregular, rows=8000).equal


def test_a_feature_off_by_one_bit_is_found_and_shown(events: pd.DataFrame) -> None:
    # given
    features = offline.compute(FRAUD, events)
    right = features["customer_mean_amount_7d"].iloc[-2]
    wrong = np.nextafter(right, np.inf)
    features.loc[features.index[-2], "customer_mean_amount_7d"] = wrong
    # when
    parity = prove_equal(FRAUD, events, 100, features)
    # then
    assert not parity.equal
    assert parity.largest_difference == wrong - right
    assert parity.examples.to_dict("records") == [
        {
            "event_id": events["event_id"].iloc[-2],
            "feature": "customer_mean_amount_7d",
            "offline": wrong,
            "online": right,
        }
    ]


def test_features_of_other_events_are_refused(events: pd.DataFrame) -> None:
    with pytest.raises(BadInput, match="not those of these events"):
        prove_equal(FRAUD, events, 100, offline.compute(FRAUD, events.head(500)))
    with pytest.raises(BadInput, match="at least 1"):
        prove_equal(FRAUD, events, 0)


def test_a_loaded_history_is_worth_as_much_as_a_lived_one(events: pd.DataFrame) -> None:
    # given
    history, after = events.iloc[:-500], events.iloc[-500:]
    told = history[history["label"].notna()]
    # when
    loaded, lived = OnlineState(FRAUD), OnlineState(FRAUD)
    loaded.load(history)
    for event in arrivals(history):
        lived.remember(event)
    for event_id, label, label_time in told[["event_id", "label", "label_time"]].to_numpy(np.int64).tolist():
        # The first week's are no longer waited for; they would be out of all windows, too.
        lived.learn_label(event_id, label, label_time)
    # then
    for event in arrivals(after):
        np.testing.assert_array_equal(loaded.compute(event), lived.compute(event))


def test_loading_again_forgets_what_was_before(events: pd.DataFrame) -> None:
    # given
    state, fresh = OnlineState(FRAUD), OnlineState(FRAUD)
    state.load(events)
    state.remember(payment(10**6, 45 * DAY, customer=10**6))
    # when
    state.load(events.head(100))
    fresh.load(events.head(100))
    # then
    assert state.remembered() == fresh.remembered()
    assert not state.is_known("customer_id", 10**6)


def test_an_unknown_customer_is_a_cold_start() -> None:
    # given
    state = OnlineState(FRAUD)
    event = payment(1, 100, customer=5, terminal=9, amount=12.34)
    # when, then
    assert not state.is_known("customer_id", 5)
    assert not state.is_known("terminal_id", 9)
    assert dict(zip(NAMES, state.compute(event).tolist(), strict=True)) == {
        "amount": 12.34,
        "weekend": 1.0,
        "night": 1.0,
        **{f"customer_count_{days}d": 1.0 for days in (1, 7, 30)},
        **{f"customer_mean_amount_{days}d": 12.34 for days in (1, 7, 30)},
        **{f"terminal_labelled_{days}d": 0.0 for days in (1, 7, 30)},
        **{f"terminal_risk_{days}d": 0.0 for days in (1, 7, 30)},
    }
    # and asking is not remembering
    assert not state.is_known("customer_id", 5)
    state.remember(event)
    assert state.is_known("customer_id", 5)
    assert state.is_known("terminal_id", 9)
    assert not state.is_known("customer_id", 9)


def test_an_event_sent_twice_counts_once() -> None:
    state = OnlineState(FRAUD)
    for _ in range(3):
        state.remember(payment(1, 100))
    assert feature(state, payment(1, 100), "customer_count_7d") == 1
    assert feature(state, payment(2, 101), "customer_count_7d") == 2


def test_events_that_arrive_out_of_order_count_where_they_belong(events: pd.DataFrame) -> None:
    # given a history, then two days' payments in any order
    history, latest = events.iloc[:-3000], events.iloc[-3000:]
    state = OnlineState(FRAUD)
    state.load(history.assign(label=history["label"].mask(history["label_time"] > 0)))
    shuffled = latest.sample(frac=1.0, random_state=1)
    # when
    for event in arrivals(shuffled):
        state.remember(event)
    # then each finds the ones before it, and not those after
    expected = offline.compute(FRAUD, events)
    counts = [name for name in NAMES if name.startswith("customer")]
    columns = [NAMES.index(name) for name in counts]
    last_day = latest[latest["event_time"] >= 44 * DAY]
    found = np.array([state.compute(event)[columns] for event in arrivals(last_day)])
    np.testing.assert_array_equal(found, expected.loc[last_day.index, counts].to_numpy())


def test_a_label_counts_from_the_second_it_became_known() -> None:
    # given a fraud at second 0 whose label is told on day 7
    state = OnlineState(FRAUD)
    state.remember(payment(1, 0))
    # when
    assert state.learn_label(1, 1, label_time=7 * DAY)
    # then
    assert feature(state, payment(2, 7 * DAY - 1), "terminal_labelled_7d") == 0
    assert feature(state, payment(2, 7 * DAY), "terminal_labelled_7d") == 1
    assert feature(state, payment(2, 7 * DAY), "terminal_risk_7d") == 1.0
    assert feature(state, payment(2, 14 * DAY), "terminal_labelled_7d") == 0


def test_a_label_nobody_waits_for_changes_nothing() -> None:
    # given
    state = OnlineState(FRAUD)
    state.remember(payment(1, 0))
    state.learn_label(1, 1, label_time=DAY)
    # when: told again, told otherwise, told of an unknown event
    assert not state.learn_label(1, 1, label_time=DAY)
    assert not state.learn_label(1, 0, label_time=2 * DAY)
    assert not state.learn_label(99, 1, label_time=DAY)
    # then
    assert feature(state, payment(2, 3 * DAY), "terminal_labelled_7d") == 1
    assert feature(state, payment(2, 3 * DAY), "terminal_risk_7d") == 1.0


def test_labels_told_out_of_order_count_all_the_same() -> None:
    state = OnlineState(FRAUD)
    for event_id in range(4):
        state.remember(payment(event_id, event_id))
    for event_id, label, day in ((3, 0, 9), (0, 1, 7), (2, 1, 8), (1, 0, 7)):
        state.learn_label(event_id, label, label_time=day * DAY)
    assert feature(state, payment(9, 8 * DAY), "terminal_labelled_7d") == 3
    assert feature(state, payment(9, 8 * DAY), "terminal_risk_7d") == 2 / 3
    assert feature(state, payment(9, 9 * DAY), "terminal_risk_7d") == 2 / 4


def test_memory_is_bounded_by_the_longest_window() -> None:
    # given a payment every hour for two years, each labelled a week later
    state = OnlineState(FRAUD)
    most = 0
    for hour in range(2 * 365 * 24):
        state.remember(payment(hour, hour * 3600))
        if hour >= 7 * 24:
            state.learn_label(hour - 7 * 24, 0, hour * 3600)
        most = max(most, state.remembered())
    # then never more is kept than 31 days of payments and of labels, and a little not yet forgotten
    assert most <= 2 * (31 * 24 + 32)
    assert feature(state, payment(10**6, hour * 3600), "customer_count_30d") == 30 * 24 + 1


def test_events_whose_label_never_comes_are_given_up() -> None:
    state = OnlineState(FRAUD)
    for day in range(100):
        state.remember(payment(day, day * DAY))
    assert not state.learn_label(50, 1, 100 * DAY)
    assert state.learn_label(65, 1, 100 * DAY)

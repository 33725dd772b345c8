"""The bill of decisions, by hand-computed tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipelines.scenarios import SCENARIOS
from pipelines.scenarios.scenario import Prices, Scenario
from pipelines.tasks import money
from pipelines.tasks.money import price

PRICES = Prices("EUR", missed=1.0, missed_column="amount", review=4.0, false_alarm=10.0, meaning="")
EACH = Prices("EUR", missed=100, missed_column=None, review=1, false_alarm=4, meaning="")


def test_deciding_nothing_costs_what_is_missed_and_saves_nothing() -> None:
    bill = price(EACH, [1, 0, 1], [0, 0, 0])
    assert (bill.total, bill.without, bill.saved) == (200, 200, 0)


def test_alerting_everybody_costs_every_review_and_every_false_alarm() -> None:
    bill = price(EACH, [1, 0, 0, 0], [1, 1, 1, 1])
    assert (bill.missed, bill.reviews, bill.false_alarms) == (0, 4, 12)
    assert bill.saved == 84


def test_what_is_at_stake_counts_where_a_column_says_so() -> None:
    bill = price(replace(EACH, missed=1, missed_column="amount"), [1, 1], [0, 1], [12.25, 80.5])
    assert (bill.missed, bill.without) == (12.25, 92.75)


def test_no_events_cost_nothing() -> None:
    assert price(EACH, [], []).total == 0


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: scenario.name)
def test_every_scenario_declares_prices_that_make_a_perfect_model_worth_having(scenario: Scenario) -> None:
    events = scenario.produce("small", 1, until_day=30)
    column = scenario.prices.missed_column
    stake = None if column is None else events[column]
    perfect = price(scenario.prices, events["label"], events["label"], stake)
    assert perfect.saved > 0
    assert scenario.prices.meaning.endswith(".")


def rows_of_two_days(count: int = 400, seed: int = 1) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of two days with coarse scores that say something, and what is at stake on each."""
    random = np.random.default_rng(seed)
    label = (random.random(count) < 0.1).astype(int)
    return pd.DataFrame(
        {
            "day": np.arange(count) % 2,
            "entity": random.integers(0, 80, count),
            "label": label,
            "score": np.clip(0.3 * label + random.random(count), 0, 1).round(2),
            "baseline": random.random(count),
        }
    ), random.uniform(5, 100, count).round(2)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_cheapest_threshold_is_that_of_brute_force(seed: int) -> None:
    # given every threshold there is, and none at all
    rows, stake = rows_of_two_days(seed=seed)
    every = [money.price(PRICES, rows["label"], rows["score"] >= each, stake) for each in rows["score"]]
    cheapest = max([0.0, *(bill.saved for bill in every)])

    found = money.weigh(PRICES, rows, stake, 0.9, 20, 1)

    assert found["best"]["saved"] == pytest.approx(cheapest, abs=0.01)
    assert min(each["total"] for each in found["curve"]) == found["best"]["total"]
    again = money.price(PRICES, rows["label"], rows["score"] >= found["best"]["threshold"], stake)
    assert again.saved == pytest.approx(found["best"]["saved"], abs=0.01)


def test_each_point_of_the_curve_is_the_bill_at_its_threshold() -> None:
    rows, stake = rows_of_two_days()

    curve = money.weigh(PRICES, rows, stake, 0.9, 20, 1)["curve"]

    assert 20 < len(curve) <= money.POINTS + 3
    thresholds = [each["threshold"] for each in curve]
    assert thresholds == sorted(thresholds, reverse=True)
    for each in curve:
        alerted = rows["score"] >= each["threshold"]
        bill = money.price(PRICES, rows["label"], alerted, stake)
        assert each["alerts"] == alerted.sum()
        assert each["total"] == pytest.approx(bill.total, abs=0.01)
    assert (curve[0]["alerts"], curve[-1]["alerts"]) == (0, len(rows))
    assert curve[0]["saved"] == 0


def test_what_is_saved_at_the_threshold_lies_in_its_interval_and_is_told_by_day() -> None:
    rows, stake = rows_of_two_days()

    found = money.weigh(PRICES, rows, stake, 0.9, 200, 1)

    here, a_day = found["at_threshold"], found["per_day_saved"]
    assert here["total"] == pytest.approx(here["missed"] + here["reviews"] + here["false_alarms"], abs=0.01)
    assert a_day["value"] == pytest.approx(here["saved"] / 2, abs=0.01)
    assert a_day["low"] < a_day["value"] < a_day["high"]
    assert found["baseline"]["alerts"] == here["alerts"]
    assert any(each["threshold"] == pytest.approx(0.9, abs=1e-5) for each in found["curve"])


def test_a_world_where_alerts_cost_more_than_they_save_is_told_so() -> None:
    rows, _ = rows_of_two_days()
    dear = Prices("points", 1.0, None, 50.0, 0.0, "")

    found = money.weigh(dear, rows, None, 0.5, 20, 1)

    assert found["best"]["alerts"] == 0
    assert found["best"]["saved"] == 0
    assert "deciding nothing is cheapest" in found["words"]
    assert "loses" in found["words"]


def test_money_in_words() -> None:
    assert [money.amount(value, "EUR") for value in (1204.4, -3.54, 0.0)] == [
        "1,204 EUR",
        "−3.5 EUR",
        "0 EUR",
    ]

"""The bill of decisions, by hand-computed tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipelines.scenarios import SCENARIOS
from pipelines.scenarios.scenario import Prices, Scenario
from pipelines.tasks.money import price

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

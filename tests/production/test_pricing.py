"""Prices are the learner's: every day is told by them, and the books stay as they are."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import page_samples as samples
import pytest
from world_samples import played

from pipelines.errors import BadInput
from pipelines.production import ledger, pricing
from pipelines.run import create_run
from pipelines.scenarios import find_scenario
from pipelines.tasks.money import price
from pipelines.workspace import Home, Workspace, open_workspace

FRAUD = find_scenario("fraud")


@pytest.fixture
def begun(tmp_path: Path) -> Workspace:
    """A world of two priced days, which cost 300 for reviews and were worth nothing, and 500."""
    workspace = open_workspace("ada", Home(tmp_path))
    run = create_run(workspace, "fraud", {"ingest": {"size": "small"}})
    samples.promote(workspace, 1, run.run_id)
    played(workspace, run, [-300.0, 500.0])
    return workspace


def saved(workspace: Workspace) -> list[float]:
    return [day.bill.saved for day in ledger.days(workspace, "fraud") if day.bill is not None]


def test_a_price_tells_all_days_anew_and_can_be_taken_back(begun: Workspace) -> None:
    assert saved(begun) == [-300.0, 500.0]
    pricing.set_price(begun, FRAUD, "review", 2 * FRAUD.prices.review)
    pricing.set_price(begun, FRAUD, "missed", 0.5 * FRAUD.prices.missed)
    assert saved(begun) == [-600.0, 250.0]
    pricing.forget_prices(begun, FRAUD)
    assert saved(begun) == [-300.0, 500.0]
    assert pricing.prices_of(begun, FRAUD) == FRAUD.prices


@pytest.mark.parametrize("seed", range(5))
def test_a_bill_told_anew_is_the_bill_written_at_those_prices(seed: int) -> None:
    drawn = np.random.default_rng(seed)
    labels, alerts = drawn.integers(0, 2, 500), drawn.integers(0, 2, 500)
    stake = drawn.integers(100, 50_000, 500) / 100
    wanted = replace(FRAUD.prices, missed=1.7, review=0.5, false_alarm=33.0)
    told = pricing.at_prices(price(FRAUD.prices, labels, alerts, stake), FRAUD.prices, wanted)
    written = price(wanted, labels, alerts, stake)
    for part in ("missed", "reviews", "false_alarms", "without"):
        assert getattr(told, part) == pytest.approx(getattr(written, part), abs=0.02), part


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("nonsense", 1.0, "The prices are: missed"),
        ("review", -1.0, "from 0 to 1,000,000"),
        ("review", math.nan, "from 0 to"),
        ("review", math.inf, "from 0 to"),
        ("review", 2e6, "from 0 to"),
    ],
)
def test_what_is_no_price_is_refused(begun: Workspace, name: str, value: float, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        pricing.set_price(begun, FRAUD, name, value)
    assert pricing.prices_of(begun, FRAUD) == FRAUD.prices


def test_free_of_charge_is_a_price(begun: Workspace) -> None:
    pricing.set_price(begun, FRAUD, "review", 0.0)
    assert saved(begun) == [0.0, 500.0]
    pricing.set_price(begun, FRAUD, "review", FRAUD.prices.review)
    assert saved(begun) == [-300.0, 500.0]


def test_another_scenario_keeps_its_own(begun: Workspace) -> None:
    pricing.set_price(begun, FRAUD, "review", 9.0)
    biopsies = find_scenario("biopsies")
    assert pricing.prices_of(begun, biopsies) == biopsies.prices

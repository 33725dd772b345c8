"""The simulated payments follow the published rules and reach the published figures."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipelines.scenarios.fraud import CARD_DAYS, FRAUD, TERMINAL_DAYS, WORLDS, World, simulate
from pipelines.scenarios.scenario import DAY_S

# Le Borgne et al. (2022), chapter 3, "Transaction data simulator".
PUBLISHED_ROWS, PUBLISHED_RATE = 1_754_155, 0.00837

SMALL = replace(WORLDS["small"], days=40)
CALM = replace(SMALL, terminal_attacks=0.0, card_attacks=0.0)
SAME = ["event_time", "customer_id", "terminal_id"]


@pytest.fixture(scope="module")
def calm() -> pd.DataFrame:
    """A world without attacks."""
    return simulate(CALM, seed=3)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_full_world_matches_the_published_figures(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    events = FRAUD.produce("full", seed)
    rate = events["label"].mean()
    with capsys.disabled():
        found = f"seed {seed}: {len(events):,} payments, {rate:.3%} fraud"
        print(f"\n{found} (published: {PUBLISHED_ROWS:,}, {PUBLISHED_RATE:.3%})")  # noqa: T201
    assert len(events) == pytest.approx(PUBLISHED_ROWS, rel=0.05)
    assert rate == pytest.approx(PUBLISHED_RATE, rel=0.05)
    assert events["customer_id"].nunique() > 4900
    assert events["terminal_id"].nunique() > 9900


@pytest.mark.parametrize("seed", range(1, 6))
def test_smaller_worlds_keep_the_share_of_fraud(seed: int) -> None:
    teaching, small = FRAUD.produce("teaching", seed, 150), FRAUD.produce("small", seed, 75)
    assert len(teaching) == pytest.approx(287_000, rel=0.06)
    assert teaching["label"].mean() == pytest.approx(PUBLISHED_RATE, rel=0.1)
    assert small["label"].mean() == pytest.approx(PUBLISHED_RATE, rel=0.3)


def test_the_small_world_of_seed_1_is_this_one_on_every_machine() -> None:
    # Times and cents as whole numbers, little-endian: neither rounding nor the machine can show.
    events = FRAUD.produce("small", seed=1, until_day=75)
    cents = (events["amount"] * 100).round().astype(np.int64)
    numbers = np.ascontiguousarray(events.drop(columns="amount").assign(cents=cents), dtype="<i8")
    assert hashlib.sha256(numbers.tobytes()).hexdigest()[:16] == "adecf92c5677f3bc"


def test_without_attacks_only_large_amounts_are_fraud(calm: pd.DataFrame) -> None:
    assert calm["label"].eq(calm["amount"] > 220).all()
    assert 0 < calm["label"].mean() < 0.002


def test_a_thief_pays_five_times_as_much_with_a_third_of_the_payments(calm: pd.DataFrame) -> None:
    # given the same payments, with 3 of 5,000 cards stolen a day
    attacked = simulate(replace(CALM, card_attacks=SMALL.card_attacks), seed=3)
    pd.testing.assert_frame_equal(calm[SAME], attacked[SAME])
    # when
    changed = attacked["amount"] != calm["amount"]
    # then the changed ones are five times as large and fraud, and nothing else became fraud
    assert (attacked["amount"][changed] == (calm["amount"][changed] * 5).round(2)).all()
    assert attacked["label"].eq(calm["label"] | changed).all()
    # and each thief works for two weeks
    days = (attacked["event_time"][changed] // DAY_S).groupby(attacked["customer_id"][changed])
    assert (days.max() - days.min()).median() <= CARD_DAYS - 1
    steady = attacked["event_time"] >= CARD_DAYS * DAY_S
    assert changed[steady].mean() == pytest.approx(3 * CARD_DAYS / 3 / 5000, rel=0.5)


def test_all_payments_at_a_hacked_terminal_are_fraud_for_four_weeks(calm: pd.DataFrame) -> None:
    # given
    attacked = simulate(replace(CALM, terminal_attacks=SMALL.terminal_attacks), seed=3)
    pd.testing.assert_frame_equal(calm.drop(columns="label"), attacked.drop(columns="label"))
    # when
    became = attacked[attacked["label"] > calm["label"]]
    # then
    assert len(became) > 50
    for terminal, found in became.groupby("terminal_id"):
        days = found["event_time"] // DAY_S
        assert days.max() - days.min() < 2 * TERMINAL_DAYS
        here = attacked[attacked["terminal_id"] == terminal]
        between = here["event_time"].between(found["event_time"].min(), found["event_time"].max())
        if days.max() - days.min() < TERMINAL_DAYS:
            assert here["label"][between].all()


def test_a_day_is_the_same_however_long_the_world_lasts() -> None:
    longer = simulate(SMALL, seed=5)
    shorter = simulate(replace(SMALL, days=10), seed=5)
    pd.testing.assert_frame_equal(shorter, longer.iloc[: len(shorter)])


def test_a_customer_pays_only_where_terminals_are_near() -> None:
    # given a world so wide that most customers reach no terminal
    wide = World(200, 20, 20, side=100.0, terminal_attacks=0.0, card_attacks=0.0)
    # when
    events = simulate(wide, seed=1)
    # then
    assert 0 < events["customer_id"].nunique() < 60
    assert events.groupby("customer_id")["terminal_id"].nunique().max() <= 3


def test_people_pay_around_noon(calm: pd.DataFrame) -> None:
    # normal with a mean of 12 h and a deviation of 5.56 h, cut at midnight: half lie within 3.6 h
    second = calm["event_time"] % DAY_S
    assert second.between(43_200 - 12_960, 43_200 + 12_960).mean() == pytest.approx(0.499, abs=0.02)
    assert second.between(1, DAY_S - 1).all()


def test_an_attack_rate_below_one_a_day_still_attacks() -> None:
    # given 1 attack in 10 days over 40 days, and nothing else but large amounts
    rare = simulate(replace(CALM, terminal_attacks=0.1), seed=4)
    calm = simulate(CALM, seed=4)
    hacked = rare["terminal_id"][rare["label"] > calm["label"]].nunique()
    assert 3 <= hacked <= 4

"""What happens to the world of payments: each episode by its own rule, alone and together with others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipelines.scenarios.fraud import FRAUD, WORLDS, simulate
from pipelines.scenarios.fraud_episodes import EPISODES, IN_A_ROW_S, WAVE, ways_on
from pipelines.scenarios.scenario import DAY_S, Begun, read_happened

BEGINS = 40
NAMES = [episode.name for episode in EPISODES]
SAME = ["event_id", "event_time", "label_time", "customer_id", "terminal_id"]


def world(episodes: str = "", seed: int = 1, days: int = 75) -> pd.DataFrame:
    """The small world with these episodes."""
    return FRAUD.produce("small", seed, days, read_happened(FRAUD, episodes))


def since(events: pd.DataFrame, day: int = BEGINS) -> pd.DataFrame:
    """The payments from that day on."""
    return events[events["event_time"] >= day * DAY_S]


@pytest.fixture(scope="module")
def calm() -> pd.DataFrame:
    """The world in which nothing happens."""
    return world()


@pytest.mark.parametrize("name", NAMES)
def test_before_its_day_an_episode_changes_nothing_and_a_day_is_the_same_in_a_shorter_world(
    name: str, calm: pd.DataFrame
) -> None:
    changed, shorter = world(f"{name}@{BEGINS}"), world(f"{name}@{BEGINS}", days=60)
    before = calm["event_time"] < BEGINS * DAY_S
    pd.testing.assert_frame_equal(changed[before], calm[before], check_exact=True)
    pd.testing.assert_frame_equal(shorter, changed.iloc[: len(shorter)], check_exact=True)
    pd.testing.assert_frame_equal(changed, world(f"{name}@{BEGINS}"), check_exact=True)
    # and it changes who is a thief, or what is paid, never who pays when and where
    pd.testing.assert_frame_equal(changed[SAME], calm[SAME], check_exact=True)
    assert not changed.equals(calm)


@pytest.mark.parametrize("name", NAMES)
def test_an_episode_that_begins_after_the_world_ends_changes_nothing(name: str, calm: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(world(f"{name}@300"), calm, check_exact=True)


def test_each_episode_tells_what_happens() -> None:
    for episode in EPISODES:
        assert episode.title
        assert "from that day on" in episode.meaning.lower()
        assert episode.meaning.endswith(".")


def test_a_wave_adds_fraud_and_takes_none_away(calm: pd.DataFrame) -> None:
    wave = world(f"attack_wave@{BEGINS}")
    assert (wave["label"] >= calm["label"]).all()
    assert since(wave, BEGINS + 28)["label"].mean() > 2 * since(calm, BEGINS + 28)["label"].mean()
    # and stolen cards are used as before
    larger = wave["amount"] != calm["amount"]
    assert (wave["amount"][larger] == (calm["amount"][larger] * 5).round(2)).all()
    assert wave["label"][larger].all()


def test_thieves_who_hide_pay_as_the_owner_does_and_leave_payments_alone(calm: pd.DataFrame) -> None:
    hidden = world(f"stealth_fraud@{BEGINS}")
    assert (hidden["label"] <= calm["label"]).all()
    # given the same world without stolen cards: its amounts are what owners pay
    owners = simulate(replace(WORLDS["small"], days=75, card_attacks=0.0), seed=1)
    assert since(hidden)["amount"].equals(since(owners)["amount"])
    kept = since(hidden)["label"].sum() / since(calm)["label"].sum()
    assert 0.7 < kept < 0.95


def test_in_the_changed_pattern_fraud_follows_another_card_at_the_terminal(calm: pd.DataFrame) -> None:
    later = since(world(f"changed_pattern@{BEGINS}"))
    last = later.assign(day=later["event_time"] // DAY_S).groupby(["terminal_id", "day"])
    soon = last["event_time"].diff() <= IN_A_ROW_S
    other = later["customer_id"] != last["customer_id"].shift()
    expected = (soon & other) | (later["amount"] > 220)
    assert later["label"].eq(expected.astype(np.int8)).all()
    assert 0.7 < later["label"].mean() / calm["label"].mean() < 1.6
    assert (later["amount"] > 220).mean() < 0.002


def test_episodes_are_combined() -> None:
    # prices double, and thieves hide: the amounts are those of hidden thieves, doubled
    hidden = world(f"stealth_fraud@{BEGINS}")
    both = world(f"inflation@50,stealth_fraud@{BEGINS}")
    assert both["label"].equals(hidden["label"])
    doubled = hidden["event_time"] >= 50 * DAY_S
    assert both["amount"].equals(hidden["amount"].mask(doubled, (hidden["amount"] * 2).round(2)))
    # a wave of thieves who hide is more fraud than hiding alone, and so is a second wave
    wave = world(f"stealth_fraud@{BEGINS},attack_wave@{BEGINS}")
    second = world(f"stealth_fraud@{BEGINS},attack_wave@{BEGINS},attack_wave@45")
    shares = [since(each, 60)["label"].mean() for each in (hidden, wave, second)]
    assert shares == sorted(shares)
    assert shares[2] > 1.3 * shares[1] > 1.3**2 * shares[0]
    # in the changed pattern a wave brings more copied cards
    begun = (Begun("changed_pattern", 40), Begun("attack_wave", 45), Begun("stealth_fraud", 50))
    assert [ways_on(day, begun).in_a_row_s for day in (39, 40, 44, 45, 60)] == [
        0,
        IN_A_ROW_S,
        IN_A_ROW_S,
        *[IN_A_ROW_S * WAVE] * 2,
    ]

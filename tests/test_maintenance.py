"""The world of machines: shifts, tools and temperatures as a stream, by the rules of the published table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipelines.scenarios import ai4i
from pipelines.scenarios.maintenance import MAINTENANCE, SLOTS, STEADINESS, WORLDS, World, simulate
from pipelines.scenarios.maintenance_episodes import (
    EPISODES,
    HOT_AIR_K,
    HOT_DAYS,
    HOT_PROCESS_K,
    TORQUE_SHIFT_NM,
)
from pipelines.scenarios.scenario import DAY_S, Begun

DAYS = 40
MACHINES = 30


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    """Forty days of thirty machines."""
    return simulate(World(MACHINES, DAYS), seed=1)


def happened(name: str, day: int = 20) -> pd.DataFrame:
    return simulate(World(MACHINES, DAYS), 1, (Begun(name, day),))


def since(events: pd.DataFrame, day: int) -> pd.DataFrame:
    return events[events["event_time"] >= day * DAY_S]


def test_machines_work_in_parallel_and_never_on_two_pieces_at_once(events: pd.DataFrame) -> None:
    a_day = events.groupby(["machine_id", events["event_time"] // DAY_S]).size()
    assert len(a_day) == MACHINES * DAYS
    assert a_day.mean() == pytest.approx(40, abs=0.5)
    assert a_day.max() <= SLOTS
    apart = events.sort_values(["machine_id", "event_time"]).groupby("machine_id")["event_time"].diff()
    assert apart.min() >= 14 * 60


def test_worlds_differ_in_machines_and_last_a_year() -> None:
    assert [world.machines for world in WORLDS.values()] == [10, 20, 100]
    assert {world.days for world in WORLDS.values()} == {365}
    assert MAINTENANCE.alert_entities == 4000  # pieces a day at full size


def test_a_tool_wears_by_the_quality_of_its_pieces_until_it_is_changed(events: pd.DataFrame) -> None:
    ordered = events.sort_values(["machine_id", "event_time"])
    after = ordered.groupby("machine_id")["tool_wear"].shift(-1)
    there = after.notna()
    changed = there & (after == 0)
    minutes = ordered["quality"].map(dict(zip(ai4i.QUALITIES, ai4i.WEAR_MIN.tolist(), strict=True)))
    worn = there & ~changed
    assert (after[worn] == (ordered["tool_wear"] + minutes)[worn]).all()
    assert ordered["tool_wear"][changed].between(200, 230 + 5).all()
    # of the tools that end, as large a part fails as in the published table
    failed = ordered["label"][changed & (ordered["torque"] < 40)]
    assert len(failed) > 200
    assert failed.mean() == pytest.approx(ai4i.ENDS_IN_FAILURE, abs=0.08)


def test_temperatures_change_slowly_and_keep_their_spread(events: pd.DataFrame) -> None:
    air = events["air_temperature"]
    warmer = events["process_temperature"] - air
    assert (air.mean(), air.std()) == pytest.approx((300, 2), abs=0.1)
    assert (warmer.mean(), warmer.std()) == pytest.approx((10, 1), abs=0.05)
    first = events[events["machine_id"] == 0]
    apart = np.diff(first["event_time"]) // (24 * 60)
    pairs = pd.DataFrame(
        {"now": first["air_temperature"][:-1], "next": first["air_temperature"].to_numpy()[1:]}
    )
    assert pairs[apart == 1].corr().iloc[0, 1] == pytest.approx(STEADINESS, abs=0.03)


def test_new_sensors_read_more_and_nothing_else_differs(events: pd.DataFrame) -> None:
    changed = happened("torque_sensor")
    more = since(changed, 20)["torque"] - since(events, 20)["torque"]
    assert more.round(1).eq(TORQUE_SHIFT_NM).all()
    pd.testing.assert_frame_equal(changed.drop(columns="torque"), events.drop(columns="torque"))


def test_cheap_tools_come_one_after_another_and_end_sooner(events: pd.DataFrame) -> None:
    changed = happened("cheap_tools")
    assert since(changed, 28)["tool_wear"].max() < 220 <= since(events, 28)["tool_wear"].max()
    assert since(changed, 20)["tool_wear"].max() > 220  # tools that were there are used up first
    assert since(changed, 28)["label"].mean() > 1.3 * since(events, 28)["label"].mean()
    measured = ["air_temperature", "process_temperature", "rotational_speed", "torque", "quality"]
    pd.testing.assert_frame_equal(changed[measured], events[measured])


def test_a_hot_spell_doubles_the_failures_and_ends(events: pd.DataFrame) -> None:
    changed = happened("hot_spell")
    warmer = (since(changed, 20) - since(events, 20).select_dtypes("number")).mean()
    assert warmer["air_temperature"] == pytest.approx(HOT_AIR_K, abs=0.01)
    assert warmer["process_temperature"] == pytest.approx(HOT_PROCESS_K, abs=0.01)
    assert since(changed, 20)["label"].sum() == pytest.approx(2 * since(events, 20)["label"].sum(), rel=0.15)
    # and on the day after its last, the world is what it would have been
    over = simulate(World(3, HOT_DAYS + 5), 1, (Begun("hot_spell", 2),))
    usual = simulate(World(3, HOT_DAYS + 5), 1)
    pd.testing.assert_frame_equal(since(over, HOT_DAYS + 2), since(usual, HOT_DAYS + 2))
    assert next(each for each in EPISODES if each.name == "hot_spell").days == HOT_DAYS


def test_all_episodes_can_be_at_once(events: pd.DataFrame) -> None:
    all_at_once = tuple(Begun(episode.name, 20) for episode in EPISODES)
    changed = simulate(World(MACHINES, DAYS), 1, all_at_once)
    assert since(changed, 28)["label"].mean() > 2 * since(events, 28)["label"].mean()

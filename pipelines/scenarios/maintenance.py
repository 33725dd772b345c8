"""Machine failures: will this machine fail at its next piece? A world simulated by a published table's rules.

Comes in: a size and a seed. Goes out: every piece that is begun, with whether its machine failed and spoilt
it. Machines work in parallel, around the clock. Why a machine fails is `ai4i`'s; what makes a stream of it is
this project's: temperatures that change slowly, and tools that wear from piece to piece.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.scenarios import ai4i
from pipelines.scenarios.ai4i import Flags, Floats, Ints, Pieces, Tools
from pipelines.scenarios.maintenance_episodes import (
    CHEAP_STRAIN,
    EPISODES,
    SHORTER_MIN,
    Conditions,
    conditions_on,
)
from pipelines.scenarios.scenario import (
    DAY_S,
    Begun,
    Column,
    Episode,
    Feature,
    Is,
    Origin,
    Prices,
    Scenario,
    Size,
    Slice,
    Task,
    Value,
)

# All below is an assumption. Day and night a machine is ready for a piece every 24 minutes; for a third of
# these there is no work. A piece is begun within ten minutes, so two on one machine are never one.
SLOT_S = 24 * 60
SLOTS = DAY_S // SLOT_S
BUSY_SHARE = 2 / 3
BEGINS_WITHIN_S = 600

# Of how far a temperature lies from its mean, so much is left one slot later: after a shift nearly nothing.
STEADINESS = 0.9

# Each stop is looked into, and its report signed, within two days. A threshold is set on as many days.
LABEL_DELAY_DAYS = 2

# A counter of four digits; a tool is worn by some 235 minutes at most.
MOST_WEAR_MIN = 9999.0

# Each part of the world, and in it each day, has random numbers of its own, so that a day is the same in a
# shorter and in a longer world. As many are drawn whatever happens.
BEGINNING, WORK, WEATHER, PIECES, FAILURES = range(5)


@dataclass(frozen=True)
class World:
    """How many machines there are, and for how long."""

    machines: int
    days: int


WORLDS: dict[Size, World] = {
    "small": World(machines=10, days=365),
    "teaching": World(machines=20, days=365),
    "full": World(machines=100, days=365),
}


class Maintenance:
    """The world of machines; `Scenario` says what each attribute means."""

    name: str = "maintenance"
    title: str = "Machines"
    question: str = "Will this machine fail, and spoil the piece that it is about to make?"
    task: Task = "classification"
    origin: Origin = "simulated"
    start_date: str = "2024-01-01"
    days: int = max(world.days for world in WORLDS.values())
    label_delay_days: int = LABEL_DELAY_DAYS
    event: str = "piece"
    events: str = "pieces"
    positive: str = "spoilt"
    columns: tuple[Column, ...] = (
        Column("machine_id", "id", "Which machine makes it.", example=7),
        Column(
            "quality",
            "category",
            "Of the piece: L, M or H, for low, medium and high.",
            example="L",
            categories=ai4i.QUALITIES,
        ),
        Column(
            "tool_wear",
            "number",
            "How long the tool has been cutting.",
            unit="min",
            low=0.0,
            high=MOST_WEAR_MIN,
            decimals=0,
            example=108.0,
        ),
        Column("air_temperature", "number", "Air in the hall.", "K", 250.0, 350.0, 1, 300.0),
        Column("process_temperature", "number", "Where the tool cuts.", "K", 250.0, 400.0, 1, 310.0),
        Column("rotational_speed", "number", "Of the spindle.", "rpm", 0.0, 10_000.0, 0, 1503.0),
        Column("torque", "number", "At the spindle.", "Nm", 0.0, 500.0, 1, 40.1),
    )
    features: tuple[Feature, ...] = (
        *(Value(column.name) for column in columns if column.kind == "number"),
        *(Is("quality", quality) for quality in ai4i.QUALITIES),
    )
    # The strongest single column, and what an operator would go by.
    baseline: str = "torque"
    alert_entity: str = "event_id"
    alerts_per_day: int = 120
    alert_entities: int = round(WORLDS["full"].machines * SLOTS * BUSY_SHARE)
    prices: Prices = Prices(
        unit="EUR",
        missed=400.0,
        missed_column=None,
        review=15.0,
        false_alarm=45.0,
        meaning="A machine that fails stops its line for some twenty minutes and spoils the piece. Looking "
        "at a machine before the piece takes somebody ten minutes. Where nothing is wrong, a service was "
        "needless, and half a tool is thrown away. A retraining takes somebody half a day. A "
        "machine that gets no answer waits a moment.",
        retraining=250.0,
        unanswered=2.0,
    )
    episodes: tuple[Episode, ...] = EPISODES
    slices: tuple[Slice, ...] = (
        Slice(
            "Tool",
            "tool_wear",
            ("with a fresh tool", "with a used tool", "with a worn tool"),
            edges=(100.0, 190.0),
        ),
        Slice(
            "Torque",
            "torque",
            ("at low torque", "at usual torque", "at high torque"),
            edges=(25.0, 55.0),
        ),
        Slice("Quality", "quality_is_L", ("of medium or high quality", "of low quality"), edges=(0.5,)),
        Slice("Air", "air_temperature", ("in cool air", "in usual air", "in warm air"), edges=(298.0, 302.0)),
    )
    rule: str = ""

    def stopped(self, events: pd.DataFrame) -> NDArray[np.bool_]:
        """None: there is no such rule."""
        return np.zeros(len(events), dtype=np.bool_)

    def length(self, size: Size) -> int:
        """Days that the world of that size lasts."""
        return WORLDS[size].days

    def produce(
        self, size: Size, seed: int, until_day: int | None = None, happened: tuple[Begun, ...] = ()
    ) -> pd.DataFrame:
        """Every piece that is begun, with whether it was spoilt; see `Scenario.produce`."""
        world = WORLDS[size]
        days = world.days if until_day is None else min(until_day, world.days)
        return simulate(replace(world, days=days), seed, happened)


MAINTENANCE: Scenario = Maintenance()


def simulate(world: World, seed: int, happened: tuple[Begun, ...] = ()) -> pd.DataFrame:
    """Every piece of that world, with whether its machine failed; see `Scenario.produce` for the columns."""
    state = _beginning(world, _stream(seed, BEGINNING))
    by_day = []
    for day in range(world.days):
        state, events = _day(world, state, day, conditions_on(day, happened), seed)
        by_day.append(events)
    events = {name: np.concatenate([each[name] for each in by_day]) for name in by_day[0]}
    time_s = events.pop("event_time")
    return pd.DataFrame(
        {
            "event_id": np.arange(len(time_s), dtype=np.int64),
            "event_time": time_s,
            "label_time": time_s + LABEL_DELAY_DAYS * DAY_S,
            **events,
        }
    )


@dataclass(frozen=True)
class _Machines:
    """What a day leaves behind for the next; arrays of shape (machines,).

    Attributes
    ----------
    air, warmer : how far temperatures lie from their mean, in standard deviations
    """

    tools: Tools
    air: Floats
    warmer: Floats


def _beginning(world: World, random: np.random.Generator) -> _Machines:
    """The machines on the first morning, with tools in all states of wear."""
    life = random.uniform(*ai4i.LIFE_MIN, world.machines)
    wear = (random.random(world.machines) * life).astype(np.int64)
    air, warmer = random.standard_normal((2, world.machines))
    return _Machines(Tools(wear, life, np.zeros(world.machines, dtype=np.bool_)), air, warmer)


def _day(
    world: World, state: _Machines, day: int, conditions: Conditions, seed: int
) -> tuple[_Machines, dict[str, NDArray[np.generic]]]:
    """The machines after that day, and its pieces by time: event_time, the columns, and label."""
    shape = (SLOTS, world.machines)
    work = _stream(seed, WORK, day)
    made = work.random(shape) < BUSY_SHARE
    second = np.arange(SLOTS)[:, None] * SLOT_S + work.integers(0, BEGINS_WITHIN_S, shape)
    quality = ai4i.draw_quality(shape, work)
    lives = work.uniform(*ai4i.LIFE_MIN, shape) - SHORTER_MIN * conditions.cheap_tools
    tools, wear, ends, cheap = ai4i.wear_down(
        state.tools, made, ai4i.WEAR_MIN[quality], lives, conditions.cheap_tools
    )
    weather = _stream(seed, WEATHER, day)
    air, warmer = _drift(state.air, shape, weather), _drift(state.warmer, shape, weather)
    warmer_now = warmer + (conditions.process_k - conditions.air_k) / ai4i.WARMER_SD_K
    pieces = ai4i.draw_pieces(
        quality, air + conditions.air_k / ai4i.AIR_SD_K, warmer_now, wear, ends, _stream(seed, PIECES, day)
    )
    pieces = replace(pieces, strain=np.where(cheap, CHEAP_STRAIN * pieces.strain, pieces.strain))
    failed = np.any(list(ai4i.find_causes(pieces, _stream(seed, FAILURES, day)).values()), axis=0)
    events = _in_order(day, made, second, pieces, failed, conditions)
    return _Machines(tools, air[-1], warmer[-1]), events


def _in_order(
    day: int, made: Flags, second: Ints, pieces: Pieces, failed: Flags, conditions: Conditions
) -> dict[str, NDArray[np.generic]]:
    """The pieces that were made, by time, as they are measured."""
    slot, machine = np.nonzero(made)
    order = np.lexsort((machine, second[slot, machine]))
    slot, machine = slot[order], machine[order]
    read = replace(pieces, torque=pieces.torque + 10 * conditions.torque_nm)
    return {
        "event_time": day * DAY_S + second[slot, machine],
        "machine_id": machine,
        **{name: values[slot, machine] for name, values in ai4i.measured(read).items()},
        "label": failed[slot, machine].astype(np.int8),
    }


def _drift(before: Floats, shape: tuple[int, int], random: np.random.Generator) -> Floats:
    """How far a temperature lies from its mean in each slot of a day, in standard deviations.

    An autoregressive process: what is left of the slot before, and so much of something new that the
    spread stays 1.
    """
    new = math.sqrt(1 - STEADINESS**2) * random.standard_normal(shape)
    found = np.empty(shape)
    for slot in range(len(found)):
        before = STEADINESS * before + new[slot]
        found[slot] = before
    return found


def _stream(seed: int, *key: int) -> np.random.Generator:
    """The random numbers of one part of the world, on one day: the same whatever else is drawn."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))

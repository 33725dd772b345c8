"""Delivery: what a source sends of a world is not what happened. Simulated, the same for every world.

Comes in: the events as they happened. Goes out: the table as it arrives, with records that were damaged
on the way and, when it is asked for, a mishap upstream on the newest days. Each record's fate hangs on
the seed and its place alone, so the days before stay as they were when a day is added.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.scenarios.scenario import DAY_S, Column, Scenario

Mishap = Literal["none", "unit", "nulls", "renamed", "late"]
Damage = Literal["twice", "missing", "below", "above"]

DAMAGES: tuple[Damage, ...] = get_args(Damage)
# On so many newest days something goes wrong upstream; a source that is late lacks one.
MISHAP_DAYS = 3
CENTS = 100.0  # What is meant in euros arrives in cents.
RENAMED = "_v2"  # A new release of the source calls the column so.

# This stream of random numbers lies far from those by which worlds are made.
_STREAM = 1_000
_WHETHER, _HOW, _WHICH, _SIZE, _HALF = range(5)


def deliver(
    scenario: Scenario,
    events: pd.DataFrame,
    seed: int,
    damaged: float = 0.0,
    mishap: Mishap = "none",
) -> pd.DataFrame:
    """The events as their source sends them.

    Parameters
    ----------
    events : DataFrame
        As they happened; it is left as it is.
    damaged : float
        Share of records that are damaged, each in one of four ways at equal odds: sent twice, or one of
        its numbers missing, below its bound or above it. What can't happen to a world's columns does not.
    mishap : str
        On the newest days: "unit", the first number comes a hundred times too large; "nulls", half of it
        is empty; "renamed", it comes under another name; "late", the newest day is not sent at all.

    Returns
    -------
    DataFrame
        The columns of `events`, and for "renamed" one more; rows in the same order, a record that was
        sent twice twice in a row.
    """
    sent = _upset(scenario, events, seed, mishap)
    numbers = [column for column in scenario.columns if column.kind == "number"]
    hit = _random(seed, _WHETHER).random(len(sent)) < damaged
    fate = _random(seed, _HOW).integers(0, len(DAMAGES), len(sent))
    which = _random(seed, _WHICH).integers(0, max(1, len(numbers)), len(sent))
    size = _random(seed, _SIZE).random(len(sent))
    for place, column in enumerate(numbers):
        for damage in ("missing", "below", "above"):
            rows = hit & (which == place) & (fate == DAMAGES.index(damage))
            sent[column.name] = _damage(sent[column.name], column, damage, rows, size)
    twice = hit & (fate == DAMAGES.index("twice"))
    return sent.iloc[np.repeat(np.arange(len(sent)), 1 + twice)].reset_index(drop=True)


def _upset(scenario: Scenario, events: pd.DataFrame, seed: int, mishap: Mishap) -> pd.DataFrame:
    """The events after what went wrong upstream; a world without numbers can only be late."""
    day = events["event_time"] // DAY_S
    newest = int(day.max()) if len(events) else 0
    if mishap == "late":
        return events[day < newest].copy()
    sent = events.copy()
    name = next((column.name for column in scenario.columns if column.kind == "number"), None)
    if mishap == "none" or name is None:
        return sent
    since = day > newest - MISHAP_DAYS
    if mishap == "unit":
        sent[name] = sent[name].mask(since, (sent[name] * CENTS).round(2))
    elif mishap == "nulls":
        sent[name] = sent[name].mask(since & (_random(seed, _HALF).random(len(sent)) < 0.5))
    else:
        sent.insert(list(sent.columns).index(name) + 1, name + RENAMED, sent[name].where(since))
        sent[name] = sent[name].mask(since)
    return sent


def _damage(
    values: pd.Series[float],
    column: Column,
    damage: Damage,
    rows: NDArray[np.bool_],
    size: NDArray[np.float64],
) -> pd.Series[float]:
    """The column with its `rows` damaged; a number without the bound can't lie beyond it.

    Too small is as far below the bound as the number was above it, as when a sign is lost; too large is
    two to ten times the bound, as when a decimal point is.
    """
    smallest = 10.0**-column.decimals
    if damage == "missing":
        return values.mask(rows)
    if damage == "below" and column.low is not None:
        wrong = 2 * column.low - values - smallest
    elif damage == "above" and column.high is not None:
        wrong = pd.Series(abs(column.high) * (2 + 8 * size) + smallest, values.index)
    else:
        return values
    return values.mask(rows, wrong.round(column.decimals))


def _random(seed: int, purpose: int) -> np.random.Generator:
    """The random numbers of one purpose: the first thousand are the same however many are drawn."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_STREAM, purpose)))

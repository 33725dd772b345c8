"""Expectations of a batch: what no single value shows. Days are compared with each other.

A day of six events differs from the others by chance, a day of a thousand hardly does. So a day fails
only if it is beyond the limit and chance alone would hardly bring it there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from pipelines.scenarios.scenario import DAY_S, Column, Scenario
from pipelines.validation.check import Check, Example, judge, rows_like, with_unit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# One good day in a thousand looks so by chance alone: 60 days and a dozen rules would raise one false
# alarm in two batches if chance were all, but a day must also be beyond the limit.
CHANCE = 0.001
# The newest day is one question only, so the odds may be greater: of some six events a day, as biopsies
# are, none at all happens on one day in five hundred.
CHANCE_OF_NONE = 0.01
# From fewer values no median is worth comparing.
LEAST_VALUES = 5


@dataclass(frozen=True)
class Daily:
    """What each day of a batch holds; arrays of shape (n_days,).

    Attributes
    ----------
    days : ndarray of int
        From the first day with events to the last, without a gap.
    today : int
        The day that follows the last on which labels came in: when the batch was collected.
    rows, labelled : ndarray of int
        Events of the day, and how many of them have a label.
    medians, missing : dict of ndarray by column
        The median of a number (nan without values), and how many of the day's rows lack it.
    """

    days: Ints
    today: int
    rows: Ints
    labelled: Ints
    medians: dict[str, Floats]
    missing: dict[str, Ints]


def count_days(batch: pd.DataFrame, numbers: list[Column]) -> Daily:
    """The batch by day. Rows of which the time is not known belong to no day."""
    timed = batch[batch["event_time"].notna()]
    day = (timed["event_time"] // DAY_S).astype(np.int64)
    days = np.arange(day.min(), day.max() + 1) if len(day) else np.empty(0, np.int64)
    groups = timed.groupby(day.to_numpy())

    def whole(values: pd.Series[int]) -> Ints:
        return values.reindex(days, fill_value=0).to_numpy().astype(np.int64)

    medians, missing = {}, {}
    for column in numbers:
        values = groups[column.name]
        medians[column.name] = values.median().reindex(days).to_numpy(np.float64)
        missing[column.name] = whole(values.size() - values.count())
    return Daily(
        days, present_day(timed), whole(groups.size()), whole(groups["label"].count()), medians, missing
    )


def present_day(batch: pd.DataFrame) -> int:
    """The day on which the batch was collected, as its labels tell: the newest came in the day before.

    Read from the labels and not from the events, whose newest day may be what is missing.
    """
    learned = batch.loc[batch["label"].notna(), "label_time"].max()
    newest = batch["event_time"].max()
    if pd.notna(learned):
        return int(-(-learned // DAY_S))
    return int(newest // DAY_S) + 1 if pd.notna(newest) else 0


def check_batch(
    scenario: Scenario, batch: pd.DataFrame, daily: Daily, most_change: float, most_missing: float
) -> list[Check]:
    """What the expectations say of the batch.

    Parameters
    ----------
    most_change : float
        Factor by which a day's volume or a number's median may differ from the other days'.
    most_missing : float
        Share of a number's values that may be missing on a day.
    """
    numbers = [column for column in scenario.columns if column.name in daily.medians]
    checks = [_learned(batch), _time(batch, daily), _newest(daily), _volume(daily, most_change)]
    checks += [_median(batch, daily, column, most_change) for column in numbers if _is_amount(column)]
    checks += [_gap(daily, column, most_missing) for column in numbers]
    return [*checks, _rate(scenario, batch)]


def median_interval(values: Floats) -> tuple[float, float]:
    """Between which two of the values the true median lies, but for one time in a thousand.

    The number of values below the true median is binomial with p = 1/2, whatever their distribution. So
    the k-th smallest and the k-th largest enclose it but for a chance of 2 P(B < k); k is the largest
    for which that is at most `CHANCE`. From fewer than eleven values not even the smallest and the
    largest are that sure; these are given.

    References
    ----------
    Conover (1999), "Practical Nonparametric Statistics", 3rd edition, section 3.2.

    Examples
    --------
    >>> median_interval(np.arange(1.0, 21.0)), median_interval(np.array([3.0, 1.0, 2.0]))
    ((4.0, 17.0), (1.0, 3.0))
    """
    ordered = np.sort(values)
    chance_below = stats.binom.cdf(np.arange(len(ordered)), len(ordered), 0.5)
    place = max(0, int(np.searchsorted(chance_below, CHANCE / 2, side="right")) - 1)
    return float(ordered[place]), float(ordered[len(ordered) - 1 - place])


def of_the_others(values: Floats) -> Floats:
    """For each day the median of all other days' values; nan where there is no other."""
    others = (np.delete(values, place) for place in range(len(values)))
    return np.array([np.nanmedian(rest) if np.isfinite(rest).any() else np.nan for rest in others])


def _is_amount(column: Column) -> bool:
    """Whether "three times as large" means something: not for degrees above or below zero."""
    return column.low is not None and column.low >= 0


def _learned(batch: pd.DataFrame) -> Check:
    wrong = (batch["label_time"] <= batch["event_time"]).fillna(False).to_numpy(np.bool_)
    return judge(
        "learned",
        "label_time",
        "A label is known after its event",
        "is not after event_time",
        count=int(wrong.sum()),
        rows=len(batch),
        examples=rows_like(batch, "label_time", wrong),
    )


def _time(batch: pd.DataFrame, daily: Daily) -> Check:
    time_s = batch["event_time"]
    outside = (time_s < 0) | (time_s >= daily.today * DAY_S)
    wrong = outside.fillna(False).to_numpy(np.bool_)
    return judge(
        "time",
        "event_time",
        f"Events lie between day 0 and the end of day {daily.today - 1}, when the newest label came in",
        "lies outside the days collected",
        count=int(wrong.sum()),
        rows=len(batch),
        examples=rows_like(batch, "event_time", wrong),
    )


def _newest(daily: Daily) -> Check:
    """Days at the end that have no event, though labels came in on them."""
    last = int(daily.days[-1]) if len(daily.days) else -1
    usual = float(np.median(daily.rows)) if len(daily.rows) else 0.0
    absent = [day for day in range(last + 1, daily.today) if np.exp(-usual) < CHANCE_OF_NONE]
    return judge(
        "newest",
        "event_time",
        f"Events reach up to day {daily.today - 1}, when the newest label came in",
        "has nothing",
        count=len(absent),
        rows=max(daily.today, 1),
        unit="days",
        examples=[Example(f"no event, {usual:,.0f} are usual", day=day) for day in absent],
    )


def _volume(daily: Daily, most_change: float) -> Check:
    """Days with too many or too few events, where a Poisson count would hardly be so far off."""
    usual = of_the_others(daily.rows.astype(np.float64))
    with np.errstate(invalid="ignore"):
        many = (daily.rows > usual * most_change) & (stats.poisson.sf(daily.rows - 1, usual) < CHANCE)
        few = (daily.rows * most_change < usual) & (stats.poisson.cdf(daily.rows, usual) < CHANCE)
    wrong = np.flatnonzero(many | few)
    return judge(
        "volume",
        "event_time",
        f"No day has {most_change:g} times as many or as few events as the other days",
        "has another volume",
        count=len(wrong),
        rows=len(daily.days),
        unit="days",
        examples=[
            Example(
                f"{daily.rows[place]:,} events, {usual[place]:,.0f} are usual", day=int(daily.days[place])
            )
            for place in wrong
        ],
    )


def _median(batch: pd.DataFrame, daily: Daily, column: Column, most_change: float) -> Check:
    """Days whose median is surely beyond the factor: the whole interval in which it lies is."""
    medians = daily.medians[column.name]
    usual = of_the_others(medians)
    wrong = []
    for place, values in _values_by_day(batch, daily, column.name):
        # Days whose own median is within the limit need no interval; the others are few.
        if usual[place] > 0 and not 1 / most_change <= medians[place] / usual[place] <= most_change:
            low, high = median_interval(values)
            if low > usual[place] * most_change or high < usual[place] / most_change:
                wrong.append(place)
    return judge(
        "median",
        column,
        f"On no day is the median of '{column.name}' {most_change:g} times as large or as small "
        "as on the other days",
        "has another median",
        count=len(wrong),
        rows=len(daily.days),
        unit="days",
        examples=[
            Example(
                f"median {with_unit(medians[place], column)}, {with_unit(usual[place], column)} is usual",
                day=int(daily.days[place]),
            )
            for place in wrong
        ],
    )


def _values_by_day(batch: pd.DataFrame, daily: Daily, name: str) -> Iterator[tuple[int, Floats]]:
    """The place of each day among the days, and the column's values on it, where there are enough."""
    filled = batch[batch[name].notna() & batch["event_time"].notna()]
    first = int(daily.days[0]) if len(daily.days) else 0
    for day, values in filled.groupby(filled["event_time"] // DAY_S)[name]:
        if len(values) >= LEAST_VALUES:
            yield int(day) - first, values.to_numpy(np.float64)


def _gap(daily: Daily, column: Column, most_missing: float) -> Check:
    """Days with more gaps than tolerated, where chance would hardly put so many."""
    missing = daily.missing[column.name]
    share = missing / np.maximum(daily.rows, 1)
    chance = stats.binom.sf(missing - 1, daily.rows, most_missing)
    wrong = np.flatnonzero((share > most_missing) & (chance < CHANCE))
    return judge(
        "gap",
        column,
        f"On no day are more than {most_missing:.0%} of '{column.name}' missing",
        "is missing too often",
        count=len(wrong),
        rows=len(daily.days),
        unit="days",
        examples=[
            Example(f"{missing[place]:,} of {daily.rows[place]:,} missing", day=int(daily.days[place]))
            for place in wrong
        ],
    )


def _rate(scenario: Scenario, batch: pd.DataFrame) -> Check:
    """Both outcomes occur, and the one that is looked for is the rarer."""
    label = batch["label"].dropna()
    rate = float((label == 1).mean()) if len(label) else 0.0
    wrong = bool(len(label)) and not 0 < rate <= 0.5
    return judge(
        "rate",
        "label",
        f"Some of the known labels are {scenario.positive}, and at most half of them",
        f"is {scenario.positive}, or never,",
        count=len(label) if wrong else 0,
        rows=len(label),
        examples=[Example(f"{rate:.1%} are {scenario.positive}")] if wrong else [],
    )

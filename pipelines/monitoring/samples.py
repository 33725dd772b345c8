"""Samples: one column of a table, as the drift methods see it.

Comes in: a column that can be read part by part, as often as needed. Goes out: what is known of it after
one look (count, range, spread, or how often each value occurs). Nothing here holds a whole column unless
it was in memory before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
# A numpy array, or one of Arrow's.
Part: TypeAlias = Any
Parts: TypeAlias = Callable[[], Iterable[Part]]

# Up to so many different numbers are counted one by one, as categories are.
FEW = 20
# A first look at so many values tells almost every column apart that has more than a few.
GLANCE = 2_000
# Amounts have two decimals, many measurements three; with more, numbers are taken as continuous.
MOST_DECIMALS = 3
# A column of texts with more different values than this is not counted further: it names or describes.
MOST_CATEGORIES = 100_000


@dataclass(frozen=True)
class Numbers:
    """Numbers that can be read again, and what one look at them has told.

    Attributes
    ----------
    parts : callable
        Yields the finite values as float64 arrays, each time from the beginning.
    count, missing : int
        How many values are finite, and how many are not there, not a number or infinite.
    low, high, mean, std : float
        Of the finite values; std divides by `count`. NaN when there are none.
    few : mapping of float to int, or None
        How often each value occurs; None when there are more than `FEW` different ones.
    decimals : int or None
        The fewest decimals that write all of them exactly; None for more than `MOST_DECIMALS`.
    integers : bool
        Whether they are stored as integers.
    """

    parts: Callable[[], Iterator[Floats]]
    count: int
    missing: int
    low: float
    high: float
    mean: float
    std: float
    few: Mapping[Hashable, int] | None
    decimals: int | None
    integers: bool = False


@dataclass(frozen=True)
class Categories:
    """How often each value occurs.

    Attributes
    ----------
    counts : mapping
        By value.
    missing : int
        How many are not there.
    complete : bool
        False when counting was given up at `MOST_CATEGORIES`.
    """

    counts: Mapping[Hashable, int]
    missing: int
    complete: bool = True

    @property
    def count(self) -> int:
        return sum(self.counts.values())


def numbers(values: ArrayLike) -> Numbers:
    """Numbers that are in memory.

    Examples
    --------
    >>> found = numbers([1.0, 2.0, 2.0, np.nan])
    >>> found.count, found.missing, found.low, found.high, found.few == {1.0: 1, 2.0: 2}
    (3, 1, 1.0, 2.0, True)
    """
    array = np.asarray(values)
    return look_at_numbers(lambda: [array], integers=array.dtype.kind in "iu")


def categories(values: Iterable[Any]) -> Categories:
    """Values that are in memory.

    Examples
    --------
    >>> found = categories(["a", "b", "a", None])
    >>> found.counts == {"a": 2, "b": 1}, found.missing
    (True, 1)
    """
    array = pa.array(pd.Series(list(values)), from_pandas=True)
    return look_at_categories(lambda: [array])


def look_at_numbers(parts: Parts, *, integers: bool = False) -> Numbers:
    """Read all parts once and say what they hold."""

    def finite() -> Iterator[Floats]:
        for part in parts():
            kept = _finite(part)
            if len(kept):
                yield kept

    rows = count = 0
    low, high, mean, squares = np.inf, -np.inf, 0.0, 0.0
    few = _Few()
    decimals: int | None = 0
    for part in parts():
        rows += len(part)
        values = _finite(part)
        if not len(values):
            continue
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        # Means and squares of parts are put together as Chan, Golub and LeVeque (1983) do, "Algorithms for
        # computing the sample variance", The American Statistician 37: no sum grows until it is inexact.
        with np.errstate(over="ignore", invalid="ignore"):
            part_mean, part_squares = float(values.mean()), float(values.var()) * len(values)
            apart = part_mean - mean
            mean += apart * len(values) / (count + len(values))
            squares += part_squares + apart * apart * count * len(values) / (count + len(values))
        count += len(values)
        few.add(values)
        decimals = decimals if integers else _decimals(values, decimals)
    if not count:
        return Numbers(finite, 0, rows, np.nan, np.nan, np.nan, np.nan, {}, 0, integers)
    std = float(np.sqrt(squares / count))
    return Numbers(finite, count, rows - count, low, high, mean, std, few.counts, decimals, integers)


def look_at_categories(parts: Parts) -> Categories:
    """Read all parts once and count the values; of more than `MOST_CATEGORIES` only as many."""
    counted: Counter[Hashable] = Counter()
    missing = 0
    for part in parts():
        array = part if isinstance(part, pa.Array) else pa.array(part)
        missing += array.null_count
        found = pc.value_counts(array.drop_null())
        counted.update(dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)))
        if len(counted) > MOST_CATEGORIES:
            return Categories(counted, missing, complete=False)
    return Categories(counted, missing)


class _Few:
    """Counts different numbers as long as there are few."""

    def __init__(self) -> None:
        self.counts: dict[Hashable, int] | None = {}

    def add(self, values: Floats) -> None:
        if self.counts is None:
            return
        if len(pd.unique(values[:GLANCE])) > FEW:
            self.counts = None
            return
        found = pd.Series(values).value_counts(sort=False)
        for value, number in zip(found.index.tolist(), found.tolist(), strict=True):
            self.counts[value] = self.counts.get(value, 0) + number
        if len(self.counts) > FEW:
            self.counts = None


def _finite(part: Part) -> Floats:
    """The finite values of a part as float64; without copying when all are."""
    if isinstance(part, pa.Array):
        part = pc.cast(part, pa.float64()).to_numpy(zero_copy_only=False)
    values: Floats = np.asarray(part, dtype=np.float64)
    fits = np.isfinite(values)
    return values if fits.all() else values[fits]


def _decimals(values: Floats, least: int | None) -> int | None:
    """The fewest decimals, but at least `least`, that write all values exactly."""
    while least is not None and least <= MOST_DECIMALS:
        glance = values[:GLANCE]
        if all((np.rint(some * 10**least) / 10**least == some).all() for some in (glance, values)):
            return least
        least += 1
    return None

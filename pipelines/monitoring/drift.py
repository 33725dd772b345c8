"""Drift: which columns of a table are distributed otherwise than those of a reference?

Comes in: two tables, or two files of any size. Goes out: for each column they share a score, the threshold
it was held against and the verdict. Missing values are no values: scores compare what is there, and how
much is missing is reported, and judged, beside them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from pipelines.errors import BadInput
from pipelines.monitoring.methods import (
    METHODS,
    Kind,
    Method,
    Sample,
    choose_distance,
    choose_method,
    find_method,
)
from pipelines.monitoring.methods.shares import counts_of
from pipelines.monitoring.samples import Categories, look_at_categories, look_at_numbers
from pipelines.monitoring.tables import FrameTable, Nature, Table, opened

# Integers with at most so many different values are codes, as Evidently has it.
MOST_CODES = 10
# Texts of which more than this share are different, and more than so many, name or describe.
TEXT_SHARE, TEXT_VALUES = 0.5, 50
# From which PSI of "there" against "missing" on the missing values themselves have drifted.
MISSING_THRESHOLD = METHODS["psi"].threshold
# From so many cells on, columns are compared side by side: numpy and Arrow work outside Python's lock.
CELLS_FOR_THREADS = 4_000_000
MOST_THREADS = 4

Choose = Callable[[Sample, Sample], Method]

# What "kind" says of a column that changed from numbers to texts, or back.
Compared = Literal["number", "category", "changed"]


@dataclass(frozen=True)
class ColumnDrift:
    """What was found of one column.

    Attributes
    ----------
    kind : {"number", "category", "changed"}
        "changed" when it holds numbers on one side and texts on the other.
    method, score, threshold
        None where there is nothing to measure: see `reason`.
    drifted : bool
        The method's verdict; True too when all values vanished, or appeared, or changed their kind.
    error : float
        How far the score may be from the exact one; 0 when it is exact.
    reference_rows, current_rows : int
        How many values were compared.
    reference_missing, current_missing : float
        Share of values that are not there, not a number or infinite.
    missing_drifted : bool
        Whether these two shares differ, by their PSI.
    reason : str
        Why there is no score.
    """

    name: str
    kind: Compared
    method: str | None
    score: float | None
    threshold: float | None
    drifted: bool
    error: float = 0.0
    reference_rows: int = 0
    current_rows: int = 0
    reference_missing: float = 0.0
    current_missing: float = 0.0
    missing_drifted: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Skipped:
    """A column that was not compared, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Drift:
    """What was found of two tables.

    Attributes
    ----------
    columns : tuple of ColumnDrift
        In the order of the reference.
    skipped : tuple of Skipped
    notes : tuple of str
        How the files were read, where that is not obvious.
    """

    columns: tuple[ColumnDrift, ...]
    skipped: tuple[Skipped, ...]
    reference_rows: int
    current_rows: int
    notes: tuple[str, ...] = ()

    @property
    def drifted_share(self) -> float:
        """Share of the compared columns that have drifted."""
        return sum(column.drifted for column in self.columns) / max(1, len(self.columns))

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return asdict(self) | {
            "columns": [asdict(column) for column in self.columns],
            "skipped": [asdict(each) for each in self.skipped],
            "notes": list(self.notes),
            "drifted_share": self.drifted_share,
        }


def compare(
    reference: pd.DataFrame | Table,
    current: pd.DataFrame | Table,
    *,
    method: str | None = None,
    threshold: float | None = None,
    columns: Sequence[str] | None = None,
    threads: int | None = None,
    distances: bool = False,
) -> Drift:
    """Compare every column that both tables have.

    Parameters
    ----------
    method : str, optional
        For every column whose kind it takes; the others, and all when it is left out, get the one that
        `choose_method` chooses.
    threshold : float, optional
        In place of the methods' own; of the named method alone when one is named.
    columns : sequence of str, optional
        Only these.
    threads : int, optional
        How many columns at a time; as many as there are cores, for large tables, when left out.
    distances : bool
        Choose no test: `choose_distance` chooses.

    Raises
    ------
    BadInput
        No column can be compared, or the method or threshold is none.
    """
    sides = tuple(
        FrameTable(side) if isinstance(side, pd.DataFrame) else side for side in (reference, current)
    )
    before, after = sides
    wanted = _check(method, threshold)
    names = [name for name in before.names if name in after.names and (columns is None or name in columns)]
    if threads is None:
        cells = max(before.rows, after.rows) * len(names)
        threads = min(MOST_THREADS, os.cpu_count() or 1) if cells >= CELLS_FOR_THREADS else 1
    choose = choose_distance if distances else choose_method

    def column(name: str) -> ColumnDrift | Skipped:
        return _column(before, after, name, wanted, threshold, choose)

    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(column, names))
    else:
        found = [column(name) for name in names]
    compared = tuple(each for each in found if isinstance(each, ColumnDrift))
    skipped = [each for each in found if isinstance(each, Skipped)]
    for side, other, only in ((before, after, "reference"), (after, before, "current table")):
        skipped += [
            Skipped(name, f"only the {only} has it")
            for name in side.names
            if name not in other.names and (columns is None or name in columns)
        ]
    if not compared:
        raise _nothing_compared(before, after, skipped)
    return Drift(compared, tuple(skipped), before.rows, after.rows, (*before.notes, *after.notes))


def compare_files(
    reference: Path, current: Path, *, method: str | None = None, threshold: float | None = None
) -> Drift:
    """Compare two CSV or Parquet files, of any size; see `compare`.

    Raises
    ------
    BadInput
        As `compare`, or a file is missing, damaged, no table or too short.
    """
    _check(method, threshold)
    with opened(reference) as before, opened(current) as after:
        return compare(before, after, method=method, threshold=threshold)


def lines(drift: Drift) -> list[str]:
    """What was found, as a table in text."""
    width = max(len(column.name) for column in drift.columns)
    found = []
    for column in drift.columns:
        said = column.reason
        if column.score is not None:
            error = f" ±{column.error:.1g}" if column.error else ""
            said = f"{column.method} {column.score:.4g}{error} (threshold {column.threshold:g})"
        if column.missing_drifted:
            said += f", missing {column.reference_missing:.1%} before, {column.current_missing:.1%} now"
        verdict = "DRIFTED" if column.drifted else "GAPS" if column.missing_drifted else "same"
        found.append(f"{verdict:8} {column.name:{width}}  {column.kind:8}  {said}")
    found += [f"skipped  {each.name:{width}}  {each.reason}" for each in drift.skipped]
    found.append(
        f"{sum(column.drifted for column in drift.columns)} of {len(drift.columns)} columns drifted; "
        f"{drift.reference_rows:,} rows before, {drift.current_rows:,} now."
    )
    return found + list(drift.notes)


def _check(method: str | None, threshold: float | None) -> Method | None:
    wanted = find_method(method) if method is not None else None
    if threshold is not None and not (math.isfinite(threshold) and threshold > 0):
        raise BadInput(f"The threshold is {threshold:g}, but must be above 0.", "Try 0.1.")
    if threshold is not None and wanted is not None and wanted.is_probability and threshold >= 1:
        raise BadInput(
            f"'{wanted.name}' gives a probability, so a threshold of {threshold:g} says drift always.",
            "Choose one below 1, such as 0.05.",
        )
    return wanted


def _column(
    before: Table, after: Table, name: str, wanted: Method | None, threshold: float | None, choose: Choose
) -> ColumnDrift | Skipped:
    natures = {side.nature(name) for side in (before, after)} - {"empty"}
    for nature, words in (("time", "times always move on"), ("other", "holds lists or objects")):
        if nature in natures:
            return Skipped(name, words)
    if not natures:
        return Skipped(name, "no values on either side")
    groups = {"number" if nature in ("float", "integer") else nature for nature in natures}
    if len(groups) > 1:
        return _changed(before, after, name)
    if groups == {"number"}:
        left, right, kind = _numeric(before, after, name)
    else:
        left, right, kind = *(look_at_categories(side.source(name)) for side in (before, after)), "category"
    if not left.count and not right.count:
        return Skipped(name, "no values on either side")
    if groups == {"text"} and any(_names(side) for side in (left, right)):
        return Skipped(name, "nearly every text is different")
    method = wanted if wanted is not None and kind in wanted.kinds else None
    if threshold is not None and wanted is not None and method is None:
        threshold = None  # it was the named method's alone
    return _measure(name, kind, left, right, method or choose(left, right), threshold)


def _numeric(before: Table, after: Table, name: str) -> tuple[Sample, Sample, Kind]:
    """Both sides as numbers, or as categories when the current one holds few integers."""
    left, right = (
        look_at_numbers(side.source(name), integers=side.nature(name) == "integer")
        for side in (before, after)
    )
    if right.integers and right.few is not None and 0 < len(right.few) <= MOST_CODES:
        codes = [Categories(counts_of(side), side.missing) for side in (left, right)]
        return codes[0], codes[1], "category"
    return left, right, "number"


def _names(sample: Sample) -> bool:
    """Whether the texts name or describe, each another one."""
    if not isinstance(sample, Categories):
        return False
    different = len(sample.counts)
    return not sample.complete or (different > TEXT_VALUES and different > TEXT_SHARE * sample.count)


def _measure(
    name: str, kind: Kind, left: Sample, right: Sample, method: Method, threshold: float | None
) -> ColumnDrift | Skipped:
    facts = _missing(left, right) | {"reference_rows": left.count, "current_rows": right.count}
    if not left.count or not right.count:
        side = "reference" if not left.count else "current table"
        return ColumnDrift(
            name, kind, None, None, None, True, reason=f"the {side} has no values here", **facts
        )
    chosen = method.threshold if threshold is None else threshold
    score = method.measure(left, right)
    if not math.isfinite(score.value):
        return Skipped(name, "its numbers are too large to be compared")
    drifted = method.verdict(score.value, chosen)
    return ColumnDrift(name, kind, method.name, score.value, chosen, drifted, score.error, **facts)


def _missing(left: Sample, right: Sample) -> dict[str, Any]:
    """How much is missing on each side, and whether that has drifted."""
    shares = [side.missing / max(1, side.missing + side.count) for side in (left, right)]
    there = [Categories({True: side.count, False: side.missing}, 0) for side in (left, right)]
    score = METHODS["psi"].measure(*there).value if shares[0] != shares[1] else 0.0
    return {
        "reference_missing": shares[0],
        "current_missing": shares[1],
        "missing_drifted": score >= MISSING_THRESHOLD,
    }


def _changed(before: Table, after: Table, name: str) -> ColumnDrift:
    for side, whose in ((before, "reference"), (after, "current table")):
        # A column without any value comes as numbers, whatever it held before.
        if side.nature(name) == "float" and not look_at_numbers(side.source(name)).count:
            reason = f"the {whose} has no values here"
            return ColumnDrift(name, "category", None, None, None, True, reason=reason)
    words: dict[Nature, str] = {
        "float": "numbers",
        "integer": "numbers",
        "text": "texts",
        "boolean": "yes or no",
    }
    held = [words[side.nature(name)] for side in (before, after)]
    return ColumnDrift(
        name,
        "changed",
        None,
        None,
        None,
        True,
        reference_rows=before.rows,
        current_rows=after.rows,
        reason=f"{held[0]} in the reference, {held[1]} now",
    )


def _nothing_compared(before: Table, after: Table, skipped: list[Skipped]) -> BadInput:
    if not set(before.names) & set(after.names):
        return BadInput(
            f"The tables have no column in common: {_listed(before.names)} and {_listed(after.names)}.",
            "Give two tables of the same columns.",
        )
    reasons = "; ".join(f"{each.name}: {each.reason}" for each in skipped[:3])
    return BadInput(f"No column can be compared ({reasons}).", "Give columns of numbers or categories.")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name[:30]}'" for name in names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")

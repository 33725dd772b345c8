"""What differs between two versions of the data: rows, labels, columns, and how the numbers are spread.

Comes in: two versions. Goes out: counts and, for each number, two histograms and the share that moved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.scenarios.scenario import DAY_S, Column, Scenario
from pipelines.versioning.repository import DataVersion
from pipelines.versioning.snapshots import find_version, read_version
from pipelines.workspace import Workspace

BINS = 20
# The few largest values would stretch the bins until all others share one; they go into the last bin.
COVERED = 0.995


@dataclass(frozen=True)
class ColumnChange:
    """How a number is spread in two versions.

    Attributes
    ----------
    moved : float
        The share of rows that would have to be in another bin for both to be alike, from 0 (the same) to
        1 (nothing in common): half the sum of |p - q|, known as total variation distance.
    edges : tuple of float
        Of the bins, one more than there are; the first and last bin also hold what lies beyond.
    before, after : tuple of float
        The share of rows in each bin.
    middle_before, middle_after : float or None
        The medians; None where there is no value.
    """

    column: Column
    moved: float
    edges: tuple[float, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    middle_before: float | None
    middle_after: float | None


@dataclass(frozen=True)
class Comparison:
    """Two versions of one scenario's events.

    Attributes
    ----------
    rows_added, rows_gone, rows_changed : int
        Events by their id: only in the later, only in the earlier, and in both with another value.
    labels_learned : int
        Events in both whose label only the later one knows.
    columns_added, columns_gone : tuple of str
    rates : tuple of float or None
        Share of positives among the known labels, in each.
    days, by_day : tuple of int, pair of tuples of int
        All days of either, and how many events each has on them.
    columns : tuple of ColumnChange
        The numbers, most changed first.
    """

    before: DataVersion
    after: DataVersion
    rows_added: int
    rows_gone: int
    rows_changed: int
    labels_learned: int
    columns_added: tuple[str, ...]
    columns_gone: tuple[str, ...]
    rates: tuple[float | None, float | None]
    days: tuple[int, ...]
    by_day: tuple[tuple[int, ...], tuple[int, ...]]
    columns: tuple[ColumnChange, ...]


def compare(workspace: Workspace, scenario: Scenario, earlier: int, later: int) -> Comparison:
    """What the version `later` holds that `earlier` does not, and the other way round.

    Raises
    ------
    Missing, Damaged
        As `read_version`.
    """
    versions = tuple(find_version(workspace, scenario.name, number) for number in (earlier, later))
    before, after = (read_version(workspace, scenario.name, number) for number in (earlier, later))
    both = before.merge(after, on="event_id", suffixes=("_before", "_after"))
    shared = [name for name in before.columns if name in after.columns and name not in ("event_id", "label")]
    changed = np.zeros(len(both), np.bool_)
    for name in shared:
        changed |= (both[f"{name}_before"] != both[f"{name}_after"]).to_numpy(np.bool_)
    days = sorted({*(before["event_time"] // DAY_S), *(after["event_time"] // DAY_S)})
    numbers = [column for column in scenario.columns if column.kind == "number" and column.name in {*shared}]
    changes = [_change(column, before[column.name], after[column.name]) for column in numbers]
    return Comparison(
        before=versions[0],
        after=versions[1],
        rows_added=len(after) - len(both),
        rows_gone=len(before) - len(both),
        rows_changed=int(changed.sum()),
        labels_learned=int((both["label_before"].isna() & both["label_after"].notna()).sum()),
        columns_added=tuple(name for name in after.columns if name not in before.columns),
        columns_gone=tuple(name for name in before.columns if name not in after.columns),
        rates=(_rate(before), _rate(after)),
        days=tuple(int(day) for day in days),
        by_day=(_by_day(before, days), _by_day(after, days)),
        columns=tuple(sorted(changes, key=lambda change: -change.moved)),
    )


def spread(
    before: pd.Series[float], after: pd.Series[float]
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...], float]:
    """Edges, the shares of each side in each bin, and the share that moved.

    Examples
    --------
    >>> spread(pd.Series([1.0, 2.0]), pd.Series([1.0, 2.0]))[3], spread(pd.Series([1.0]), pd.Series([9.0]))[3]
    (0.0, 1.0)
    """
    pooled = np.concatenate([before.dropna().to_numpy(np.float64), after.dropna().to_numpy(np.float64)])
    if not len(pooled):
        return (), (), (), 0.0
    low, high = float(pooled.min()), float(np.quantile(pooled, COVERED))
    edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    shares = []
    for side in (before, after):
        values = np.clip(side.dropna().to_numpy(np.float64), edges[0], edges[-1])
        counts = np.histogram(values, edges)[0]
        shares.append(counts / max(1, len(values)))
    moved = float(np.abs(shares[0] - shares[1]).sum() / 2)
    first, second = (tuple(float(share) for share in side) for side in shares)
    return tuple(float(edge) for edge in edges), first, second, moved


def _change(column: Column, before: pd.Series[float], after: pd.Series[float]) -> ColumnChange:
    edges, first, second, moved = spread(before, after)
    return ColumnChange(column, moved, edges, first, second, _middle(before), _middle(after))


def _middle(values: pd.Series[float]) -> float | None:
    middle = values.median()
    return None if pd.isna(middle) else float(middle)


def _rate(events: pd.DataFrame) -> float | None:
    known = events["label"].dropna()
    return float((known == 1).mean()) if len(known) else None


def _by_day(events: pd.DataFrame, days: list[int]) -> tuple[int, ...]:
    counts = (events["event_time"] // DAY_S).value_counts().reindex(days, fill_value=0)
    return tuple(int(count) for count in counts)

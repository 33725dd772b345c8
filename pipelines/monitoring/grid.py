"""The gap between two distribution functions: how far apart they are, without sorting all values.

Comes in: two samples of numbers. Goes out: the area between their distribution functions F and G (the
Wasserstein distance) and the largest gap between them (the Kolmogorov–Smirnov statistic).

Both are usually computed from sorted values. But F and G at the edges of a fine grid follow from counts
alone, and the area of F - G over a cell from the sum of the places of the values in it. That is the area
*between* F and G unless they cross inside the cell, and the largest gap lies at an edge unless a cell may
hold a larger one. Only in such cells the order of the values matters, and only those are sorted. So the
result is exact, in a few passes over values that need not fit into memory; when even the cells in
question hold too many values, what may be missing is bounded by their counts, and the bound is returned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.monitoring.samples import Floats, Numbers

Ints = NDArray[np.int64]

FEWEST_CELLS = 2**8
CELLS = 2**16  # The counts of one sample take half a megabyte, which stays in a processor's cache;
MANY_CELLS, MANY_VALUES = 2**18, 4_000_000  # with more values than that, fewer share a cell in a finer grid.
# At most so many values are sorted: 128 MB, and as much again while they are.
MOST_SORTED = 16_000_000


@dataclass(frozen=True)
class Bounded:
    """A number that is exact when `error` is 0, and else too small by at most `error`."""

    value: float
    error: float = 0.0


def _cells_for(count: int) -> int:
    """How fine a grid is worth its trouble for so many values: two cells a value, within bounds."""
    if count > MANY_VALUES:
        return MANY_CELLS
    return min(CELLS, max(FEWEST_CELLS, 2 ** (2 * count - 1).bit_length()))


class Gap:
    """F - G of a reference and a current sample, neither of them empty.

    Differences are kept as whole numbers, in units of 1 / (count of one × count of the other): no rounding
    can turn their sign.
    """

    def __init__(self, reference: Numbers, current: Numbers, most_sorted: int = MOST_SORTED) -> None:
        self._sides = (reference, current)
        self._counts = (reference.count, current.count)
        self._unit = reference.count * current.count
        self._most_sorted = most_sorted
        # Halved, so that the range of very large numbers is finite too.
        self._low = min(reference.low, current.low) / 2
        span = max(reference.high, current.high) / 2 - self._low
        self._cells = _cells_for(max(self._counts))
        whole = reference.whole and current.whole and 2 * span < self._cells - 1
        # Whole numbers get a cell each and lie at its left edge, where they leave nothing open.
        self._scale = 2.0 if whole else self._cells / span if span > 0 else 1.0
        self._width = 2 / self._scale
        found = [self._count(side) for side in self._sides]
        (up, up_places), (down, down_places) = found
        self._up, self._down = up * current.count, down * reference.count
        self._before = np.concatenate([[0], np.cumsum(self._up - self._down)])
        # A cell whose values all lie at its left edge is done with once it begins.
        self._at_edge = (up_places == 0) & (down_places == 0)
        # The area of F - G over each cell, in units of width × 1 / unit.
        self._signed = (
            self._before[:-1] + (up - up_places) * current.count - (down - down_places) * reference.count
        )

    def area(self) -> Bounded:
        """The area between F and G, in the unit of the values."""
        before, after = self._before[:-1], self._before[1:]
        lowest, highest = before - self._down, before + self._up
        crossing = (lowest < 0) & (highest > 0) & ~self._at_edge
        total = np.abs(np.where(self._at_edge, after, self._signed))
        slack = np.where(crossing, np.maximum(np.abs(lowest), np.abs(highest)) - total, 0.0)
        chosen = self._choose(crossing, slack)
        values = total[~chosen].sum() + self._sorted_area(chosen)
        return Bounded(
            float(values / self._unit * self._width),
            float(slack[~chosen].sum() / self._unit * self._width),
        )

    def peak(self) -> Bounded:
        """The largest difference between F and G, from 0 to 1."""
        at_edges = int(np.abs(self._before).max())
        before = self._before[:-1]
        reach = np.maximum(np.abs(before - self._down), np.abs(before + self._up))
        # Where only one sample has values the gap moves one way, and is largest at an edge.
        open_cells = (reach > at_edges) & (self._up > 0) & (self._down > 0) & ~self._at_edge
        chosen = self._choose(open_cells, reach.astype(np.float64))
        inside = max(at_edges, self._sorted_peak(chosen))
        left = reach[open_cells & ~chosen]
        return Bounded(inside / self._unit, max(0.0, (int(left.max(initial=0)) - inside) / self._unit))

    def _count(self, side: Numbers) -> tuple[Ints, Floats]:
        """For each cell how many values it holds, and the sum of their places in it, from 0 to 1 each."""
        counts, places = np.zeros(self._cells, dtype=np.int64), np.zeros(self._cells)
        for part in side.parts():
            spot, cell = self._locate(part)
            counts += np.bincount(cell, minlength=self._cells)
            spot -= cell
            places += np.bincount(cell, weights=spot, minlength=self._cells)
        return counts, places

    def _locate(self, part: Floats) -> tuple[Floats, NDArray[np.int32]]:
        """Where each value lies, in widths from the lowest, and in which cell that is."""
        spot = part * 0.5
        spot -= self._low
        spot *= self._scale
        cell = spot.astype(np.int32)
        np.minimum(cell, self._cells - 1, out=cell)
        return spot, cell

    def _choose(self, cells: NDArray[np.bool_], slack: Floats) -> NDArray[np.bool_]:
        """Of the cells in question those to be sorted: all, or as many as may be, the least certain first."""
        held = self._up // self._counts[1] + self._down // self._counts[0]
        if int(held[cells].sum()) <= self._most_sorted:
            return cells
        order = np.flatnonzero(cells)[np.argsort(-slack[cells], kind="stable")]
        chosen = np.zeros_like(cells)
        chosen[order[np.cumsum(held[order]) <= self._most_sorted]] = True
        return chosen

    def _steps(self, chosen: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.int32], Ints]:
        """The values in the chosen cells in order; the cell of each, and F - G right after it."""
        kept, steps = [], []
        for side, step in zip(self._sides, (self._counts[1], -self._counts[0]), strict=True):
            for part in side.parts():
                inside = part[chosen[self._locate(part)[1]]]
                kept.append(inside)
                steps.append(np.full(len(inside), step, dtype=np.int64))
        values = np.concatenate(kept)
        order = np.argsort(values)
        values = values[order]
        cell = self._locate(values)[1]
        passed = np.cumsum(np.concatenate(steps)[order])
        # Each cell starts from what the counts say, so what lies between two chosen cells is not missed.
        first = np.flatnonzero(np.diff(cell, prepend=-1))
        start = np.concatenate([[0], passed])[first]
        offset = np.repeat(self._before[cell[first]] - start, np.diff(first, append=len(cell)))
        return values, cell, passed + offset

    def _sorted_area(self, chosen: NDArray[np.bool_]) -> float:
        if not chosen.any():
            return 0.0
        values, cell, after = self._steps(chosen)
        spot = self._locate(values)[0]
        first = np.diff(cell, prepend=-1) != 0
        ends = np.append(np.where(first[1:], cell[:-1] + 1.0, spot[1:]), cell[-1] + 1.0)
        begins = (spot[first] - cell[first]) * np.abs(self._before[cell[first]])
        return float((np.abs(after) * (ends - spot)).sum() + begins.sum())

    def _sorted_peak(self, chosen: NDArray[np.bool_]) -> int:
        if not chosen.any():
            return 0
        values, _, after = self._steps(chosen)
        # Equal values are passed together.
        last = np.append(np.diff(values) != 0, True)
        return int(np.abs(after[last]).max())

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

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipelines.monitoring.samples import Floats, Numbers

Ints = NDArray[np.int64]

FEWEST_CELLS = 2**8
CELLS = 2**16  # The counts of one sample take half a megabyte, which stays in a processor's cache;
MANY_CELLS, MANY_VALUES = 2**18, 4_000_000  # with more values than that, fewer share a cell in a finer grid.
MOST_LISTED = 2**20  # Cells, one for each number of few decimals.
# At most so many values are looked at closely, which takes some 200 MB. Two samples of a million are exact.
MOST_SORTED = 2_000_000
# Cells that are looked into are divided so that a piece holds about so many values.
A_PIECE = 8
MOST_LOOKS = 3  # How often cells are chosen for the largest gap; each look reads the values once more.
# Closer together than this, values are one: the number of cells a unit would not be finite.
SMALLEST_SPAN = 1e-290
BLOCK = 2**16  # Values placed at once: half a megabyte for each of the arrays this takes, for the same cache.


@dataclass(frozen=True)
class Bounded:
    """A number that is exact when `error` is 0, and else too small by at most `error`."""

    value: float
    error: float = 0.0


def _cells_for(count: int) -> int:
    """How fine a grid is worth its trouble for so many values: two cells a value, within bounds."""
    if count > MANY_VALUES:
        return MANY_CELLS
    return min(CELLS, max(FEWEST_CELLS, 1 << (2 * count - 1).bit_length()))


@dataclass(frozen=True)
class _Cells:
    """Cells in order, and what lies in each of the two samples.

    Attributes
    ----------
    before : ndarray of int64, shape (n_cells,)
        F - G where the cell begins.
    up, down : ndarray of int64, shape (n_cells,)
        By how much the reference's values in it raise F - G, and the current ones lower it.
    held : ndarray of int64, shape (n_cells,)
        How many values of both are in it.
    left, width : ndarray of float64, shape (n_cells,)
        Where it begins and how wide it is.
    signed : ndarray of float64, shape (n_cells,)
        The area of F - G over it.
    at_edge : ndarray of bool, shape (n_cells,)
        Whether all its values lie where it begins: then F - G does not change in it any more.
    """

    before: Ints
    up: Ints
    down: Ints
    held: Ints
    left: Floats
    width: Floats
    signed: Floats
    at_edge: NDArray[np.bool_]

    @cached_property
    def crossing(self) -> NDArray[np.bool_]:
        """Where F and G may cross, so that the area between them is more than that of F - G."""
        return (self.before < self.down) & (-self.before < self.up) & ~self.at_edge

    @cached_property
    def area(self) -> Floats:
        """The area between F and G where they do not cross, and where they do the least it can be."""
        return np.abs(np.where(self.at_edge, (self.before + self.up - self.down) * self.width, self.signed))

    @cached_property
    def reach(self) -> Ints:
        """How large F - G can get in each cell, either way."""
        reach: Ints = np.maximum(np.abs(self.before - self.down), np.abs(self.before + self.up))
        return reach


@dataclass(frozen=True)
class _Inside:
    """The values of one sample that lie in chosen cells: in which cell, and where or which value it is."""

    cell: Ints
    value: Floats


class Gap:
    """F - G of a reference and a current sample, neither of them empty.

    Differences are kept as whole numbers, in units of 1 / (count of one × count of the other): no rounding
    can turn their sign. Lengths are in cells.
    """

    def __init__(self, reference: Numbers, current: Numbers, most_sorted: int = MOST_SORTED) -> None:
        self._sides = (reference, current)
        self._steps = (current.count, reference.count)  # One value of either sample changes F - G by this.
        self._most_sorted = most_sorted
        # Halved, so that the range of very large numbers is finite too.
        self._low = min(reference.low, current.low) / 2
        span = max(reference.high, current.high) / 2 - self._low
        self._many = _cells_for(max(self._steps))
        self._scale = self._many / span if span > SMALLEST_SPAN else 1.0
        # Numbers of few decimals get a cell for each that may occur, and lie where it begins.
        self._listed = False
        if reference.decimals is not None and current.decimals is not None:
            scale = 2.0 * 10 ** max(reference.decimals, current.decimals)
            if span * scale < min(MOST_LISTED, max(self._many, 4 * max(self._steps))) - 1:
                self._listed, self._scale, self._many = True, scale, round(span * scale) + 1
        self._block = max(BLOCK, self._many // 2)

    def area(self) -> Bounded:
        """The area between F and G, in the unit of the values."""
        cells = self._cells
        least = np.where(cells.crossing, cells.area, 0.0)
        slack = np.where(cells.crossing, cells.reach * cells.width, 0.0) - least
        chosen = self._choose(cells.crossing, slack)
        found = cells.area[~chosen].sum() + self._closer(chosen)
        width = 2 / self._scale / (self._steps[0] * self._steps[1])
        return Bounded(float(found * width), float(slack[~chosen].sum() * width))

    def peak(self) -> Bounded:
        """The largest difference between F and G, from 0 to 1."""
        cells, unit = self._cells, self._steps[0] * self._steps[1]
        found = int(np.abs(cells.before).max())
        # Where only one sample has values the gap moves one way, and is largest at an edge.
        shared = (cells.up > 0) & (cells.down > 0) & ~cells.at_edge
        for _ in range(MOST_LOOKS):
            # What is found rules out more cells, and those that are left may then be few enough.
            wanted = shared & (cells.reach > found)
            chosen = self._choose(wanted, cells.reach.astype(np.float64))
            found = max(found, self._largest(chosen))
            shared &= ~chosen
        left = int(cells.reach[shared].max(initial=0))
        return Bounded(found / unit, max(0, left - found) / unit)

    @cached_property
    def _cells(self) -> _Cells:
        """The cells of the whole range."""
        counts = [np.zeros(self._many, dtype=np.int64) for _ in self._sides]
        places = [np.zeros(self._many) for _ in self._sides]
        for side, count, place in zip(self._sides, counts, places, strict=True):
            for block in _blocks(side, self._block):
                spot, cell = self._locate(block)
                count += np.bincount(cell, minlength=self._many)
                spot -= cell
                place += np.bincount(cell, weights=spot, minlength=self._many)
        left, width = np.arange(self._many, dtype=np.float64), np.ones(self._many)
        return self._gather(counts, places, np.zeros(1, np.int64), np.zeros(1, np.int64), left, width)

    def _gather(
        self, counts: list[Ints], places: list[Floats], first: Ints, base: Ints, left: Floats, width: Floats
    ) -> _Cells:
        """Cells from the counts in them and the sums of the places of their values, in widths of a cell.

        Parameters
        ----------
        first, base : ndarray of int64, shape (n_stretches,)
            Cells that touch form a stretch: where each begins, and F - G there.
        """
        up, down = (count * step for count, step in zip(counts, self._steps, strict=True))
        passed = np.cumsum(up - down) - (up - down)
        before = passed + np.repeat(base - passed[first], np.diff(first, append=len(passed)))
        behind = [
            (count - place) * step for count, place, step in zip(counts, places, self._steps, strict=True)
        ]
        signed = (before + behind[0] - behind[1]) * width
        at_edge = (places[0] == 0) & (places[1] == 0)
        return _Cells(before, up, down, counts[0] + counts[1], left, width, signed, at_edge)

    def _locate(self, block: Floats) -> tuple[Floats, Ints]:
        """Where each value lies, in cells from the lowest, and in which cell that is."""
        spot = block * 0.5
        spot -= self._low
        spot *= self._scale
        if self._listed:
            np.rint(spot, out=spot)
        cell = spot.astype(np.int64)
        np.minimum(cell, self._many - 1, out=cell)
        return spot, cell

    def _choose(self, cells: NDArray[np.bool_], slack: Floats) -> NDArray[np.bool_]:
        """Of the cells in question those to be looked into: all, or the least certain of them."""
        held = self._cells.held
        if int(held[cells].sum()) <= self._most_sorted:
            return cells
        order = np.flatnonzero(cells)[np.argsort(-slack[cells], kind="stable")]
        chosen = np.zeros_like(cells)
        chosen[order[np.cumsum(held[order]) <= self._most_sorted]] = True
        return chosen

    def _inside(self, chosen: NDArray[np.bool_], *, as_spots: bool) -> list[_Inside]:
        """The values of both samples in the chosen cells, or where they lie."""
        found = []
        for side in self._sides:
            parts = []
            for block in _blocks(side, self._block):
                spot, cell = self._locate(block)
                kept = chosen[cell]
                parts.append((cell[kept], (spot if as_spots else block)[kept]))
            found.append(_Inside(*(np.concatenate(each) for each in zip(*parts, strict=True))))
        return found

    def _closer(self, chosen: NDArray[np.bool_]) -> float:
        """The area between F and G over the chosen cells: each is divided once more, by what it holds."""
        if not chosen.any():
            return 0.0
        inside = self._inside(chosen, as_spots=True)
        which = np.flatnonzero(chosen)
        # A power of two of cells in each, so that dividing by it is exact.
        pieces = np.exp2(np.ceil(np.log2(np.maximum(self._cells.held[which] / A_PIECE, 1)))).astype(np.int64)
        first = np.cumsum(pieces) - pieces
        place_of = np.zeros(self._many, dtype=np.int64)
        place_of[which] = np.arange(len(which))
        counts, cells = [], []
        places: list[Floats] = []
        for side in inside:
            place = place_of[side.cell]
            spot = (side.value - side.cell) * pieces[place]
            piece = np.minimum(spot.astype(np.int64), pieces[place] - 1)
            cells.append(first[place] + piece)
            counts.append(np.bincount(cells[-1], minlength=int(pieces.sum())))
            summed = np.bincount(cells[-1], weights=spot - piece, minlength=int(pieces.sum()))
            places.append(summed.astype(np.float64, copy=False))
        width = np.repeat(1 / pieces, pieces)
        within = np.arange(len(width)) - np.repeat(first, pieces)
        left = np.repeat(which, pieces) + within * width
        finer = self._gather(counts, places, first, self._cells.before[which], left, width)
        kept = [finer.crossing[cell] for cell in cells]
        between = _between(
            finer,
            [cell[keep] for cell, keep in zip(cells, kept, strict=True)],
            [side.value[keep] for side, keep in zip(inside, kept, strict=True)],
            self._steps,
        )
        return float(finer.area[~finer.crossing].sum()) + between

    def _largest(self, chosen: NDArray[np.bool_]) -> int:
        """The largest difference between F and G inside the chosen cells."""
        if not chosen.any():
            return 0
        inside = self._inside(chosen, as_spots=False)
        cells, values = ([getattr(side, name) for side in inside] for name in ("cell", "value"))
        order, _, after = _walk(self._cells, cells, values, self._steps)
        # Equal values are passed together.
        last = np.append(np.diff(np.concatenate(values)[order]) != 0, True)
        return int(np.abs(after[last]).max())


def _blocks(side: Numbers, rows: int) -> Iterator[Floats]:
    for part in side.parts():
        for start in range(0, len(part), rows):
            yield part[start : start + rows]


def _walk(
    cells: _Cells, of_sides: list[Ints], values: list[Floats], steps: tuple[int, int]
) -> tuple[Ints, Ints, Ints]:
    """Values of both samples in order: their places before, the cell of each, and F - G right after it."""
    order = np.argsort(np.concatenate(values))
    cell = np.concatenate(of_sides)[order]
    change = np.repeat(np.array([steps[0], -steps[1]]), [len(side) for side in values])[order]
    passed = np.cumsum(change)
    # Each cell begins with what the counts say, so what lies between two of these cells is not missed.
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    offset = cells.before[cell[first]] - (passed[first] - change[first])
    return order, cell, passed + np.repeat(offset, np.diff(first, append=len(cell)))


def _between(cells: _Cells, of_sides: list[Ints], spots: list[Floats], steps: tuple[int, int]) -> float:
    """The area between F and G over the cells that hold these values, all that they hold."""
    if not sum(len(each) for each in spots):
        return 0.0
    order, cell, after = _walk(cells, of_sides, spots, steps)
    spot = np.concatenate(spots)[order]
    right = (cells.left + cells.width)[cell]
    first = np.diff(cell, prepend=-1) != 0
    ends = np.append(np.where(first[1:], right[:-1], spot[1:]), right[-1])
    begins = (spot[first] - cells.left[cell[first]]) * np.abs(cells.before[cell[first]])
    return float((np.abs(after) * (ends - spot)).sum() + begins.sum())

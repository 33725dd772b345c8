"""Shares: two samples as the shares of their values in the same bins, or of the same categories."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np

from pipelines.monitoring.methods.method import Sample
from pipelines.monitoring.samples import Categories, Floats, Numbers

# Stands for an empty bin, whose share would make a logarithm infinite: this, or a millionth of the
# smallest share there is, when that is not larger. So does Evidently, whose scores ours are equal to.
EMPTY = 1e-4
EMPTY_PART = 1e-6


def shares(reference: Sample, current: Sample) -> tuple[Floats, Floats]:
    """The shares of both samples, in the same order; each sums to 1.

    Numbers of which the reference has more than `samples.FEW` different ones go into bins of equal width
    over the range of both, as many as Sturges' rule says.

    References
    ----------
    Sturges (1926), "The choice of a class interval", Journal of the American Statistical Association 21.

    Examples
    --------
    >>> from pipelines.monitoring.samples import categories
    >>> found = shares(categories(["a", "b"]), categories(["b", "b", "c", "b"]))
    >>> [part.tolist() for part in found]
    [[0.5, 0.5, 0.0], [0.0, 0.75, 0.25]]
    """
    if isinstance(reference, Numbers) and isinstance(current, Numbers) and reference.few is None:
        edges = bin_edges(reference, current)
        return _binned(reference, edges), _binned(current, edges)
    ours, theirs = counts_of(reference), counts_of(current)
    values = list(dict.fromkeys([*ours, *theirs]))
    return _listed(ours, values), _listed(theirs, values)


def bin_edges(reference: Numbers, current: Numbers) -> Floats:
    """The edges of equally wide bins over both samples, as many as Sturges' rule says."""
    low, high = min(reference.low, current.low), max(reference.high, current.high)
    width = (high - low) / (np.log2(reference.count + current.count) + 1)
    if reference.integers and current.integers:
        width = max(width, 1.0)
    return np.linspace(low, high, int(np.ceil((high - low) / width)) + 1)


def counts_of(sample: Sample) -> Mapping[Hashable, int]:
    """How often each value occurs; numbers with too many different ones are read through for it."""
    if isinstance(sample, Categories):
        return sample.counts
    if sample.few is not None:
        return sample.few
    counted: dict[Hashable, int] = {}
    for part in sample.parts():
        for value, number in zip(
            *(each.tolist() for each in np.unique(part, return_counts=True)), strict=True
        ):
            counted[value] = counted.get(value, 0) + number
    return counted


def without_zeros(share: Floats) -> Floats:
    """The shares with something small in place of each 0."""
    least = float(share[share > 0].min())
    filled = np.array(share, dtype=np.float64)
    filled[share == 0] = least * EMPTY_PART if least <= EMPTY else EMPTY
    return filled


def _binned(sample: Numbers, edges: Floats) -> Floats:
    counts = np.zeros(len(edges) - 1, dtype=np.int64)
    for part in sample.parts():
        counts += np.histogram(part, bins=len(edges) - 1, range=(float(edges[0]), float(edges[-1])))[0]
    return counts / sample.count


def _listed(counts: Mapping[Hashable, int], values: list[Hashable]) -> Floats:
    found = np.array([counts.get(value, 0) for value in values], dtype=np.float64)
    whole: Floats = found / found.sum()
    return whole

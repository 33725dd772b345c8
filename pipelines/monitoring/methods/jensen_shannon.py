"""Jensen–Shannon distance, of numbers and categories."""

from __future__ import annotations

import numpy as np

from pipelines.monitoring.methods.method import Method, Sample, Score
from pipelines.monitoring.methods.shares import shares
from pipelines.monitoring.samples import Floats


def jensen_shannon(reference: Sample, current: Sample) -> Score:
    """How far the shares of two samples are from their mean.

    JS = √(½ Σᵢ rᵢ ln(rᵢ / mᵢ) + ½ Σᵢ cᵢ ln(cᵢ / mᵢ)), with the shares r and c of bins or categories i and
    their mean m = (r + c) / 2. It is a metric: symmetric, 0 only for equal shares, and at most √ln 2 = 0.83,
    which it reaches when no value is common to both.

    References
    ----------
    Lin (1991), "Divergence measures based on the Shannon entropy", IEEE Transactions on Information
    Theory 37. Endres, Schindelin (2003), "A new metric for probability distributions", same journal, 49.

    Examples
    --------
    >>> import math
    >>> from pipelines.monitoring.samples import categories
    >>> round(jensen_shannon(categories("aaab"), categories("abbb")).value, 6)
    0.361679
    >>> round(jensen_shannon(categories("aa"), categories("bb")).value, 6), round(math.sqrt(math.log(2)), 6)
    (0.832555, 0.832555)
    """
    before, after = shares(reference, current)
    middle = (before + after) / 2
    divergence = (_relative_entropy(before, middle) + _relative_entropy(after, middle)) / 2
    return Score(float(np.sqrt(max(divergence, 0.0))))


def _relative_entropy(share: Floats, other: Floats) -> float:
    """Σ p ln(p / q); where p is 0 it adds nothing."""
    some = share > 0
    return float(np.sum(share[some] * np.log(share[some] / other[some])))


JENSEN_SHANNON = Method(
    name="jensenshannon",
    title="Jensen–Shannon distance",
    kinds=("number", "category"),
    threshold=0.1,
    drifted_when="at least",
    formula="√(½ Σ r ln(r / m) + ½ Σ c ln(c / m)), with m = (r + c) / 2",
    meaning="0 when the shares are equal, 0.83 when no value is common to both.",
    source="Lin (1991), Divergence measures based on the Shannon entropy",
    measure=jensen_shannon,
)

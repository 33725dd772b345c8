"""Chi-square test, of categories: could both samples come from one distribution?"""

from __future__ import annotations

import numpy as np

from pipelines.monitoring.methods.method import Method, Sample, Score
from pipelines.monitoring.methods.shares import counts_of


def chi_square(reference: Sample, current: Sample) -> Score:
    """Probability of such different counts without drift.

    χ² = Σᵢ (oᵢ - eᵢ)² / eᵢ with the current counts o and, as expected ones e, the reference's counts brought
    to the current number; it is compared with the χ² distribution of k - 1 degrees of freedom, for k
    categories. A category that the reference does not have was expected never, and makes it 0. The
    reference is taken as the truth: with a small one, drift is seen too often.

    References
    ----------
    Pearson (1900), "On the criterion that a given system of deviations …", Philosophical Magazine 50.

    Examples
    --------
    >>> from pipelines.monitoring.samples import categories
    >>> round(chi_square(categories("aabb"), categories("aaab" * 10)).value, 6)
    0.001565
    >>> chi_square(categories("aabb"), categories("abc")).value
    0.0
    """
    from scipy import special

    before, after = counts_of(reference), counts_of(current)
    values = list(dict.fromkeys([*before, *after]))
    if len(values) < 2:
        return Score(1.0)
    observed = np.array([after.get(value, 0) for value in values], dtype=np.float64)
    expected = np.array([before.get(value, 0) for value in values], dtype=np.float64)
    if (expected == 0).any():
        return Score(0.0)
    expected *= observed.sum() / expected.sum()
    statistic = float(np.sum((observed - expected) ** 2 / expected))
    return Score(float(special.chdtrc(len(values) - 1, statistic)))


CHI_SQUARE = Method(
    name="chisquare",
    title="Chi-square test",
    kinds=("category",),
    threshold=0.05,
    drifted_when="below",
    formula="P(χ² ≥ Σ (o - e)² / e), with k - 1 degrees of freedom",
    meaning="How probable such different counts are without drift; with many rows any difference becomes "
    "improbable.",
    source="Pearson (1900), On the criterion that a given system of deviations …",
    measure=chi_square,
)

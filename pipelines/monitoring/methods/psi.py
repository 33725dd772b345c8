"""PSI: the population stability index, of numbers and categories."""

from __future__ import annotations

import numpy as np

from pipelines.monitoring.methods.method import Method, Sample, Score
from pipelines.monitoring.methods.shares import shares, without_zeros


def psi(reference: Sample, current: Sample) -> Score:
    """How far the shares of two samples are apart, each difference weighed by its ratio.

    PSI = Σᵢ (rᵢ - cᵢ) ln(rᵢ / cᵢ) over bins or categories i, with the shares r of the reference and c of the
    current sample. It is 0 for equal shares and has no upper bound; swapping the samples changes nothing.
    By custom, below 0.1 nothing has changed, above 0.25 much has.

    References
    ----------
    Lewis (1994), "An Introduction to Credit Scoring". Kullback, Leibler (1951), "On information and
    sufficiency", Annals of Mathematical Statistics 22: the symmetric divergence it is.

    Examples
    --------
    >>> from pipelines.monitoring.samples import categories, numbers
    >>> round(psi(categories("aaab"), categories("abbb")).value, 6)
    1.098612
    >>> random = np.random.default_rng(0)
    >>> before, after = numbers(random.normal(size=5000)), numbers(random.normal(loc=0.5, size=5000))
    >>> psi(before, before).value, round(psi(before, after).value, 2)
    (0.0, 0.27)
    """
    before, after = (without_zeros(each) for each in shares(reference, current))
    return Score(float(np.sum((before - after) * np.log(before / after))))


PSI = Method(
    name="psi",
    title="Population stability index",
    kinds=("number", "category"),
    threshold=0.1,
    drifted_when="at least",
    formula="Σ (r - c) ln(r / c), over the shares r and c of bins or categories",
    meaning="0 when the shares are equal; by custom 0.1 is a small change, 0.25 a large one.",
    source="Lewis (1994), An Introduction to Credit Scoring",
    measure=psi,
)

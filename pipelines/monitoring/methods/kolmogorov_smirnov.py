"""Kolmogorov–Smirnov test, of numbers: could both samples come from one distribution?"""

from __future__ import annotations

import warnings

import numpy as np

from pipelines.errors import BadInput
from pipelines.monitoring.grid import Bounded, Gap
from pipelines.monitoring.methods.method import Method, Sample, Score
from pipelines.monitoring.samples import Numbers

# Up to so many values on the larger side the probability is counted out, path by path, as scipy does.
EXACT_VALUES = 10_000


def kolmogorov_smirnov(reference: Sample, current: Sample) -> Score:
    """Probability of so large a gap between the distribution functions without drift.

    D = maxₓ |F(x) - G(x)|. Up to 10,000 values the probability of a gap of at least D is exact (Hodges 1958);
    above, it is Kolmogorov's for one sample of nm / (n + m) values. With many values any difference, however
    small, becomes improbable: read D too, or use a distance.

    References
    ----------
    Smirnov (1939), "On the estimation of the discrepancy between empirical curves of distribution for two
    independent samples", Bulletin Mathématique de l'Université de Moscou 2. Hodges (1958), "The significance
    probability of the Smirnov two-sample test", Arkiv för Matematik 3.

    Examples
    --------
    >>> from pipelines.monitoring.samples import numbers
    >>> before, after = numbers([1.0, 2.0, 3.0, 4.0]), numbers([3.0, 4.0, 5.0, 6.0])
    >>> largest_gap(before, after).value, round(kolmogorov_smirnov(before, after).value, 6)
    (0.5, 0.771429)
    """
    counts = (reference.count, current.count)
    if max(counts) <= EXACT_VALUES:
        return Score(_exact(reference, current))
    gap = largest_gap(reference, current)
    value = _asymptotic(gap.value, *counts)
    return Score(value, value - _asymptotic(gap.value + gap.error, *counts) if gap.error else 0.0)


def largest_gap(reference: Sample, current: Sample) -> Bounded:
    """The statistic D, from 0 to 1."""
    if not (isinstance(reference, Numbers) and isinstance(current, Numbers)):
        raise not_numbers()
    return Gap(reference, current).peak()


def _exact(reference: Sample, current: Sample) -> float:
    """The probability as scipy counts it out; few values are read into memory for it."""
    # scipy.stats takes half a second to import, which the other methods do not need.
    from scipy import stats

    if not (isinstance(reference, Numbers) and isinstance(current, Numbers)):
        raise not_numbers()
    values = [np.concatenate(list(side.parts())) for side in (reference, current)]
    with warnings.catch_warnings():
        # Where counting fails scipy takes the formula for large samples, and says so.
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(stats.ks_2samp(*values).pvalue)


def _asymptotic(gap: float, reference_count: int, current_count: int) -> float:
    from scipy import stats

    effective = reference_count * current_count / (reference_count + current_count)
    return float(np.clip(stats.kstwo.sf(gap, np.round(effective)), 0, 1))


def not_numbers() -> BadInput:
    """The error for a column that holds no numbers."""
    return BadInput("The Kolmogorov–Smirnov test compares numbers.", "Use chisquare for categories.")


KOLMOGOROV_SMIRNOV = Method(
    name="ks",
    title="Kolmogorov–Smirnov test",
    kinds=("number",),
    threshold=0.05,
    drifted_when="at most",
    formula="P(D ≥ max |F - G|) if both came from one distribution",
    meaning="How probable so large a gap is without drift; with many rows any difference becomes improbable.",
    source="Smirnov (1939); Hodges (1958), The significance probability of the Smirnov two-sample test",
    measure=kolmogorov_smirnov,
)

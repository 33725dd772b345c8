"""Wasserstein distance, of numbers: how far values have to be moved, in standard deviations."""

from __future__ import annotations

from pipelines.errors import BadInput
from pipelines.monitoring.grid import Gap
from pipelines.monitoring.methods.method import Method, Sample, Score
from pipelines.monitoring.samples import Numbers

# In place of the standard deviation of a constant column, as Evidently has it.
LEAST_SPREAD = 0.001


def wasserstein(reference: Sample, current: Sample) -> Score:
    """How far the values of one sample have to be moved, on average, to become the other.

    W = ∫ |F(x) - G(x)| dx / σ, with the distribution functions F and G of the reference and the current
    sample, and the reference's standard deviation σ, but at least 0.001. A sample shifted by one standard
    deviation scores 1. It sees how far values move, which bins can't; a few far outliers move it.

    References
    ----------
    Kantorovich (1942), "On the translocation of masses", Doklady Akademii Nauk SSSR 37. Vallender (1974),
    "Calculation of the Wasserstein distance between probability distributions on the line", Theory of
    Probability and its Applications 18: the formula.

    Examples
    --------
    >>> import numpy as np
    >>> from pipelines.monitoring.samples import numbers
    >>> wasserstein(numbers([0.0, 2.0]), numbers([1.0, 3.0])).value
    1.0
    >>> before = np.random.default_rng(0).normal(size=5000)
    >>> round(wasserstein(numbers(before), numbers(before + 0.25 * before.std())).value, 9)
    0.25
    """
    if not (isinstance(reference, Numbers) and isinstance(current, Numbers)):
        raise BadInput("The Wasserstein distance compares numbers.", "Use jensenshannon for categories.")
    area = Gap(reference, current).area()
    spread = max(reference.std, LEAST_SPREAD)
    return Score(area.value / spread, area.error / spread)


WASSERSTEIN = Method(
    name="wasserstein",
    title="Wasserstein distance, normed",
    kinds=("number",),
    threshold=0.1,
    drifted_when="at least",
    formula="∫ |F - G| dx / σ of the reference",
    meaning="How far values moved on average, in standard deviations of the reference.",
    source="Vallender (1974), Calculation of the Wasserstein distance between distributions on the line",
    measure=wasserstein,
)

"""The methods of measuring drift: one file each, and which one is taken when nobody chooses."""

from __future__ import annotations

from pipelines.errors import BadInput
from pipelines.monitoring.methods.chi_square import CHI_SQUARE
from pipelines.monitoring.methods.jensen_shannon import JENSEN_SHANNON
from pipelines.monitoring.methods.kolmogorov_smirnov import KOLMOGOROV_SMIRNOV
from pipelines.monitoring.methods.method import Kind, Method, Sample, Score
from pipelines.monitoring.methods.proportions import PROPORTIONS
from pipelines.monitoring.methods.psi import PSI
from pipelines.monitoring.methods.wasserstein import WASSERSTEIN
from pipelines.monitoring.samples import Numbers

__all__ = ["METHODS", "Kind", "Method", "Sample", "Score", "choose_distance", "choose_method", "find_method"]

METHODS: dict[str, Method] = {
    method.name: method
    for method in (PSI, KOLMOGOROV_SMIRNOV, WASSERSTEIN, JENSEN_SHANNON, CHI_SQUARE, PROPORTIONS)
}

# Above so many reference rows any difference is improbable, so a distance is measured instead.
MOST_TESTED = 1000
# Numbers with at most so many different values are compared value by value.
FEW_VALUES = 5


def find_method(name: str) -> Method:
    """The method of that name.

    Raises
    ------
    BadInput
        There is none; lists those there are.
    """
    if name not in METHODS:
        raise BadInput(f"There is no drift method '{name[:40]}'.", f"The methods are: {', '.join(METHODS)}.")
    return METHODS[name]


def choose_method(reference: Sample, current: Sample) -> Method:
    """The method for a column when nobody chooses: the one that Evidently 0.7 takes.

    Up to 1,000 reference values a test, because it allows for chance; above, a distance, because a test
    would call any difference drift.
    """
    distance = choose_distance(reference, current)
    if reference.count > MOST_TESTED:
        return distance
    if distance is WASSERSTEIN:
        return KOLMOGOROV_SMIRNOV
    return CHI_SQUARE if _different(reference, current) > 2 else PROPORTIONS


def choose_distance(reference: Sample, current: Sample) -> Method:
    """The method for a column whose threshold is measured: a distance, however few rows there are."""
    many = isinstance(reference, Numbers) and _different(reference, current) > FEW_VALUES
    return WASSERSTEIN if many else JENSEN_SHANNON


def _different(reference: Sample, current: Sample) -> int:
    """How many different values both have together; `FEW_VALUES` + 1 stands for more."""
    found: set[object] = set()
    for side in (reference, current):
        counts = side.few if isinstance(side, Numbers) else side.counts
        if counts is None:
            return FEW_VALUES + 1
        found |= set(counts)
    return len(found)

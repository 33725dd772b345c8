"""Z-test of two proportions, of columns with at most two values."""

from __future__ import annotations

import math

from pipelines.errors import BadInput
from pipelines.monitoring.methods.method import Method, Sample, Score
from pipelines.monitoring.methods.shares import counts_of


def proportions(reference: Sample, current: Sample) -> Score:
    """Probability of shares that differ so much without drift.

    z = (p - q) / √(s (1 - s) (1/n + 1/m)), with the shares p and q of one of the two values among n reference
    and m current ones, and its share s among all; compared with the normal distribution, both ways.

    Raises
    ------
    BadInput
        There are more than two values.

    References
    ----------
    Fleiss, Levin, Paik (2003), "Statistical Methods for Rates and Proportions", chapter 3.

    Examples
    --------
    >>> from pipelines.monitoring.samples import categories
    >>> round(proportions(categories("aaab"), categories("abbb")).value, 6)
    0.157299
    """
    before, after = counts_of(reference), counts_of(current)
    values = list(dict.fromkeys([*before, *after]))
    if len(values) > 2:
        raise BadInput(
            f"The z-test compares two values, but there are {len(values):,}.",
            "Use chisquare or jensenshannon.",
        )
    if len(values) < 2:
        return Score(1.0)
    counts = sum(before.values()), sum(after.values())
    found = before.get(values[0], 0), after.get(values[0], 0)
    share = sum(found) / sum(counts)
    spread = math.sqrt(share * (1 - share) * (1 / counts[0] + 1 / counts[1]))
    return Score(math.erfc(abs(found[0] / counts[0] - found[1] / counts[1]) / spread / math.sqrt(2)))


PROPORTIONS = Method(
    name="z",
    title="Z-test of proportions",
    kinds=("category",),
    threshold=0.05,
    drifted_when="below",
    formula="P(|Z| ≥ |p - q| / √(s (1 - s) (1/n + 1/m)))",
    meaning="How probable shares so different are without drift, for columns of two values.",
    source="Fleiss, Levin, Paik (2003), Statistical Methods for Rates and Proportions",
    measure=proportions,
)

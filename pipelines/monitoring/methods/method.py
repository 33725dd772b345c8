"""Method: what a way of measuring drift says about itself, and the score it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pipelines.monitoring.samples import Categories, Numbers

Kind = Literal["number", "category"]
Sample = Numbers | Categories


@dataclass(frozen=True)
class Score:
    """What a method found.

    Attributes
    ----------
    value : float
        A distance, or the probability of so large a difference without drift.
    error : float
        0 when the value is exact, else how far it may be from the exact one.
    """

    value: float
    error: float = 0.0


@dataclass(frozen=True)
class Method:
    """One way to tell how much two samples differ.

    Attributes
    ----------
    name, title : str
        In commands and results, and in words.
    kinds : tuple of {"number", "category"}
        What it compares.
    threshold : float
        From which score on a column counts as drifted, unless somebody says otherwise.
    drifted_when : {"at least", "at most", "below"}
        How the score stands to the threshold when there is drift.
    formula, meaning, source : str
        How it is computed, what it says and who proposed it.
    measure : callable
        From reference and current sample to the score.
    """

    name: str
    title: str
    kinds: tuple[Kind, ...]
    threshold: float
    drifted_when: Literal["at least", "at most", "below"]
    formula: str
    meaning: str
    source: str
    measure: Callable[[Sample, Sample], Score]

    @property
    def is_probability(self) -> bool:
        """Whether a small score means drift."""
        return self.drifted_when != "at least"

    def verdict(self, score: float, threshold: float) -> bool:
        """Whether a column of this score has drifted."""
        if self.drifted_when == "at least":
            return score >= threshold
        return score <= threshold if self.drifted_when == "at most" else score < threshold

"""Calibration: does a score of .30 come true in 30 of 100?

Comes in: labels and scores. Goes out: a reliability table, two measures of how far scores are from
probabilities, and the answer in words. A ranking can be perfect and its scores no probabilities at all:
training that counts the rare class as much as the common one ("balanced") makes them far too high.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pipelines.tasks.metrics import Floats, plain_number

BINS = 10
# A bin in which fewer positives are expected than this says next to nothing.
LEAST_EXPECTED = 6
# A score that is off by less than 2 of 100 changes nobody's decision.
NEGLIGIBLE = 0.02
# 97.5th percentile of the normal distribution: the ends of a 95% interval.
Z = 1.959964


def brier_score(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean squared distance of a score from what came true.

    BS = (1/n) Σᵢ (sᵢ − yᵢ)². 0 is perfect. Giving everything the share of positives p as its score
    gets p(1 − p); a useful score is below that.

    Parameters
    ----------
    labels : array of 0 and 1, shape (n_rows,)
    scores : array of numbers from 0 to 1, shape (n_rows,)

    References
    ----------
    Brier (1950), "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78.

    Examples
    --------
    >>> round(brier_score([1, 0], [0.8, 0.4]), 3)
    0.1
    """
    distance = np.asarray(scores, dtype=np.float64) - np.asarray(labels, dtype=np.float64)
    return float(np.mean(distance * distance))


def wilson(found: int, rows: int) -> tuple[float, float]:
    """95% interval of a share of `found` among `rows`.

    (p̂ + z²/2n ± z √(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n). Unlike p̂ ± z·s it stays within 0 and 1, and says
    something when nothing was found.

    References
    ----------
    Wilson (1927), "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22.

    Examples
    --------
    >>> [round(end, 4) for end in wilson(2, 10)]
    [0.0567, 0.5098]
    """
    share, spread = found / rows, Z * Z / rows
    middle = share + spread / 2
    half = Z * math.sqrt(share * (1 - share) / rows + spread / (4 * rows))
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def reliability(labels: ArrayLike, scores: ArrayLike, bins: int = BINS) -> list[dict[str, Any]]:
    """What scores promised and what came true, from the lowest scores to the highest.

    Bins are quantiles of the score's own sum, so each holds about as many positives as the others, if
    scores are probabilities: with bins of equally many rows nearly all would lie at scores of next to
    nothing when positives are rare. Equal scores are never parted. There are fewer bins where fewer than
    `LEAST_EXPECTED` positives would come to each.

    Returns
    -------
    list of dict
        low, high (scores of the bin), rows, promised (mean score), positives, came_true (share of
        positives), interval (95%, Wilson; rows are taken as independent).

    Examples
    --------
    >>> random = np.random.default_rng(1)
    >>> score = random.random(10_000)
    >>> table = reliability(random.random(10_000) < score, score, bins=4)
    >>> [(round(each["promised"], 2), round(each["came_true"], 2)) for each in table]
    [(0.25, 0.26), (0.61, 0.62), (0.79, 0.78), (0.94, 0.94)]
    """
    label, score = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    order = np.argsort(score, kind="stable")
    label, score = label[order], score[order]
    table = []
    for rows in _bins(score, bins):
        count, positives = rows.stop - rows.start, int(label[rows].sum())
        table.append(
            {
                "low": plain_number(score[rows][0]),
                "high": plain_number(score[rows][-1]),
                "rows": count,
                "promised": plain_number(score[rows].mean()),
                "positives": positives,
                "came_true": plain_number(positives / count),
                "interval": [plain_number(end) for end in wilson(positives, count)],
            }
        )
    return table


def calibration_error(table: list[dict[str, Any]]) -> float:
    """Expected calibration error: how far, on average, a score is from the share that came true.

    ECE = Σ_b (n_b / n) |mean score of b − share of positives in b| over the bins b of `reliability`.

    References
    ----------
    Naeini, Cooper, Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian binning",
    AAAI.

    Examples
    --------
    >>> low = {"rows": 30, "promised": 0.2, "came_true": 0.3}
    >>> high = {"rows": 10, "promised": 0.9, "came_true": 0.5}
    >>> round(calibration_error([low, high]), 3)
    0.175
    """
    rows = sum(each["rows"] for each in table)
    return float(sum(each["rows"] * abs(each["promised"] - each["came_true"]) for each in table) / rows)


def calibrate(labels: ArrayLike, scores: ArrayLike, balanced: bool = False) -> dict[str, Any]:
    """How far the scores are from probabilities.

    Parameters
    ----------
    balanced : bool
        Whether training counted both classes alike.

    Returns
    -------
    dict
        table (`reliability`), error (`calibration_error`), brier (`brier_score`), brier_without (of one
        score for all: the share of positives), words.
    """
    table = reliability(labels, scores)
    share = float(np.mean(np.asarray(labels, dtype=np.float64)))
    return {
        "table": table,
        "error": plain_number(calibration_error(table)),
        "brier": plain_number(brier_score(labels, scores)),
        "brier_without": plain_number(share * (1 - share)),
        "words": in_words(table, balanced),
    }


def in_words(table: list[dict[str, Any]], balanced: bool) -> str:
    """The table in a sentence or two: the bin that is furthest off, or that none is."""
    off = [
        each
        for each in table
        if not each["interval"][0] <= each["promised"] <= each["interval"][1]
        and abs(each["promised"] - each["came_true"]) > NEGLIGIBLE
    ]
    worst = max(off or table, key=lambda each: abs(each["promised"] - each["came_true"]))
    low, high = worst["interval"]
    said = (
        f"Scores of about {_number(worst['promised'])} came true in {_number(100 * worst['came_true'])} "
        f"of 100 (95% interval {_number(100 * low)} to {_number(100 * high)})"
    )
    if not off:
        return f"{said}, and no group of scores is further off than luck allows: read them as probabilities."
    verdict = "too high" if worst["promised"] > worst["came_true"] else "too low"
    reason = (
        " Training counted both classes alike, so scores rank but are no probabilities." if balanced else ""
    )
    return (
        f"{said}: {verdict}. {len(off)} of {len(table)} groups of scores are off by more than luck.{reason}"
    )


def _bins(score: Floats, bins: int) -> list[slice]:
    """Slices of the rising `score`: equal parts of its sum, moved so that equal scores stay together."""
    total = np.cumsum(np.clip(score, 0, None))
    if total[-1] <= 0:
        return [slice(0, len(score))]
    bins = min(bins, max(2, int(total[-1] / LEAST_EXPECTED)))
    wanted = np.searchsorted(total, total[-1] * np.arange(1, bins) / bins)
    ends = np.unique(np.searchsorted(score, score[wanted], side="right"))
    edges = [0, *(int(end) for end in ends if end < len(score)), len(score)]
    return [slice(start, end) for start, end in pairwise(edges)]


def _number(value: float) -> str:
    """Two digits that matter: 0.30, 22, 0.4."""
    return f"{value:.0f}" if value >= 9.5 else f"{value:.2f}" if value < 1 else f"{value:.1f}"

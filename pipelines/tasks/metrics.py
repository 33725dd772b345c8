"""How good a ranking is over all its thresholds: ROC AUC, average precision, the precision-recall curve.

Comes in: labels and scores. Goes out: numbers between 0 and 1. Every metric takes weights: with none it
is the metric itself, with one row of weights for each bootstrap sample it is the metric on every sample
at once. So an interval belongs to exactly the number it stands beside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Ranking:
    """Rows from the highest score to the lowest, equal scores as one group.

    Attributes
    ----------
    order : ndarray of int64, shape (n_rows,)
        Indices of the rows, highest score first.
    ends : ndarray of int64, shape (n_groups,)
        Position in `order` of each group's last row. A threshold can't part equal scores, so only
        these positions are points of a curve.
    positive : ndarray of float64, shape (n_rows,)
        1.0 where the label is 1, in the order of `order`.
    """

    order: Ints
    ends: Ints
    positive: Floats

    def counts(self, weights: Floats | None = None) -> tuple[Floats, Floats]:
        """True and false positives when all rows down to each threshold are flagged.

        Parameters
        ----------
        weights : ndarray of shape (n_samples, n_rows), optional
            How often each row (in its original place) occurs in each sample; once by default.

        Returns
        -------
        tuple of two ndarrays of shape (n_samples, n_groups)
        """
        each = np.ones((1, len(self.order))) if weights is None else weights[:, self.order]
        true = np.cumsum(each * self.positive, axis=1)[:, self.ends]
        flagged = np.cumsum(each, axis=1)[:, self.ends]
        return true, flagged - true


def rank(labels: ArrayLike, scores: ArrayLike) -> Ranking:
    """Sort rows by falling score.

    Parameters
    ----------
    labels : array of 0 and 1, shape (n_rows,)
    scores : array of finite numbers, shape (n_rows,)
    """
    value = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-value, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(value[order]) != 0, True))
    return Ranking(order, ends, np.asarray(labels, dtype=np.float64)[order])


def roc_auc(ranking: Ranking, weights: Floats | None = None) -> Floats:
    """Probability that a positive scores above a negative; half of ties counts.

    AUC = area under (FPR, TPR) by the trapezoid rule, with TPR = TP/P and FPR = FP/N. 0.5 is
    chance, 1 is perfect. It weighs all thresholds alike, so with rare positives it looks better
    than the alerts are: read it beside average precision.

    Returns
    -------
    ndarray of shape (n_samples,), NaN where a sample holds one class only.

    References
    ----------
    Hanley, McNeil (1982), "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", Radiology 143.

    Examples
    --------
    >>> float(roc_auc(rank([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]))[0])
    0.75
    """
    true, false = ranking.counts(weights)
    true, false = _from_zero(true), _from_zero(false)
    area = (np.diff(false, axis=1) * (true[:, 1:] + true[:, :-1])).sum(axis=1) / 2
    return ratio(area, true[:, -1] * false[:, -1])


def average_precision(ranking: Ranking, weights: Floats | None = None) -> Floats:
    """Mean precision over the positives found, as the threshold is lowered.

    AP = Σₙ (Rₙ − Rₙ₋₁) Pₙ over thresholds n, with precision P = TP/(TP+FP) and recall R = TP/P. A
    random score gets the share of positives. The sum does not interpolate: on precision-recall
    curves a straight line between two points is too optimistic.

    Returns
    -------
    ndarray of shape (n_samples,), NaN where a sample holds no positive.

    References
    ----------
    Davis, Goadrich (2006), "The relationship between precision-recall and ROC curves", ICML.

    Examples
    --------
    >>> round(float(average_precision(rank([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]))[0]), 4)
    0.8333
    """
    true, false = ranking.counts(weights)
    precision = ratio(true, true + false, empty=0.0)
    gained = np.diff(_from_zero(true), axis=1)
    return ratio((gained * precision).sum(axis=1), true[:, -1])


def average_precision_of_entities(ranking: Ranking, entity: Ints, weights: Floats) -> Floats:
    """Average precision on samples that draw whole entities, each with all its rows.

    It is `average_precision` with each row weighted as its entity, in a tenth of the time: recall grows only
    where a positive lies, so counts are needed there alone, and they are sums over entities. So many numbers
    as there are entities times positives are held at once.

    Parameters
    ----------
    entity : ndarray of int64, shape (n_rows,)
        Code 0, 1, … of each row's entity.
    weights : ndarray of shape (n_samples, n_entities)
        As `bootstrap.resample` makes them.

    Returns
    -------
    ndarray of shape (n_samples,), NaN where a sample holds no positive.
    """
    places = np.arange(len(ranking.order))
    steps = np.unique(np.searchsorted(ranking.ends, np.flatnonzero(ranking.positive)))
    if not len(steps):
        return np.full(len(weights), np.nan)
    # Rows behind the last step lie in a column of their own, which is left out.
    columns = len(steps) + 1
    cell = entity[ranking.order] * columns + np.searchsorted(ranking.ends[steps], places)
    flagged, true = (
        weights
        @ np.bincount(cell, each, weights.shape[1] * columns).reshape(-1, columns)[:, :-1].cumsum(axis=1)
        for each in (None, ranking.positive)
    )
    gained = np.diff(_from_zero(true), axis=1)
    return ratio((gained * ratio(true, flagged, empty=0.0)).sum(axis=1), true[:, -1])


def precision_at_recall(ranking: Ranking, recall: Floats, weights: Floats | None = None) -> Floats:
    """Precision at the highest threshold that reaches each recall: points of the PR curve.

    Parameters
    ----------
    recall : ndarray of shape (n_points,), each above 0 and at most 1

    Returns
    -------
    ndarray of shape (n_samples, n_points), NaN where a sample holds no positive.
    """
    true, false = ranking.counts(weights)
    precision = ratio(true, true + false, empty=0.0)
    found = np.full((len(true), len(recall)), np.nan)
    for sample, (reached, value) in enumerate(zip(true, precision, strict=True)):
        if reached[-1] > 0:
            # Less a rounding's width, so that recall 1 is the last positive and not past the end.
            found[sample] = value[np.searchsorted(reached, recall * reached[-1] - 1e-9)]
    return found


def _from_zero(counts: Floats) -> Floats:
    return np.pad(counts, ((0, 0), (1, 0)))


def ratio(part: Floats, whole: Floats, empty: float = np.nan) -> Floats:
    """`part` / `whole`, and `empty` where `whole` is 0."""
    result: Floats = np.divide(part, whole, out=np.full(np.shape(part), empty), where=whole > 0)
    return result


def plain_number(value: float) -> float | None:
    """A number as JSON holds it, None if not finite; 6 decimals, as more differ between processors."""
    return round(float(value), 6) if np.isfinite(value) else None

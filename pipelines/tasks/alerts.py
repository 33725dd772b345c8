"""Alerts: on how many entities a day can somebody look, and how many of those are right?

Comes in: days, entities, labels and scores of events. Goes out: each day's ranking of entities, the
share of right alerts, and the score from which on an event raises one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pipelines.tasks.metrics import Floats, Ints, ratio


@dataclass(frozen=True)
class AlertDay:
    """One day's entities from the highest score to the lowest: the order in which they are looked into.

    Attributes
    ----------
    day : int
    entities : ndarray of int64, shape (n_entities_of_day,)
        Codes 0, 1, … of the entities with an event on that day.
    positive : ndarray of bool, shape (n_entities_of_day,)
        Whether any event of the entity on that day is positive.
    """

    day: int
    entities: Ints
    positive: NDArray[np.bool_]


def alert_days(days: Ints, entities: Ints, labels: ArrayLike, scores: ArrayLike) -> list[AlertDay]:
    """For each day, rank the entities by their highest score.

    Parameters
    ----------
    days, entities : ndarray of int64, shape (n_rows,)
        Day and entity's code (0, 1, …) of each event.
    labels, scores : array, shape (n_rows,)
    """
    label, score = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    ranked = []
    for day in np.unique(days):
        rows = np.flatnonzero(days == day)
        found, place = np.unique(entities[rows], return_inverse=True)
        highest = np.full(len(found), -np.inf)
        np.maximum.at(highest, place, score[rows])
        positive = np.zeros(len(found), dtype=bool)
        np.logical_or.at(positive, place, label[rows] == 1)
        order = np.argsort(-highest, kind="stable")
        ranked.append(AlertDay(int(day), found[order], positive[order]))
    return ranked


def alert_precision(
    ranked: Sequence[AlertDay], entities: int, k: int, weights: Floats | None = None
) -> Floats:
    """Share of each day's `k` alerts that are right.

    Each day the k entities with the highest scores are alerted; an entity once caught is blocked and
    takes no alert on later days. A day with fewer than k entities has that many alerts.

    Parameters
    ----------
    ranked : sequence of AlertDay, in order of days
    entities : int
        Number of entities over all days: codes run from 0 to entities − 1.
    k : int
    weights : ndarray of shape (n_samples, entities), optional
        How often each entity occurs in each sample.

    Returns
    -------
    ndarray of shape (n_samples, n_days)

    References
    ----------
    Le Borgne, Siblini, Lebichot, Bontempi (2022), "Reproducible Machine Learning for Credit Card
    Fraud Detection - Practical Handbook", chapter 4, section "Precision top-k metrics" (card
    precision top-k).

    Examples
    --------
    Card 7 is caught on the first day, so on the second its place goes to card 1.

    >>> day, card = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 0, 1, 2])
    >>> ranked = alert_days(day, card, [1, 0, 0, 1, 1, 0], [0.9, 0.8, 0.1, 0.9, 0.7, 0.3])
    >>> alert_precision(ranked, entities=3, k=1).tolist()
    [[1.0, 1.0]]
    """
    occurs = np.ones((1, entities)) if weights is None else weights
    blocked = np.zeros(occurs.shape, dtype=bool)
    shares = np.full((len(occurs), len(ranked)), np.nan)
    for column, day in enumerate(ranked):
        waiting = occurs[:, day.entities] * ~blocked[:, day.entities]
        before = np.cumsum(waiting, axis=1) - waiting
        alerted = np.clip(k - before, 0, waiting)
        shares[:, column] = ratio((alerted * day.positive).sum(axis=1), alerted.sum(axis=1))
        blocked[:, day.entities] |= (alerted > 0) & day.positive
    return shares


def sample_alerts(
    days: Ints, entities: Ints, labels: ArrayLike, scores: ArrayLike, k: int, weights: Floats
) -> tuple[Floats, Floats]:
    """Share of right alerts: of each day, and its mean over days.

    Parameters
    ----------
    weights : ndarray of shape (n_samples, n_entities)

    Returns
    -------
    tuple of two ndarrays
        Of each day, shape (n_days,); and the mean, of the rows themselves first, then of every bootstrap
        sample, shape (1 + n_samples,). A day on which a sample holds no entity is left out of its mean.
    """
    ranked = alert_days(days, entities, labels, scores)
    by_day = alert_precision(ranked, weights.shape[1], k)[0]
    daily = alert_precision(ranked, weights.shape[1], k, weights)
    known = np.isfinite(daily)
    total, count = np.where(known, daily, 0.0).sum(axis=1), known.sum(axis=1)
    return by_day, np.append(by_day.mean(), ratio(total, count))


def alert_threshold(days: NDArray[np.int64], entities: NDArray[Any], scores: Floats, k: int) -> float:
    """The score from which on about `k` entities a day are alerted.

    It reads no labels, so it can be set on days whose labels are not known yet: those between the
    training window and the test.

    Returns
    -------
    float
        The (k × number of days)-th highest of the entities' daily highest scores.

    Examples
    --------
    >>> day, card = np.array([0, 0, 0, 1, 1]), np.array([1, 1, 2, 1, 2])
    >>> alert_threshold(day, card, np.array([0.2, 0.9, 0.4, 0.1, 0.6]), k=1)
    0.6
    """
    highest = pd.Series(scores).groupby([np.asarray(days), np.asarray(entities)]).max().to_numpy()
    if not len(highest):
        return 1.0
    place = min(k * len(np.unique(days)), len(highest))
    return float(np.sort(highest)[-place])

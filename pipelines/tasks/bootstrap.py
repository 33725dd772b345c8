"""Bootstrap: how far a figure could have come out otherwise, had other entities been in the test.

Comes in: how many clusters there are and how many samples are wanted. Goes out: how often each cluster
occurs in each sample, which every metric takes as weights; and the interval of what the metric made of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pipelines.tasks import metrics
from pipelines.tasks.metrics import Floats, Ints

# Weights of this many rows × samples are held at once (8 bytes each): 64 MB.
CHUNK_CELLS = 8_000_000


def resample(clusters: int, samples: int, seed: int) -> Floats:
    """How often each cluster occurs in each bootstrap sample.

    A sample draws as many clusters as there are, with replacement. Events of one entity resemble each
    other, so whole entities are drawn, not events: drawing events would count one stolen card's ten
    payments as ten independent findings and make the interval too narrow. Days, the other candidate,
    are too few in a test of a week for a bootstrap to say anything.

    Returns
    -------
    ndarray of shape (samples, clusters), each row of sum `clusters`

    References
    ----------
    Efron (1979), "Bootstrap methods: another look at the jackknife", Annals of Statistics 7.
    Field, Welsh (2007), "Bootstrapping clustered data", Journal of the Royal Statistical Society B 69.

    Examples
    --------
    >>> resample(4, 2, seed=0).sum(axis=1).tolist()
    [4.0, 4.0]
    """
    random = np.random.default_rng(seed)
    return random.multinomial(clusters, np.full(clusters, 1 / clusters), size=samples).astype(np.float64)


def sample_ranking(labels: ArrayLike, scores: ArrayLike, entity: Ints, weights: Floats) -> dict[str, Floats]:
    """AUC and average precision: of the rows themselves first, then of every bootstrap sample.

    Parameters
    ----------
    labels, scores : array, shape (n_rows,)
    entity : ndarray of int64, shape (n_rows,)
        Code 0, 1, … of each row's entity.
    weights : ndarray of shape (n_samples, n_entities)
        As `resample` makes them.

    Returns
    -------
    dict of ndarray of shape (1 + n_samples,)
    """
    ranking = metrics.rank(labels, scores)
    auc, precision = [metrics.roc_auc(ranking)], [metrics.average_precision(ranking)]
    for part in chunks(len(weights), len(entity)):
        of_rows = weights[part][:, entity]
        auc.append(metrics.roc_auc(ranking, of_rows))
        precision.append(metrics.average_precision(ranking, of_rows))
    return {"auc": np.concatenate(auc), "average_precision": np.concatenate(precision)}


def interval(values: Floats) -> tuple[float, float]:
    """The middle 95% of a statistic's bootstrap values: percentiles 2.5 and 97.5.

    Samples on which the statistic does not exist (no positive was drawn) are left out; with none left
    both ends are NaN.

    Examples
    --------
    >>> interval(np.arange(41.0))
    (1.0, 39.0)
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def chunks(samples: int, rows: int) -> list[slice]:
    """Slices of the samples, so small that one slice's weights over all rows fit into memory."""
    step = max(1, CHUNK_CELLS // max(rows, 1))
    return [slice(start, min(start + step, samples)) for start in range(0, samples, step)]

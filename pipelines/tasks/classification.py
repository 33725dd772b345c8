"""Classification: which of two things is it? The models, their scores and how good they are.

Comes in: features as a matrix, labels 0 and 1, the params of step train. Goes out: a scikit-learn
pipeline whose score is the probability of label 1, and a report of its metrics on tested rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler

from pipelines.errors import BadInput
from pipelines.lifecycle import Train
from pipelines.scenarios.scenario import Scenario
from pipelines.tasks import alerts, bootstrap, calibration, metrics, money, slices
from pipelines.tasks.metrics import plain_number as _plain
from pipelines.tasks.paired import compare_scores

Floats = NDArray[np.float64]

__all__ = [
    "build",
    "compare_scores",
    "examine",
    "fit",
    "measure",
    "precision_gain",
    "precision_with_interval",
    "reliance",
    "score",
]

METRICS = ("auc", "average_precision", "card_precision")
# Enough points for a smooth curve; few enough for a report that a person can open.
RECALLS = np.arange(0.02, 1.001, 0.02)
# Histogram boosting sorts each column into at most 255 bins and splits between bins only. By itself it
# makes bins of equally many rows, so the rarest tenth of a percent, where fraud is, shares one bin. Bins
# of equal width keep it apart: average precision on three full-size worlds rises from .62 to .67.
BINS = 250
# Pull of a leaf's value towards zero, as XGBoost sets it (Chen, Guestrin 2016, "XGBoost: a scalable tree
# boosting system", KDD): without it a leaf of some twenty rows takes a huge step.
LEAF_PENALTY = 1.0
# As many negatives show what shuffling a column does; more only take longer.
SHUFFLED_ROWS = 3000
# Far more than logistic regression needs on scaled features; its default of 100 is sometimes too few.
MOST_ITERATIONS = 2000


def build(params: Train, seed: int) -> Pipeline:
    """The untrained model that `params` ask for.

    Logistic regression gets scaled features, because its penalty treats all weights alike: without it
    the unit of a column would decide how much the column may matter. Trees only compare, so they
    need no scaling. Boosting does not stop early: that would hold rows out at random, and rows of the
    same days in training and in validation are not independent.
    """
    balance = "balanced" if params.balance == "balanced" else None
    if params.model == "logistic":
        return make_pipeline(
            StandardScaler(),
            LogisticRegression(
                C=1 / params.regularisation,
                class_weight=balance,
                max_iter=MOST_ITERATIONS,
                random_state=seed,
            ),
        )
    if params.model == "forest":
        return make_pipeline(
            RandomForestClassifier(
                n_estimators=params.trees,
                max_depth=params.max_depth,
                class_weight=balance,
                random_state=seed,
            )
        )
    return make_pipeline(
        KBinsDiscretizer(BINS, encode="ordinal", strategy="uniform"),
        HistGradientBoostingClassifier(
            max_iter=params.trees,
            max_depth=params.max_depth,
            learning_rate=params.learning_rate,
            l2_regularization=LEAF_PENALTY,
            class_weight=balance,
            early_stopping=False,
            random_state=seed,
        ),
    )


def fit(params: Train, features: Floats, labels: NDArray[np.int8], seed: int) -> Pipeline:
    """Train the model that `params` ask for.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features)
    labels : ndarray of 0 and 1, shape (n_rows,)

    Raises
    ------
    BadInput
        Only one of the two labels occurs, so there is nothing to tell apart.
    """
    positives = int(labels.sum())
    if positives in (0, len(labels)):
        raise BadInput(
            f"The training window holds {len(labels):,} rows, {positives:,} of them positive; "
            "a model needs both labels.",
            "Set train.train_days higher, or ingest.until_day later.",
        )
    return build(params, seed).fit(features, labels)


def score(model: BaseEstimator, features: pd.DataFrame | Floats) -> Floats:
    """Probability of label 1 for each row.

    Parameters
    ----------
    features : DataFrame or ndarray of shape (n_rows, n_features)
        The columns of the model's card, in its order.

    Returns
    -------
    ndarray of float64, shape (n_rows,), from 0 to 1

    Raises
    ------
    BadInput
        The number of columns is not the model's.
    """
    matrix = np.asarray(features, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != model.n_features_in_:
        raise BadInput(
            f"The model takes {model.n_features_in_} features, but got an array of shape {matrix.shape}.",
            "Give the features of its card, in that order.",
        )
    if not len(matrix):
        return np.empty(0)
    probability: Floats = model.predict_proba(matrix)[:, 1]
    return probability


def measure(tested: pd.DataFrame, k: int, threshold: float, resamples: int, seed: int) -> dict[str, Any]:
    """How good the scores of tested rows are, with intervals and beside the baseline.

    Parameters
    ----------
    tested : DataFrame of shape (n_rows, 5 or more)
        day, entity, label (0 or 1), score and baseline (finite numbers).
    k : int
        Alerts a day.
    threshold : float
        The score from which on an event is flagged.
    resamples : int
        Bootstrap samples behind each 95% interval; whole entities are drawn (`bootstrap.resample`).

    Returns
    -------
    dict
        metrics, intervals, baseline, gain (average precision over the baseline's, from the same
        samples), by_day, curve and at_threshold. A number that does not exist is None: all of them
        when the rows hold one label only, or a score that is not a number.
    """
    if not _measurable(tested):
        return _unmeasured()
    day, label = tested["day"].to_numpy(np.int64), tested["label"].to_numpy(np.int8)
    entity, names = pd.factorize(tested["entity"])
    weights = bootstrap.resample(len(names), resamples, seed)
    samples, by_day = {}, {}
    for who, column in (("model", "score"), ("baseline", "baseline")):
        samples[who] = bootstrap.sample_ranking(label, tested[column], entity, weights)
        by_day[who], samples[who]["card_precision"] = alerts.sample_alerts(
            day, entity, label, tested[column], k, weights
        )
    gain = samples["model"]["average_precision"] - samples["baseline"]["average_precision"]
    return {
        "metrics": {name: _plain(samples["model"][name][0]) for name in METRICS},
        "intervals": {name: _interval(samples["model"][name][1:]) for name in METRICS},
        "baseline": {name: _plain(samples["baseline"][name][0]) for name in METRICS}
        | {"prevalence": _plain(label.mean())},
        "gain": {"average_precision": _plain(gain[0]), "interval": _interval(gain[1:])},
        "by_day": [
            {
                "day": int(each),
                "card_precision": _plain(by_day["model"][place]),
                "baseline": _plain(by_day["baseline"][place]),
                "positives": int(label[day == each].sum()),
            }
            for place, each in enumerate(np.unique(day))
        ],
        "curve": _curve(label, tested["score"], entity, weights) | _baseline_curve(label, tested["baseline"]),
        "at_threshold": _at_threshold(tested, threshold),
    }


def examine(
    scenario: Scenario,
    tested: pd.DataFrame,
    values: pd.DataFrame,
    card: Mapping[str, Any],
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """What the scores are worth beyond their ranking: part by part, as probabilities, in money.

    Parameters
    ----------
    tested : DataFrame
        As `measure` takes it.
    values : DataFrame of shape (n_rows, …)
        The features of the tested rows, in the same order.
    card : mapping
        The model's: its threshold, and the params it was trained with.

    Returns
    -------
    dict
        slices (`slices.compare_slices`), calibration (`calibration.calibrate`) and money
        (`money.weigh`); each None where `measure` measures nothing.
    """
    if not _measurable(tested):
        return {"slices": None, "calibration": None, "money": None}
    threshold, stake = card["threshold"], scenario.prices.missed_column
    return {
        "slices": slices.compare_slices(scenario, tested, values, threshold, resamples, seed),
        "calibration": calibration.calibrate(
            tested["label"], tested["score"], card["params"].get("balance") == "balanced"
        ),
        "money": money.weigh(
            scenario.prices, tested, values[stake] if stake else None, threshold, resamples, seed
        ),
    }


def precision_with_interval(tested: pd.DataFrame, resamples: int, seed: int) -> tuple[float, float, float]:
    """Average precision of tested rows, and the two ends of its 95% interval; see `measure`.

    All three are NaN when the rows hold one label only.
    """
    if tested["label"].nunique() < 2:
        return np.nan, np.nan, np.nan
    entity, names = pd.factorize(tested["entity"])
    weights = bootstrap.resample(len(names), resamples, seed)
    label = tested["label"].to_numpy(np.int8)
    values = bootstrap.sample_ranking(label, tested["score"], entity, weights)["average_precision"]
    return (float(values[0]), *bootstrap.interval(values[1:]))


def precision_gain(
    tested: pd.DataFrame, before: Floats, after: Floats, resamples: int, seed: int
) -> dict[str, float]:
    """By how much average precision is higher with other scores, from the same bootstrap draws.

    Parameters
    ----------
    tested : DataFrame with entity and label
    before, after : ndarray of shape (n_rows,)
        The two scores of each row.

    Returns
    -------
    dict
        value, low, high.
    """
    entity, names = pd.factorize(tested["entity"])
    weights = bootstrap.resample(len(names), resamples, seed)
    label = tested["label"].to_numpy(np.int8)
    first, second = (
        bootstrap.sample_ranking(label, each, entity, weights)["average_precision"]
        for each in (before, after)
    )
    low, high = bootstrap.interval((second - first)[1:])
    return {"value": round(float((second - first)[0]), 6), "low": round(low, 6), "high": round(high, 6)}


def reliance(
    model: BaseEstimator, features: pd.DataFrame, labels: NDArray[np.int8], seed: int
) -> pd.Series[float]:
    """How much average precision the model loses when one column is shuffled.

    The shuffled column keeps its values but tells nothing about the row any more. Two columns that
    say the same cover for each other, so both may look unimportant.

    Parameters
    ----------
    features : DataFrame of shape (n_rows, n_features)
        Of many rows, all positives and some of the others are used.

    Returns
    -------
    Series of float64, indexed by column, largest first

    References
    ----------
    Breiman (2001), "Random forests", Machine Learning 45, section 10.
    """
    random = np.random.default_rng(seed)
    others = np.flatnonzero(labels != 1)
    others = others[:: max(1, len(others) // SHUFFLED_ROWS)]
    chosen = np.sort(np.concatenate([np.flatnonzero(labels == 1), others]))
    matrix, labels = features.to_numpy(np.float64)[chosen], labels[chosen]
    whole = metrics.average_precision(metrics.rank(labels, score(model, matrix)))[0]
    lost = {}
    for place, name in enumerate(features.columns):
        shuffled = matrix.copy()
        shuffled[:, place] = random.permutation(shuffled[:, place])
        lost[name] = whole - metrics.average_precision(metrics.rank(labels, score(model, shuffled)))[0]
    return pd.Series(lost, dtype=np.float64).sort_values(ascending=False)


def _measurable(tested: pd.DataFrame) -> bool:
    """Whether there is something to measure: both labels, and scores that are numbers."""
    finite = np.isfinite(tested[["score", "baseline"]]).all(axis=None)
    return bool(finite) and tested["label"].nunique() == 2


def _unmeasured() -> dict[str, Any]:
    """The report of a test that says nothing."""
    nothing = dict.fromkeys(METRICS)
    return {
        "metrics": nothing,
        "intervals": {name: [None, None] for name in METRICS},
        "baseline": nothing | {"prevalence": None},
        "gain": {"average_precision": None, "interval": [None, None]},
        "by_day": [],
        "curve": {"recall": [], "precision": [], "low": [], "high": [], "baseline": []},
        "at_threshold": dict.fromkeys(("flagged", "found", "entities_per_day", "precision", "recall")),
    }


def _curve(
    labels: NDArray[np.int8], scores: pd.Series[float], entity: NDArray[np.int64], weights: Floats
) -> dict[str, list[float | None]]:
    """The precision-recall curve with its 95% band."""
    ranking = metrics.rank(labels, scores)
    sampled = np.concatenate(
        [
            metrics.precision_at_recall(ranking, RECALLS, weights[part][:, entity])
            for part in bootstrap.chunks(len(weights), len(labels))
        ]
    )
    band = [_interval(column) for column in sampled.T]
    return {
        "recall": [_plain(value) for value in RECALLS],
        "precision": [_plain(value) for value in metrics.precision_at_recall(ranking, RECALLS)[0]],
        "low": [low for low, _ in band],
        "high": [high for _, high in band],
    }


def _baseline_curve(labels: NDArray[np.int8], scores: pd.Series[float]) -> dict[str, list[float | None]]:
    found = metrics.precision_at_recall(metrics.rank(labels, scores), RECALLS)[0]
    return {"baseline": [_plain(value) for value in found]}


def _at_threshold(tested: pd.DataFrame, threshold: float) -> dict[str, float | int | None]:
    """What happens when every event from `threshold` on is flagged."""
    flagged = tested[tested["score"] >= threshold]
    found, all_positive = int(flagged["label"].sum()), int(tested["label"].sum())
    entities = len(flagged[["day", "entity"]].drop_duplicates())
    return {
        "flagged": len(flagged),
        "found": found,
        "entities_per_day": _plain(entities / tested["day"].nunique()),
        "precision": _plain(found / len(flagged) if len(flagged) else np.nan),
        "recall": _plain(found / all_positive if all_positive else np.nan),
    }


def _interval(values: Floats) -> list[float | None]:
    return [_plain(end) for end in bootstrap.interval(values)]

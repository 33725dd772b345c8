"""Two models on the same rows: is one better, or was it luck?

Comes in: rows with two scores. Goes out: the difference of each figure with an interval from the same
bootstrap draws. What both models find hard or easy cancels out, so this sees differences that two
separate intervals hide.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pipelines.scenarios.scenario import Prices
from pipelines.tasks import alerts, bootstrap, money
from pipelines.tasks.metrics import Floats, plain_number

FIGURES = {
    "auc": "AUC",
    "average_precision": "average precision",
    "card_precision": "share of right alerts",
    "saved_a_day": "money saved a day",
}


def compare_scores(
    tested: pd.DataFrame,
    scores: dict[str, Floats],
    thresholds: dict[str, float],
    k: int,
    prices: Prices,
    at_stake: ArrayLike | None,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """How much better the second of two models is, figure by figure.

    Parameters
    ----------
    tested : DataFrame of shape (n_rows, 3 or more)
        day, entity, label.
    scores : dict of two arrays of shape (n_rows,)
        By the model's name.
    thresholds : dict of two floats
        From which score on each model raises an alert; only the money depends on it.
    k : int
        Alerts a day.
    resamples : int
        Bootstrap samples; whole entities are drawn, the same for both models.

    Returns
    -------
    dict
        names (the two), figures ({auc, average_precision, card_precision, saved_a_day}: values [first,
        second], difference, low, high, verdict) and words. verdict is "better", "worse" (the second than
        the first) or "no difference"; None when the rows hold one label only.

    References
    ----------
    Efron, Tibshirani (1993), "An introduction to the bootstrap", chapter 10.
    """
    first, second = scores
    if tested["label"].nunique() < 2:
        return {
            "names": [first, second],
            "figures": {},
            "words": "There is only one kind of outcome to compare on.",
        }
    entity, names = pd.factorize(tested["entity"])
    weights = bootstrap.resample(len(names), resamples, seed)
    made = money.decisions(prices, tested["label"], at_stake)
    days, day = int(tested["day"].nunique()), tested["day"].to_numpy(np.int64)
    sampled = {}
    for name, score in scores.items():
        sampled[name] = bootstrap.sample_ranking(tested["label"], score, entity, weights)
        _, sampled[name]["card_precision"] = alerts.sample_alerts(
            day, entity, tested["label"].to_numpy(), score, k, weights
        )
        gains = made.gains * (score >= thresholds[name])
        of_samples = money.saved_a_day(gains, entity, days, weights)
        sampled[name]["saved_a_day"] = np.append(gains.sum() / days, of_samples)
    figures = {name: _difference(sampled[first][name], sampled[second][name]) for name in FIGURES}
    return {
        "names": [first, second],
        "unit": prices.unit,
        "figures": figures,
        "words": _words(first, second, figures, prices.unit),
    }


def _difference(first: Floats, second: Floats) -> dict[str, Any]:
    """Of one figure: both values, and by how much the second is higher."""
    by = second - first
    low, high = bootstrap.interval(by[1:])
    verdict = "better" if low > 0 else "worse" if high < 0 else "no difference"
    return {
        "values": [plain_number(first[0]), plain_number(second[0])],
        "difference": plain_number(by[0]),
        "low": plain_number(low),
        "high": plain_number(high),
        "verdict": verdict,
    }


def _words(first: str, second: str, figures: dict[str, Any], unit: str) -> str:
    """Money first, for it is what decisions are for; then the ranking; then where the two disagree."""
    worth, ranked = figures["saved_a_day"], figures["average_precision"]
    ends = f"95% interval {money.amount(worth['low'], unit)} to {money.amount(worth['high'], unit)}"
    if worth["verdict"] == "no difference":
        said = (
            f"In money there is no difference between {first} and {second} that luck could not make "
            f"({money.amount(worth['difference'], unit)} a day; {ends})."
        )
    else:
        more = "more" if worth["verdict"] == "better" else "less"
        by = money.amount(abs(worth["difference"]), unit)
        said = f"{second} saves {by} a day {more} than {first} ({ends})."
    by = f"{ranked['difference']:+.3f}, 95% interval {ranked['low']:+.3f} to {ranked['high']:+.3f}"
    if ranked["verdict"] == "no difference":
        said += f" In average precision there is none either way that luck could not make ({by})."
    else:
        said += f" Its average precision is {ranked['verdict']} ({by})."
    auc, told = figures["auc"]["difference"], {worth["verdict"], figures["auc"]["verdict"]}
    if auc * worth["difference"] < 0 and told != {"no difference"}:
        winner, loser = (second, first) if auc > 0 else (first, second)
        said += f" The higher AUC does not earn more: {winner} has it, {loser} saves more."
    return said

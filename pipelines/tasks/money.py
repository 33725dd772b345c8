"""Money: what decisions cost, and what deciding nothing would have cost.

Comes in: what was decided and what turned out to be true. Goes out: the parts of the bill, in the
scenario's own unit. A model is worth what it saves; the best ranking may not be the cheapest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pipelines.scenarios.scenario import Prices
from pipelines.tasks import bootstrap
from pipelines.tasks.metrics import Floats, Ints, plain_number

# Points of the cost curve: enough for a smooth line, few enough to step through by hand.
POINTS = 58


@dataclass(frozen=True)
class Bill:
    """What the decisions on some events cost, in the unit of the prices.

    Attributes
    ----------
    missed : float
        Positives that nobody alerted.
    reviews : float
        Looking into every alert.
    false_alarms : float
        What wrong alerts cost besides.
    without : float
        The bill with no alert at all: every positive is missed.
    downtime : float
        Events that got no answer.
    """

    missed: float
    reviews: float
    false_alarms: float
    without: float
    downtime: float = 0.0

    @property
    def total(self) -> float:
        return self.missed + self.reviews + self.false_alarms + self.downtime

    @property
    def saved(self) -> float:
        """What the decisions are worth; below zero when deciding nothing would have been cheaper."""
        return self.without - self.total


def price(
    prices: Prices,
    labels: ArrayLike,
    alerted: ArrayLike,
    at_stake: ArrayLike | None = None,
    unanswered: int = 0,
) -> Bill:
    """What these decisions cost.

    Parameters
    ----------
    labels, alerted : array of 0 and 1, shape (n_events,)
        What was true, and whether an alert was raised.
    at_stake : array, shape (n_events,), optional
        Values of `prices.missed_column`; left out, each event counts as 1.
    unanswered : int
        How many of these events got no answer, and so no alert.

    Returns
    -------
    Bill
        Rounded to 2 decimals.

    Examples
    --------
    One fraud of 50 is missed, one of 80 is caught, one honest customer is alerted.

    >>> prices = Prices("EUR", missed=1.0, missed_column="amount", review=4.0, false_alarm=10.0, meaning="")
    >>> bill = price(prices, [1, 1, 0, 0], [0, 1, 1, 0], [50, 80, 20, 10])
    >>> bill.missed, bill.reviews, bill.false_alarms, bill.saved
    (50.0, 8.0, 10.0, 62.0)
    """
    positive, alert = np.asarray(labels) == 1, np.asarray(alerted).astype(bool)
    stake = np.ones(len(positive)) if at_stake is None else np.asarray(at_stake, dtype=np.float64)
    return Bill(
        missed=round(prices.missed * float(stake[positive & ~alert].sum()), 2),
        reviews=round(prices.review * int(alert.sum()), 2),
        false_alarms=round(prices.false_alarm * int((alert & ~positive).sum()), 2),
        without=round(prices.missed * float(stake[positive].sum()), 2),
        downtime=round(prices.unanswered * unanswered, 2),
    )


@dataclass(frozen=True)
class Decisions:
    """Events that could be alerted, each with what it is worth to alert it.

    Attributes
    ----------
    prices : Prices
    label : ndarray of float64, shape (n_events,)
        1 where the event is positive.
    stake : ndarray of float64, shape (n_events,)
        Values of `prices.missed_column`; 1 each when there is none.
    """

    prices: Prices
    label: Floats
    stake: Floats

    @property
    def gains(self) -> Floats:
        """What an alert of each event saves: the loss avoided, less what the alert costs."""
        caught = self.prices.missed * self.stake * self.label
        return caught - self.prices.review - self.prices.false_alarm * (1 - self.label)

    def bill(self, alerted: NDArray[np.bool_]) -> Bill:
        """The bill for these alerts."""
        return price(self.prices, self.label, alerted, self.stake)


def decisions(prices: Prices, labels: ArrayLike, at_stake: ArrayLike | None) -> Decisions:
    """What `Decisions` holds, from arrays of any kind."""
    label = np.asarray(labels, dtype=np.float64)
    stake = np.ones(len(label)) if at_stake is None else np.asarray(at_stake, dtype=np.float64)
    return Decisions(prices, label, stake)


def saved_a_day(gains: Floats, entity: Ints, days: int, weights: Floats) -> Floats:
    """What alerts save a day, on every bootstrap sample.

    Parameters
    ----------
    gains : ndarray of shape (n_events,)
        What each event's alert saved; 0 where there was none.
    entity : ndarray of int64, shape (n_events,)
        Codes 0, 1, … of the entities, of which whole ones are drawn.
    days : int
        Over how many days.
    weights : ndarray of shape (n_samples, n_entities)

    Returns
    -------
    ndarray of shape (n_samples,)
    """
    of_entity = np.bincount(entity, weights=gains, minlength=weights.shape[1])
    saved: Floats = weights @ of_entity / days
    return saved


def weigh(
    prices: Prices,
    tested: pd.DataFrame,
    at_stake: ArrayLike | None,
    threshold: float,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """What the model's alerts save on tested rows: at its threshold, and at every other.

    Parameters
    ----------
    tested : DataFrame of shape (n_rows, 5 or more)
        day, entity, label, score, baseline.
    at_stake : array, shape (n_rows,), optional
        Values of `prices.missed_column`.
    threshold : float
        From which score on the model raises an alert.

    Returns
    -------
    dict
        unit, meaning, prices {missed, missed_column, review, false_alarm}, at_threshold {threshold,
        missed, reviews, false_alarms, total, without, saved, days, alerts, right, found}, baseline (the same
        figures for as many alerts by the baseline), per_day_saved {value, low, high: 95% interval},
        curve (about `POINTS` thresholds from the highest to the lowest, each with those figures), best
        (the cheapest of all thresholds) and words. Money is over all `days` of the test.
    """
    made = decisions(prices, tested["label"], at_stake)
    entity, names = pd.factorize(tested["entity"])
    days = int(tested["day"].nunique())
    weights = bootstrap.resample(len(names), resamples, seed)
    score, baseline = (tested[name].to_numpy(np.float64) for name in ("score", "baseline"))
    flagged = score >= threshold
    low, high = bootstrap.interval(saved_a_day(made.gains * flagged, entity, days, weights))
    order = np.argsort(-baseline, kind="stable")
    as_many = np.zeros(len(score), dtype=bool)
    as_many[order[: int(flagged.sum())]] = True
    curve, best = _curve(made, score, threshold, days)
    found = {
        "unit": prices.unit,
        "meaning": prices.meaning,
        "prices": {
            name: getattr(prices, name) for name in ("missed", "missed_column", "review", "false_alarm")
        },
        "at_threshold": {"threshold": threshold, **_figures(made, flagged, days)},
        "baseline": _figures(made, as_many, days),
        "per_day_saved": {
            "value": round(float((made.gains * flagged).sum()) / days, 2),
            "low": round(low, 2),
            "high": round(high, 2),
        },
        "curve": curve,
        "best": best,
    }
    return found | {"words": in_words(found)}


def in_words(found: dict[str, Any]) -> str:
    """What the model saves, beside no model, the baseline and the cheapest threshold."""
    unit, here, best, by_baseline = (found[name] for name in ("unit", "at_threshold", "best", "baseline"))
    a_day, days = found["per_day_saved"], here["days"]
    verb = "saves" if a_day["value"] >= 0 else "loses"
    said = (
        f"Against deciding nothing it {verb} {amount(abs(a_day['value']), unit)} a day "
        f"(95% interval {amount(a_day['low'], unit)} to {amount(a_day['high'], unit)}); as many alerts "
        f"without a model would save {amount(by_baseline['saved'] / days, unit)}."
    )
    if best["saved"] <= 0:
        return f"{said} No threshold would save anything: here, deciding nothing is cheapest."
    more = (best["saved"] - here["saved"]) / days
    return (
        f"{said} On this test the cheapest threshold is {best['threshold']:.3f}, with {best['alerts']:,} "
        f"alerts in place of {here['alerts']:,}: {amount(more, unit)} a day more. It was found after the "
        "fact, so it promises a little too much."
    )


def amount(value: float, unit: str) -> str:
    """Money in words: "1,204 EUR", "−3.5 EUR"."""
    sign = "−" if value < -0.005 else ""
    size = abs(value)
    return f"{sign}{size:,.0f} {unit}" if size >= 10 or size < 0.005 else f"{sign}{size:.1f} {unit}"


def _figures(made: Decisions, alerted: NDArray[np.bool_], days: int) -> dict[str, Any]:
    bill, right = made.bill(alerted), float(made.label[alerted].sum())
    positives, alerts = float(made.label.sum()), int(alerted.sum())
    return {
        "missed": bill.missed,
        "reviews": bill.reviews,
        "false_alarms": bill.false_alarms,
        "total": round(bill.total, 2),
        "without": bill.without,
        "saved": round(bill.saved, 2),
        "days": days,
        "alerts": alerts,
        "right": plain_number(right / alerts) if alerts else None,
        "found": plain_number(right / positives) if positives else None,
    }


def _curve(
    made: Decisions, score: Floats, threshold: float, days: int
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The figures at some thresholds, highest first, and at the cheapest of all there are."""
    order = np.argsort(-score, kind="stable")
    # A threshold can't part equal scores: it lies at the last of each group of them.
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    saved = np.cumsum(made.gains[order])[ends]
    cheapest = int(saved.argmax())

    def at(place: int) -> dict[str, Any]:
        alerted = np.zeros(len(score), dtype=bool)
        alerted[order[: ends[place] + 1]] = True
        return {"threshold": _below(score[order[ends[place]]]), **_figures(made, alerted, days)}

    nothing = {
        "threshold": _above(score.max()),
        **_figures(made, np.zeros(len(score), dtype=bool), days),
    }
    chosen = int((score[order[ends]] >= threshold).sum()) - 1
    shown = {cheapest, *_places(score[order[ends]], ends)} | ({chosen} if chosen >= 0 else set())
    best = at(cheapest) if saved[cheapest] > 0 else nothing
    return [nothing, *(at(place) for place in sorted(shown))], best


def _places(values: Floats, ends: Ints) -> set[int]:
    """Thresholds to show: half spread evenly over the scores, half over the logarithm of the alerts."""
    half = POINTS // 2
    by_score = np.searchsorted(-values, -np.linspace(values[0], values[-1], half))
    by_alerts = np.searchsorted(ends + 1, np.geomspace(1, ends[-1] + 1, half))
    return {int(min(place, len(ends) - 1)) for place in (*by_score, *by_alerts)}


def _below(value: float) -> float:
    """A score as a threshold with few decimals that the score itself still reaches."""
    return math.floor(value * 1e6) / 1e6


def _above(value: float) -> float:
    return math.floor(value * 1e6 + 1) / 1e6

"""Evaluation: is the model good enough to serve? The test, the metrics and the gate with its reasons.

Comes in: features with labels, a fitted model. Goes out: a report that can be stored as JSON, whose
gate says for each rule what was found, what was expected and why it matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipelines.errors import BadInput
from pipelines.ingestion import known
from pipelines.lifecycle import Evaluate, Train
from pipelines.scenarios.scenario import DAY_S, Scenario, alerts_in
from pipelines.tasks import find_task
from pipelines.training import FittedModel, fit_on, today, windows_of

# With fewer positives than this a single one moves recall by more than a tenth, and a bootstrap sample
# may easily hold none.
LEAST_POSITIVES = 10

# An entity whose outcome turned out positive in this many days before the test, or during it, is out of
# the game (a stolen card is blocked), so finding it again is no achievement. In the handbook's protocol
# these are the frauds of the training week, whose labels come in during the week before the test. A fixed
# number keeps the test the same for models that learn from longer windows.
BLOCKED_DAYS = 7

# What a split at random commonly holds out.
RANDOM_TEST_SHARE = 0.25


@dataclass(frozen=True)
class Reason:
    """What one rule of the gate found.

    Attributes
    ----------
    rule : str
        What the rule demands, in words.
    found, expected : str
        The value, and what it should be.
    passed : bool
    meaning : str
        Why it matters.
    """

    rule: str
    found: str
    expected: str
    passed: bool
    meaning: str


def evaluate(
    scenario: Scenario, features: pd.DataFrame, fitted: FittedModel, params: Evaluate, seed: int
) -> dict[str, Any]:
    """Test `fitted` on the newest labelled days and judge it.

    Parameters
    ----------
    features : DataFrame
        As `features.offline.compute` makes it; labels as far as they are known.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        What `tasks.classification.measure` and `examine` return, and summary (the result as a
        sentence), windows (days since day 0), rows, positives, entities, alerts_per_day, resamples,
        threshold, baseline_feature, gate {passed, reasons}.
    """
    task, tested = find_task(scenario.task), tested_rows(scenario, features, fitted)
    positives, alerts = int(tested["label"].sum()), alerts_in(scenario, features)
    report: dict[str, Any] = task.measure(tested, alerts, fitted.card["threshold"], params.resamples, seed)
    values = _features_of(features, tested)
    report |= task.examine(scenario, tested, values, fitted.card, params.resamples, seed)
    reasons = [
        _scores_differ(scenario, tested),
        _enough_positives(scenario, tested),
        _beats_baseline(scenario, report, params.least_gain),
    ]
    windows = {
        part: {end: fitted.card[part][end] // DAY_S for end in ("from", "until")}
        for part in ("train", "test")
    }
    return report | {
        "summary": _summary(scenario, report, alerts),
        "windows": windows,
        "rows": len(tested),
        "positives": positives,
        "entities": int(tested["entity"].nunique()),
        "alerts_per_day": alerts,
        "resamples": params.resamples,
        "threshold": fitted.card["threshold"],
        "baseline_feature": scenario.baseline,
        "gate": {
            "passed": all(reason.passed for reason in reasons),
            "reasons": [asdict(reason) for reason in reasons],
        },
    }


def compare_splits(
    scenario: Scenario, features: pd.DataFrame, fitted: FittedModel, params: Train, resamples: int = 100
) -> pd.DataFrame:
    """What the same params promise when the rows are split by time, and when they are split at random.

    A random split holds out a quarter of all rows from the training window's begin to the test's end.
    The model then learns from events that happened after some that it is tested on, often of the same
    entity, and nothing known beforehand is taken out of the test.

    Parameters
    ----------
    fitted : FittedModel
        Trained by time, with `params`.

    Returns
    -------
    DataFrame, index "by time" and "at random"
        learnt_from, tested_on (rows), average_precision, low, high (95% interval).
    """
    task, card = find_task(scenario.task), fitted.card
    labelled = known(features, today(features))
    pool = labelled[_between(labelled, card["train"]["from"], card["test"]["until"])]
    held_out = np.random.default_rng(card["seed"]).random(len(pool)) < RANDOM_TEST_SHARE
    leaky = fit_on(scenario, features, pool[~held_out], windows_of(card), params, card["seed"])
    compared = {}
    for split, model, tested in (
        ("by time", fitted, tested_rows(scenario, features, fitted)),
        ("at random", leaky, _score_rows(scenario, pool[held_out], leaky)),
    ):
        found, low, high = task.precision_with_interval(tested, resamples, card["seed"])
        compared[split] = {
            "learnt_from": model.card["train"]["rows"],
            "tested_on": len(tested),
            "average_precision": found,
            "low": low,
            "high": high,
        }
    return pd.DataFrame.from_dict(compared, orient="index").astype({"learnt_from": int, "tested_on": int})


def compare_models(
    scenario: Scenario,
    features: pd.DataFrame,
    models: Mapping[str, FittedModel],
    resamples: int = 400,
    seed: int = 1,
) -> dict[str, Any]:
    """Whether the second of two models is better than the first, on rows that neither has learnt from.

    They are the test rows of the model that was trained last; the other learnt from days before those.
    Both are scored on the same rows and the same bootstrap draws.

    Parameters
    ----------
    features : DataFrame
        As `features.offline.compute` makes it; must reach to the later model's test.
    models : mapping of two
        By the name that the words should use, such as "version 3".

    Returns
    -------
    dict
        What `tasks.paired.compare_scores` returns, and window {from, until} (days), rows, positives.

    Raises
    ------
    BadInput
        There are not two models, they take other features than `features` holds, or `features` ends
        before the test.
    """
    if len(models) != 2:
        raise BadInput(f"{len(models)} models can't be compared in a pair.", "Give two, of different names.")
    for name, each in models.items():
        absent = [column for column in each.card["features"] if column not in features]
        if absent:
            raise BadInput(
                f"{name} takes the feature '{absent[0]}', which is not computed now.",
                "Compare models that were trained on the same features.",
            )
    newest = max(models.values(), key=lambda each: (each.card["test"]["from"], each.card["test"]["until"]))
    tested = tested_rows(scenario, features, newest)
    if tested.empty:
        raise BadInput(
            "These features hold no labelled events of the test.",
            "Take the features of the newer of the two runs.",
        )
    task, values = find_task(scenario.task), _features_of(features, tested)
    stake = scenario.prices.missed_column
    window = newest.card["test"]
    compared: dict[str, Any] = task.compare_scores(
        tested,
        {name: task.score(each.model, values[each.card["features"]]) for name, each in models.items()},
        {name: each.card["threshold"] for name, each in models.items()},
        alerts_in(scenario, features),
        scenario.prices,
        values[stake] if stake else None,
        resamples,
        seed,
    )
    return compared | {
        "window": {end: window[end] // DAY_S for end in ("from", "until")},
        "rows": len(tested),
        "positives": int(tested["label"].sum()),
    }


def tested_rows(scenario: Scenario, features: pd.DataFrame, fitted: FittedModel) -> pd.DataFrame:
    """The events of the test, each with its score.

    An entity whose positive outcome was known when a day began, and is not older than `BLOCKED_DAYS`
    before the test, is left out from that day on.

    Returns
    -------
    DataFrame of shape (n_rows, 6)
        event_id, day (days since day 0), entity, label (0 or 1), score, baseline (the value of the
        scenario's baseline feature).

    References
    ----------
    Le Borgne, Siblini, Lebichot, Bontempi (2022), "Reproducible Machine Learning for Credit Card
    Fraud Detection - Practical Handbook", chapter 3, section "Baseline fraud detection system":
    known compromised cards are removed from the test set day by day.
    """
    test = fitted.card["test"]
    labelled = known(features, today(features))
    rows = labelled[_between(labelled, test["from"], test["until"])]
    found = labelled[
        (labelled["label"] == 1) & (labelled["label_time"] >= test["from"] - BLOCKED_DAYS * DAY_S)
    ]
    blocked_at = found.groupby(scenario.alert_entity)["label_time"].min()
    day_began = rows["event_time"] // DAY_S * DAY_S
    in_play = ~(rows[scenario.alert_entity].map(blocked_at) <= day_began)
    return _score_rows(scenario, rows[in_play], fitted)


def _score_rows(scenario: Scenario, rows: pd.DataFrame, fitted: FittedModel) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "event_id": rows["event_id"],
            "day": rows["event_time"] // DAY_S,
            "entity": rows[scenario.alert_entity],
            "label": rows["label"],
            "score": find_task(scenario.task).score(fitted.model, rows[fitted.card["features"]]),
            "baseline": rows[scenario.baseline],
        }
    ).reset_index(drop=True)


def _features_of(features: pd.DataFrame, tested: pd.DataFrame) -> pd.DataFrame:
    """The features of the tested rows, in their order."""
    return features.set_index("event_id").loc[tested["event_id"]]


def _between(rows: pd.DataFrame, from_s: int, until_s: int) -> pd.Series[bool]:
    return rows["event_time"].between(from_s, until_s, inclusive="left")


def _summary(scenario: Scenario, report: dict[str, Any], alerts: int) -> str:
    """The result in words that need no statistics."""
    right, (low, high) = report["metrics"]["card_precision"], report["intervals"]["card_precision"]
    if right is None or low is None:
        return "The test can't be measured: it holds one kind of outcome only."
    return (
        f"Of {alerts} alerts a day, {right:.0%} are right (95% interval {low:.0%} to {high:.0%}); "
        f"alerting by '{scenario.baseline}' alone, without a model, "
        f"{report['baseline']['card_precision']:.0%} would be."
    )


def _scores_differ(scenario: Scenario, tested: pd.DataFrame) -> Reason:
    finite = np.isfinite(tested["score"].to_numpy())
    values = tested["score"].nunique()
    return Reason(
        rule="Every score is a number, and they differ",
        found=f"{len(tested):,} scores, {values:,} different, {(~finite).sum():,} not a number",
        expected="more than one value, 0 not a number",
        passed=bool(finite.all()) and values > 1,
        meaning=f"Equal scores can't put one {scenario.event} before another: nothing was learnt.",
    )


def _enough_positives(scenario: Scenario, tested: pd.DataFrame) -> Reason:
    positives = int(tested["label"].sum())
    return Reason(
        rule=f"Enough tested {scenario.events} are {scenario.positive}",
        found=f"{positives:,} among {len(tested):,} {scenario.events}",
        expected=f"at least {LEAST_POSITIVES}, and at least one that is not",
        passed=LEAST_POSITIVES <= positives < len(tested),
        meaning="With fewer, luck decides: one case more or less moves every figure.",
    )


def _beats_baseline(scenario: Scenario, report: dict[str, Any], least_gain: float) -> Reason:
    rule = f"It beats '{scenario.baseline}', the score that needs no model"
    expected = f"average precision higher by at least {least_gain:.2f}, at the low end of the 95% interval"
    meaning = "If one column alone ranks as well, a model is cost without gain."
    if None in report["gain"]["interval"]:
        return Reason(rule, "average precision can't be measured on this test", expected, False, meaning)
    low, high = report["gain"]["interval"]
    ours, theirs = (report[whose]["average_precision"] for whose in ("metrics", "baseline"))
    found = (
        f"{ours:.3f} against {theirs:.3f}: higher by {report['gain']['average_precision']:.3f} "
        f"(95% interval {low:.3f} to {high:.3f})"
    )
    return Reason(rule, found, expected, low >= least_gain, meaning)

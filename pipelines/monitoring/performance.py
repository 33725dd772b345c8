"""Performance: how right are the answers, as far as it is known by now?

Comes in: answers with the labels that have arrived, and the reference. Goes out: figures with intervals
beside what the evaluation promised; for the days whose labels are still missing an estimate from the
scores, which says that it is one; and how many labels are waited for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pipelines.evaluation import BLOCKED_DAYS, LEAST_POSITIVES
from pipelines.monitoring.reference import Reference
from pipelines.scenarios.scenario import DAY_S, Scenario
from pipelines.serving import labelling
from pipelines.tasks import alerts, bootstrap, metrics
from pipelines.tasks.metrics import Floats

FIGURES = ("average_precision", "alert_precision", "share_found")
# The names that the evaluation's report has for the same figures.
PROMISED = {"average_precision": "average_precision", "alert_precision": "card_precision"}


def measure(
    scenario: Scenario,
    answered: pd.DataFrame,
    positives: pd.DataFrame,
    reference: Reference,
    day: int,
    window_days: int,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """How right the champion was in the newest days whose labels have arrived.

    An entity that was found out is left out from the day after, as in the evaluation: see
    `evaluation.tested_rows`.

    Parameters
    ----------
    answered : DataFrame
        From `serving.logged.read_logged`, labels as they are known when `day` begins.
    positives : DataFrame
        alert entity and label_time of the positives that were known by then.

    Returns
    -------
    dict
        status ("measured", "waiting" for labels, "few" of the positives, or "blind": no alert is to get a
        label), from_day, until_day, answers,
        positives, metrics, intervals (average_precision, alert_precision, share_found: of the positives the
        part that raised an alert), baseline {average_precision, alert_precision} of the no-model baseline,
        promised {metrics, intervals} by the evaluation, estimate, backlog. What does not exist is None.
    """
    until = day - scenario.label_delay_days
    from_day = until - window_days
    of_champion = answered[answered["version"] == reference.version]
    in_span = of_champion[of_champion["day"].between(from_day, until - 1)]
    labelled = labelling.repeated(in_span[in_span["label"].notna()])
    tested = _in_play(scenario, labelled, positives, from_day)
    k = int(reference.evaluation.get("alerts_per_day") or 1)
    alerts_there = in_span[in_span["decision"]]
    blind = len(alerts_there) > 0 and not len(labelling.awaited(alerts_there))
    found = _figures(tested.iloc[:0] if blind else tested, k, resamples, seed)
    count = int(tested["label"].sum()) if len(tested) else 0
    status = "waiting" if not len(tested) else "few" if count < LEAST_POSITIVES else "measured"
    status = "blind" if blind else status
    return {
        "status": status,
        "from_day": from_day,
        "until_day": until,
        "answers": len(tested),
        "positives": count,
        "alerts_per_day": k,
        **found,
        "promised": _promised(reference),
        "estimate": estimate(scenario, of_champion, positives, reference, day, window_days, k),
        "backlog": _backlog(scenario, answered, day),
        "backlog_days": _backlog_days(scenario, answered, day),
    }


def estimate(
    scenario: Scenario,
    of_champion: pd.DataFrame,
    positives: pd.DataFrame,
    reference: Reference,
    day: int,
    window_days: int,
    k: int,
) -> dict[str, Any]:
    """What the scores of the newest days say of the alerts, before any label has come.

    A score stands for the share that was positive among reference rows of such a score; of the k entities
    a day with the highest scores these shares are averaged. Who was found out before is left out, as where
    it is measured. It is right as long as a score means what it meant: when it does not, only labels tell.

    Returns
    -------
    dict
        alert_precision (None without scores), from_day, until_day.
    """
    window = of_champion[of_champion["day"] >= day - window_days]
    window = _without_found_out(scenario, window, positives, day - window_days)
    result: dict[str, Any] = {"alert_precision": None, "from_day": day - window_days, "until_day": day}
    if reference.calibration is None or not len(window):
        return result
    chance = reference.calibration.predict(window["score"].to_numpy())
    spared = np.log1p(-np.minimum(chance, 1 - 1e-9))
    by_entity = pd.DataFrame({"score": window["score"], "spared": spared}).groupby(
        [window["day"], window[scenario.alert_entity]]
    )
    daily = by_entity.agg({"score": "max", "spared": "sum"}).sort_values("score", ascending=False)
    alerted = daily.groupby(level=0).head(k)
    right = (1 - np.exp(alerted["spared"])).groupby(level=0).mean()
    return result | {"alert_precision": _plain(float(right.mean()))}


def _in_play(
    scenario: Scenario, labelled: pd.DataFrame, positives: pd.DataFrame, from_day: int
) -> pd.DataFrame:
    """The labelled answers without those about entities that had been found out when the day began."""
    rows = _without_found_out(scenario, labelled, positives, from_day)
    return pd.DataFrame(
        {
            "day": rows["day"].to_numpy(np.int64),
            "entity": rows[scenario.alert_entity].to_numpy(),
            "label": rows["label"].to_numpy(np.int8),
            "score": rows["score"].to_numpy(np.float64),
            "baseline": rows[scenario.baseline].to_numpy(np.float64),
            "decision": rows["decision"].to_numpy(bool),
        }
    )


def _without_found_out(
    scenario: Scenario, answered: pd.DataFrame, positives: pd.DataFrame, from_day: int
) -> pd.DataFrame:
    """Answers without those about entities that had been found out when their day began."""
    recent = positives[positives["label_time"] >= (from_day - BLOCKED_DAYS) * DAY_S]
    blocked_at = recent.groupby(scenario.alert_entity)["label_time"].min()
    return answered[~(answered[scenario.alert_entity].map(blocked_at) <= answered["day"] * DAY_S)]


def _figures(tested: pd.DataFrame, k: int, resamples: int, seed: int) -> dict[str, Any]:
    if tested["label"].nunique() < 2:
        return {
            "metrics": dict.fromkeys(FIGURES),
            "intervals": {name: [None, None] for name in FIGURES},
            "baseline": dict.fromkeys(FIGURES[:2]),
        }
    entity, names = pd.factorize(tested["entity"])
    weights = np.vstack([np.ones((1, len(names))), bootstrap.resample(len(names), resamples, seed)])
    label, decision = tested["label"].to_numpy(), tested["decision"].to_numpy()
    sampled = {
        "average_precision": _average_precision(label, tested["score"], entity, weights),
        "alert_precision": _alert_precision(tested, "score", entity, len(names), k, weights),
        "share_found": _share_found(label, decision, entity, weights),
    }
    plain = np.ones((1, len(names)))
    return {
        "metrics": {name: _plain(values[0]) for name, values in sampled.items()},
        "intervals": {
            name: [_plain(end) for end in bootstrap.interval(values[1:])] for name, values in sampled.items()
        },
        "baseline": {
            "average_precision": _plain(_average_precision(label, tested["baseline"], entity, plain)[0]),
            "alert_precision": _plain(_alert_precision(tested, "baseline", entity, len(names), k, plain)[0]),
        },
    }


def _average_precision(label: Any, scores: Any, entity: Any, weights: Floats) -> Floats:
    return metrics.average_precision_of_entities(metrics.rank(label, scores), entity, weights)


def _alert_precision(
    tested: pd.DataFrame, column: str, entity: Any, entities: int, k: int, weights: Floats
) -> Floats:
    ranked = alerts.alert_days(tested["day"].to_numpy(), entity, tested["label"], tested[column])
    daily = alerts.alert_precision(ranked, entities, k, weights)
    there = np.isfinite(daily)
    return metrics.ratio(np.where(there, daily, 0.0).sum(axis=1), there.sum(axis=1).astype(np.float64))


def _share_found(label: Any, decision: Any, entity: Any, weights: Floats) -> Floats:
    """Of the positives, the part that raised an alert."""
    positive = np.bincount(entity, weights=label, minlength=weights.shape[1])
    hit = np.bincount(entity, weights=label * decision, minlength=weights.shape[1])
    return metrics.ratio(weights @ hit, weights @ positive)


def _promised(reference: Reference) -> dict[str, Any]:
    """The evaluation's figures under our names."""
    report = reference.evaluation
    found: dict[str, dict[str, Any]] = {
        "metrics": dict.fromkeys(FIGURES),
        "intervals": {name: [None, None] for name in FIGURES},
    }
    for ours, theirs in PROMISED.items():
        found["metrics"][ours] = (report.get("metrics") or {}).get(theirs)
        found["intervals"][ours] = (report.get("intervals") or {}).get(theirs) or [None, None]
    found["metrics"]["share_found"] = (report.get("at_threshold") or {}).get("recall")
    return found


def _backlog(scenario: Scenario, answered: pd.DataFrame, day: int) -> dict[str, int]:
    """How many answers have no label yet: those whose label is not due, and those that are late."""
    unlabelled = answered[answered["label"].isna()]
    late = unlabelled["event_time"] < (day - 1 - scenario.label_delay_days) * DAY_S
    return {"waiting": int((~late).sum()), "late": int(late.sum())}


def _backlog_days(scenario: Scenario, answered: pd.DataFrame, day: int) -> list[dict[str, int]]:
    """Of each day's answers: how many have a label, wait for one, are overdue, and never get one."""
    never = ~answered.index.isin(labelling.awaited(answered).index)
    labelled = answered["label"].notna().to_numpy() & ~never
    late = (answered["event_time"] < (day - 1 - scenario.label_delay_days) * DAY_S).to_numpy()
    states = {
        "labelled": labelled,
        "waiting": ~labelled & ~never & ~late,
        "overdue": ~labelled & ~never & late,
        "never": never,
    }
    by_day = pd.DataFrame(states).groupby(answered["day"].to_numpy()).sum()
    return [
        {"day": int(each)} | {name: int(by_day.loc[each, name]) for name in states} for each in by_day.index
    ]


def _plain(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None

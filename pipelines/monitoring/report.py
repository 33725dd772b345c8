"""The monitoring report of a day: quality, drift and performance of the champion, in plain values.

Comes in: a workspace, a scenario and a day. Goes out: a dict that can be stored as JSON, cheap enough to
be made at the end of every simulated day. It holds no times and no ids of runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines import branches
from pipelines.evaluation import BLOCKED_DAYS
from pipelines.lifecycle import EVALUATION, Monitor
from pipelines.monitoring import performance, quality
from pipelines.monitoring.drift import compare
from pipelines.monitoring.operations import compare_canary
from pipelines.monitoring.reference import (
    LEAST_ANSWERS,
    SCORE,
    WEEK_DAYS,
    Reference,
    by_chance,
    find_reference,
    read_reference,
)
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S, Calendar, Scenario
from pipelines.serving import labelling
from pipelines.serving.logged import Log, newest_day
from pipelines.serving.window import Window
from pipelines.workspace import Workspace

# Where a week has fewer, as many weeks are looked at as it takes, up to so many.
MOST_WEEKS = 4


def monitor(
    workspace: Workspace,
    scenario: Scenario | str,
    day: int,
    *,
    branch: str | None = None,
    window_days: int = 7,
    resamples: int = 100,
    seed: int = 1,
    method: str | None = None,
    log: Log | Window | None = None,
) -> dict[str, Any]:
    """How the champion stands when `day` begins, with what is known by then.

    Parameters
    ----------
    log : Log or Window, optional
        Where answers are read from, for whoever has read the days before.

    Returns
    -------
    dict
        scenario, day, version, window_days, summary, and quality, drift, canary and performance as
        `report_on` says.

    Raises
    ------
    Missing
        Nothing serves, or the champion's run is gone.
    Unavailable, Damaged
        The log or the champion's files can't be read.
    """
    scenario = find_scenario(scenario) if isinstance(scenario, str) else scenario
    reference = find_reference(workspace, scenario, branch)
    log = log or Log(workspace, scenario, branch or branches.live(workspace, scenario.name))
    rules = labelling.rules(workspace, scenario.name, branch)
    return _report_with(reference, log, scenario, day, window_days, resamples, seed, method, rules)


def monitor_run(
    workspace: Workspace,
    scenario: Scenario,
    features_path: Path,
    model_path: Path,
    deployment: Mapping[str, Any],
    params: Monitor,
    seed: int,
) -> dict[str, Any]:
    """The report on the version that a run deployed, on the newest day that was answered.

    Parameters
    ----------
    features_path, model_path : Path
        The run's artifacts; its evaluation is beside them.
    deployment : mapping
        The receipt of its deployment.

    Returns
    -------
    dict
        As `monitor`; with no answers yet it says so.
    """
    evaluation_path = features_path.parents[1] / EVALUATION.path
    version = int(deployment.get("version") or 0)
    reference = read_reference(scenario.name, version, features_path, model_path, evaluation_path)
    day = newest_day(workspace, scenario.name)
    method = None if params.method == "default" else params.method
    return _report_with(
        reference,
        Log(workspace, scenario, branches.live(workspace, scenario.name)),
        scenario,
        reference.until_day if day is None else day + 1,
        params.window_days,
        params.resamples,
        seed,
        method,
    )


def in_brief(report: Mapping[str, Any], raised: int = 0) -> dict[str, Any]:
    """What a ledger keeps of a day: drifted columns, alerts raised, and the metric with its interval."""
    measured = report["performance"]
    low, high = measured["intervals"]["alert_precision"]
    value = measured["metrics"]["alert_precision"]
    metric = {"name": "alert_precision", "value": value, "low": low, "high": high}
    drift = report.get("drift")
    return {
        "drifted": sum(each["alarm"] for each in drift["columns"]) if drift else None,
        "alerts": raised,
        "metric": metric if value is not None else None,
    }


def _report_with(
    reference: Reference,
    log: Log | Window,
    scenario: Scenario,
    day: int,
    window_days: int,
    resamples: int,
    seed: int,
    method: str | None,
    rules: Sequence[labelling.Rule] = (),
) -> dict[str, Any]:
    read_from = day - scenario.label_delay_days - window_days
    answered = log.read(read_from, day, at_s=day * DAY_S, routes=("champion", "canary"))
    answered = labelling.weigh(rules, answered)
    recent = log.positives((read_from - BLOCKED_DAYS) * DAY_S, day * DAY_S)
    positives = pd.concat([reference.known_positives, recent]) if len(recent) else reference.known_positives
    more = None
    if (answered["day"] >= day - window_days).sum() < LEAST_ANSWERS:
        more = log.read(day - MOST_WEEKS * WEEK_DAYS, day, routes=("champion", "canary"))
    return report_on(
        scenario,
        answered,
        positives,
        reference,
        day,
        window_days=window_days,
        resamples=resamples,
        seed=seed,
        method=method,
        more=more,
    )


def report_on(
    scenario: Scenario,
    answered: pd.DataFrame,
    positives: pd.DataFrame,
    reference: Reference,
    day: int,
    *,
    window_days: int = 7,
    resamples: int = 100,
    seed: int = 1,
    method: str | None = None,
    more: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """The report on answers that are at hand; see `monitor`.

    Parameters
    ----------
    answered : DataFrame
        As `serving.logged.read_logged` returns it, of the window and of as many days more as labels take.
    more : DataFrame, optional
        Answers of some weeks: where the window has too few, drift is measured over as many as it needs.

    Returns
    -------
    dict
        quality: list of checks {name, found, expected, passed, meaning}. drift: reference_days, days, rows,
        columns [{name, kind, method, score, threshold, drifted, alarm_from, alarm}], the largest first, and
        drifted_share. performance: see `performance.measure`. canary: see `operations.compare_canary`.
        days: [{day, answers, alerts}].
    """
    window = answered[answered["day"] >= day - window_days]
    report: dict[str, Any] = {
        "scenario": scenario.name,
        "day": day,
        "version": reference.version,
        "window_days": window_days,
        "answers": len(window),
        "days": _by_day(window),
        "quality": [],
        "drift": None,
        "canary": compare_canary(window),
        "performance": performance.measure(
            scenario, answered, positives, reference, day, window_days, resamples, seed
        ),
    }
    if len(window):
        checks = quality.check(scenario, answered, reference, day, window_days)
        report["quality"] = [asdict(each) for each in checks]
    days = window_days
    while len(window) < LEAST_ANSWERS and more is not None and days < MOST_WEEKS * WEEK_DAYS:
        days += WEEK_DAYS
        window = more[more["day"] >= day - days]
    if len(window) >= LEAST_ANSWERS:
        report["drift"] = _drift(scenario, window, reference, day, days, method)
    return report | {"summary": summarise(scenario, report)}


def summarise(scenario: Scenario, report: dict[str, Any]) -> str:
    """The report in a sentence or two."""
    measured, name = report["performance"], scenario.positive
    if not report["answers"]:
        return f"No {scenario.event} was answered in the last {report['window_days']} days."
    if measured["status"] == "waiting":
        due = measured["until_day"] + scenario.label_delay_days + 1
        answers = f"Version {report['version']} answers, but no label has come yet"
        return f"{answers}; the first are due about day {due}."
    if measured["status"] == "blind":
        return "Alerts get no label, so nobody can say whether they are right."
    found, promised = (
        each["alert_precision"] for each in (measured["metrics"], measured["promised"]["metrics"])
    )
    if found is None:
        return f"So far {measured['positives']} {name} are known, too few to measure."
    words = f"Of 100 alerts {100 * found:.0f} are right"
    low, high = measured["intervals"]["alert_precision"]
    if low is not None:
        words += f" (95% interval {100 * low:.0f} to {100 * high:.0f})"
    return words + (f"; it was {100 * promised:.0f} in the evaluation." if promised is not None else ".")


def _drift(
    scenario: Scenario,
    window: pd.DataFrame,
    reference: Reference,
    day: int,
    window_days: int,
    method: str | None,
) -> dict[str, Any]:
    names = [*reference.card["features"], SCORE]
    # In a part of a week, weekends and nights are other ones; everything else can be compared.
    calendar = {each.name for each in scenario.features if isinstance(each, Calendar)}
    whole = window["day"].nunique() % WEEK_DAYS == 0
    of_champion = window[window["version"] == reference.version]
    if not len(of_champion):
        names.remove(SCORE)  # a version that has answered nothing yet has no scores to compare
    current = window.assign(**{SCORE: window[SCORE].where(window["version"] == reference.version)})
    found = compare(reference.features, current, columns=names, method=method, distances=True)
    # The thresholds are those of whole weeks. Fewer days differ more by chance, as means of fewer do.
    fewer = max(1.0, math.sqrt(WEEK_DAYS / window["day"].nunique()))
    columns = []
    for each in found.columns:
        alarm_from = each.threshold
        if method is None and alarm_from is not None:
            by_itself = fewer * reference.thresholds.get(each.name, alarm_from)
            alarm_from = max(by_itself, by_chance(each.reference_rows, each.current_rows))
        alarm = each.drifted if each.score is None or method is not None else each.score >= (alarm_from or 0)
        alarm = alarm and (whole or each.name not in calendar)
        columns.append(
            {
                name: getattr(each, name)
                for name in ("name", "kind", "method", "score", "threshold", "drifted")
            }
            | {"alarm_from": alarm_from, "alarm": bool(alarm), "missing_drifted": each.missing_drifted}
        )
    columns.sort(key=lambda each: (not each["alarm"], -(each["score"] or 0) / (each["alarm_from"] or 1)))
    return {
        "reference_days": [reference.from_day, reference.until_day],
        "days": [day - window_days, day],
        "rows": len(of_champion),
        "columns": columns,
        "drifted_share": found.drifted_share,
    }


def _by_day(window: pd.DataFrame) -> list[dict[str, int]]:
    by_day = window.groupby("day")["decision"].agg(["size", "sum"])
    return [
        {"day": int(day), "answers": int(size), "alerts": int(alerts)}
        for day, size, alerts in zip(by_day.index, by_day["size"], by_day["sum"], strict=True)
    ]

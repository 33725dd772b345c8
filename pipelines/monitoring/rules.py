"""Rules: what each day's report is held against, and when something found is worth an alert.

Comes in: a day's report and those before it. Goes out: which rules it meets, with what was found and what
was expected. Alerts themselves, and their lives, are in `alerts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.monitoring import operations, quality

Severity = Literal["bad", "attention"]

# Of weeks in which nothing has changed a rule is met in at most this part, on whichever of their days:
# `tests/monitoring/test_false_alarms.py` counts them on a hundred worlds of each industry, reported each day.
# Of fraud's 700 weeks "performance" was met in 4, of the machines' 700 "score_drift" in 1, of the biopsies'
# 100 "performance" in 1, and no other rule in any.
FALSE_ALARMS = 0.01

# A week of bad luck among the stolen cards looks like decay for some days: of such weeks there is one in
# twenty. So a loss counts at once when more than half is lost, and else when a week of reports shows it.
MUCH = 0.5
LASTING_DAYS = 7


@dataclass(frozen=True)
class Rule:
    """Something that is held against every report.

    Attributes
    ----------
    name, title : str
    severity : {"bad", "attention"}
        "bad" costs money now; "attention" may.
    owner : str
        Whose it is to act.
    meaning, hint : str
        Why it matters and what to do.
    """

    name: str
    title: str
    severity: Severity
    owner: str
    meaning: str
    hint: str


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "errors",
            "Requests get no answer",
            "bad",
            "engineer on call",
            "What is not answered is not decided: it passes unseen, and whoever waits goes elsewhere.",
            "Read what they are told: it says what was found and what was expected.",
        ),
        Rule(
            "latency",
            "Answers come too late",
            "bad",
            "engineer on call",
            "An answer that comes after the customer has gone is none.",
            "Compare the time a model takes with the time that passes: something else may be in the way.",
        ),
        Rule(
            "canary",
            "The canary alerts out of all proportion",
            "bad",
            "data scientist",
            "It answers a part of the traffic, and what it says of it is no better than chance could be.",
            "End it first; then find out what is different about it.",
        ),
        Rule(
            "performance",
            "The model is less right than it was",
            "bad",
            "data scientist",
            "The whole interval lies below the one that the evaluation promised: it is not bad luck.",
            "Look at what drifted, then retrain: the new model learns from what is true now.",
        ),
        Rule(
            "input_drift",
            "What comes in has changed",
            "attention",
            "data scientist",
            "The model meets values it has not learnt from. Whether that harms, only labels will show.",
            "Look at the columns named; ask whoever sends them before you retrain.",
        ),
        Rule(
            "score_drift",
            "The scores have changed",
            "attention",
            "data scientist",
            "More, or fewer, alerts are raised than the threshold was set for.",
            "Compare the scores before and now; if their inputs drifted too, begin there.",
        ),
        Rule(
            "quality",
            "The data are not as expected",
            "bad",
            "data engineer",
            "A model can't be better than what it is given.",
            "Mend the source first; a retrained model would learn the fault.",
        ),
        Rule(
            "labels",
            "Labels do not arrive",
            "attention",
            "data engineer",
            "Without labels nobody sees the model decay.",
            "Find out where the labels are held up.",
        ),
    )
}


def findings(
    report: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]] = ()
) -> dict[str, tuple[str, str]]:
    """Which rules a report meets, each with what was found and what was expected.

    Parameters
    ----------
    earlier : sequence of mapping
        The reports of the days before: a loss that is not large counts once it lasts.
    """
    found: dict[str, tuple[str, str]] = {}
    performance, drift = report.get("performance") or {}, report.get("drift") or {}
    decayed = [
        name
        for name in ("average_precision", "alert_precision")
        if is_below(performance, name)
        and (_has_lost_much(performance, name) or _has_lasted(report, earlier, name))
    ]
    if decayed:
        shown = "alert_precision" if "alert_precision" in decayed else decayed[0]
        found["performance"] = _measured(performance, shown)
    alarmed = [each for each in drift.get("columns", []) if each["alarm"]]
    inputs = [each for each in alarmed if each["name"] != "score"]
    for rule, columns in (("input_drift", inputs), ("score_drift", [c for c in alarmed if c not in inputs])):
        if columns:
            worst = columns[0]
            more = f" and {len(columns) - 1} more" if len(columns) > 1 else ""
            found[rule] = (
                f"{worst['name']}{more}: {worst['method']} {worst['score']:.2f}",
                f"below {worst['alarm_from']:.2f}, which weeks do not reach by themselves",
            )
    failed = [each for each in report.get("quality", []) if not each["passed"]]
    of_labels = {quality.LABELS_ARRIVE, quality.LABELS_OF_ALERTS}
    for rule in ("labels", "quality"):
        broken = [each for each in failed if (each["name"] in of_labels) == (rule == "labels")]
        if broken:
            found[rule] = (f"{broken[0]['name']}: {broken[0]['found']}", broken[0]["expected"])
    return found | _of_operations(report)


def _of_operations(report: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Which rules the newest day meets for whoever runs the route."""
    found: dict[str, tuple[str, str]] = {}
    of_day, canary = report.get("operations"), report.get("canary")
    if of_day and of_day["lost"] > operations.MOST_LOST * of_day["sent"]:
        said = f": {of_day['refusals'][0][0].rstrip('.')}" if of_day["refusals"] else ""
        what = f"{of_day['lost']:,} of {of_day['sent']:,} got no answer{said}"
        found["errors"] = (what, f"at most {operations.MOST_LOST:.0%} a day")
    if of_day and of_day["slow_ms"] is not None:
        what = f"Of 20 answers one takes {of_day['slow_ms'] / 1000:.1f} s or more"
        found["latency"] = (what, f"at most {operations.SLOW_MS / 1000:.0f} s")
    if canary and operations.is_out_of_proportion(canary):
        mine, its = (100 * canary[f"{of}alerts"] / max(1, canary[f"{of}answers"]) for of in ("", "champion_"))
        what = f"version {canary['version']} alerts {mine:.0f} of 100, the champion {its:.1f}"
        found["canary"] = (what, f"at most {operations.OUT_OF_PROPORTION:.0f} times as many")
    return found


def is_below(performance: Mapping[str, Any], name: str) -> bool:
    """Whether the figure's whole interval lies below the one that was promised."""
    if performance.get("status") != "measured":
        return False
    high = performance["intervals"][name][1]
    low = performance["promised"]["intervals"][name][0]
    return high is not None and low is not None and high < low


def _has_lost_much(performance: Mapping[str, Any], name: str) -> bool:
    """Whether more than half is lost even at the upper end of the interval."""
    return bool(performance["intervals"][name][1] < MUCH * performance["promised"]["metrics"][name])


def _has_lasted(report: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Whether the figure was below on each of the last `LASTING_DAYS`, today included."""
    days = {
        int(each["day"])
        for each in earlier
        if each.get("version") == report.get("version") and is_below(each["performance"], name)
    }
    today = int(report["day"])
    return all(day in days for day in range(today - LASTING_DAYS + 1, today))


def _measured(performance: Mapping[str, Any], name: str) -> tuple[str, str]:
    value, (low, high) = performance["metrics"][name], performance["intervals"][name]
    promised = performance["promised"]
    what = {"alert_precision": "Of 100 alerts {} are right", "average_precision": "Average precision {}"}[
        name
    ]
    if name == "alert_precision":
        words = f"{what.format(round(100 * value))} (95% interval {100 * low:.0f} to {100 * high:.0f})"
        first, last = (100 * end for end in promised["intervals"][name])
        return (
            words,
            f"{100 * promised['metrics'][name]:.0f} ({first:.0f} to {last:.0f}), as in the evaluation",
        )
    words = f"{what.format(f'{value:.2f}')} (95% interval {low:.2f} to {high:.2f})"
    first, last = promised["intervals"][name]
    return words, f"{promised['metrics'][name]:.2f} ({first:.2f} to {last:.2f}), as in the evaluation"

"""A lineage in words: the lines that the command line prints, and sentences that pages share.

Comes in: a lineage. Goes out: text; nothing is looked up here.
"""

from __future__ import annotations

import time

from pipelines.lifecycle import LIFECYCLE
from pipelines.lineage.records import Check, Lineage
from pipelines.promotion import Promotion
from pipelines.scenarios import SCENARIOS
from pipelines.scenarios.scenario import DAY_S
from pipelines.tasks.money import amount

# What a line names; the rest is in the JSON.
FEATURES_TOLD = 6
GAPS_TOLD = 7
LIBRARIES_TOLD = ("python", "scikit-learn", "numpy")


def lines(lineage: Lineage) -> list[str]:
    """The chain from the answer to the data, then what is known of it since; at most 25 lines."""
    told = [*_answer(lineage), *_version(lineage), *_run(lineage), *_afterwards(lineage)]
    gaps = [f"  missing   {gap.what} {gap.means}" for gap in lineage.gaps[:GAPS_TOLD]]
    if len(lineage.gaps) > GAPS_TOLD:
        gaps.append(f"  missing   and {len(lineage.gaps) - GAPS_TOLD} more: add --json")
    # What learners and clients wrote must not move the cursor of whoever reads it.
    return ["".join(each if each.isprintable() else " " for each in line) for line in told + gaps]


def label_words(lineage: Lineage) -> str:
    """What turned out to be true, or when that will be known."""
    truth, scenario = lineage.truth, SCENARIOS.get(lineage.prediction.stream.scenario)
    positive = scenario.positive if scenario else "positive"
    day = f" It is day {truth.today}." if truth.today is not None else ""
    if truth.state == "known":
        said = positive if truth.label else f"no {positive}"
        return f"It was {said}, known since {moment_of(truth.known_s)}."
    if truth.state == "awaited":
        since = moment_of(lineage.prediction.event_time)
        return f"Awaited since {since}, due {moment_of(truth.due_s)}.{day}"
    if truth.state == "overdue":
        return f"Overdue: it was due {moment_of(truth.due_s)}.{day} Cleaning may have left the event out."
    if truth.state == "never":
        why = "an alert that is stopped" if lineage.prediction.decision else "what raises no alert"
        return f"It will never be known: {why} gets no label here, unless chance chooses it."
    if truth.state == "unasked":
        return "Sent by hand: no world knows the outcome. Tell it by POST /feedback."
    return "Not known, and nobody can say when it is due."


def worth_words(lineage: Lineage) -> str:
    """What the decision was worth in money, and why."""
    worth, decided = lineage.worth, lineage.prediction.decision
    if worth is None:
        return "Not known before the label is."
    if lineage.truth.label:
        lost = amount(worth.without, worth.unit)
        what = f"Caught: {lost} not lost" if decided else f"Missed: {lost} lost, as without a model"
    else:
        what = "A false alarm" if decided else "Rightly left alone"
    bill = f", {amount(worth.cost, worth.unit)} for the alert" if decided else ""
    sign = f"{'saved' if worth.saved >= 0 else 'lost'} {amount(abs(worth.saved), worth.unit)}"
    total = f": {sign}." if decided else "."
    looked_on = "" if worth.acted_on else " As a shadow it only looked on: nobody acted on it."
    return what + bill + total + looked_on


def approval_words(row: Promotion) -> str:
    """Who decided what, when and why."""
    who = f"by {row.source}" if row.source else "by hand"
    day = f", day {row.day}" if row.day is not None else ""
    stage = f"{row.action} to {row.stage}" if row.action == "promote" else f"{row.action} in {row.stage}"
    branch = f", branch {row.branch}" if row.branch else ""
    return f"{stage} {who} at {wall_clock(row.at)}{day}{branch}: {row.reason or 'no reason given'}"


def checks_words(checks: tuple[Check, ...]) -> list[tuple[str, str]]:
    """Each check as a word and what was found."""
    word = {True: "holds", False: "BROKEN", None: "open"}
    return [(f"{check.name} {word[check.ok]}", check.found) for check in checks]


def changed_params(lineage: Lineage) -> list[str]:
    """step.param=value of whatever differs from the default."""
    if lineage.run is None:
        return []
    return [
        f"{step}.{name}={value}"
        for step, values in lineage.run.params.items()
        for name, value in values.items()
        if value != LIFECYCLE.step(step).check({}).model_dump().get(name)
    ]


def moment_of(time_s: int | None) -> str:
    """A time of a world: "day 63, 10:21"."""
    if time_s is None:
        return "at a time not known"
    return f"day {time_s // DAY_S}, {time_s % DAY_S // 3600:02}:{time_s % 3600 // 60:02}"


def wall_clock(at: float) -> str:
    """A time of ours."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _answer(lineage: Lineage) -> list[str]:
    made = lineage.prediction
    stream = made.stream
    sent = ", ".join(f"{name} {value}" for name, value in made.event.items())
    seen = [f"{name} {value:.5g}" for name, value in lineage.features.items()]
    more = f" and {len(seen) - FEATURES_TOLD} more" if len(seen) > FEATURES_TOLD else ""
    threshold = f"{lineage.threshold:.4g}" if lineage.threshold is not None else "not known"
    cold = f"; never seen before: {made.cold_start.replace(',', ', ')}" if made.cold_start else ""
    return [
        f"Prediction {lineage.prediction_id}: {stream.scenario}, branch {stream.branch}, "
        f"world {stream.world}",
        f"  sent      event {made.event_id}, {moment_of(made.event_time)}: {sent}{cold}",
        f"  saw       {', '.join(seen[:FEATURES_TOLD])}{more}",
        f"  answered  {made.score:.6g}: {'an alert' if made.decision else 'no alert'} "
        f"(threshold {threshold}), as {made.route}, at {wall_clock(made.at)}",
    ]


def _version(lineage: Lineage) -> list[str]:
    version = lineage.version
    gate = f"gate {version.gate}" if version.gate else "its gate is not known"
    reasons = f" ({'; '.join(version.reasons)})" if version.reasons else ""
    said = {"registry": "the registry", "receipt": "its run's receipt", "nowhere": "nobody"}[version.source]
    approval = "nobody's decision: a client named the version"
    if lineage.prediction.route != "version":
        approval = approval_words(lineage.approval) if lineage.approval else "not in the ledger"
    return [
        f"Version {version.number}: {gate}{reasons}, digest {version.digest or 'not known'}, says {said}",
        f"  approval  {approval}",
    ]


def _run(lineage: Lineage) -> list[str]:
    run, data = lineage.run, lineage.data
    found = ["Run: gone"]
    if run is not None:
        libraries = ", ".join(
            f"{name} {run.libraries[name]}" for name in LIBRARIES_TOLD if name in run.libraries
        )
        base = f", from {run.base}" if run.base else ""
        found = [
            f"Run {run.run_id}{base}: seed {run.seed}, code {run.code or 'not known'}, {libraries}",
            f"  params    {', '.join(changed_params(lineage)) or 'all by default'}",
        ]
        found += [
            f"  {step:8}  {run.notebooks[step]}" for step in ("train", "evaluate") if step in run.notebooks
        ]
    if lineage.mlflow_run:
        found.append(f"  mlflow    run {lineage.mlflow_run}")
    if data is None:
        return [*found, "Data: not known"]
    whole = {True: "whole", False: "NOT what was kept", None: "its rows are not kept"}[data.whole]
    rows = f"{data.rows:,} rows, " if isinstance(data.rows, int) else ""
    number = f"version {data.number}" if data.number is not None else "no version"
    return [*found, f"Data {number}: {rows}digest {data.digest or 'not known'}, {whole}"]


def _afterwards(lineage: Lineage) -> list[str]:
    checks = "; ".join(name for name, _ in checks_words(lineage.checks))
    notable = [check.found for check in lineage.checks if not check.ok]
    return [
        f"Label: {label_words(lineage)}",
        f"Worth: {worth_words(lineage)}",
        f"Checks: {checks}.{' ' if notable else ''}{' '.join(notable)}",
    ]

"""The chain behind one answer, from the data to the decision: what each link says and where it leads.

Comes in: a workspace, a scenario and perhaps a prediction's id. Goes out: words and addresses; nothing is
drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pages.parts import rooms
from pages.parts.words import clock, distinct, plain, several
from pipelines.errors import FlightdeckError, Missing
from pipelines.lifecycle import LIFECYCLE
from pipelines.lineage import Lineage, follow, telling
from pipelines.scenarios import SCENARIOS
from pipelines.scenarios.scenario import Scenario
from pipelines.serving import prediction_log
from pipelines.serving.predictions import Prediction
from pipelines.workspace import Workspace

LISTED = 100  # Newest answers to choose from; any other is reached by its id.
DIGITS = 8  # Of a digest or a commit: enough to tell two apart.


@dataclass(frozen=True)
class Way:
    """A button of a link: its words, its icon and the page that it leads to."""

    words: str
    icon: str
    page: str
    query: dict[str, str]


@dataclass(frozen=True)
class Link:
    """One link of the chain, in Markdown: a fact, what else is known of it, and where to look further.

    Attributes
    ----------
    sound : bool
        False where something is gone or is not what it should be.
    """

    title: str
    fact: str
    notes: tuple[str, ...] = ()
    ways: tuple[Way, ...] = ()
    sound: bool = True


@dataclass(frozen=True)
class Facts:
    """What is shown: one lineage, the newest answers to choose from, and why another is not shown."""

    scenario: Scenario
    recent: list[Prediction]
    lineage: Lineage | None
    problem: FlightdeckError | None


def look(workspace: Workspace, scenario: Scenario, prediction_id: str, *, verify: bool = False) -> Facts:
    """The lineage of the answer that is named, else of the newest.

    Raises
    ------
    Damaged, Unavailable
        The workspace's database can't be read.
    """
    recent = prediction_log.recent(workspace, scenario.name, LISTED)
    problem: FlightdeckError | None = None
    if prediction_id:
        try:
            return Facts(scenario, recent, follow(workspace, prediction_id, verify=verify), None)
        except Missing as error:
            problem = error
    newest = follow(workspace, recent[0].prediction_id, verify=verify) if recent else None
    return Facts(scenario, recent, newest, problem)


def scenario_of(workspace: Workspace, prediction_id: str) -> str | None:
    """The scenario that an answer is about; None when there is no such answer, or nobody knows that world."""
    try:
        found = prediction_log.trace(workspace, prediction_id).stream.scenario if prediction_id else None
    except (FlightdeckError, ValueError):
        return None
    return found if found in SCENARIOS else None


def headline(facts: Facts) -> tuple[str, str]:
    """Who gave this answer, and whether its chain holds."""
    found = facts.lineage
    if found is None:
        return "Nothing was answered yet", "Every answer is logged, and can be followed back to its data."
    what = "raised this alert" if found.prediction.decision else "gave this answer"
    data = found.data
    made = f"It was made from version {data.number} of your data. " if data and data.number else ""
    broken = [check for check in found.checks if check.ok is False]
    if broken:
        said = "Something in its chain does not hold: " + plain(" ".join(check.found for check in broken))
    elif found.verified:
        said = "The registered model was asked again, and gives the same score."
    else:
        said = "Each link of the chain leads to its room."
    return f"Version {found.prediction.version} {what}", made + said


def choices(facts: Facts) -> dict[str, str]:
    """The newest answers, by id, as a list shows them."""
    return distinct(
        {
            each.prediction_id: f"{clock(each.at)}, {score(each.score)}{', alert' if each.decision else ''}"
            for each in facts.recent
        }
    )


def links(found: Lineage) -> tuple[Link, ...]:
    """The chain, in the order in which things were made."""
    return (_data(found), _run(found), _version(found), _approval(found), _answer(found))


def features(found: Lineage) -> pd.DataFrame:
    """The event as sent, then the row that the model saw."""
    sent = [(name, str(value)) for name, value in found.prediction.event.items()]
    seen = [(name, f"{value:,.5g}") for name, value in found.features.items()]
    rows = [("sent", *row) for row in sent] + [("seen", *row) for row in seen]
    return pd.DataFrame(rows, columns=["", "Name", "Value"])


def params(found: Lineage) -> pd.DataFrame:
    """Params of every step; those that differ from the default first."""
    rows = []
    for step, values in (found.run.params if found.run else {}).items():
        defaults = LIFECYCLE.step(step).check({}).model_dump()
        rows += [(step, name, str(value), value != defaults.get(name)) for name, value in values.items()]
    ordered = sorted(rows, key=lambda row: not row[3])
    return pd.DataFrame(
        [(step, name, value, "yes" if changed else "") for step, name, value, changed in ordered],
        columns=["Step", "Param", "Value", "Changed"],
    )


def score(value: float) -> str:
    """A score with as many decimals as matter."""
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def _data(found: Lineage) -> Link:
    data, scenario = found.data, SCENARIOS.get(found.prediction.stream.scenario)
    if data is None:
        return Link("The data", "Not known", ("No receipt says which rows it learnt from.",), sound=False)
    fact = f"Version {data.number}" if data.number is not None else "Without a version"
    rows = ""
    if isinstance(data.rows, int) and scenario:
        rows = several(data.rows, scenario.event, scenario.events)
        rows += f" of {several(data.days, 'day', 'days')}" if data.days else ""
    whole = {
        True: "Whole: the rows are what was kept.",
        False: "Its rows are gone or changed.",
        None: "Rows not kept.",
    }
    notes = (plain(rows), whole[data.whole], f"Digest {plain(data.digest[:DIGITS])}")
    query = {"scenario": found.prediction.stream.scenario, "view": "versions"}
    query |= {"run": found.run.run_id} if found.run else {}
    way = Way("Look at it", "database", rooms.file_of(rooms.DATA), query)
    return Link("The data", fact, notes, (way,), data.whole is True and not _broken(found, "events"))


def _run(found: Lineage) -> Link:
    run = found.run
    if run is None:
        return Link("The run", "Gone", ("Its params and notebooks went with it.",), sound=False)
    used = [f"{name} {run.libraries[name]}" for name in ("scikit-learn", "python") if name in run.libraries]
    began = f" It started from {run.base}." if run.base else ""
    notes = (
        plain(f"Seed {run.seed}, code {run.code[:DIGITS] or 'not known'}.{began}"),
        plain(", ".join(used)),
        f"MLflow run {plain(found.mlflow_run[:DIGITS])}" if found.mlflow_run else "",
    )
    history, notebooks = rooms.file_of(rooms.HISTORY), rooms.file_of(rooms.NOTEBOOKS)
    ways = [Way("The run", "history", history, {"run": run.run_id})]
    for step, words in (("train", "Training"), ("evaluate", "Evaluation")):
        if step in run.notebooks:
            ways.append(Way(words, "menu_book", notebooks, {"run": run.run_id, "step": step}))
    return Link("The run", f"Made {clock(run.created_at)}", notes, tuple(ways))


def _version(found: Lineage) -> Link:
    version = found.version
    gate = {
        "passed": "Its gate let it pass.",
        "failed": "Its gate stopped it.",
        None: "Its gate is not known.",
    }
    said = {
        "registry": "",
        "receipt": "MLflow does not tell: its run did.",
        "nowhere": "Nobody knows it.",
    }
    digest = f"Digest {plain(version.digest[:DIGITS])}" if version.digest else "Its digest is not known."
    query = {"scenario": version.model, "version": str(version.number)}
    way = Way("In the registry", "inventory_2", rooms.file_of(rooms.REGISTRY), query)
    notes = tuple(words for words in (gate[version.gate], digest, said[version.source]) if words)
    sound = version.gate == "passed" and not _broken(found, "model")
    return Link("The version", f"Version {version.number}", notes, (way,), sound)


def _approval(found: Lineage) -> Link:
    title, row = "The approval", found.approval
    way = Way("The ledger", "rocket_launch", rooms.file_of(rooms.DEPLOY), {"view": "stages"})
    if found.prediction.route == "version":
        return Link(title, "None needed", ("A client named the version.",), (way,))
    if row is None:
        return Link(title, "Not found", ("No row of the ledger names it.",), (way,), sound=False)
    day = f" on day {row.day}" if row.day is not None else ""
    who = "by its run" if row.source else "by hand"
    fact = f"{row.stage.capitalize()}{day}"
    reason = plain(row.reason) if row.reason else "No reason was given."
    action = "Rolled back" if row.action == "rollback" else "Promoted"
    return Link(title, fact, (f"{action} {who}, {clock(row.at)}.", reason), (way,))


def _answer(found: Lineage) -> Link:
    made = found.prediction
    decided = "an alert" if made.decision else "no alert"
    alert = f"Alert from {score(found.threshold)} on." if found.threshold is not None else ""
    branch = "" if made.stream.branch == "main" else f", branch {plain(made.stream.branch)}"
    notes = (
        f"As {made.route}{branch}, {clock(made.at)}.",
        f"{telling.moment_of(made.event_time).capitalize()}. {alert}",
    )
    query = {"scenario": made.stream.scenario, "view": "ask", "prediction": found.prediction_id}
    way = Way("Ask again", "rocket_launch", rooms.file_of(rooms.DEPLOY), query)
    sound = not _broken(found, "id", "decision", "score")
    return Link("The answer", f"{score(made.score)}: {decided}", notes, (way,), sound)


def _broken(found: Lineage, *names: str) -> bool:
    """Whether one of these checks found something else than it should have."""
    return any(check.ok is False for check in found.checks if check.name in names)

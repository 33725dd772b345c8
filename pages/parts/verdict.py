"""What Evaluate shows of one model: who it is, what the gate said, and what each threshold would mean.

Comes in: a workspace and a scenario. Goes out: plain values; nothing is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pages.parts import rooms
from pages.parts.models import Model, champion_of, pick, tested_models
from pages.parts.record import Record, newest_records, read_ledger
from pages.parts.words import NARROW, plain
from pipelines import promotion
from pipelines.errors import FlightdeckError
from pipelines.lifecycle import LIFECYCLE
from pipelines.scenarios.scenario import Scenario
from pipelines.settings import REPOSITORY
from pipelines.tasks.money import amount
from pipelines.workspace import Workspace


@dataclass(frozen=True)
class Facts:
    """What was found in the runs and the ledger; model is the one that is shown."""

    scenario: Scenario
    records: list[Record]
    models: list[Model]
    serving: promotion.Serving
    model: Model | None

    @property
    def newest(self) -> Record | None:
        return self.records[0] if self.records else None

    @property
    def working(self) -> Record | None:
        """A run that is evaluating a model, or will."""
        newest = self.newest
        going = newest is not None and not newest.state.finished and "evaluate" in newest.run.steps
        return newest if going else None

    @property
    def untested(self) -> Record | None:
        """The newest run, if it has trained a model that nothing has tested."""
        newest = self.newest
        if newest is None or not newest.state.finished:
            return None
        return newest if newest.done("train") and not newest.done("evaluate") else None

    @property
    def serves(self) -> bool:
        """Whether the model that is shown answers now."""
        champion = champion_of(self.models, self.serving)
        return champion is not None and self.model is not None and champion.run_id == self.model.run_id


@dataclass(frozen=True)
class Next:
    """The one thing to do next. With `steps` it starts a run; else it leads to `page`."""

    button: str
    words: str
    page: str = ""
    query: dict[str, str] | None = None
    steps: tuple[str, ...] = ()


def look(workspace: Workspace, scenario: Scenario, run_id: str) -> Facts:
    """Everything Evaluate is about; the model of `run_id` is shown, if it has one.

    Raises
    ------
    Damaged, Unavailable
        The workspace's database can't be read.
    """
    serving, _ = read_ledger(workspace, scenario.name)
    models = tested_models(workspace, scenario)
    model = pick(models, run_id, serving) if models else None
    return Facts(scenario, newest_records(workspace, scenario.name), models, serving, model)


def headline(facts: Facts) -> tuple[str, str]:
    """How good the model is, as a title in words, and what follows from it."""
    scenario, model, newest = facts.scenario, facts.model, facts.newest
    if model is None:
        if facts.working is not None:
            return "Your first model is on its way to its test", "What the test finds will be here."
        current = newest.state.current if newest else None
        if newest is not None and newest.state.status == "failed" and current is not None:
            return f"The run stopped at: {LIFECYCLE.step(current.name).title.lower()}", plain(
                newest.state.cause
            )
        if facts.untested is not None:
            return "Your model has not been tested yet", "Nobody should serve what was never tested."
        return (
            "There is no model to test yet",
            f"{scenario.question} Make one, and see here how well it answers.",
        )
    right = model.report["metrics"]["card_precision"]
    if right is None:
        return "The test of your model can't be measured", plain(model.report["summary"])
    who = f"{model.name[:1].upper()}{model.name[1:]}"
    title = (
        f"Of 100 alerts, {right * 100:.0f} {'is' if round(right * 100) == 1 else 'are'} {scenario.positive}"
    )
    without = model.report["baseline"]["card_precision"] or 0
    role = (
        f"answers every {scenario.event} now"
        if facts.serves
        else ("passed the gate" if model.passed else "was stopped by the gate")
    )
    return title, f"{plain(who)} {role}. Without a model, **{without * 100:.0f}** of 100 would be right."


def next_step(facts: Facts) -> Next:
    """What the state asks for: watch, run the evaluation, deploy, or train another."""
    notebooks, model, newest = rooms.file_of(rooms.NOTEBOOKS), facts.model, facts.newest
    if newest is None:
        return Next("Make a model", "Runs all ten notebooks as they come.", steps=LIFECYCLE.road)
    if facts.working is not None:
        return Next("Watch the notebook", "Cell by cell, as it runs.", notebooks, {"run": newest.run_id})
    current = newest.state.current
    if newest.state.status == "failed" and current is not None and current.name == "evaluate":
        query = {"run": newest.run_id, "step": "evaluate"}
        return Next("Look at the failure", "See the cause and what to try.", notebooks, query)
    if facts.untested is not None:
        return Next("Run the evaluation", "On the newest days whose outcome is known.", steps=("evaluate",))
    if model is None:
        query = {"run": newest.run_id, "step": current.name if current else LIFECYCLE.road[0]}
        return Next("Go on", "A model comes before its test.", notebooks, query)
    if model.passed and not facts.serves:
        return _deploy(model)
    query = {"run": model.run_id, "step": "train", "view": "params"}
    return Next("Train another", "Change one thing; the gate decides.", notebooks, query)


def _deploy(model: Model) -> Next:
    """To Deploy where there is that room, else to the notebook of the first step that is missing."""
    room = rooms.file_of(rooms.DEPLOY)
    if model.version is not None and (REPOSITORY / room).is_file():
        query = {"scenario": model.record.run.scenario, "version": str(model.version)}
        return Next("Deploy this", "The gate let it pass.", room, query)
    missing = [name for name in LIFECYCLE.road if not model.record.done(name)]
    query = {"run": model.run_id, "step": missing[0] if missing else LIFECYCLE.road[-1]}
    return Next("Deploy this", "The gate let it pass.", rooms.file_of(rooms.NOTEBOOKS), query)


def reasons(model: Model) -> list[tuple[bool, str, str, str]]:
    """Each rule of the gate: whether it was met, the rule, what was found and expected, and why."""
    return [
        (
            bool(each["passed"]),
            str(each["rule"]),
            f"Found {each['found']}. Expected {each['expected']}.",
            str(each["meaning"]),
        )
        for each in model.report["gate"]["reasons"]
    ]


def thresholds(found: dict[str, Any]) -> list[float]:
    """The thresholds of the money curve that a slider steps through: from few alerts to many."""
    return [each["threshold"] for each in found["curve"]]


def threshold_label(found: dict[str, Any], threshold: float) -> str:
    """A threshold and what it asks of people: near 1 many thresholds look alike, but their alerts differ."""
    point = chosen_point(found, threshold)
    return f"{threshold:.3f}: {point['alerts'] / point['days']:.1f} alerts a day"


def chosen_point(found: dict[str, Any], threshold: float) -> dict[str, Any]:
    """The figures at the point of the curve that is nearest to a threshold."""
    nearest: dict[str, Any] = min(found["curve"], key=lambda each: abs(each["threshold"] - threshold))
    return nearest


def four_figures(scenario: Scenario, found: dict[str, Any], point: dict[str, Any]) -> list[tuple[str, str]]:
    """What a threshold means: money, alerts, how many of them are right, how many of all are found."""
    days = point["days"]
    return [
        ("saved a day", amount(point["saved"] / days, found["unit"]).replace(" ", NARROW)),
        (f"{scenario.events} flagged a day", f"{point['alerts'] / days:.1f}"),
        (
            f"of 100 flagged are {scenario.positive}",
            "–" if point["right"] is None else f"{100 * point['right']:.0f}",
        ),
        (f"of 100 that are {scenario.positive} are found", f"{100 * (point['found'] or 0):.0f}"),
    ]


def bill(scenario: Scenario, found: dict[str, Any], point: dict[str, Any]) -> str:
    """The parts of the bill at a threshold, in words."""
    days, unit = point["days"], found["unit"]
    missed, reviews, false = (
        amount(point[name] / days, unit) for name in ("missed", "reviews", "false_alarms")
    )
    without = amount(point["without"] / days, unit)
    entity = scenario.alert_entity
    counts_once = (
        ""
        if entity == "event_id"
        else f" Here each {scenario.event} counts; in the title each {entity.removesuffix('_id')} counts "
        "once a day, and no more once caught."
    )
    return (
        f"A day costs {missed} missed, {reviews} for looking into alerts and {false} for wrong ones; with no "
        f"alerts at all it would cost {without}.{counts_once}"
    )


def problem_of(model: Model) -> FlightdeckError | None:
    """Why slices, money and calibration are missing, if the report was made before they were."""
    if "money" in model.report:
        return None
    return FlightdeckError(
        "This report holds no money, slices or calibration: it was made by an earlier Flightdeck.",
        "Run its evaluation again.",
    )

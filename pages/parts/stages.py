"""The stages of the loop: what is known of each, read from runs, ledgers and prediction log.

Comes in: a workspace and a scenario. Goes out: facts, and one node of the loop for each stage.
"""

from __future__ import annotations

from dataclasses import dataclass

from pages.parts import production, rooms
from pages.parts.loop import Node
from pages.parts.production import Production
from pages.parts.record import Record, newest_records, read_ledger, record_of_version
from pages.parts.words import several, share
from pipelines import promotion
from pipelines.scenarios.scenario import Scenario
from pipelines.serving import prediction_log
from pipelines.workspace import Workspace


@dataclass(frozen=True)
class Stage:
    """One stage of the loop: the steps that it stands for, and the room in which it is looked at."""

    name: str
    title: str
    steps: tuple[str, ...]
    room: str
    view: str = ""


# Some steps share a stage: more than ten nodes can't be read on a ring.
_ORDERED = (
    Stage("data", "Data", ("ingest", "validate", "clean", "version"), rooms.DATA),
    Stage("features", "Features", ("features",), rooms.NOTEBOOKS),
    Stage("train", "Train", ("train",), rooms.TRAIN),
    Stage("evaluate", "Evaluate", ("evaluate",), rooms.EVALUATE),
    Stage("register", "Register", ("register", "package"), rooms.REGISTRY),
    Stage("deploy", "Deploy", ("deploy",), rooms.DEPLOY),
    Stage("serve", "Serve", (), rooms.DEPLOY, view="ask"),
    Stage("monitor", "Monitor", (), rooms.MONITOR),
)
STAGES = {stage.name: stage for stage in _ORDERED}


def stage_of(step: str) -> str:
    """The stage that a step belongs to."""
    return next((stage.name for stage in STAGES.values() if step in stage.steps), "")


def destination(name: str) -> tuple[str, dict[str, str]]:
    """File and query of the page in which a stage is looked at."""
    stage = STAGES[name]
    if stage.room == rooms.NOTEBOOKS:
        return rooms.file_of(stage.room), {"step": stage.steps[-1]}
    return rooms.file_of(stage.room), {"view": stage.view} if stage.view else {}


COUNTED = 500  # Predictions that are counted one by one.


@dataclass(frozen=True)
class Facts:
    """What was found on disk, from which the story is told."""

    scenario: Scenario
    records: list[Record]
    serving: promotion.Serving
    promotions: list[promotion.Promotion]
    predictions: int
    production: Production

    @property
    def newest(self) -> Record | None:
        return self.records[0] if self.records else None

    def newest_with(self, step: str) -> Record | None:
        """The newest run that completed `step` itself."""
        return next((each for each in self.records if step in each.run.steps and each.done(step)), None)

    @property
    def tested(self) -> Record | None:
        """The run whose test is shown: of the version that serves, else the newest that was tested."""
        champion = self.serving.champion
        found = record_of_version(self.records, champion) if champion else None
        return found or self.newest_with("evaluate")


def gather(workspace: Workspace, scenario: Scenario) -> Facts:
    """Everything known of a scenario in this workspace.

    Raises
    ------
    Damaged, Unavailable
        The workspace's database can't be read.
    """
    serving, promotions = read_ledger(workspace, scenario.name)
    return Facts(
        scenario,
        newest_records(workspace, scenario.name),
        serving,
        promotions,
        len(prediction_log.recent(workspace, scenario.name, COUNTED)),
        production.look(workspace, scenario),
    )


def node(facts: Facts, name: str, wanted: str) -> Node:
    """One stage of the loop, with one fact from the newest run that got there.

    Parameters
    ----------
    wanted : str
        The stage at which something is to be done next.
    """
    stage, newest = STAGES[name], facts.newest
    if name == "serve":
        return _serve_node(facts, stage, wanted)
    if name == "monitor":
        return _monitor_node(facts, stage, wanted)
    for step_name in stage.steps:
        step = newest.state.steps.get(step_name) if newest else None
        if step is None or newest is None or newest.done(step_name):
            continue
        if step.status == "running":
            cells = f"cell {min(step.cells_done + 1, step.cells)} of {step.cells}"
            named = f"{step_name}, {cells}" if len(stage.steps) > 1 else cells
            return Node(name, stage.title, "running", named)
        if step.status in ("failed", "cancelled"):
            return Node(name, stage.title, "failed" if step.status == "failed" else "none", step.status)
    record = facts.newest_with(stage.steps[-1])
    if record is None:
        fact = "start here" if wanted == name else ""
        return Node(name, stage.title, "next" if wanted == name else "none", fact)
    if name == "evaluate" and record.gate is False:
        return Node(name, stage.title, "failed", "gate not passed")
    return Node(name, stage.title, "done", _fact(facts, name, record))


def _serve_node(facts: Facts, stage: Stage, wanted: str) -> Node:
    days = facts.production.days
    if days:
        return Node(stage.name, stage.title, "done", f"{days[-1].requests:,} a day")
    if facts.predictions:
        many = "500 or more answers" if facts.predictions >= COUNTED else ""
        return Node(stage.name, stage.title, "done", many or several(facts.predictions, "answer", "answers"))
    is_next = wanted == stage.name
    return Node(stage.name, stage.title, "next" if is_next else "none", "send one" if is_next else "")


def _monitor_node(facts: Facts, stage: Stage, wanted: str) -> Node:
    alerts = facts.production.alerts
    if alerts:
        return Node(stage.name, stage.title, "failed", several(len(alerts), "open alert", "open alerts"))
    if facts.production.days:
        watched = facts.production.days[-1].alerts is not None
        return Node(stage.name, stage.title, "done", "no alert" if watched else "")
    return Node(stage.name, stage.title, "next" if wanted == stage.name else "none", "")


def _fact(facts: Facts, name: str, record: Record) -> str:
    scenario = facts.scenario
    if name == "data":
        rows = record.rows("events")
        return several(rows, scenario.event, scenario.events) if rows is not None else ""
    if name == "features":
        return f"{len(scenario.features)} per {scenario.event}"
    if name == "train":
        return str((record.card() or {}).get("kind", ""))
    if name == "evaluate":
        report = record.report("evaluation") or {}
        precision = (report.get("metrics") or {}).get("average_precision")
        return f"AP {precision:.2f}" if precision is not None else "gate passed"
    if name == "register":
        return f"version {(record.report('registration') or {}).get('version', '')}"
    if name == "package":
        return "image and V2 folder"
    serving = facts.serving
    if serving.canary is not None:
        return f"version {serving.canary}: {share(serving.share)}"
    return f"version {serving.champion} serves" if serving.champion else "nothing serves"

"""The stages of the loop: what is known of each, read from runs, ledger and prediction log.

Comes in: a workspace and a scenario. Goes out: facts, and one node of the loop for each stage.
"""

from __future__ import annotations

from dataclasses import dataclass

from pages.parts.loop import Node
from pages.parts.record import Record, newest_records, read_ledger, record_of_version
from pages.parts.words import seconds, several, share
from pipelines import promotion
from pipelines.scenarios.scenario import Scenario
from pipelines.serving import prediction_log
from pipelines.workspace import Workspace

STAGES = {
    "ingest": "Collect",
    "validate": "Validate",
    "clean": "Clean",
    "version": "Version",
    "features": "Features",
    "train": "Train",
    "evaluate": "Evaluate",
    "register": "Register",
    "deploy": "Deploy",
    "serve": "Serve",
}
COUNTED = 500  # Predictions that are counted one by one.


@dataclass(frozen=True)
class Facts:
    """What was found on disk, from which the story is told."""

    scenario: Scenario
    records: list[Record]
    serving: promotion.Serving
    promotions: list[promotion.Promotion]
    predictions: int

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
    )


def node(facts: Facts, name: str, wanted: str) -> Node:
    """One stage of the loop, with one fact from the newest run that got there.

    Parameters
    ----------
    wanted : str
        The stage at which something is to be done next.
    """
    title, newest = STAGES[name], facts.newest
    if name == "serve":
        if facts.predictions:
            many = "500 or more answers" if facts.predictions >= COUNTED else ""
            return Node(name, title, "done", many or several(facts.predictions, "answer", "answers"))
        return Node(name, title, "next" if wanted == name else "none", "send one" if wanted == name else "")
    step = newest.state.steps.get(name) if newest else None
    if step is not None and newest is not None and not newest.done(name):
        if step.status == "running":
            return Node(
                name, title, "running", f"cell {min(step.cells_done + 1, step.cells)} of {step.cells}"
            )
        if step.status in ("failed", "cancelled"):
            return Node(name, title, "failed" if step.status == "failed" else "none", step.status)
    record = facts.newest_with(name)
    if record is None:
        return Node(name, title, "next" if wanted == name else "none", "start here" if wanted == name else "")
    if name == "evaluate" and record.gate is False:
        return Node(name, title, "failed", "gate not passed")
    return Node(name, title, "done", _fact(facts, name, record))


def _fact(facts: Facts, name: str, record: Record) -> str:
    scenario = facts.scenario
    if name == "ingest":
        rows = record.rows("collected")
        return several(rows, scenario.event, scenario.events) if rows is not None else ""
    if name == "validate":
        checks = (record.report("validation") or {}).get("checks", [])
        failed = sum(not each["passed"] for each in checks)
        return f"{failed} checks failed" if failed else f"{len(checks)} checks"
    if name == "clean":
        report = record.report("cleaning") or {}
        repaired = sum(each["rows"] for each in report.get("repairs", []))
        return several(repaired, "repair", "repairs") if report else ""
    if name == "version":
        number = (record.report("snapshot") or {}).get("version")
        return f"data {number}" if number else ""
    if name == "features":
        return f"{len(scenario.features)} per {scenario.event}"
    if name == "train":
        card = record.card() or {}
        return f"{card.get('kind', '')}, {seconds(record.state.steps['train'].seconds)}".strip(", ")
    if name == "evaluate":
        report = record.report("evaluation") or {}
        precision = (report.get("metrics") or {}).get("average_precision")
        return f"AP {precision:.2f}" if precision is not None else "gate passed"
    if name == "register":
        return f"version {(record.report('registration') or {}).get('version', '')}"
    serving = facts.serving
    if serving.canary is not None:
        return f"version {serving.canary}: {share(serving.share)}"
    return f"version {serving.champion} serves" if serving.champion else "nothing serves"

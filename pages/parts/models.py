"""Trained models as pages name them: which runs made one, what it is called, where its test was.

Comes in: a workspace and a scenario. Goes out: plain values; nothing is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pages.parts.record import Record, newest_records
from pages.parts.words import clock
from pipelines import promotion
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace


@dataclass(frozen=True)
class Model:
    """A model that a run has trained and tested.

    Attributes
    ----------
    name : str
        "version 3" once it is registered, else when it was made.
    report : dict
        What evaluate found.
    version : int or None
    """

    record: Record
    name: str
    report: dict[str, Any]
    version: int | None

    @property
    def run_id(self) -> str:
        return self.record.run_id

    @property
    def passed(self) -> bool:
        return bool(self.report["gate"]["passed"])

    @property
    def test(self) -> tuple[Any, ...]:
        """What its test was made of: only models of one test have figures that compare."""
        return (self.report["windows"]["test"]["from"], self.report["rows"], self.report["positives"])


def tested_models(workspace: Workspace, scenario: Scenario) -> list[Model]:
    """The models of the newest runs that evaluated one, newest first."""
    found = []
    for record in newest_records(workspace, scenario.name):
        report = record.report("evaluation") if "evaluate" in record.run.steps else None
        if report is None or not record.done("evaluate") or "gate" not in report:
            continue
        receipt = record.report("registration") if "register" in record.run.steps else None
        version = receipt.get("version") if receipt else None
        name = f"version {version}" if version else f"the model of {clock(record.run.created_at)}"
        found.append(Model(record, name, report, version))
    return found


def champion_of(models: list[Model], serving: promotion.Serving) -> Model | None:
    """The model that answers now, if its run is among these."""
    return next((each for each in models if serving.champion and each.version == serving.champion), None)


def pick(models: list[Model], run_id: str, serving: promotion.Serving) -> Model:
    """The model of that run, else the one that serves, else the newest."""
    asked = next((each for each in models if each.run_id == run_id), None)
    return asked or champion_of(models, serving) or models[0]

"""Runs as pages show them: read from their folders at each look, so that every tab shows the same."""

from __future__ import annotations

import shlex
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines import branches, events, promotion
from pipelines.engines.local import choose_steps
from pipelines.errors import FlightdeckError
from pipelines.lifecycle import LIFECYCLE, MODEL
from pipelines.run import Run, read_json, read_params, read_run
from pipelines.workspace import Workspace, unreadable_database

# How many runs a page looks at: more are reached by their address.
NEWEST = 40


@dataclass(frozen=True)
class Record:
    """One run: the facts it started from, how far it is, and the events that say so."""

    folder: Path
    run: Run
    state: events.RunState
    happened: list[dict[str, Any]]

    @property
    def run_id(self) -> str:
        return self.run.run_id

    @property
    def began(self) -> float:
        return self.state.started_at or self.state.queued_at or self.run.created_at

    @property
    def seconds(self) -> float | None:
        """How long it took, or has taken until now; None while it waits."""
        if self.state.started_at is None:
            return None
        return (self.state.finished_at or time.time()) - self.state.started_at

    @property
    def cell_began(self) -> float | None:
        """When the cell that runs now was started."""
        started = [each["t"] for each in self.happened if each["kind"] == "cell_started"]
        return started[-1] if started and not self.state.finished else None

    def done(self, step: str) -> bool:
        """Whether the outputs of `step` are in this run's folder, made here or taken from its base."""
        return (self.folder / "steps" / step / "done.json").is_file()

    def notebook(self, step: str) -> Path | None:
        """The notebook of `step` as executed, as far as it came."""
        attempt = f"attempt-{self.state.steps[step].attempt}" if step in self.state.steps else ""
        if not attempt or attempt == "attempt-0":
            attempt = str((read_json(self.folder / "steps" / step / "done.json") or {}).get("attempt", ""))
        path = self.folder / "steps" / step / attempt / "notebook.ipynb"
        return path if attempt and path.is_file() else None

    def mlflow_run(self, step: str) -> str | None:
        """The MLflow run of `step`, also of one that failed; else the whole run's."""
        state = self.state.steps.get(step)
        if state is not None and state.mlflow_run:
            return state.mlflow_run
        attempt = f"attempt-{state.attempt}" if state is not None else ""
        try:
            return (self.folder / "steps" / step / attempt / "mlflow_run").read_text("utf-8").strip()
        except OSError:
            return self.state.mlflow_run

    @property
    def gate(self) -> bool | None:
        """What the gate said about this run's model; None before it was asked."""
        report = self.report("evaluation")
        return bool(report["gate"]["passed"]) if report and "gate" in report else None

    def report(self, name: str) -> dict[str, Any] | None:
        """A report or receipt of this run, when it is there and whole."""
        return read_json(self.folder / LIFECYCLE.artifact(name).path)

    def card(self) -> dict[str, Any] | None:
        """What training wrote about the model."""
        return read_json(self.folder / MODEL.path / "model.json")

    def rows(self, name: str) -> int | None:
        """Number of rows of a table, read from its footer."""
        try:
            return int(pq.read_metadata(self.folder / LIFECYCLE.artifact(name).path).num_rows)
        except (OSError, ValueError):
            return None


def read_record(workspace: Workspace, run_id: str) -> Record:
    """The run of that id.

    Raises
    ------
    BadInput, Missing, Damaged
        The id is none, there is no such run, or its folder can't be read.
    """
    folder = workspace.run_folder(run_id)
    run = read_run(folder)
    happened = events.read(folder)
    return Record(folder, run, events.fold(happened, run.steps), happened)


def newest_records(workspace: Workspace, scenario: str) -> list[Record]:
    """The newest runs of a scenario, newest first; a damaged one is left out."""
    found = []
    for run_id in workspace.run_ids()[:NEWEST]:
        try:
            record = read_record(workspace, run_id)
        except FlightdeckError:
            continue
        if record.run.scenario == scenario:
            found.append(record)
    # Ids tell the second; of two runs made within one, the later is the newer.
    return sorted(found, key=lambda record: record.run.created_at, reverse=True)


def record_of_version(records: list[Record], version: int) -> Record | None:
    """The run that registered this version."""
    for record in records:
        if record.run.base and "register" not in record.run.steps:
            continue
        receipt = record.report("registration")
        if receipt is not None and receipt.get("version") == version:
            return record
    return None


def read_ledger(workspace: Workspace, scenario: str) -> tuple[promotion.Serving, list[promotion.Promotion]]:
    """Who serves now, and all that ever did on the branch that is lived in.

    Raises
    ------
    Damaged
        The workspace's database can't be read.
    """
    try:
        live = branches.live(workspace, scenario)
        return promotion.serving(workspace, scenario), promotion.history(workspace, scenario, live)
    except sqlite3.Error as error:
        raise unreadable_database(workspace, error) from error


def params_of(record: Record | None) -> dict[str, dict[str, Any]]:
    """The params a run was given, or the defaults when there is no run or they can't be read."""
    if record is not None:
        try:
            return read_params(record.folder)
        except FlightdeckError:
            pass
    return {name: params.model_dump() for name, params in LIFECYCLE.check({}).items()}


def command(
    scenario: str,
    params: Mapping[str, Mapping[str, Any]],
    steps: tuple[str, ...],
    seed: int = 1,
    base: str | None = None,
) -> str:
    """The command line that makes such a run."""
    words = ["python -m pipelines run", scenario]
    for name in steps:
        defaults = LIFECYCLE.step(name).check({}).model_dump()
        for param, value in params.get(name, {}).items():
            if value != defaults.get(param):
                words.append(f"--set {shlex.quote(f'{name}.{param}={value}')}")
    if seed != 1:
        words.append(f"--seed {seed}")
    if len(steps) == 1:
        words.append(f"--only {steps[0]}")
    elif steps != LIFECYCLE.road and steps == choose_steps(first=steps[0]):
        words.append(f"--from {steps[0]}")
    if base is not None:
        words.append(f"--base {base}")
    return " ".join(words)

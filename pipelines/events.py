"""What happens in a run, told as it happens: one JSON line an event, in runs/<run_id>/events.jsonl.

Events tell the learner; logs tell the developer. Worker and runner append, each line in one write, so
lines never mix; pages and the CLI read. `fold` turns the lines into the state of the run.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

RunStatus = Literal["queued", "running", "completed", "failed", "cancelled"]
StepStatus = Literal["waiting", "running", "completed", "reused", "failed", "cancelled"]

# The events and what each carries besides `t` (seconds since the epoch) and `kind`.
KINDS: dict[str, tuple[str, ...]] = {
    "run_queued": (),
    "run_started": ("mlflow_run",),
    "step_started": ("step", "attempt", "cells"),  # cells: number of code cells
    "cell_started": (
        "step",
        "cell",
        "number",
    ),  # cell: index in the notebook; number: 1, 2, … among code cells
    "printed": ("step", "cell", "text"),
    "cell_finished": ("step", "cell", "number", "seconds"),
    "step_finished": ("step", "status", "seconds", "mlflow_run"),  # completed or reused
    "step_failed": ("step", "cell", "cause", "hint"),
    "run_finished": ("status",),  # completed, failed or cancelled
}
FINAL: frozenset[RunStatus] = frozenset({"completed", "failed", "cancelled"})


@dataclass
class StepState:
    """How far one step is. `cell` is the index of the running cell in the executed notebook."""

    name: str
    status: StepStatus = "waiting"
    attempt: int = 0
    started_at: float | None = None
    seconds: float | None = None
    cells: int = 0
    cells_done: int = 0
    cell: int | None = None
    cell_seconds: dict[int, float] = field(default_factory=dict)
    printed: str = ""
    cause: str = ""
    hint: str = ""
    mlflow_run: str | None = None


@dataclass
class RunState:
    """The state of a run, folded from its events."""

    status: RunStatus
    steps: dict[str, StepState]
    queued_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    mlflow_run: str | None = None
    cause: str = ""
    hint: str = ""

    @property
    def finished(self) -> bool:
        return self.status in FINAL

    @property
    def current(self) -> StepState | None:
        """The step that runs now, else the one that failed, else the last that ended."""
        for status in ("running", "failed", "cancelled"):
            for step in self.steps.values():
                if step.status == status:
                    return step
        ended = [step for step in self.steps.values() if step.status in ("completed", "reused")]
        return ended[-1] if ended else None


def append(run_folder: Path, kind: str, **fields: Any) -> None:
    """Add one event to the run's file, in one write."""
    line = json.dumps({"t": round(time.time(), 3), "kind": kind, **fields}, ensure_ascii=False) + "\n"
    descriptor = os.open(run_folder / "events.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode("utf-8"))
    finally:
        os.close(descriptor)


def read(run_folder: Path, *, cells: bool = True) -> list[dict[str, Any]]:
    """All events so far; a last line that is still being written is left for the next reading.

    Without `cells`, those about single cells, most of them, are not even read.
    """
    try:
        data = (run_folder / "events.jsonl").read_bytes()
    except FileNotFoundError:
        return []
    found = []
    for line in data.split(b"\n")[:-1]:
        if not cells and (b'"kind": "cell_' in line or b'"kind": "printed"' in line):
            continue
        try:
            found.append(json.loads(line))
        except ValueError:
            continue  # a line torn by a full disk: the events after it still count
    return found


def fold(events: Iterable[dict[str, Any]], steps: Iterable[str]) -> RunState:
    """The state that `events` lead to, for a run that executes `steps`."""
    run = RunState("queued", {name: StepState(name) for name in steps})
    for event in events:
        kind = event["kind"]
        step = run.steps.get(event.get("step", ""))
        if kind == "run_queued":
            run.queued_at = event["t"]
        elif kind == "run_started":
            run.status, run.mlflow_run = "running", event.get("mlflow_run")
            run.started_at = run.started_at or event["t"]
        elif kind == "run_finished":
            _finish(run, event)
        elif step is not None:
            _advance(run, step, event)
    return run


def read_state(run_folder: Path, steps: Iterable[str]) -> RunState:
    """The state of the run in `run_folder` now."""
    return fold(read(run_folder), steps)


def _finish(run: RunState, event: dict[str, Any]) -> None:
    run.status, run.finished_at = event["status"], event["t"]
    run.cause, run.hint = event.get("cause", run.cause), event.get("hint", run.hint)
    for step in run.steps.values():
        if step.status == "running":
            step.status = "cancelled" if run.status == "cancelled" else "failed"
            step.seconds = event["t"] - (step.started_at or event["t"])


def _advance(run: RunState, step: StepState, event: dict[str, Any]) -> None:
    kind = event["kind"]
    if kind == "step_started":
        # A repeated attempt begins afresh: what the interrupted one had shown is gone with it.
        run.steps[step.name] = StepState(
            step.name, "running", event["attempt"], event["t"], cells=event["cells"]
        )
    elif kind == "cell_started":
        step.cell, step.printed = event["cell"], ""
    elif kind == "printed":
        step.printed = (step.printed + event["text"])[-4000:]
    elif kind == "cell_finished":
        step.cells_done = event["number"]
        step.cell_seconds[event["cell"]] = event["seconds"]
    elif kind == "step_finished":
        step.status, step.seconds = event["status"], event["seconds"]
        step.mlflow_run, step.cell = event.get("mlflow_run"), None
    elif kind == "step_failed":
        step.status, step.cell = "failed", event["cell"]
        step.cause, step.hint = event["cause"], event["hint"]
        step.seconds = event["t"] - (step.started_at or event["t"])
        run.cause, run.hint = step.cause, step.hint

"""What runs there are and how each went, read from their folders: for the CLI and the pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines import events
from pipelines.execution import catalogue
from pipelines.lifecycle import DEPLOYMENT, EVALUATION, REGISTRATION
from pipelines.promotion import ALIASES
from pipelines.run import read_json, read_run
from pipelines.workspace import Workspace


def list_runs(workspace: Workspace) -> list[dict[str, Any]]:
    """All runs, newest first: run_id, scenario, engine, status and the step reached.

    A run whose folder is damaged is listed with status failed and its cause.
    """
    return [
        {"run_id": entry.run_id, "status": "failed", "cause": entry.cause}
        if entry.status == "damaged"
        else {
            "run_id": entry.run_id,
            "scenario": entry.scenario,
            "engine": "local",
            "status": entry.status,
            "step": entry.step,
        }
        for entry in catalogue.look(workspace)
    ]


def summarise(workspace: Workspace, run_id: str) -> dict[str, Any]:
    """How a run went: status, seconds, steps with their notebooks, metrics, and the model it made."""
    folder = workspace.run_folder(run_id)
    run = read_run(folder)
    state = events.read_state(folder, run.steps)
    began, ended = state.started_at, state.finished_at
    summary: dict[str, Any] = {
        "run_id": run_id,
        "engine": "local",
        "scenario": run.scenario,
        "status": state.status,
        "seconds": round(ended - began, 3) if began and ended else None,
        "steps": [
            {
                "name": step.name,
                "status": step.status,
                "seconds": step.seconds,
                "notebook": str(notebook) if (notebook := executed_notebook(folder, step)) else None,
            }
            for step in state.steps.values()
        ],
        "metrics": (read_json(folder / EVALUATION.path) or {}).get("metrics", {}),
        "model": _model(folder),
    }
    if state.cause:
        summary |= {"cause": state.cause, "hint": state.hint}
    return summary


def executed_notebook(folder: Path, step: events.StepState) -> Path | None:
    """The notebook of a step as executed, as far as it came; None when it has not begun."""
    path = folder / "steps" / step.name / f"attempt-{step.attempt}" / "notebook.ipynb"
    return path if path.is_file() else None


def _model(folder: Path) -> dict[str, Any] | None:
    registration, deployment = (read_json(folder / each.path) for each in (REGISTRATION, DEPLOYMENT))
    if registration is None:
        return None
    alias = None
    if deployment is not None and deployment.get("version") == registration.get("version"):
        alias = ALIASES.get(deployment["stage"])
    return {"name": registration["model"], "version": registration["version"], "alias": alias}

"""Experiments: everything that was tried for a scenario, side by side.

Comes in: a trial of a search; or a scenario's name. Goes out: the trial as a nested MLflow run; or all
trained models and trials with their params and metrics, read from MLflow alone.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pipelines import mlflow_server, tracking
from pipelines.artifacts import StepFiles
from pipelines.errors import Missing
from pipelines.mlflow_server import call, new_run, read_tags, search, set_status

# In the attempt's folder: one JSON line a trial, as it ends.
TRIALS_FILE = "trials.jsonl"


@dataclass(frozen=True)
class Trial:
    """One model that was tried.

    Attributes
    ----------
    number : int
        0 is the default.
    params : dict
        Of step train, all of them.
    average_precision : float
        On the validation days.
    low, high : float or None
        Its 95% interval, of the default alone: the band of luck.
    seconds : float
        To train and to score.
    """

    number: int
    params: dict[str, Any]
    average_precision: float
    low: float | None
    high: float | None
    seconds: float


@dataclass(frozen=True)
class Experiment:
    """One model that was trained and measured.

    Attributes
    ----------
    kind : {"model", "trial"}
        A run's model, measured by evaluate on its test; or a trial of a search, measured on the days
        before. Figures of one kind do not compare with the other's.
    run_id : str
        The pipeline run it belongs to.
    mlflow_run : str
        The MLflow run with its params: of the whole run, or of the trial.
    name : str
        Number of the trial; empty for a model.
    params : mapping
        Of step train, as text.
    metrics : mapping
        average_precision, for a model also average_precision_low and _high, auc, …
    started_at : float
        Seconds since the epoch.
    """

    kind: Literal["model", "trial"]
    run_id: str
    mlflow_run: str
    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    started_at: float


def keep_trial(step: StepFiles, trial: Trial) -> str:
    """Keep one trial of a search in the attempt's folder and as an ended MLflow run nested under the step's.

    Returns
    -------
    str
        Id of that MLflow run.

    Raises
    ------
    Unavailable
        MLflow is not answering.
    """
    _append(step.attempt / TRIALS_FILE, json.dumps(asdict(trial)) + "\n")
    workspace, parent = step.run.workspace, tracking.run_of(step)
    tags = {
        "flightdeck.kind": "trial",
        "flightdeck.run_id": step.run.run_id,
        "flightdeck.trial": str(trial.number),
        "mlflow.parentRunId": parent,
        "mlflow.user": workspace,
    }
    made = new_run(workspace, _experiment_of(workspace, parent), f"trial {trial.number}", tags, trial.params)
    run_id, now_ms = str(made["info"]["run_id"]), int(time.time() * 1000)
    call(
        workspace,
        "POST",
        "runs/log-batch",
        run_id=run_id,
        metrics=[
            {"key": name, "value": float(value), "timestamp": now_ms, "step": 0}
            for name, value in (("average_precision", trial.average_precision), ("seconds", trial.seconds))
        ],
    )
    set_status(workspace, run_id, "FINISHED")
    return run_id


def read_trials(attempt: Path) -> list[Trial]:
    """The trials that an attempt has kept so far; a line that is still being written is left out."""
    try:
        lines = (attempt / TRIALS_FILE).read_text("utf-8").split("\n")[:-1]
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for line in lines:
        try:
            found.append(Trial(**json.loads(line)))
        except (ValueError, TypeError):
            continue  # torn by a full disk: the others still count
    return found


def describe(params: Mapping[str, Any]) -> str:
    """Those of a model's params that matter to its kind, in words.

    Examples
    --------
    >>> from pipelines.lifecycle import Train
    >>> describe(Train(model="logistic").model_dump())
    'logistic, regularisation 1'
    """
    used = {
        "logistic": ("regularisation",),
        "forest": ("trees", "max_depth"),
        "boosting": ("trees", "max_depth", "learning_rate"),
    }[str(params["model"])]
    parts = [f"{name.replace('_', ' ')} {float(params[name]):g}" for name in used]
    balanced = ["balanced"] if params["balance"] == "balanced" else []
    return ", ".join([str(params["model"]), *parts, *balanced])


def read(workspace: str, scenario: str) -> list[Experiment]:
    """All models and trials of a scenario, oldest first; none when MLflow knows nothing of it.

    Raises
    ------
    Unavailable
        MLflow is not answering.
    """
    try:
        found = call(workspace, "GET", "experiments/get-by-name", {"experiment_name": scenario})
    except Missing:
        return []
    experiment = str(found["experiment"]["experiment_id"])
    runs = {_tag(each, "run_id"): each for each in _runs(workspace, experiment, "run")}
    read_back = [
        _experiment("trial", each, each, _tag(each, "trial"), "")
        for each in _runs(workspace, experiment, "trial")
    ]
    measured = [each for each in _runs(workspace, experiment, "step") if _tag(each, "step") == "evaluate"]
    # Of several attempts at one evaluation the last counts.
    for run_id, tested in {_tag(each, "run_id"): each for each in measured if _metrics(each)}.items():
        if run_id in runs:
            read_back.append(_experiment("model", runs[run_id], tested, "", "train."))
    return sorted(
        (each for each in read_back if "average_precision" in each.metrics), key=lambda each: each.started_at
    )


def _experiment(
    kind: Literal["model", "trial"], made: dict[str, Any], tested: dict[str, Any], name: str, prefix: str
) -> Experiment:
    params = {
        each["key"].removeprefix(prefix): each.get("value", "")
        for each in made["data"].get("params", [])
        if each["key"].startswith(prefix)
    }
    return Experiment(
        kind,
        _tag(made, "run_id"),
        made["info"]["run_id"],
        name,
        params,
        _metrics(tested),
        int(made["info"]["start_time"]) / 1000,
    )


def _runs(workspace: str, experiment: str, kind: str) -> list[dict[str, Any]]:
    return search(
        workspace,
        "POST",
        "runs/search",
        "runs",
        experiment_ids=[experiment],
        filter=f"tags.`flightdeck.kind` = '{kind}'",
        order_by=["attributes.start_time ASC"],
    )


def _metrics(found: dict[str, Any]) -> dict[str, float]:
    return {each["key"]: float(each["value"]) for each in found["data"].get("metrics", [])}


def _tag(found: dict[str, Any], name: str) -> str:
    return read_tags(found["data"]).get(f"flightdeck.{name}", "")


@lru_cache(maxsize=256)
def _experiment_of(workspace: str, run_id: str) -> str:
    """The MLflow experiment that a run is in; it never changes."""
    return str(mlflow_server.run_info(workspace, run_id)["experiment_id"])


def _append(path: Path, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode("utf-8"))
    finally:
        os.close(descriptor)

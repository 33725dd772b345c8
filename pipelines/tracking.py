"""What a run did, kept in MLflow: one parent run a pipeline run, a child a step.

In: the run's facts, and what a step's notebook computed. Out: MLflow runs in the learner's own MLflow
workspace, in the experiment named like the scenario, with params, metrics, dataset digests, figures,
reports and the model. Ids are kept elsewhere, values never.

Whoever executes steps opens and closes runs; notebooks log to the one that was opened for them.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pandas as pd
from filelock import FileLock

from pipelines import figure_svg, mlflow_models, mlflow_server
from pipelines.artifacts import StepFiles, digest
from pipelines.errors import BadInput, Missing
from pipelines.lifecycle import LIFECYCLE, MODEL
from pipelines.mlflow_server import (
    MlflowStatus,
    call,
    experiment_id,
    new_run,
    read_tags,
    run_info,
    search,
    set_status,
)
from pipelines.run import Run, read_params
from pipelines.workspace import open_workspace

# What a step's run has in common with its pipeline run's, so that either can be searched by it.
SHARED_TAGS = ("flightdeck.run_id", "flightdeck.seed", "flightdeck.day", "flightdeck.code", "mlflow.user")

# In the attempt's folder: the id of the MLflow run that was opened for it.
RUN_FILE = "mlflow_run"

MLFLOW_STATUS: dict[str, MlflowStatus] = {"completed": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}

# The workspace that `close_run` means: each thread has its own, as pages serve several learners.
_connected: ContextVar[str] = ContextVar("flightdeck_mlflow_workspace")


def connect(workspace: str) -> None:
    """Use the MLflow workspace of that name in this thread; it is made when it is not there.

    Raises
    ------
    Unavailable
        MLflow is not answering.
    """
    mlflow_server.make_workspace(workspace)
    _connected.set(workspace)


def open_run(run: Run, params: Mapping[str, Mapping[str, Any]]) -> str:
    """The id of the MLflow run that stands for the whole pipeline run; made at the first call.

    Parameters
    ----------
    params : mapping
        All params, by step and name; kept as `step.name`.

    Raises
    ------
    Unavailable
        MLflow is not answering.
    """
    with _lock(run):
        parent, _ = _open_parent(run, params)
    return str(parent["info"]["run_id"])


def open_step(run: Run, step: str, params: Mapping[str, Any], attempt: int) -> str:
    """The id of a running MLflow run for this attempt at `step`, nested under its pipeline run.

    The same attempt asked for again is the same run. What an earlier attempt left open, because its
    runner was killed, is ended as KILLED: its values stay visible, and a new run begins empty.

    Raises
    ------
    Unavailable
        MLflow is not answering.
    """
    with _lock(run):
        parent, attempts = _open_parent(run, None)
        for earlier in attempts.get(step, []):
            if earlier["info"]["status"] != "RUNNING":
                continue
            if read_tags(earlier["data"])["flightdeck.attempt"] == str(attempt):
                return str(earlier["info"]["run_id"])
            set_status(run.workspace, earlier["info"]["run_id"], "KILLED")
        tags = {
            **{name: value for name, value in read_tags(parent["data"]).items() if name in SHARED_TAGS},
            "flightdeck.kind": "step",
            "flightdeck.step": step,
            "flightdeck.attempt": str(attempt),
            "mlflow.parentRunId": parent["info"]["run_id"],
            "mlflow.source.name": LIFECYCLE.step(step).notebook,
        }
        name = f"{step} · {run.run_id}"
        made = new_run(run.workspace, parent["info"]["experiment_id"], name, tags, params)
    return str(made["info"]["run_id"])


def close_run(
    mlflow_run_id: str, status: Literal["completed", "failed", "cancelled"], notebook: Path | None = None
) -> None:
    """End a run or step in the workspace connected to; keep the notebook as executed beside it.

    Raises
    ------
    Missing
        The workspace has no such run.
    Unavailable
        MLflow is not answering.
    """
    workspace = _connected.get()
    if notebook is not None and notebook.is_file():
        _store(workspace, mlflow_run_id, "notebook.ipynb", notebook.read_bytes())
    set_status(workspace, mlflow_run_id, MLFLOW_STATUS[status])


def finish_run(run: Run, status: Literal["completed", "failed", "cancelled"]) -> None:
    """End what is still open of a pipeline run, and the pipeline run itself, with `status`.

    Raises
    ------
    Unavailable
        MLflow is not answering.
    """
    with _lock(run):
        parent, attempts = _open_parent(run, None)
        for attempt in (each for step in attempts.values() for each in step):
            if attempt["info"]["status"] == "RUNNING":
                set_status(run.workspace, attempt["info"]["run_id"], MLFLOW_STATUS[status])
        set_status(run.workspace, parent["info"]["run_id"], MLFLOW_STATUS[status])


def log_input(step: StepFiles, name: str, table: pd.DataFrame, digest: str) -> None:
    """Record which data the step worked on: name, digest, columns and size, not the rows."""
    uri = f"{step.run.workspace}/runs/{step.run.run_id}/{name}"
    dataset = mlflow_server.describe_table(table, name, digest, uri)
    context = {"key": "mlflow.data.context", "value": step.step.name}
    call(
        step.run.workspace,
        "POST",
        "runs/log-inputs",
        run_id=run_of(step),
        datasets=[{"tags": [context], "dataset": dataset}],
    )


def log_metrics(step: StepFiles, metrics: Mapping[str, float]) -> None:
    """Record numbers; a step that reads a model records them as that model's too.

    Raises
    ------
    BadInput
        A value is not a finite number.
    """
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise BadInput(f"Metric '{name}' is {value}, which is not a finite number.", "Leave it out.")
    now_ms = int(time.time() * 1000)
    about = _model_of(step)
    call(
        step.run.workspace,
        "POST",
        "runs/log-batch",
        run_id=run_of(step),
        metrics=[
            {"key": name, "value": float(value), "timestamp": now_ms, "step": 0} | about
            for name, value in metrics.items()
        ],
    )


def log_figure(step: StepFiles, figure: Any, name: str) -> None:
    """Keep a Plotly figure: as the JSON our pages draw it from, and as a picture that MLflow's show.

    Plotly's own HTML would take 4 MB a figure, and its pictures a browser.
    """
    run_id = run_of(step)
    _store(step.run.workspace, run_id, f"figures/{name}.json", figure.to_json().encode())
    if figure_svg.can_draw(figure):
        _store(step.run.workspace, run_id, f"figures/{name}.svg", figure_svg.draw(figure).encode())


def log_report(step: StepFiles, report: Mapping[str, Any], name: str) -> None:
    """Keep a report as JSON."""
    content = json.dumps(report, indent=1, sort_keys=True).encode()
    _store(step.run.workspace, run_of(step), f"reports/{name}.json", content)


def log_result(step: StepFiles, report: Mapping[str, Any], name: str) -> None:
    """Keep a report of metrics with intervals, and its numbers as metrics: `auc`, `auc_low`, `auc_high`.

    Parameters
    ----------
    report : mapping
        metrics, and intervals [low, high] of the same names; a number that does not exist is None.
    """
    log_report(step, report, name)
    numbers = dict(report["metrics"])
    for metric, (low, high) in report["intervals"].items():
        numbers |= {f"{metric}_low": low, f"{metric}_high": high}
    log_metrics(step, {key: value for key, value in numbers.items() if value is not None})


def log_model(step: StepFiles, fitted: Any, card: Mapping[str, Any], example: pd.DataFrame) -> str:
    """Keep the model that the step has saved, in MLflow's format, found again by its digest.

    Parameters
    ----------
    fitted : scikit-learn estimator with predict_proba
        Of scikit-learn's, numpy's, scipy's and our own types only.
    card : mapping
        What `training.save_model` wrote beside it; its `features` name the model's columns in order.
    example : DataFrame of shape (n_rows, n_columns)
        Has those columns; the first rows show the model's users what to send.

    Returns
    -------
    str
        models:/<model id>, as MLflow names it.

    Raises
    ------
    BadInput
        The model holds a type that is not trusted.
    Missing
        The model has not been saved in the step's folder yet.
    Unavailable
        MLflow is not answering.
    """
    return mlflow_models.log_model(
        step.run.workspace,
        run_of(step),
        step.run.scenario,
        fitted,
        saved=step.path(MODEL.name),
        example=example[card["features"]],
        tags={
            "run_id": step.run.run_id,
            "mlflow.user": step.run.workspace,
            "mlflow.source.name": step.step.notebook,
        },
    )


def run_url(mlflow_run_id: str, workspace: str) -> str:
    """The page of a run or step in MLflow's own UI.

    Raises
    ------
    Missing
        The workspace has no such run.
    Unavailable
        MLflow is not answering.
    """
    experiment, _ = _home_of(workspace, mlflow_run_id)
    return mlflow_server.page_url(f"experiments/{experiment}/runs/{mlflow_run_id}", workspace)


def experiment_url(scenario: str, workspace: str) -> str:
    """The page that lists all runs of a scenario in MLflow's own UI."""
    return mlflow_server.page_url(f"experiments/{experiment_id(workspace, scenario)}/runs", workspace)


def version_url(model: str, number: int, workspace: str) -> str:
    """The page of a registered version in MLflow's own UI."""
    return mlflow_server.page_url(f"models/{quote(model, safe='')}/versions/{number}", workspace)


def _lock(run: Run) -> FileLock:
    """Held while something is looked up and, when it is not there, made: so it is made once."""
    return FileLock(open_workspace(run.workspace).root / "mlflow.lock")


def _open_parent(
    run: Run, params: Mapping[str, Mapping[str, Any]] | None
) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """The running MLflow run of a pipeline run, and its steps' by name, oldest attempt first."""
    try:
        experiment = experiment_id(run.workspace, run.scenario)
    except Missing:
        mlflow_server.make_workspace(run.workspace)
        experiment = experiment_id(run.workspace, run.scenario)
    _connected.set(run.workspace)
    parent: dict[str, Any] | None = None
    attempts: dict[str, list[dict[str, Any]]] = {}
    for found in search(
        run.workspace,
        "POST",
        "runs/search",
        "runs",
        experiment_ids=[experiment],
        filter=f"tags.`flightdeck.run_id` = '{run.run_id}'",
        order_by=["attributes.start_time ASC"],
    ):
        tags = read_tags(found["data"])
        if tags["flightdeck.kind"] == "step":
            attempts.setdefault(tags["flightdeck.step"], []).append(found)
        elif tags["flightdeck.kind"] == "run":
            parent = found
    if parent is None:
        parent = _make_parent(run, experiment, params)
    elif parent["info"]["status"] != "RUNNING":
        set_status(run.workspace, parent["info"]["run_id"], "RUNNING")  # a retry
    return parent, attempts


def _make_parent(run: Run, experiment: str, params: Mapping[str, Mapping[str, Any]] | None) -> dict[str, Any]:
    if params is None:
        params = read_params(open_workspace(run.workspace).run_folder(run.run_id))
    flat = {f"{step}.{name}": value for step in params for name, value in params[step].items()}
    tags = {
        "flightdeck.kind": "run",
        "flightdeck.run_id": run.run_id,
        "flightdeck.seed": str(run.seed),
        "flightdeck.day": str(flat.get("ingest.until_day", "")),
        "flightdeck.code": run.code,
        "mlflow.user": run.workspace,
    } | {f"flightdeck.library.{name}": number for name, number in run.libraries.items()}
    return new_run(run.workspace, experiment, run.run_id, tags, flat)


@lru_cache(maxsize=4096)
def _home_of(workspace: str, run_id: str) -> tuple[str, str]:
    """The experiment of a run and the address of its artifacts; they never change."""
    info = run_info(workspace, run_id)
    return str(info["experiment_id"]), str(info["artifact_uri"])


def _store(workspace: str, run_id: str, name: str, content: bytes) -> None:
    mlflow_server.upload(workspace, _home_of(workspace, run_id)[1], name, content)


def run_of(step: StepFiles) -> str:
    """The MLflow run that was opened for this attempt, or one for a notebook opened by hand."""
    try:
        return (step.attempt / RUN_FILE).read_text("utf-8").strip()
    except FileNotFoundError:
        return _lab_run(step.run.workspace, step.run.scenario, step.run.run_id, step.step.name, os.getpid())


@cache
def _lab_run(workspace: str, scenario: str, run_id: str, step: str, process: int) -> str:
    """A run of its own for a notebook opened by hand, one a kernel.

    It is ended at once: nobody says when a person is done, and MLflow still accepts what comes later.
    """
    mlflow_server.make_workspace(workspace)
    tags = {
        "source": "lab",
        "flightdeck.kind": "lab",
        "flightdeck.base": run_id,
        "flightdeck.step": step,
        "flightdeck.process": str(process),
    }
    made = new_run(workspace, experiment_id(workspace, scenario), f"{step} · by hand", tags, {})
    run_id = str(made["info"]["run_id"])
    set_status(workspace, run_id, "FINISHED")
    return run_id


def _model_of(step: StepFiles) -> dict[str, str]:
    """The model that a metric is about, as MLflow wants it named, when the step reads one it knows."""
    if MODEL not in step.step.inputs:
        return {}
    wanted = digest(MODEL, step.path(MODEL.name))
    found = mlflow_models.find_models(step.run.workspace, step.run.scenario, wanted)
    return {"model_id": found[0]["model_id"]} if found else {}

"""Runs as the worker leaves them on disk, made in a second: what tests and screenshots of pages start from.

Artifacts come from the real stage modules on a small world; only the notebooks and the times are made up.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, Literal

import nbformat
import numpy as np
import pandas as pd
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from pipelines import (
    branches,
    cleaning,
    evaluation,
    events,
    experiments,
    figures,
    ingestion,
    promotion,
    promotion_rows,
    tracking,
    training,
    tuning,
    validation,
    versioning,
)
from pipelines.artifacts import digest, open_step
from pipelines.errors import Refused
from pipelines.features import offline
from pipelines.lifecycle import EVENTS, LIFECYCLE, Clean, Evaluate, Train, Tune, Validate
from pipelines.run import Run, create_run, read_params, write_json
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S, Size, read_happened
from pipelines.serving import prediction_log
from pipelines.serving.predictions import Label, Prediction, Stream
from pipelines.workspace import Workspace

SECONDS = {"ingest": 2.9, "validate": 1.6, "clean": 1.4, "version": 1.5, "features": 3.4, "train": 5.2}
SECONDS |= {"tune": 21.4, "evaluate": 4.1, "register": 1.3, "package": 0.9, "deploy": 0.6}
PARAMS = {"ingest": {"size": "small"}, "train": {"model": "logistic"}}


@cache
def results(
    scenario_name: str = "fraud", size: Size = "small", model: Literal["logistic", "boosting"] = "logistic"
) -> dict[str, Any]:
    """What every step makes of a world, a small one by default, by artifact name."""
    scenario = find_scenario(scenario_name)
    collected = ingestion.receive(scenario, size, 1, 60, damaged=0.004)
    checked = validation.validate(scenario, collected, Validate())
    cleaned = cleaning.clean(scenario, collected, checked, Clean())
    computed = offline.compute(scenario, cleaned.events)
    fitted = training.fit(scenario, computed, Train(model=model), 1, training.today(computed))
    report = evaluation.evaluate(scenario, computed, fitted, Evaluate(resamples=50), 1)
    made = {"collected": collected, "validation": checked, "events": cleaned.events}
    made |= {"cleaning": cleaned.report, "features": computed, "model": fitted, "evaluation": report}
    return made


@cache
def refused(mishap: str = "unit") -> tuple[dict[str, Any], str, str]:
    """The report of a bad batch, and what stops the run because of it: message and hint."""
    scenario = find_scenario("fraud")
    batch = ingestion.receive(scenario, "small", 1, 60, damaged=0.004, mishap=mishap)  # type: ignore[arg-type]
    report = validation.validate(scenario, batch, Validate())
    try:
        validation.require(report)
    except Refused as error:
        return report, error.message, error.hint
    raise AssertionError("a bad batch must be refused")


def completed(
    workspace: Workspace,
    *,
    version: int = 1,
    steps: tuple[str, ...] | None = None,
    base: str | None = None,
    params: dict[str, dict[str, Any]] | None = None,
    gate: bool = True,
    ago_s: float = 600,
    serve: bool = True,
) -> Run:
    """A run whose steps have all been completed, and which registered `version`."""
    run = create_run(workspace, "fraud", params or PARAMS, steps=steps, base=base)
    folder = workspace.run_folder(run.run_id)
    clock = Clock(folder, time.time() - ago_s)
    clock.tell("run_queued")
    clock.tell("run_started", mlflow_run="0" * 32)
    for name in run.steps:
        write_outputs(folder, name, run.run_id, version, gate)
        execute(folder, name, clock)
    clock.tell("run_finished", status="completed")
    if serve and gate and "deploy" in run.steps:
        promote(workspace, version, run.run_id)
    return run


def running(workspace: Workspace, step: str = "train", cells: int = 3, base: str | None = None) -> Run:
    """A run that is in the middle of `step`, `cells` of whose cells are done."""
    run = create_run(workspace, "fraud", PARAMS, base=base)
    folder = workspace.run_folder(run.run_id)
    clock = Clock(folder, time.time() - 12)
    clock.tell("run_queued")
    clock.tell("run_started", mlflow_run="0" * 32)
    for name in LIFECYCLE.road[: LIFECYCLE.road.index(step)]:
        write_outputs(folder, name, run.run_id, 2, True)
        execute(folder, name, clock)
    execute(folder, step, clock, stop_after=cells)
    clock.tell("printed", step=step, cell=clock.cell, text="tree 40 of 100\n")
    return run


def failed(workspace: Workspace, step: str = "train") -> Run:
    """A run that stopped with an error in `step`."""
    run = create_run(workspace, "fraud", PARAMS | {"train": {"train_days": 60}})
    folder = workspace.run_folder(run.run_id)
    clock = Clock(folder, time.time() - 300)
    clock.tell("run_queued")
    clock.tell("run_started", mlflow_run="0" * 32)
    for name in LIFECYCLE.road[: LIFECYCLE.road.index(step)]:
        write_outputs(folder, name, run.run_id, 2, True)
        execute(folder, name, clock)
    execute(folder, step, clock, stop_after=2, error=True)
    clock.tell(
        "step_failed",
        step=step,
        cell=clock.cell,
        cause="Training on 60 days and testing on 7, each followed by 7 days until its labels are "
        "known, takes 81 days, but 60 were collected.",
        hint="Set ingest.until_day to 81 or later, or train.train_days or train.test_days lower.",
    )
    clock.tell("run_finished", status="failed")
    return run


def stopped(workspace: Workspace, mishap: str = "unit") -> Run:
    """A run that validation stopped: its batch is bad, and its report stays with the attempt."""
    run = create_run(workspace, "fraud", PARAMS | {"ingest": PARAMS["ingest"] | {"mishap": mishap}})
    folder = workspace.run_folder(run.run_id)
    report, message, hint = refused(mishap)
    clock = Clock(folder, time.time() - 200)
    clock.tell("run_queued")
    clock.tell("run_started", mlflow_run="0" * 32)
    write_outputs(folder, "ingest", run.run_id, 2, True)
    execute(folder, "ingest", clock)
    execute(folder, "validate", clock, stop_after=4, error=True)
    write_json(folder / "steps" / "validate" / "attempt-1" / "reports" / "validation.json", report)
    clock.tell("step_failed", step="validate", cell=clock.cell, cause=f"{message} {hint}", hint="")
    clock.tell("run_finished", status="failed")
    return run


def keep_versions(workspace: Workspace, days: tuple[int, ...] = (53, 60)) -> list[versioning.DataVersion]:
    """Versions of the data, really kept: the events up to each of these days."""
    kept = []
    for day in days:
        events_then = results()["events"]
        events_then = events_then[events_then["event_time"] < day * 86_400]
        path = workspace.root / f"until-{day}.parquet"
        events_then.to_parquet(path, index=False)
        note = f"until day {day}"
        kept.append(versioning.take(workspace, "fraud", path, digest(EVENTS, path), note=note, run_id="r"))
        path.unlink()
    return kept


@cache
def trials(count: int = 6) -> tuple[dict[str, Any], list[experiments.Trial]]:
    """The report of a real search among logistic regressions, and its trials."""
    found: list[experiments.Trial] = []
    params = Tune(model="logistic", trials=count)
    report = tuning.search(find_scenario("fraud"), results()["features"], params, 1, tell=found.append)
    return report, found


def searched(workspace: Workspace, base: str, count: int = 6, *, going: bool = False) -> Run:
    """A run that has searched for better params from the features of `base`, or is still at it."""
    run = create_run(workspace, "fraud", PARAMS, steps=("tune",), base=base)
    folder = workspace.run_folder(run.run_id)
    clock = Clock(folder, time.time() - 30)
    clock.tell("run_queued")
    clock.tell("run_started", mlflow_run="0" * 32)
    report, found = trials(count)
    execute(folder, "tune", clock, stop_after=3 if going else None)
    lines = [json.dumps(asdict(each)) + "\n" for each in found]
    (folder / "steps" / "tune" / "attempt-1" / experiments.TRIALS_FILE).write_text("".join(lines))
    if not going:
        write_json(folder / "reports" / "tuning.json", report)
        clock.tell("run_finished", status="completed")
    return run


def tracked(workspace: Workspace, run: Run) -> None:
    """Tell MLflow of a run that was made up here: its params, and what its evaluation found."""
    folder = workspace.run_folder(run.run_id)
    tracking.open_run(run, read_params(folder))
    for name in set(run.steps) & {"evaluate", "tune"}:
        place = folder / "steps" / name / "attempt-1"
        (place / tracking.RUN_FILE).write_text(tracking.open_step(run, name, {}, 1))
        step = open_step(name, place)
        if name == "evaluate":
            report = json.loads((folder / "reports" / "evaluation.json").read_text())
            tracking.log_result(step, report, "evaluation")
        else:
            kept = experiments.read_trials(place)
            (place / experiments.TRIALS_FILE).unlink()
            for trial in kept:
                experiments.keep_trial(step, trial)


def queued(workspace: Workspace, params: dict[str, dict[str, Any]] | None = None) -> Run:
    """A run that waits for the worker."""
    run = create_run(workspace, "fraud", params or PARAMS)
    events.append(workspace.run_folder(run.run_id), "run_queued")
    return run


def damaged(workspace: Workspace) -> str:
    """A run whose run.json was cut short, as by a full disk."""
    run = create_run(workspace, "fraud", PARAMS)
    path = workspace.run_folder(run.run_id) / "run.json"
    path.write_text(path.read_text()[:40])
    return run.run_id


def promote(workspace: Workspace, version: int, run_id: str, stage: promotion.Stage = "production") -> None:
    """A row of the ledger, without the registry that `promotion.promote` asks."""
    with promotion_rows.writing(workspace, "fraud", branches.MAIN) as page:
        page.append("promote", stage, version, "deployed by its run", None, source=f"run:{run_id}/deploy")


def predicted(workspace: Workspace, count: int = 20, version: int = 1) -> list[str]:
    """So many answers in the prediction log, the last of them an alert; their ids, newest first."""
    found = results()
    card = found["model"].card
    rows = found["features"].tail(count)
    scores = training.score(found["model"].model, rows[card["features"]]).tolist()
    scores[-1] = 0.87
    stream = Stream(workspace=workspace.name, branch="main", scenario="fraud", world="small-1")
    logged = []
    for place, (row, score) in enumerate(zip(rows.itertuples(), scores, strict=True)):
        values = rows[card["features"]].iloc[place].to_numpy("<f8")
        event = {"customer_id": int(row.customer_id), "terminal_id": 42, "amount": float(row.amount)}
        logged.append(
            Prediction(
                stream,
                10**12 + place,
                int(row.event_time),
                event,
                version,
                "champion",
                score,
                score >= card["threshold"],
                "customer_id" if place == count - 1 else "",
                values.tobytes(),
                time.time() - 60 * (count - place),
                2.1 + place / 10,
            )
        )
    log = prediction_log.PredictionLog(workspace)
    log.write(logged)
    log.close()
    return [each.prediction_id for each in reversed(logged)]


def answered(
    workspace: Workspace, until_day: int, episodes: str = "", version: int = 1, size: Size = "small"
) -> None:
    """What serving would have left by then of the days after the sample run's: answers, labels when due."""
    found, scenario = results(), find_scenario("fraud")
    card, from_s = found["model"].card, training.today(found["features"])
    world = scenario.produce(size, 1, until_day, read_happened(scenario, episodes))
    computed = offline.compute(scenario, world.assign(label=world["label"].astype("Int8")))
    later = (world["event_time"] >= from_s).to_numpy()
    matrix, raw = computed.loc[later, card["features"]].to_numpy("<f8"), world[later]
    scores = training.score(found["model"].model, matrix).tolist()
    stream = Stream(workspace=workspace.name, branch="main", scenario="fraud", world=f"{size}-1")
    predictions, labels = [], []
    for place, event in enumerate(raw.to_dict("records")):
        made = Prediction(
            stream,
            event["event_id"],
            event["event_time"],
            {column.name: event[column.name] for column in scenario.columns},
            version,
            "champion",
            scores[place],
            scores[place] >= card["threshold"],
            "",
            matrix[place].tobytes(),
            0.0,
            1.0,
        )
        predictions.append(made)
        if event["label_time"] <= until_day * DAY_S:
            told = (event["event_id"], event["label"], event["label_time"], 0.0)
            labels.append(Label(made.prediction_id, stream, *told))
    log = prediction_log.PredictionLog(workspace)
    log.write(predictions, labels)
    log.close()


class Clock:
    """Writes events with times of its own choosing."""

    def __init__(self, folder: Path, now: float) -> None:
        self.folder, self.now, self.cell = folder, now, 0

    def tell(self, kind: str, **fields: Any) -> None:
        line = json.dumps({"t": round(self.now, 3), "kind": kind, **fields})
        with (self.folder / "events.jsonl").open("a") as file:
            file.write(line + "\n")


def execute(
    folder: Path, name: str, clock: Clock, stop_after: int | None = None, error: bool = False
) -> None:
    """Leave what the runner leaves of step `name`: notebook, events, done.json."""
    cells = notebook_cells(name)
    codes = [place for place, cell in enumerate(cells) if cell.cell_type == "code"]
    clock.tell("step_started", step=name, attempt=1, cells=len(codes))
    for number, place in enumerate(codes, 1):
        clock.cell = place
        clock.tell("cell_started", step=name, cell=place, number=number)
        if stop_after is not None and number > stop_after:
            if error:
                cells[place].outputs = [_error()]
                note = '<span id="papermill-error-cell" style="color:red">Execution using papermill…</span>'
                tag = {"tags": ["papermill-error-cell-tag"]}
                cells.insert(place, new_markdown_cell(note, metadata=tag))
                cells.insert(0, new_markdown_cell(note, metadata=tag))
            else:
                clock.now = time.time() - 2.4
            for later in cells[place + (3 if error else 0) :]:
                if later.cell_type == "code":
                    later.outputs, later.execution_count = [], None
            if error:
                clock.tell("cell_finished", step=name, cell=place, number=number, seconds=0.12)
            break
        seconds = round(SECONDS.get(name, 1.0) / len(codes), 3)
        clock.now += seconds
        clock.tell("cell_finished", step=name, cell=place, number=number, seconds=seconds)
    else:
        clock.tell(
            "step_finished",
            step=name,
            status="completed",
            seconds=SECONDS.get(name, 1.0),
            mlflow_run="1" * 32,
        )
        done = {"attempt": "attempt-1", "seconds": SECONDS.get(name, 1.0), "mlflow_run": "1" * 32}
        write_json(folder / "steps" / name / "done.json", done)
    path = folder / "steps" / name / "attempt-1" / "notebook.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)


def write_outputs(folder: Path, name: str, run_id: str, version: int, gate: bool) -> None:
    """The artifacts of step `name`, in place."""
    found = results()
    for artifact in LIFECYCLE.step(name).outputs:
        path = folder / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if artifact.kind == "table":
            found[artifact.name].to_parquet(path, index=False)
        elif artifact.kind == "model":
            training.save_model(path, found["model"])
        elif artifact.kind == "folder":
            (path / "image").mkdir(parents=True, exist_ok=True)
            (path / "image" / "Dockerfile").write_text("FROM python:3.11.14-slim-bookworm\n")
            write_json(path / "MANIFEST.json", {"image/Dockerfile": "f00d" * 4})
        elif artifact.kind == "report":
            report = trials()[0] if artifact.name == "tuning" else found[artifact.name]
            write_json(path, _judged(report, gate) if artifact.name == "evaluation" else report)
        elif artifact.name == "snapshot":
            rows = len(found["events"])
            receipt = {"digest": "c0ffee" * 2, "rows": rows, "version": 1, "commit": "0" * 40}
            write_json(path, receipt | {"run_id": run_id})
        else:
            passed = "passed" if gate else "failed"
            receipt = {"model": "fraud", "version": version, "model_digest": "f00d" * 4, "gate": passed}
            receipt |= {"run_id": run_id, "mlflow_run": "0" * 32, "note": "first try"}
            receipt |= {"stage": "production", "share": 0.1} if artifact.name == "deployment" else {}
            write_json(path, receipt)


def notebook_cells(name: str) -> list[Any]:
    """The cells of an executed notebook of step `name`, in the form that ours have."""
    step = LIFECYCLE.step(name)
    params = "\n".join(f"{each} = {value!r}" for each, value in step.check({}).model_dump().items())
    report, collected = results()["evaluation"], results()["collected"]
    cells = [
        new_markdown_cell(
            f"# {step.title}\n\nEvery step reads what the one before it wrote. This one is the "
            f"{LIFECYCLE.names.index(name) + 1}. of {len(LIFECYCLE.names)}."
        ),
        new_code_cell(params, metadata={"tags": ["parameters"]}, execution_count=1),
        new_code_cell("# Parameters\n" + params, metadata={"tags": ["injected-parameters"]}),
        new_markdown_cell("## Open the inputs\n\nThey come by name; where they lie is the run's business."),
        _code(f'from pipelines.artifacts import open_step\n\nstep = open_step("{name}")', 1),
        new_markdown_cell("## Which days is it about?"),
        _code(
            'print(f"{len(events):,} payments")', 2, _printed(f"{len(collected):,} payments until day 60\n")
        ),
        new_markdown_cell("The first rows, as they were collected."),
        _code("events.head()", 3, _table(collected.head(4))),
        new_markdown_cell(
            "## How good are the alerts?\n\nEach day the cards with the highest scores are looked into. "
            "The line says how many of 100 were fraud; the band is the 95% interval."
        ),
        _code("figure", 4, _figure(_precision(report)), _words("Alerts are right on **7 of 7** days.")),
        new_markdown_cell("## Keep the result"),
        _code(f'step.write("{step.outputs[0].name}", result)', 5),
    ]
    return [cell for cell in cells if cell.cell_type != "code" or cell.source.strip()]


def _precision(report: dict[str, Any]) -> Any:
    days = [each["day"] for each in report["by_day"]]
    model = np.array([each["card_precision"] for each in report["by_day"]])
    figure = figures.new_figure("Alerts find fraud on every day of the test", x="Day", y="Fraud per alert")
    figures.band(figure, days, np.clip(model - 0.15, 0, 1), np.clip(model + 0.15, 0, 1))
    figures.line(figure, days, model, "champion", "this model")
    baseline = [each["baseline"] for each in report["by_day"]]
    figures.line(figure, days, baseline, "reference", "amount alone")
    return figure


def _code(source: str, count: int, *outputs: Any) -> Any:
    return new_code_cell(source, execution_count=count, outputs=list(outputs))


def _printed(text: str) -> Any:
    return new_output("stream", name="stdout", text=text)


def _table(rows: pd.DataFrame) -> Any:
    data = {
        "text/plain": rows.to_string(),
        "text/html": "<b onclick='alert(1)'>never shown</b>",
        "application/vnd.dataresource+json": json.loads(rows.to_json(orient="table")),
    }
    return new_output("execute_result", data=data, execution_count=3)


def _words(text: str) -> Any:
    data = {"text/markdown": text, "text/plain": "never shown"}
    return new_output("execute_result", data=data, execution_count=4)


def _figure(figure: Any) -> Any:
    return new_output("execute_result", data=figure._repr_mimebundle_(), execution_count=4)


def _error() -> Any:
    lines = [
        "\x1b[31m---------------------------------------------------------------------------\x1b[39m",
        "\x1b[31mBadInput\x1b[39m                                  Traceback (most recent call last)",
        "\x1b[32m----> 1\x1b[39m fitted = training.fit(scenario, features, params, seed, now_s)",
        "BadInput: Training on 60 days and testing on 7 takes 81 days, but 60 were collected.",
    ]
    value = "Training on 60 days and testing on 7 takes 81 days, but 60 were collected."
    return new_output("error", ename="BadInput", evalue=value, traceback=lines)


def _judged(report: dict[str, Any], passed: bool) -> dict[str, Any]:
    """The report with its gate as asked for."""
    reasons = [each | {"passed": each["passed"] or passed} for each in report["gate"]["reasons"]]
    if not passed:
        reasons[-1] = reasons[-1] | {"passed": False}
    return report | {"gate": {"passed": passed, "reasons": reasons}}

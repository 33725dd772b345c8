"""Answers in the log, with or without a label, and what tests ask of their lineage."""

from __future__ import annotations

import time
from dataclasses import replace

import page_samples as samples

from pipelines import versioning
from pipelines.lineage import Lineage
from pipelines.run import Run, write_json
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving.prediction_log import PredictionLog
from pipelines.serving.predictions import Label, Prediction
from pipelines.workspace import Workspace


def answer(workspace: Workspace, **changes: object) -> Prediction:
    """One more answer, logged now; by default of an event of the world on day 60."""
    newest = samples.results()["features"].iloc[-1]
    names = samples.results()["model"].card["features"]
    first = {"event_id": 7_000, "event_time": 60 * DAY_S + 3_660, "at": time.time(), "score": 0.87}
    made = Prediction(
        stream=samples.Stream(workspace.name, "main", "fraud", "small-1"),
        event={"customer_id": 7, "terminal_id": 42, "amount": 62.5},
        version=1,
        route="champion",
        decision=True,
        cold_start="",
        features=newest[names].to_numpy("<f8").tobytes(),
        latency_ms=2.0,
        **first,  # type: ignore[arg-type]
    )
    made = replace(made, **changes)  # type: ignore[arg-type]
    write(workspace, [made])
    return made


def write(workspace: Workspace, predictions: list[Prediction], labels: tuple[Label, ...] = ()) -> None:
    log = PredictionLog(workspace)
    log.write(predictions, labels)
    log.close()


def tell_label(workspace: Workspace, of: Prediction, value: int) -> None:
    write(workspace, [], (Label(of.prediction_id, of.stream, of.event_id, value, 67 * DAY_S, 0.0),))


def gaps(lineage: Lineage) -> str:
    return "\n".join(f"{gap.what} {gap.means}" for gap in lineage.gaps)


def check(lineage: Lineage, name: str) -> bool | None:
    return next(each.ok for each in lineage.checks if each.name == name)


def name_data(workspace: Workspace, run: Run, kept: versioning.DataVersion) -> None:
    path = workspace.run_folder(run.run_id) / "receipts" / "snapshot.json"
    write_json(path, {"digest": kept.digest, "rows": kept.rows, "version": kept.number})

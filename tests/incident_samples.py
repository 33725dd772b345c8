"""A world whose champion is monitored, as its run leaves it, without notebooks: for tests of incidents."""

from __future__ import annotations

from functools import cache
from typing import Any

import pandas as pd
from real_gateway import PASSED

from pipelines import evaluation, registry, tracking
from pipelines.artifacts import open_step
from pipelines.features import offline
from pipelines.ingestion import collect
from pipelines.lifecycle import EVALUATION, EVENTS, FEATURES, MODEL, REGISTRATION, Evaluate, Train
from pipelines.promotion import promote
from pipelines.run import create_run, read_params, write_json
from pipelines.scenarios import find_scenario
from pipelines.training import FittedModel, fit, save_model, today
from pipelines.workspace import Workspace

DAY = 60


@cache
def trained(
    seed: int = 1, name: str = "fraud"
) -> tuple[pd.DataFrame, pd.DataFrame, FittedModel, dict[str, Any]]:
    """Events, features, model and evaluation of the teaching world on day 60."""
    scenario = find_scenario(name)
    events = collect(scenario, "teaching", seed, DAY, "")
    features = offline.compute(scenario, events)
    model = fit(scenario, features, Train(), seed, today(features))
    report = evaluation.evaluate(scenario, features, model, Evaluate(), seed)
    return events, features, model, report


def watched(workspace: Workspace, seed: int = 1, scenario: str = "fraud") -> int:
    """Put a monitored version into production; its number."""
    events, features, model, report = trained(seed, scenario)
    run = create_run(workspace, scenario, {"ingest": {"size": "teaching", "until_day": DAY}}, seed=seed)
    folder = workspace.run_folder(run.run_id)
    for artifact, frame in ((EVENTS, events), (FEATURES, features)):
        (folder / artifact.path).parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(folder / artifact.path, index=False)
    for name in ("train", "register"):
        place = folder / "steps" / name / "attempt-1"
        place.mkdir(parents=True)
        opened = tracking.open_step(run, name, read_params(folder)[name], 1)
        (place / tracking.RUN_FILE).write_text(opened)
    train = open_step("train", folder / "steps" / "train" / "attempt-1")
    save_model(train.path("model"), model)
    tracking.log_model(train, model.model, model.card, model.golden)
    save_model(folder / MODEL.path, model)
    write_json(folder / EVALUATION.path, report | {"gate": {"passed": True, "reasons": [PASSED]}})
    write_json(folder / "receipts" / "snapshot.json", {"digest": "da7a" * 4, "rows": 1, "version": 1})
    receipt = registry.register(open_step("register", folder / "steps" / "register" / "attempt-1"))
    write_json(folder / REGISTRATION.path, receipt)
    version = int(receipt["version"])
    source = f"run:{run.run_id}/deploy"
    promote(workspace, scenario, version, stage="production", reason="test", source=source)
    return version

"""A run with a model small enough to train in no time: what tests of the stages after training start from."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipelines import registry, tracking
from pipelines.artifacts import StepFiles, open_step
from pipelines.run import Run, create_run, read_params, write_json
from pipelines.training import FittedModel, save_model
from pipelines.workspace import Workspace

SCENARIO = "fraud"
FEATURES = ["amount", "weekend", "night"]

PASSED = {"rule": "gain", "found": 0.31, "expected": 0.05, "passed": True, "meaning": "It beats no model."}
FAILED = {"rule": "gain", "found": 0.01, "expected": 0.05, "passed": False, "meaning": "It beats no model."}

SNAPSHOT = {"digest": "da7a" * 4, "rows": 300, "version": 2}


def new_run(workspace: Workspace, seed: int = 1) -> Run:
    """A run of the small scenario, its folder made and nothing executed."""
    return create_run(workspace, SCENARIO, {"ingest": {"until_day": 50}}, seed=seed)


def begin(workspace: Workspace, run: Run, name: str, attempt: int = 1) -> StepFiles:
    """Open step `name` as its runner does, and its files as its notebook does."""
    folder = workspace.run_folder(run.run_id)
    place = folder / "steps" / name / f"attempt-{attempt}"
    place.mkdir(parents=True)
    opened = tracking.open_step(run, name, read_params(folder)[name], attempt)
    (place / tracking.RUN_FILE).write_text(opened)
    return open_step(name, place)


def rows(seed: int = 1, count: int = 300) -> pd.DataFrame:
    """Features of `count` events."""
    values = np.random.default_rng(seed).normal(size=(count, len(FEATURES)))
    return pd.DataFrame(values, columns=FEATURES)


def fit(seed: int = 1) -> FittedModel:
    """A logistic regression with its card; another seed gives another digest."""
    table = rows(seed)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(table.to_numpy(), (table["amount"] > 0.3).to_numpy())
    golden = table.head(50)
    card = {
        "scenario": SCENARIO,
        "task": "classification",
        "kind": "logistic",
        "params": {},
        "seed": seed,
        "features": FEATURES,
        "golden_scores": model.predict_proba(golden.to_numpy())[:, 1].tolist(),
        "threshold": 0.5,
    }
    return FittedModel(model, card, golden)


def train(workspace: Workspace, run: Run, fitted: FittedModel | None = None) -> StepFiles:
    """Do what the train step does: save the model, log it, and publish its output."""
    fitted = fitted or fit(run.seed)
    step = begin(workspace, run, "train")
    save_model(step.path("model"), fitted)
    tracking.log_model(step, fitted.model, fitted.card, rows())
    publish(workspace, run, fitted)
    return step


def publish(workspace: Workspace, run: Run, fitted: FittedModel, gate: dict[str, object] = PASSED) -> None:
    """Give the run the outputs of train and evaluate that register reads."""
    folder = workspace.run_folder(run.run_id)
    save_model(folder / "model", fitted)
    write_json(
        folder / "reports" / "evaluation.json", {"gate": {"passed": gate["passed"], "reasons": [gate]}}
    )
    write_json(folder / "receipts" / "snapshot.json", SNAPSHOT)


def register(
    workspace: Workspace, count: int = 1, *, gate: dict[str, object] = PASSED, note: str = ""
) -> list[int]:
    """Register so many versions of one model, each by a run of its own; their numbers."""
    numbers = []
    for number in range(count):
        run = new_run(workspace)
        if number == 0:
            train(workspace, run)
        publish(workspace, run, fit(run.seed), gate)
        receipt = registry.register(begin(workspace, run, "register"), note)
        numbers.append(receipt["version"])
    return numbers

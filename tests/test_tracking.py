"""Tracking on a real MLflow server: one run a pipeline run, one a step, everything found again."""

from __future__ import annotations

import functools
import http.server
import json
import math
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
import small_model
import yaml
from playwright.sync_api import sync_playwright
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline

from pipelines import mlflow_models, mlflow_server, registry, tracking
from pipelines.artifacts import digest, open_step
from pipelines.errors import BadInput, Missing, Unavailable
from pipelines.lifecycle import MODEL
from pipelines.run import Run, read_params
from pipelines.settings import settings
from pipelines.training import FittedModel, save_model
from pipelines.workspace import Workspace, open_workspace

pytestmark = pytest.mark.usefixtures("mlflow")


class Doubled(TransformerMixin, BaseEstimator):
    """A transformer that lives outside the package, as one written in a notebook does."""

    def fit(self, X: Any, y: Any) -> Doubled:
        self.n_features_in_, self.classes_ = X.shape[1], sorted(set(y))
        return self

    def transform(self, X: Any) -> Any:
        return X * 2


def described(workspace: Workspace, run_id: str) -> dict[str, Any]:
    """The MLflow run as the server has it, tags, params and metrics by name."""
    found = mlflow_server.call(workspace.name, "GET", "runs/get", {"run_id": run_id})["run"]
    data = found["data"]
    return found["info"] | {
        "tags": mlflow_server.read_tags(data),
        "params": {each["key"]: each.get("value", "") for each in data.get("params", [])},
        "metrics": {each["key"]: each["value"] for each in data.get("metrics", [])},
        "inputs": found.get("inputs", {}).get("dataset_inputs", []),
    }


def stored(workspace: Workspace, run_id: str, name: str) -> bytes:
    """The content of one artifact of an MLflow run."""
    uri = described(workspace, run_id)["artifact_uri"]
    return mlflow_server.download(workspace.name, uri, name)


def opened(workspace: Workspace) -> tuple[Run, str]:
    """A run and its MLflow run."""
    run = small_model.new_run(workspace)
    return run, tracking.open_run(run, read_params(workspace.run_folder(run.run_id)))


def test_a_pipeline_run_is_one_mlflow_run_with_a_nested_one_for_each_step(workspace: Workspace) -> None:
    # given
    run, parent = opened(workspace)

    # when
    children = [tracking.open_step(run, step, {}, 1) for step in ("train", "evaluate")]

    # then
    assert [described(workspace, child)["tags"]["mlflow.parentRunId"] for child in children] == [parent] * 2
    assert [described(workspace, child)["tags"]["flightdeck.step"] for child in children] == [
        "train",
        "evaluate",
    ]
    assert tracking.open_run(run, {}) == parent


def test_a_run_carries_what_its_results_depend_on(workspace: Workspace) -> None:
    run, parent = opened(workspace)

    found = described(workspace, parent)

    assert found["params"]["ingest.until_day"] == "50"
    assert found["params"]["train.model"] == "boosting"
    tags = found["tags"]
    assert tags["flightdeck.run_id"] == run.run_id
    assert tags["flightdeck.seed"] == "1"
    assert tags["flightdeck.day"] == "50"
    assert tags["flightdeck.code"] == run.code
    assert tags["flightdeck.library.scikit-learn"] == run.libraries["scikit-learn"]


def test_a_step_carries_its_params_and_what_its_run_can_be_searched_by(workspace: Workspace) -> None:
    run, _ = opened(workspace)

    child = described(workspace, tracking.open_step(run, "train", {"max_depth": 3}, 2))

    assert child["params"] == {"max_depth": "3"}
    assert child["tags"]["flightdeck.run_id"] == run.run_id
    assert child["tags"]["flightdeck.attempt"] == "2"
    assert child["tags"]["flightdeck.day"] == "50"
    assert child["status"] == "RUNNING"


def test_eight_that_open_one_run_at_once_get_the_same(workspace: Workspace) -> None:
    run = small_model.new_run(workspace)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: tracking.open_run(run, {}), range(8)))

    assert len(set(found)) == 1


def test_a_step_opened_before_its_run_makes_the_run(workspace: Workspace) -> None:
    run = small_model.new_run(workspace)

    child = described(workspace, tracking.open_step(run, "train", {}, 1))

    parent = described(workspace, child["tags"]["mlflow.parentRunId"])
    assert parent["params"]["ingest.until_day"] == "50"


def test_an_attempt_that_was_killed_is_ended_and_the_next_begins_empty(workspace: Workspace) -> None:
    # given an attempt whose runner was killed after it had logged something
    run, _ = opened(workspace)
    first = small_model.begin(workspace, run, "train")
    tracking.log_metrics(first, {"auc": 0.5})
    killed = (first.attempt / tracking.RUN_FILE).read_text()

    # when
    second = tracking.open_step(run, "train", {}, 2)

    # then
    assert second != killed
    assert described(workspace, killed)["status"] == "KILLED"
    assert described(workspace, killed)["metrics"] == {"auc": 0.5}
    assert described(workspace, second)["metrics"] == {}
    assert tracking.open_step(run, "train", {}, 2) == second


def test_a_step_that_ended_keeps_its_status_when_it_is_repeated(workspace: Workspace) -> None:
    run, _ = opened(workspace)
    first = tracking.open_step(run, "train", {}, 1)
    tracking.close_run(first, "failed")

    tracking.open_step(run, "train", {}, 2)

    assert described(workspace, first)["status"] == "FAILED"


@pytest.mark.parametrize(
    ("status", "shown"), [("completed", "FINISHED"), ("failed", "FAILED"), ("cancelled", "KILLED")]
)
def test_finishing_a_run_ends_what_is_still_open_of_it(workspace: Workspace, status: Any, shown: str) -> None:
    # given
    run, parent = opened(workspace)
    ended = tracking.open_step(run, "ingest", {}, 1)
    tracking.close_run(ended, "completed")
    interrupted = tracking.open_step(run, "train", {}, 1)

    # when
    tracking.finish_run(run, status)

    # then
    assert described(workspace, ended)["status"] == "FINISHED"
    assert described(workspace, interrupted)["status"] == shown
    assert described(workspace, parent)["status"] == shown


def test_a_retried_run_is_running_again(workspace: Workspace) -> None:
    run, parent = opened(workspace)
    tracking.finish_run(run, "failed")

    tracking.open_step(run, "train", {}, 1)

    assert described(workspace, parent)["status"] == "RUNNING"


def test_the_executed_notebook_is_kept_with_its_step(workspace: Workspace, tmp_path: Path) -> None:
    run, _ = opened(workspace)
    child = tracking.open_step(run, "train", {}, 1)
    notebook = tmp_path / "executed.ipynb"
    notebook.write_text('{"cells": []}')

    tracking.close_run(child, "completed", notebook)

    assert stored(workspace, child, "notebook.ipynb") == b'{"cells": []}'
    assert described(workspace, child)["status"] == "FINISHED"


def test_what_a_notebook_logs_is_found_again(workspace: Workspace) -> None:
    # given
    run, _ = opened(workspace)
    step = small_model.begin(workspace, run, "train")
    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 1]))

    # when
    tracking.log_input(step, "features", small_model.rows(count=7), "0123456789abcdef")
    tracking.log_metrics(step, {"auc": 0.75, "average_precision": 0.5})
    tracking.log_figure(step, figure, "roc")
    tracking.log_report(step, {"rows": 7}, "windows")

    # then
    child = (step.attempt / tracking.RUN_FILE).read_text()
    found = described(workspace, child)
    assert found["metrics"] == {"auc": 0.75, "average_precision": 0.5}
    (dataset,) = (each["dataset"] for each in found["inputs"])
    assert (dataset["name"], dataset["digest"]) == ("features", "0123456789abcdef")
    assert json.loads(dataset["profile"])["num_rows"] == 7
    assert [each["name"] for each in json.loads(dataset["schema"])["mlflow_colspec"]] == small_model.FEATURES
    assert go.Figure(json.loads(stored(workspace, child, "figures/roc.json"))) == figure
    assert stored(workspace, child, "figures/roc.svg").startswith(b"<svg")
    assert json.loads(stored(workspace, child, "reports/windows.json")) == {"rows": 7}


def test_a_metric_that_is_no_number_is_refused(workspace: Workspace) -> None:
    step = small_model.begin(workspace, small_model.new_run(workspace), "train")

    with pytest.raises(BadInput, match="'auc' is nan"):
        tracking.log_metrics(step, {"auc": math.nan})


def test_a_logged_model_tells_its_users_all_they_need(workspace: Workspace) -> None:
    # given, when
    run = small_model.new_run(workspace)
    step = small_model.train(workspace, run)

    # then
    wanted = digest(MODEL, step.path("model"))
    (model,) = mlflow_models.find_models(workspace.name, run.scenario, wanted)
    assert model["source_run_id"] == (step.attempt / tracking.RUN_FILE).read_text()

    def read(name: str) -> str:
        return mlflow_server.download(workspace.name, model["artifact_uri"], name).decode()

    described_model = yaml.safe_load(read("MLmodel"))
    inputs = json.loads(described_model["signature"]["inputs"])
    assert [each["name"] for each in inputs] == small_model.FEATURES
    assert {each["type"] for each in inputs} == {"double"}
    assert len(json.loads(read("input_example.json"))["data"]) == mlflow_models.EXAMPLE_ROWS
    pinned = dict(line.split("==") for line in read("requirements.txt").split())
    assert pinned["scikit-learn"] == run.libraries["scikit-learn"]
    assert json.loads(read("extra_files/model.json"))["features"] == small_model.FEATURES


def test_logging_a_model_says_nothing_in_the_notebook(
    workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    small_model.train(workspace, small_model.new_run(workspace))

    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


def test_a_model_with_a_class_from_a_notebook_is_refused(workspace: Workspace) -> None:
    # given
    plain = small_model.fit()
    model = make_pipeline(Doubled(), plain.model)
    step = small_model.begin(workspace, small_model.new_run(workspace), "train")
    save_model(step.path("model"), FittedModel(model, plain.card, plain.golden))

    # when, then
    with pytest.raises(BadInput, match="Doubled"):
        tracking.log_model(step, model, plain.card, small_model.rows())


def test_a_model_is_saved_before_it_is_logged(workspace: Workspace) -> None:
    step = small_model.begin(workspace, small_model.new_run(workspace), "train")
    fitted = small_model.fit()

    with pytest.raises(Missing, match=r"model\.skops"):
        tracking.log_model(step, fitted.model, fitted.card, small_model.rows())


def test_metrics_of_a_step_that_reads_the_model_are_the_models_too(workspace: Workspace) -> None:
    # given
    run = small_model.new_run(workspace)
    trained = small_model.train(workspace, run)
    step = small_model.begin(workspace, run, "evaluate")

    # when
    tracking.log_metrics(step, {"auc": 0.75})

    # then
    wanted = digest(MODEL, trained.path("model"))
    (model,) = mlflow_models.find_models(workspace.name, run.scenario, wanted)
    found = mlflow_server.call(workspace.name, "GET", f"logged-models/{model['model_id']}")["model"]
    assert [(each["key"], each["value"]) for each in found["data"]["metrics"]] == [("auc", 0.75)]


def test_a_notebook_opened_by_hand_logs_to_a_run_of_its_own(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given a run with features, and a working folder that belongs to none
    mine = open_workspace()
    run = small_model.new_run(mine)
    features = mine.run_folder(run.run_id) / "data" / "features.parquet"
    features.parent.mkdir()
    small_model.rows().to_parquet(features)
    monkeypatch.chdir(tmp_path)
    step = open_step("train")

    # when
    tracking.log_metrics(step, {"auc": 0.5})
    tracking.log_metrics(step, {"auc": 0.6})

    # then
    experiment = mlflow_server.experiment_id(mine.name, run.scenario)
    (found,) = mlflow_server.search(
        mine.name,
        "POST",
        "runs/search",
        "runs",
        experiment_ids=[experiment],
        filter=f"tags.source = 'lab' and tags.`flightdeck.base` = '{run.run_id}'",
    )
    assert found["info"]["status"] == "FINISHED"
    assert described(mine, found["info"]["run_id"])["metrics"] == {"auc": 0.6}


def test_another_workspace_does_not_see_a_run(workspace: Workspace) -> None:
    _, parent = opened(workspace)
    other = open_workspace(f"{workspace.name}-b")
    tracking.connect(other.name)

    with pytest.raises(Missing, match=other.name):
        tracking.run_url(parent, other.name)
    with pytest.raises(Missing):
        tracking.close_run(parent, "failed")
    assert described(workspace, parent)["status"] == "RUNNING"


def test_threads_that_work_for_different_learners_do_not_mix(workspace: Workspace) -> None:
    """Pages serve many learners in one process; MLflow's own client keeps one workspace for it."""
    names = [f"{workspace.name}-{number}" for number in range(4)]

    def work(name: str) -> set[str]:
        place = open_workspace(name)
        for _ in range(3):
            run, _ = opened(place)
            tracking.close_run(tracking.open_step(run, "train", {}, 1), "completed")
        experiment = mlflow_server.experiment_id(name, small_model.SCENARIO)
        found = mlflow_server.search(name, "POST", "runs/search", "runs", experiment_ids=[experiment])
        return {mlflow_server.read_tags(each["data"])["flightdeck.run_id"] for each in found}

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(work, names))

    assert seen == [set(open_workspace(name).run_ids()) for name in names]


def test_an_experiment_deleted_in_mlflow_is_restored(workspace: Workspace) -> None:
    run, parent = opened(workspace)
    experiment = mlflow_server.experiment_id(workspace.name, run.scenario)
    mlflow_server.call(workspace.name, "POST", "experiments/delete", experiment_id=experiment)

    assert tracking.open_run(run, {}) == parent


@pytest.mark.browser
def test_every_address_given_for_mlflows_pages_is_the_exact_page(workspace: Workspace) -> None:
    # given a run that trained, drew and registered
    run = small_model.new_run(workspace)
    step = small_model.train(workspace, run)
    tracking.log_figure(step, go.Figure(go.Scatter(x=[0, 1], y=[0, 1])), "roc")
    small_model.publish(workspace, run, small_model.fit())
    registry.register(small_model.begin(workspace, run, "register"), "for the browser")
    child = (step.attempt / tracking.RUN_FILE).read_text()
    pages = {
        tracking.run_url(child, workspace.name): f"train · {run.run_id}",
        tracking.run_url(child, workspace.name).replace(
            "?", "/artifacts/figures/roc.svg?"
        ): "figures/roc.svg",
        tracking.experiment_url(run.scenario, workspace.name): run.run_id,
        tracking.version_url(run.scenario, 1, workspace.name): "for the browser",
    }
    asked: list[str] = []

    # when, then
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
        )
        for address, shown in pages.items():
            page = browser.new_context().new_page()  # no workspace is remembered from the page before
            page.on("request", lambda request: asked.append(request.url))
            page.goto(address)
            page.get_by_text(shown).first.wait_for(timeout=30_000)
            page.get_by_text(workspace.name).first.wait_for(timeout=30_000)
        browser.close()
    outside = [url for url in asked if not url.startswith((settings().mlflow_url, "data:", "blob:"))]
    assert outside == []


def test_another_program_on_mlflows_port_is_not_taken_for_mlflow(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given a web server that is not MLflow
    (tmp_path / "index.html").write_text("<h1>Something else</h1>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        run = small_model.new_run(workspace)
        monkeypatch.setenv("FLIGHTDECK_MLFLOW_PORT", str(server.server_port))
        settings.cache_clear()

        # when, then
        try:
            with pytest.raises(Unavailable, match="does not speak as MLflow does"):
                tracking.open_run(run, {})
        finally:
            monkeypatch.undo()
            settings.cache_clear()
            server.shutdown()


def test_without_mlflow_the_reader_learns_at_once_what_to_start(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    # given
    run = small_model.new_run(workspace)
    monkeypatch.setenv("FLIGHTDECK_MLFLOW_PORT", str(free_port))
    settings.cache_clear()

    # when
    began = time.monotonic()
    try:
        with pytest.raises(Unavailable) as caught:
            tracking.open_run(run, {})
    finally:
        monkeypatch.undo()
        settings.cache_clear()

    # then
    assert str(free_port) in caught.value.message
    assert "make run" in caught.value.hint
    assert time.monotonic() - began < 5


def test_pages_and_cli_pay_for_neither_mlflow_nor_scikit_learn() -> None:
    program = (
        "import sys, pipelines.tracking, pipelines.registry, pipelines.promotion\n"
        "print([name for name in ('mlflow', 'sklearn', 'skops') if name in sys.modules])"
    )

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"

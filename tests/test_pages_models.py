"""The rooms Train and Evaluate, run by Streamlit itself: every state, and what each control changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import page_samples as samples
import pytest
from streamlit.testing.v1 import AppTest
from test_pages import TIMEOUT_S, address, press, show, words

from pages.parts import beside, experiments, models, verdict
from pipelines import mlflow_server
from pipelines.errors import Missing
from pipelines.lifecycle import LIFECYCLE
from pipelines.run import Run, write_json
from pipelines.scenarios.fraud import FRAUD
from pipelines.settings import REPOSITORY, settings
from pipelines.workspace import Workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """The workspace that pages open, in a home of this test's own."""
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    settings.cache_clear()
    experiments._ask_mlflow.clear()
    yield open_workspace()
    settings.cache_clear()


@pytest.fixture
def tracked(mlflow: str, workspace: Workspace) -> Workspace:
    """The same, with an MLflow that knows nothing of it yet."""
    with suppress(Missing):
        mlflow_server._send(
            "DELETE", f"/api/3.0/mlflow/workspaces/{workspace.name}", params={"mode": "CASCADE"}
        )
    return workspace


def enter(page: str) -> AppTest:
    """The room inside the app's frame, from which other rooms can be reached."""
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=TIMEOUT_S).run()
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception, app.exception[0].message
    return app


def primary(app: AppTest) -> str:
    (only,) = [button.label for button in app.button if button.proto.type == "primary"]
    return only


def worse(workspace: Workspace, run: Run, by: float = 0.3) -> None:
    """Lower the average precision that the report of this run holds."""
    path = workspace.run_folder(run.run_id) / "reports" / "evaluation.json"
    report = json.loads(path.read_text())
    report["metrics"]["average_precision"] -= by
    report["intervals"]["average_precision"] = [end - by for end in report["intervals"]["average_precision"]]
    write_json(path, report)


# Train.


def test_train_without_mlflow_says_so_and_keeps_what_is_on_disk(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("FLIGHTDECK_MLFLOW_PORT", str(free_port))
    settings.cache_clear()
    samples.completed(workspace)
    app = show("train")
    assert "MLflow is not answering" in words(app).replace("\\", "")
    assert app.title[0].value == "You have one model: version 1"
    assert "Of 100 alerts" in words(app)
    assert primary(app) == "Train another"


def test_two_models_are_put_over_the_noise_of_the_one_that_serves(tracked: Workspace) -> None:
    # given a champion, and an earlier model that was much worse
    first = samples.completed(tracked, version=1, ago_s=900, serve=False)
    worse(tracked, first)
    second = samples.completed(tracked, version=2)
    for run in (first, second):
        samples.tracked(tracked, run)
    # when
    app = show("train")
    # then
    assert app.title[0].value == "No change beats the noise of version 2 yet"
    assert "None of 1 beat the noise of version 2" in words(app)
    assert "What do your good models share?" in words(app)
    assert app.selectbox[0].value == second.run_id


def test_a_model_above_the_band_is_counted(tracked: Workspace) -> None:
    # given a champion much worse than the model after it
    first = samples.completed(tracked, version=1, ago_s=900)
    worse(tracked, first, by=0.5)
    second = samples.completed(tracked, version=2, serve=False)
    for run in (first, second):
        samples.tracked(tracked, run)
    assert show("train").title[0].value == "1 of your 1 other models beats the noise of version 1"


def test_choosing_a_model_keeps_it_in_the_address(tracked: Workspace) -> None:
    first = samples.completed(tracked, version=1, ago_s=900)
    samples.completed(tracked, version=2)
    app = show("train")
    app.selectbox[0].select(first.run_id).run()
    assert address(app, "run") == first.run_id
    assert not app.exception


def test_what_was_changed_for_a_model_comes_before_what_was_not(tracked: Workspace) -> None:
    samples.completed(tracked, params={"train": {"model": "logistic", "max_depth": 7}})
    said = words(show("train"))
    assert "max depth **7**" in said
    assert said.index("max depth **7**") < said.index("learning rate")


def test_a_search_that_goes_on_shows_its_trials_so_far(tracked: Workspace) -> None:
    base = samples.completed(tracked)
    run = samples.searched(tracked, base.run_id, going=True)
    app = show("train")
    assert app.title[0].value == "A search is going on"
    assert "Trial 5:" in words(app)
    assert primary(app) == "Watch the notebook"
    assert not [button for button in app.button if button.label.startswith("Search")]
    assert address(press(enter("train"), "Watch the notebook"), "run") == run.run_id


def test_a_search_that_ended_says_whether_it_was_luck(tracked: Workspace) -> None:
    base = samples.completed(tracked)
    run = samples.searched(tracked, base.run_id)
    samples.tracked(tracked, run)
    report = samples.trials()[0]
    said = words(show("train")).replace("\\", "")
    assert report["words"] in said
    assert "What do the good trials share?" in said


def test_a_promising_trial_is_one_press_from_being_trained(tracked: Workspace) -> None:
    # given a search whose best beats the noise
    base = samples.completed(tracked)
    run = samples.searched(tracked, base.run_id)
    path = tracked.run_folder(run.run_id) / "reports" / "tuning.json"
    params = LIFECYCLE.step("train").check({"model": "forest", "max_depth": 9}).model_dump()
    best = {"number": 3, "params": params, "average_precision": 0.9}
    write_json(path, json.loads(path.read_text()) | {"verdict": "above the noise", "best": best})
    # when
    app = show("train")
    assert primary(app) == "Train the best trial"
    app = press(enter("train"), "Train the best trial")
    # then
    assert address(app, "train.model") == "forest"
    assert address(app, "train.max_depth") == "9"
    assert address(app, "run") == run.run_id


def test_searching_starts_one_run_of_tune_on_features_that_are_there(tracked: Workspace) -> None:
    base = samples.completed(tracked)
    press(show("train"), "Search for better params")
    newest = models.tested_models(tracked, FRAUD)[0]
    made = [each for each in tracked.run_ids() if each != base.run_id]
    assert newest.run_id == base.run_id
    assert len(made) == 1
    run = json.loads((tracked.run_folder(made[0]) / "run.json").read_text())
    assert (run["steps"], run["base"]) == (["tune"], base.run_id)


def test_a_training_that_failed_names_its_cause(workspace: Workspace) -> None:
    samples.failed(workspace, "train")
    app = show("train")
    assert app.title[0].value == "It stopped at: train a model"
    assert "takes 81 days" in words(app).replace("\\", "")
    assert primary(app) == "Look at the failure"


def test_a_training_that_goes_on_leads_to_its_notebook(workspace: Workspace) -> None:
    samples.running(workspace, "train")
    app = show("train")
    assert app.title[0].value == "A model is being trained"
    assert primary(app) == "Watch the notebook"


# Evaluate.


def test_evaluate_says_how_many_of_100_alerts_are_right(workspace: Workspace) -> None:
    samples.completed(workspace)
    report = samples.results()["evaluation"]
    app = show("evaluate")
    assert app.title[0].value == f"Of 100 alerts, {report['metrics']['card_precision'] * 100:.0f} are fraud"
    said = words(app).replace("\\", "")
    assert "Version 1 answers every payment now" in said
    for part in ("slices", "calibration", "money"):
        assert report[part]["words"] in said
    for reason in report["gate"]["reasons"]:
        assert reason["rule"] in said
        assert reason["found"] in said


@pytest.mark.parametrize(
    ("state", "button"),
    [
        ("empty", "Make a model"),
        ("running", "Watch the notebook"),
        ("failed", "Look at the failure"),
        ("untested", "Run the evaluation"),
        ("passed", "Deploy this"),
        ("stopped", "Train another"),
        ("serving", "Train another"),
        ("begun", "Go on"),
    ],
)
def test_evaluate_offers_what_its_state_asks_for(workspace: Workspace, state: str, button: str) -> None:
    if state == "running":
        samples.running(workspace, "evaluate")
    elif state == "failed":
        samples.failed(workspace, "evaluate")
    elif state == "untested":
        samples.completed(workspace, steps=LIFECYCLE.road[: LIFECYCLE.road.index("train") + 1])
    elif state == "begun":
        samples.completed(workspace, steps=LIFECYCLE.road[: LIFECYCLE.road.index("train")])
    elif state != "empty":
        samples.completed(workspace, gate=state != "stopped", serve=state == "serving")
    assert primary(show("evaluate")) == button


def test_running_the_evaluation_starts_that_step_alone(workspace: Workspace) -> None:
    base = samples.completed(workspace, steps=LIFECYCLE.road[: LIFECYCLE.road.index("train") + 1])
    app = press(enter("evaluate"), "Run the evaluation")
    run = json.loads((workspace.run_folder(address(app, "run")) / "run.json").read_text())
    assert (run["steps"], run["base"]) == (["evaluate"], base.run_id)


def test_the_slider_says_what_another_threshold_would_mean(workspace: Workspace) -> None:
    # given the threshold from which nothing is alerted
    samples.completed(workspace)
    app = show("evaluate")
    found = samples.results()["evaluation"]["money"]
    slider = app.select_slider[0]
    assert slider.value == verdict.chosen_point(found, found["at_threshold"]["threshold"])["threshold"]
    # when
    slider.set_value(found["curve"][0]["threshold"]).run()
    # then
    said = words(app).replace("\\", "")
    assert "#### 0\u00a0EUR" in said
    assert "The model keeps the threshold it was trained with" in said


def test_two_models_are_compared_when_asked_and_not_before(workspace: Workspace) -> None:
    beside.compare.clear()
    samples.completed(workspace, version=1, ago_s=900)
    samples.completed(workspace, version=2)
    app = show("evaluate")
    assert "no difference between" not in words(app)
    press(app, "Compare")
    assert "no difference between version 1 and version 2 that luck could not make" in words(app).replace(
        "\\", ""
    )
    assert "How much higher than version 1?" in words(app)


def test_a_model_that_is_gone_from_disk_can_not_be_compared_and_says_so(workspace: Workspace) -> None:
    beside.compare.clear()
    samples.completed(workspace, version=1, ago_s=900)
    second = samples.completed(workspace, version=2)
    (workspace.run_folder(second.run_id) / "model" / "model.skops").unlink()
    app = press(show("evaluate"), "Compare")
    assert "The stored model can't be read" in words(app).replace("\\", "")


def test_a_report_of_an_earlier_flightdeck_is_shown_as_far_as_it_goes(workspace: Workspace) -> None:
    run = samples.completed(workspace)
    path = workspace.run_folder(run.run_id) / "reports" / "evaluation.json"
    report = json.loads(path.read_text())
    write_json(
        path, {key: value for key, value in report.items() if key not in ("money", "slices", "calibration")}
    )
    said = words(show("evaluate")).replace("\\", "")
    assert "made by an earlier Flightdeck" in said
    assert "The gate says yes" in said


def test_a_test_that_can_not_be_measured_is_shown_as_such(workspace: Workspace) -> None:
    run = samples.completed(workspace, gate=False, serve=False)
    path = workspace.run_folder(run.run_id) / "reports" / "evaluation.json"
    report = json.loads(path.read_text())
    nothing = dict.fromkeys(report["metrics"])
    intervals = {name: [None, None] for name in nothing}
    report |= {"metrics": nothing, "intervals": intervals, "money": None, "slices": None, "calibration": None}
    write_json(path, report)
    for page in ("evaluate", "train"):
        show(page)
    assert show("evaluate").title[0].value == "The test of your model can't be measured"


def test_names_that_are_data_are_shown_as_they_are(workspace: Workspace) -> None:
    run = samples.completed(workspace, gate=False, serve=False)
    path = workspace.run_folder(run.run_id) / "reports" / "evaluation.json"
    report = json.loads(path.read_text())
    report["gate"]["reasons"][0]["found"] = "[x](http://evil) **bold**"
    write_json(path, report)
    assert "\\[x\\]\\(http\\://evil\\)" in words(show("evaluate"))

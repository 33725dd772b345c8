"""Tuning: a search that never sees the test, repeats itself, and is honest about luck."""

from __future__ import annotations

import json
from itertools import count

import numpy as np
import pandas as pd
import pytest
import small_model

from pipelines import experiments, mlflow_server, training, tuning
from pipelines.errors import BadInput
from pipelines.features import offline
from pipelines.ingestion import collect
from pipelines.lifecycle import Train, Tune
from pipelines.scenarios.fraud import FRAUD
from pipelines.scenarios.scenario import DAY_S
from pipelines.tasks import experiment_plots
from pipelines.workspace import Workspace

QUICK = Tune(model="logistic", trials=5)


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    """Features of a small world of card payments."""
    return offline.compute(FRAUD, collect(FRAUD, "small", 3, 60))


@pytest.fixture(scope="module")
def report(features) -> dict:
    """A short search among logistic regressions."""
    return tuning.search(FRAUD, features, QUICK, seed=1)


def test_the_same_seed_searches_the_same_and_the_report_is_json(features, report):
    again = tuning.search(FRAUD, features, QUICK, seed=1)

    assert again == report
    assert json.loads(json.dumps(report)) == report
    assert not any("second" in key for key in report)


def test_the_first_trial_is_the_default(report):
    assert report["trials"][0]["params"] == Train(model="logistic").model_dump()
    assert report["trials"][0]["average_precision"] == report["default"]["average_precision"]
    assert report["default"]["low"] < report["default"]["average_precision"] < report["default"]["high"]


def test_the_best_is_the_best_of_all_trials(report):
    best = max(each["average_precision"] for each in report["trials"])

    assert report["best"]["average_precision"] == best
    assert report["gain"]["value"] == pytest.approx(best - report["default"]["average_precision"], abs=2e-6)
    assert len(report["trials"]) == 5
    assert report["stopped"] == "trials"


def test_validation_ends_one_label_delay_before_the_test_of_evaluate(features, report):
    tested = training.fit(FRAUD, features, Train(), seed=1).card["test"]

    windows = report["windows"]
    assert windows["test"]["from"] == tested["from"] // DAY_S
    assert windows["validation"]["until"] == windows["test"]["from"] - FRAUD.label_delay_days
    assert windows["train"]["until"] == windows["validation"]["from"] - FRAUD.label_delay_days


def test_whatever_happens_in_the_test_changes_nothing_in_the_search(features, report):
    # given other labels and other values from the test's first day on, and labels that came after it
    test_from = report["windows"]["test"]["from"] * DAY_S
    after = features["event_time"] >= test_from
    changed = features.assign(amount=features["amount"].mask(after, 1.0))
    late = changed["label_time"] > test_from
    changed["label"] = changed["label"].mask(late & changed["label"].notna(), 1 - changed["label"])

    assert tuning.search(FRAUD, changed, QUICK, seed=1) == report


def test_time_ends_the_search_but_never_before_the_default(features):
    # given a clock that is a minute later each time
    ticks = count(0, 60)

    found = tuning.search(
        FRAUD, features, QUICK.model_copy(update={"seconds": 5}), 1, clock=lambda: next(ticks)
    )

    assert found["stopped"] == "time"
    assert len(found["trials"]) == 1
    assert found["gain"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert "Keep it" in found["words"]


def test_a_search_among_all_kinds_tries_several(features):
    found = tuning.search(FRAUD, features, Tune(trials=8, seconds=600), seed=2)

    assert found["trials"][0]["params"] == Train().model_dump()
    assert len({each["params"]["model"] for each in found["trials"]}) > 1


def test_params_that_were_found_are_params_that_train_takes(report):
    for each in report["trials"]:
        assert Train.model_validate(each["params"]).train_days == QUICK.train_days


@pytest.mark.parametrize(
    ("gain", "best", "verdict"),
    [
        ({"value": 0.01, "low": -0.01, "high": 0.03}, 0.71, "within the noise"),
        ({"value": 0.03, "low": 0.01, "high": 0.05}, 0.73, "better on the same rows"),
        ({"value": 0.2, "low": 0.1, "high": 0.3}, 0.9, "above the noise"),
    ],
)
def test_luck_is_called_luck(gain, best, verdict):
    default = experiments.Trial(0, {}, 0.7, 0.6, 0.8, 0.1)
    found = experiments.Trial(3, {}, best, None, None, 0.1)

    assert tuning._verdict(default, found, gain) == verdict
    words = tuning._words(FRAUD, [default, default, default, found], 3, gain, verdict)
    assert ("Keep the default" in words) == (verdict == "within the noise")
    assert "0.600 to 0.800" in words


def test_too_few_days_say_how_many_it_takes():
    short = offline.compute(FRAUD, collect(FRAUD, "small", 3, 45))

    with pytest.raises(BadInput, match="takes 56 days, but 45 were collected"):
        tuning.search(FRAUD, short, QUICK, seed=1)


def test_validation_days_without_a_positive_say_so(features):
    day = features["event_time"] // DAY_S
    nothing = features.assign(label=features["label"].mask(day.between(32, 38), 0))

    with pytest.raises(BadInput, match="of one outcome only"):
        tuning.search(FRAUD, nothing, QUICK, seed=1)


@pytest.mark.parametrize(
    "wrong", [{"trials": 2}, {"trials": 201}, {"seconds": 4}, {"model": "forrest"}, {"test_days": 0}]
)
def test_params_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Tune(**wrong)


@pytest.mark.usefixtures("mlflow")
def test_each_trial_is_kept_in_the_attempt_in_mlflow_and_printed(workspace: Workspace, capsys):
    # given a step that is open, and two trials
    run = small_model.new_run(workspace)
    step = small_model.begin(workspace, run, "tune")
    keep = tuning.keep_trials(step)
    params = Train(model="logistic").model_dump()
    told = [
        experiments.Trial(0, params, 0.61, 0.5, 0.7, 0.4),
        experiments.Trial(1, params, 0.64, None, None, 0.3),
    ]

    for each in told:
        keep(each)

    assert experiments.read_trials(step.attempt) == told
    assert capsys.readouterr().out.splitlines()[1] == ("trial 1: 0.640  logistic, regularisation 1, 0.3 s")
    found = experiments.read(workspace.name, run.scenario)
    assert [(each.kind, each.name, each.metrics["average_precision"]) for each in found] == [
        ("trial", "0", 0.61),
        ("trial", "1", 0.64),
    ]
    assert found[0].params["model"] == "logistic"
    kept = mlflow_server.call(workspace.name, "GET", "runs/get", {"run_id": found[0].mlflow_run})["run"]
    assert kept["info"]["status"] == "FINISHED"
    parent = mlflow_server.read_tags(kept["data"])["mlflow.parentRunId"]
    assert parent == (step.attempt / "mlflow_run").read_text()


def test_a_line_that_is_still_being_written_is_no_trial_yet(tmp_path):
    whole = {"number": 0, "params": {}, "average_precision": 0.5, "low": 0.4, "high": 0.6, "seconds": 1.0}
    (tmp_path / experiments.TRIALS_FILE).write_text(json.dumps(whole) + "\nnot json\n" + '{"number": 1, "par')

    assert [each.number for each in experiments.read_trials(tmp_path)] == [0]
    assert experiments.read_trials(tmp_path / "nowhere") == []


def test_figures_of_experiments_say_what_they_show(report):
    band = report["default"]
    words = experiment_plots.trials(report["trials"], band["low"], band["high"]).layout.meta["alt"]
    assert "5 trials. The default reaches" in words
    assert experiment_plots.trials([], None, None).layout.meta["alt"] == "No trial has ended yet."

    score = np.array([0.5, 0.7, 0.52])
    figure = experiment_plots.noise_band(["a", "b", "c"], score, score - 0.05, score + 0.05, 0, chosen=2)
    assert figure.layout.title.text == "1 of 2 beats the noise of a"
    assert "The highest is b with 0.700" in figure.layout.meta["alt"]

    tried = [{name: str(value) for name, value in each["params"].items()} for each in report["trials"]]
    drawn = experiment_plots.parallel(tried, np.arange(5.0), "What do the good ones share?")
    assert [axis.label for axis in drawn.data[0].dimensions][-1] == "average precision"
    assert "regularisation" in [axis.label for axis in drawn.data[0].dimensions]
    assert "trees" not in [axis.label for axis in drawn.data[0].dimensions]

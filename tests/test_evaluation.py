"""Evaluation: the handbook's test, figures that agree with scikit-learn, and a gate that can say no."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import average_precision_score, roc_auc_score

from pipelines import evaluation, training
from pipelines.errors import BadInput
from pipelines.evaluation import BLOCKED_DAYS, evaluate
from pipelines.features import offline
from pipelines.ingestion import collect, known
from pipelines.lifecycle import LIFECYCLE, Evaluate, Ingest, Train
from pipelines.scenarios import SCENARIOS, Scenario, find_scenario
from pipelines.scenarios.fraud import FRAUD
from pipelines.scenarios.scenario import DAY_S, Size, alerts_in
from pipelines.tasks import plots
from pipelines.tasks.paired import compare_scores
from pipelines.training import FittedModel

PARAMS = Evaluate()


def world(name: str, size: Size, seed: int) -> tuple[Scenario, pd.DataFrame]:
    """A scenario and its features on the day that a run collects by default."""
    scenario = find_scenario(name)
    return scenario, offline.compute(scenario, collect(scenario, size, seed, Ingest().until_day))


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    """Features of a small world of card payments."""
    return world("fraud", "small", 3)[1]


@pytest.fixture(scope="module")
def fitted(features: pd.DataFrame) -> FittedModel:
    """The default model of that world."""
    return training.fit(FRAUD, features, Train(), seed=3)


@pytest.fixture(scope="module")
def report(features: pd.DataFrame, fitted: FittedModel) -> dict:
    """What evaluate says about it."""
    return evaluate(FRAUD, features, fitted, PARAMS, seed=3)


def test_tested_rows_by_the_handbooks_protocol_counted_the_slow_way(features, fitted):
    # given the protocol in plain loops: on each day, cards with a fraud that was known when it began,
    # reported since a week before the test, are left out
    test = fitted.card["test"]
    labelled = known(features, training.today(features))
    expected = []
    for day in range(test["from"] // DAY_S, test["until"] // DAY_S):
        reported = labelled["label_time"].between(test["from"] - BLOCKED_DAYS * DAY_S, day * DAY_S)
        blocked = set(labelled.loc[reported & (labelled["label"] == 1), "customer_id"])
        today = labelled[labelled["event_time"] // DAY_S == day]
        expected += today.loc[~today["customer_id"].isin(blocked), "event_id"].tolist()

    rows = evaluation.tested_rows(FRAUD, features, fitted)

    assert rows["event_id"].tolist() == expected
    assert 0 < len(rows) < labelled["event_time"].between(test["from"], test["until"], "left").sum()


def test_metrics_agree_with_scikit_learn_on_the_tested_rows(features, fitted, report):
    rows = evaluation.tested_rows(FRAUD, features, fitted)

    assert report["rows"] == len(rows)
    assert report["positives"] == rows["label"].sum()
    assert report["metrics"]["auc"] == pytest.approx(roc_auc_score(rows["label"], rows["score"]), abs=1e-6)
    for found, column in ((report["metrics"], "score"), (report["baseline"], "baseline")):
        expected = average_precision_score(rows["label"], rows[column])
        assert found["average_precision"] == pytest.approx(expected, abs=1e-6)


def test_intervals_hold_the_figure_they_belong_to_and_the_curve_lies_in_its_band(report):
    for name, value in report["metrics"].items():
        low, high = report["intervals"][name]
        assert low <= value <= high
        assert low < high
    curve = pd.DataFrame(report["curve"])
    assert (curve["low"] <= curve["high"]).all()
    assert ((curve["low"] <= curve["precision"]) & (curve["precision"] <= curve["high"])).mean() > 0.8


def test_figures_of_the_days_add_up(features, report):
    days = pd.DataFrame(report["by_day"])

    assert days["day"].tolist() == list(range(*report["windows"]["test"].values()))
    assert days["positives"].sum() == report["positives"]
    assert days["card_precision"].mean() == pytest.approx(report["metrics"]["card_precision"], abs=1e-6)
    assert report["alerts_per_day"] == alerts_in(FRAUD, features)


def test_the_summary_says_it_without_statistics(features, report):
    alerts, right = report["alerts_per_day"], report["metrics"]["card_precision"]

    assert f"Of {alerts} alerts a day, {right:.0%} are right" in report["summary"]
    assert "'amount' alone" in report["summary"]


def test_the_report_is_json_and_the_same_each_time(features, fitted, report):
    again = evaluate(FRAUD, features, fitted, PARAMS, seed=3)

    assert again == report
    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
@pytest.mark.parametrize("name, size", [("fraud", "small"), ("fraud", "teaching"), ("biopsies", "teaching")])
def test_a_model_with_default_params_passes_the_gate(name, size, seed):
    scenario, features = world(name, size, seed)

    fitted = training.fit(scenario, features, Train(), seed)
    gate = evaluate(scenario, features, fitted, PARAMS, seed)["gate"]

    assert gate["passed"], [reason["found"] for reason in gate["reasons"]]


@pytest.mark.parametrize("kind", ["logistic", "forest", "boosting"])
@pytest.mark.parametrize("name", list(SCENARIOS))
def test_a_model_that_learnt_shuffled_labels_fails_the_gate(name, kind):
    scenario, features = world(name, "small", seed=1)
    params = Train(model=kind, trees=20)
    span = training.windows(training.today(features), scenario.label_delay_days, 21, 7)
    rows = training.training_rows(features, span)
    shuffled = rows.assign(label=np.random.default_rng(1).permutation(rows["label"]))

    fitted = training.fit_on(scenario, features, shuffled, span, params, seed=1)
    gate = evaluate(scenario, features, fitted, PARAMS, seed=1)["gate"]

    assert not gate["passed"]
    assert [reason["passed"] for reason in gate["reasons"]] == [True, True, False]
    assert "lower by" in gate["reasons"][2]["found"] or "higher by" in gate["reasons"][2]["found"]


def test_a_constant_score_fails_the_gate_and_is_still_measured(features, fitted):
    constant = DummyClassifier().fit(np.zeros((2, len(fitted.card["features"]))), [0, 1])

    report = evaluate(FRAUD, features, replace(fitted, model=constant), PARAMS, seed=1)

    assert report["metrics"]["auc"] == 0.5
    assert report["metrics"]["average_precision"] == report["baseline"]["prevalence"]
    assert [reason["passed"] for reason in report["gate"]["reasons"]] == [False, True, False]
    assert "1 different" in report["gate"]["reasons"][0]["found"]


def test_scores_that_are_not_numbers_fail_the_gate_and_nothing_is_measured(features, fitted):
    class Broken:
        n_features_in_ = len(fitted.card["features"])

        def predict_proba(self, matrix):
            scores = np.column_stack([matrix[:, 0], matrix[:, 0]]) / 10_000
            scores[3] = np.nan
            return scores

    report = evaluate(FRAUD, features, replace(fitted, model=Broken()), PARAMS, seed=1)

    assert set(report["metrics"].values()) == {None}
    assert (report["slices"], report["calibration"], report["money"]) == (None, None, None)
    assert "can't be measured" in report["summary"]
    assert not report["gate"]["passed"]
    assert "1 not a number" in report["gate"]["reasons"][0]["found"]
    assert "can't be measured" in report["gate"]["reasons"][2]["found"]


@pytest.mark.parametrize(
    "positives, measured, enough", [(0, False, False), (9, True, False), (10, True, True)]
)
def test_too_few_positives_fail_the_gate(features, fitted, positives, measured, enough):
    # given a test in which so many payments are fraud, each of its own card
    test = fitted.card["test"]
    tested = features["event_time"].between(test["from"], test["until"], inclusive="left")
    ids = (
        evaluation.tested_rows(FRAUD, features, fitted).drop_duplicates("entity")["event_id"].head(positives)
    )
    changed = features.assign(
        label=features["label"].mask(tested, 0).mask(features["event_id"].isin(ids), 1).astype("Int8")
    )

    report = evaluate(FRAUD, changed, fitted, PARAMS, seed=1)

    assert report["positives"] == positives
    assert (report["metrics"]["auc"] is not None) == measured
    assert report["gate"]["reasons"][1]["passed"] == enough
    json.dumps(report, allow_nan=False)


def test_least_gain_decides(features, fitted, report):
    low = report["gain"]["interval"][0]

    for least, passed in ((low - 0.01, True), (low + 0.01, False)):
        strict = Evaluate(least_gain=round(least, 4))
        assert evaluate(FRAUD, features, fitted, strict, seed=3)["gate"]["passed"] == passed


def test_each_reason_says_what_was_found_what_was_expected_and_why(report):
    for reason in report["gate"]["reasons"]:
        assert reason.keys() == {"rule", "found", "expected", "passed", "meaning"}
        assert not reason["rule"].endswith(".")
        assert reason["meaning"].endswith(".")
        assert any(character.isdigit() for character in reason["found"])


def test_a_split_at_random_promises_more_than_time_keeps():
    # given several worlds, for in one of them chance may have it the other way round
    found = []
    for seed in (1, 2, 3):
        scenario, features = world("fraud", "small", seed)
        fitted = training.fit(scenario, features, Train(), seed)
        splits = evaluation.compare_splits(scenario, features, fitted, Train(), resamples=20)
        report = evaluate(scenario, features, fitted, PARAMS, seed)
        honest = splits.loc["by time", "average_precision"]
        assert honest == pytest.approx(report["metrics"]["average_precision"], abs=1e-6)
        found.append(splits.loc["at random", "average_precision"] - honest)

    assert np.mean(found) > 0.05


def test_a_model_compared_with_itself_differs_by_exactly_nothing(features, fitted):
    found = evaluation.compare_models(FRAUD, features, {"one": fitted, "two": fitted}, resamples=50)

    for figure in found["figures"].values():
        assert (figure["difference"], figure["low"], figure["high"]) == (0, 0, 0)
        assert figure["verdict"] == "no difference"
    assert "no difference between one and two that luck could not make" in found["words"]


def test_a_comparison_agrees_with_each_models_own_report(features, fitted, report):
    # given a model that has learnt next to nothing, on the same windows
    weak = training.fit(FRAUD, features, Train(model="logistic", regularisation=1000), seed=3)
    its = evaluate(FRAUD, features, weak, PARAMS, seed=3)

    found = evaluation.compare_models(FRAUD, features, {"strong": fitted, "weak": weak}, resamples=100)

    for name in ("auc", "average_precision", "card_precision"):
        expected = [report["metrics"][name], its["metrics"][name]]
        assert found["figures"][name]["values"] == pytest.approx(expected, abs=1e-6)
        assert found["figures"][name]["difference"] == pytest.approx(expected[1] - expected[0], abs=2e-6)
    saved = [each["money"]["per_day_saved"]["value"] for each in (report, its)]
    assert found["figures"]["saved_a_day"]["values"] == pytest.approx(saved, abs=0.01)
    assert found["window"] == report["windows"]["test"]


def test_a_model_that_scores_at_random_is_worse_beyond_luck(features, fitted):
    rng = np.random.default_rng(1)

    class Guessing:
        n_features_in_ = len(fitted.card["features"])

        def predict_proba(self, matrix):
            return np.column_stack([rng.random(len(matrix))] * 2)

    models = {"ours": fitted, "guessing": replace(fitted, model=Guessing())}
    found = evaluation.compare_models(FRAUD, features, models, resamples=100)

    assert found["figures"]["average_precision"]["verdict"] == "worse"
    assert found["figures"]["auc"]["high"] < 0
    assert "guessing" in found["words"]
    assert "less than ours" in found["words"]


def test_models_of_two_days_are_compared_on_the_later_test(features, fitted):
    # given one that was trained when five days less had passed
    past = features[features["event_time"] < training.today(features) - 5 * DAY_S]
    older = training.fit(FRAUD, past, Train(model="logistic"), seed=3)

    found = evaluation.compare_models(FRAUD, features, {"older": older, "newer": fitted}, resamples=20)

    assert found["window"]["from"] == fitted.card["test"]["from"] // DAY_S


@pytest.mark.parametrize("wrong", ["one model", "other features", "too early"])
def test_what_can_not_be_compared_says_why(features, fitted, wrong):
    models, table = {"a": fitted, "b": fitted}, features
    if wrong == "one model":
        models = {"a": fitted}
    elif wrong == "other features":
        table = features.drop(columns="night")
    else:
        table = features[features["event_time"] < fitted.card["test"]["from"]]

    with pytest.raises(BadInput) as error:
        evaluation.compare_models(FRAUD, table, models)

    assert error.value.hint


def test_the_higher_auc_that_earns_less_is_called_out():
    # given five frauds, one of them large: one model ranks them best and misses the large one
    day, label = np.zeros(200, int), np.array([1] * 5 + [0] * 195)
    stake = np.array([1000.0] + [5.0] * 199)
    best = np.concatenate([[0.3], [0.9] * 4, np.linspace(0, 0.2, 195)])
    earns = np.concatenate([[0.9], [0.05] * 4, np.linspace(0, 0.2, 195)])
    rows = pd.DataFrame({"day": day, "entity": range(200), "label": label})

    found = compare_scores(
        rows,
        {"ranks": best, "earns": earns},
        {"ranks": 0.5, "earns": 0.5},
        5,
        FRAUD.prices,
        stake,
        50,
        1,
    )

    assert "The higher AUC does not earn more: ranks has it, earns saves more." in found["words"]


def test_slices_calibration_and_money_are_of_the_tested_rows(features, fitted, report):
    assert report["slices"]["all"]["rows"] == report["rows"]
    for each in report["slices"]["by"]:
        assert sum(part["positives"] for part in each["parts"]) == report["positives"]
    assert sum(each["rows"] for each in report["calibration"]["table"]) == report["rows"]
    here = report["money"]["at_threshold"]
    assert here["alerts"] == report["at_threshold"]["flagged"]
    assert here["found"] == report["at_threshold"]["recall"]
    assert here["without"] == report["money"]["curve"][0]["total"]


def test_training_that_counts_classes_alike_breaks_the_promise_of_scores(features, report):
    balanced = training.fit(FRAUD, features, Train(balance="balanced"), seed=3)

    found = evaluate(FRAUD, features, balanced, PARAMS, seed=3)["calibration"]

    assert found["error"] > 5 * report["calibration"]["error"]
    assert "counted both classes alike" in found["words"]


def test_figures_say_in_words_what_they_show(features, fitted, report):
    curve = plots.precision_recall(report)
    events = collect(FRAUD, "small", 3, 60)
    labels = plots.labels_by_day(FRAUD, events)
    at_once = offline.compute(FRAUD, events.assign(label_time=events["event_time"] + 1))
    peeking = plots.peeking(FRAUD, features, at_once)

    def words(figure):
        return figure._repr_mimebundle_()["text/plain"]

    assert "When half of the positives are found" in words(curve)
    assert "All labels are known up to day 52" in words(labels)
    assert "falls to 0.0% on day 59" in words(labels)
    assert "terminal_risk" in words(peeking)
    assert "nothing changes" in words(plots.peeking(FRAUD, features, features))
    assert "no curve" in words(plots.precision_recall({"curve": {"recall": []}}))


def test_features_that_read_labels_gain_when_labels_come_at_once(features):
    events = collect(FRAUD, "small", 3, 60)

    at_once = offline.compute(FRAUD, events.assign(label_time=events["event_time"] + 1))
    figure = plots.peeking(FRAUD, features, at_once)

    delayed, peeked = (dict(zip(bars.y, bars.x, strict=True)) for bars in figure.data)
    assert set(delayed) == {name for name in features if name.startswith(("terminal_risk", "terminal_lab"))}
    assert peeked["terminal_risk_7d"] > delayed["terminal_risk_7d"] + 0.02


def test_evaluate_is_what_the_step_of_that_name_promises(report):
    (artifact,) = LIFECYCLE.step("evaluate").outputs
    promised = ["metrics", "intervals", "baseline", "gate", "windows", "rows", "positives", "threshold"]

    assert artifact.name == "evaluation"
    assert set(promised) <= set(report)
    assert set(report["metrics"]) == {"auc", "average_precision", "card_precision"}

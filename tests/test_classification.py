"""Metrics of classification: known answers, agreement with scikit-learn, and what the intervals promise."""

from __future__ import annotations

import doctest

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from pipelines.errors import BadInput
from pipelines.lifecycle import Train
from pipelines.tasks import (
    alerts,
    bootstrap,
    calibration,
    classification,
    find_task,
    metrics,
    money,
    slices,
)


@pytest.fixture(scope="module")
def scored() -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of 3,000 rows, 4% positive, with many equal scores."""
    random = np.random.default_rng(11)
    labels = (random.random(3000) < 0.04).astype(np.int8)
    return labels, np.round(random.normal(size=3000) + 1.2 * labels, 1)


@pytest.mark.parametrize("module", [metrics, alerts, bootstrap, calibration, money, slices])
def test_examples_in_the_docstrings_are_true(module):
    result = doctest.testmod(module)

    assert result.attempted > 0
    assert result.failed == 0


def test_auc_and_average_precision_agree_with_scikit_learn_on_tied_scores(scored):
    labels, scores = scored

    ranking = metrics.rank(labels, scores)

    assert metrics.roc_auc(ranking)[0] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert metrics.average_precision(ranking)[0] == pytest.approx(
        average_precision_score(labels, scores), abs=1e-12
    )


def test_weights_count_rows_as_often_as_if_they_were_repeated(scored):
    labels, scores = scored
    weights = bootstrap.resample(len(labels), samples=3, seed=5)

    auc = metrics.roc_auc(metrics.rank(labels, scores), weights)
    precision = metrics.average_precision(metrics.rank(labels, scores), weights)

    for sample in range(3):
        drawn = np.repeat(np.arange(len(labels)), weights[sample].astype(int))
        assert auc[sample] == pytest.approx(roc_auc_score(labels[drawn], scores[drawn]))
        assert precision[sample] == pytest.approx(average_precision_score(labels[drawn], scores[drawn]))


def test_samples_of_entities_weigh_each_row_as_its_entity(scored):
    labels, scores = scored
    ranking, entity = metrics.rank(labels, np.round(scores, 1)), np.arange(len(labels)) % 7
    weights = bootstrap.resample(7, samples=50, seed=2)
    weights[0, np.unique(entity[labels == 1])] = 0  # a sample without any positive

    found = metrics.average_precision_of_entities(ranking, entity, weights)

    assert found == pytest.approx(metrics.average_precision(ranking, weights[:, entity]), nan_ok=True)
    none = metrics.rank(np.zeros(len(labels)), scores)
    assert np.isnan(metrics.average_precision_of_entities(none, entity, weights)).all()


def test_a_constant_score_has_auc_one_half_and_the_prevalence_as_average_precision():
    labels = np.array([1, 0, 0, 0])

    ranking = metrics.rank(labels, np.ones(4))

    assert metrics.roc_auc(ranking)[0] == 0.5
    assert metrics.average_precision(ranking)[0] == 0.25


def test_metrics_that_need_both_classes_do_not_exist_with_one():
    only_negatives = metrics.rank([0, 0], [0.1, 0.2])

    assert np.isnan(metrics.roc_auc(only_negatives)[0])
    assert np.isnan(metrics.average_precision(only_negatives)[0])
    assert np.isnan(metrics.precision_at_recall(only_negatives, np.array([0.5]))).all()


def test_precision_at_recall_reads_the_curve_at_the_highest_threshold_that_reaches_it():
    ranking = metrics.rank([1, 0, 1, 0, 1], [0.9, 0.8, 0.7, 0.6, 0.5])

    found = metrics.precision_at_recall(ranking, np.array([1 / 3, 0.5, 1.0]))

    assert found[0].tolist() == pytest.approx([1.0, 2 / 3, 3 / 5])


def test_alert_precision_by_hand():
    # given three cards on two days; card 0 is stolen, card 1 becomes so on the second day
    days = np.array([0, 0, 0, 0, 1, 1, 1])
    cards = np.array([0, 0, 1, 2, 0, 1, 2])
    labels = np.array([0, 1, 0, 0, 1, 1, 0])
    scores = np.array([0.2, 0.9, 0.8, 0.1, 0.99, 0.3, 0.5])

    ranked = alerts.alert_days(days, cards, labels, scores)

    # when two alerts a day are raised: day 0 alerts cards 0 (right) and 1; day 1 alerts 2 and 1 (right),
    # for card 0 was caught the day before
    assert alerts.alert_precision(ranked, entities=3, k=2).tolist() == [[0.5, 0.5]]
    # when there are fewer cards than alerts, the alerts that could be raised count
    assert alerts.alert_precision(ranked, entities=3, k=100).tolist() == [
        [pytest.approx(1 / 3), pytest.approx(1 / 2)]
    ]


def test_alert_precision_takes_no_more_of_a_drawn_entity_than_there_are_alerts():
    ranked = alerts.alert_days(np.zeros(2, int), np.array([0, 1]), [1, 0], [0.9, 0.1])
    three_of_the_first = np.array([[3.0, 1.0]])

    assert alerts.alert_precision(ranked, 2, k=2, weights=three_of_the_first).tolist() == [[1.0]]
    assert alerts.alert_precision(ranked, 2, k=4, weights=three_of_the_first).tolist() == [[0.75]]


def test_bootstrap_interval_covers_the_true_auc_about_as_often_as_it_says():
    # given worlds in which the true AUC is known: scores N(1, 1) against N(0, 1) give Φ(1/√2) = 0.760
    random, truth, covered = np.random.default_rng(3), 0.7602, 0
    for world in range(120):
        labels = np.repeat([0, 1], [300, 60])
        scores = random.normal(size=360) + labels
        weights = bootstrap.resample(360, samples=200, seed=world)
        low, high = bootstrap.interval(metrics.roc_auc(metrics.rank(labels, scores), weights))
        covered += low <= truth <= high

    # then 95% of 120 is 114; fewer than 106 would happen once in 1,000 tries
    assert covered >= 106


def test_drawing_whole_entities_gives_a_wider_interval_than_drawing_events():
    # given 40 entities with 25 events each, all of one entity alike
    random = np.random.default_rng(8)
    entity = np.repeat(np.arange(40), 25)
    labels = np.repeat(np.arange(40) % 4 == 0, 25).astype(int)
    scores = np.repeat(random.normal(size=40), 25) + labels + random.normal(scale=0.1, size=1000)
    ranking = metrics.rank(labels, scores)

    by_event = bootstrap.interval(metrics.roc_auc(ranking, bootstrap.resample(1000, 200, seed=1)))
    by_entity = bootstrap.interval(metrics.roc_auc(ranking, bootstrap.resample(40, 200, seed=1)[:, entity]))

    assert by_entity[1] - by_entity[0] > 3 * (by_event[1] - by_event[0])


def test_threshold_is_the_score_of_the_last_alert_of_the_day():
    days = np.repeat([0, 1], 50)
    entities = np.tile(np.arange(50), 2)
    scores = np.random.default_rng(2).random(100)

    threshold = alerts.alert_threshold(days, entities, scores, k=5)

    assert (scores >= threshold).sum() == 10


def test_threshold_of_no_events_flags_nothing_below_certainty():
    nothing = np.array([], dtype=np.int64)

    assert alerts.alert_threshold(nothing, nothing, np.array([]), k=5) == 1.0


def test_report_of_a_perfect_score_and_of_its_useless_baseline():
    tested = pd.DataFrame({"day": np.repeat([3, 4], 50), "entity": np.arange(100), "label": 0})
    tested.loc[::5, "label"] = 1
    tested["score"] = tested["label"] * 0.8 + 0.1
    tested["baseline"] = 1.0

    report = classification.measure(tested, k=10, threshold=0.5, resamples=100, seed=1)

    assert report["metrics"] == {"auc": 1.0, "average_precision": 1.0, "card_precision": 1.0}
    assert report["intervals"]["average_precision"] == [1.0, 1.0]
    assert report["baseline"]["auc"] == 0.5
    assert report["baseline"]["average_precision"] == report["baseline"]["prevalence"] == 0.2
    assert report["gain"]["average_precision"] == pytest.approx(0.8)
    assert [day["positives"] for day in report["by_day"]] == [10, 10]
    assert report["curve"]["precision"] == [1.0] * len(report["curve"]["recall"])
    assert report["at_threshold"] == {
        "flagged": 20,
        "found": 20,
        "entities_per_day": 10.0,
        "precision": 1.0,
        "recall": 1.0,
    }


@pytest.mark.parametrize("rows", [0, 4])
def test_rows_of_one_label_are_not_measured(rows):
    tested = pd.DataFrame({"day": 3, "entity": range(rows), "label": 0, "score": 0.5, "baseline": 1.0})

    report = classification.measure(tested, k=2, threshold=0.5, resamples=20, seed=1)

    assert set(report["metrics"].values()) == {None}
    assert np.isnan(classification.precision_with_interval(tested, resamples=20, seed=1)).all()


def test_same_seed_gives_the_same_report():
    random = np.random.default_rng(4)
    tested = pd.DataFrame(
        {
            "day": np.repeat(np.arange(5), 60),
            "entity": random.integers(0, 40, 300),
            "label": random.random(300) < 0.1,
            "score": random.random(300),
            "baseline": random.random(300),
        }
    ).astype({"label": "int8"})

    first, again, other = (
        classification.measure(tested, k=5, threshold=0.9, resamples=50, seed=seed) for seed in (1, 1, 2)
    )

    assert first == again
    assert first["metrics"] == other["metrics"]
    assert first["intervals"] != other["intervals"]


@pytest.mark.parametrize("kind", ["logistic", "forest", "boosting"])
def test_each_model_learns_a_simple_rule_and_gives_the_same_scores_again(kind):
    # given a label that depends on the first of three columns, in very different units
    random = np.random.default_rng(6)
    features = random.normal(size=(1500, 3)) * [1, 1000, 0.001]
    labels = (features[:, 0] + 0.3 * random.normal(size=1500) > 1).astype(np.int8)
    params = Train(model=kind, trees=30)

    model, again = (classification.fit(params, features[:1000], labels[:1000], seed=1) for _ in range(2))
    scores = classification.score(model, features[1000:])

    assert scores.min() >= 0
    assert scores.max() <= 1
    assert roc_auc_score(labels[1000:], scores) > 0.95
    assert np.array_equal(scores, classification.score(again, features[1000:]))


@pytest.mark.parametrize("kind", ["logistic", "forest", "boosting"])
def test_balancing_raises_the_scores_of_a_rare_class(kind):
    random = np.random.default_rng(7)
    features = random.normal(size=(2000, 2))
    labels = (features[:, 0] + random.normal(size=2000) > 2.6).astype(np.int8)

    plain, balanced = (
        classification.score(
            classification.fit(
                Train(model=kind, trees=30, max_depth=3, balance=balance), features, labels, 1
            ),
            features,
        )
        for balance in ("none", "balanced")
    )

    assert plain.mean() == pytest.approx(labels.mean(), abs=0.02)
    assert balanced.mean() > 3 * plain.mean()


def test_regularisation_pulls_the_weights_towards_zero():
    random = np.random.default_rng(9)
    features = random.normal(size=(500, 2))
    labels = (features[:, 0] > 0).astype(np.int8)

    loose, tight = (
        classification.fit(Train(model="logistic", regularisation=pull), features, labels, 1)
        for pull in (0.01, 100.0)
    )

    assert np.abs(tight[-1].coef_).max() < np.abs(loose[-1].coef_).max() / 5


def test_one_class_is_refused_with_what_to_change():
    with pytest.raises(BadInput, match="0 of them positive") as refused:
        classification.fit(Train(), np.zeros((5, 2)), np.zeros(5, dtype=np.int8), seed=1)

    assert "train_days" in refused.value.hint


def test_wrong_number_of_features_is_refused():
    model = classification.fit(
        Train(model="logistic"), np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1], dtype=np.int8), seed=1
    )

    with pytest.raises(BadInput, match="takes 2 features"):
        classification.score(model, np.zeros((1, 3)))


def test_no_rows_give_no_scores():
    model = classification.fit(
        Train(model="logistic"), np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1], dtype=np.int8), seed=1
    )

    assert classification.score(model, np.empty((0, 2))).shape == (0,)


def test_shuffling_the_column_that_matters_costs_most():
    random = np.random.default_rng(10)
    features = pd.DataFrame(random.normal(size=(1000, 3)), columns=["noise", "signal", "other"])
    labels = (features["signal"] > 1).to_numpy(np.int8)
    model = classification.fit(Train(model="logistic"), features.to_numpy(), labels, seed=1)

    lost = classification.reliance(model, features, labels, seed=1)

    assert lost.index[0] == "signal"
    assert lost["signal"] > 0.5
    assert abs(lost["noise"]) < 0.05


def test_unknown_task_lists_the_known_ones():
    assert find_task("classification") is classification
    with pytest.raises(BadInput, match="classification"):
        find_task("ranking")

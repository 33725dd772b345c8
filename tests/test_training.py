"""Training: honest windows, the model's card, and a stored model that is what was saved."""

from __future__ import annotations

import doctest
import json
import os
import pickle
import subprocess
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from pipelines import training
from pipelines.artifacts import digest
from pipelines.errors import BadInput, Damaged, Refused
from pipelines.features import offline
from pipelines.ingestion import collect
from pipelines.lifecycle import MODEL, Train
from pipelines.scenarios.fraud import FRAUD
from pipelines.scenarios.scenario import DAY_S, alerts_in
from pipelines.settings import REPOSITORY
from pipelines.training import FittedModel

UNTIL_DAY = 45
QUICK = Train(trees=10)


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    """Features of a small world on day 45."""
    return offline.compute(FRAUD, collect(FRAUD, "small", seed=2, until_day=UNTIL_DAY))


@pytest.fixture(scope="module")
def fitted(features: pd.DataFrame) -> FittedModel:
    """A boosting model of that world."""
    return training.fit(FRAUD, features, QUICK, seed=2)


def test_examples_in_the_docstrings_are_true():
    result = doctest.testmod(training)

    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("delay", [0, 3, 7])
@pytest.mark.parametrize("train, test", [(7, 7), (14, 7), (1, 1)])
def test_no_window_reaches_into_labels_that_were_not_known(delay, train, test):
    now_s = 60 * DAY_S

    span = training.windows(now_s, delay, train, test)

    # the last tested event's label is known now, the last learnt one's when the test begins
    assert span.test_until + delay * DAY_S == now_s
    assert span.train_until + delay * DAY_S == span.test_from
    assert span.test_until - span.test_from == test * DAY_S
    assert span.train_until - span.train_from == train * DAY_S


def test_windows_of_the_handbook():
    # given training from 2018-07-25, day 115 of the world, with 7 days each of training, delay and test
    span = training.windows(143 * DAY_S, delay_days=7, train_days=7, test_days=7)

    assert [second // DAY_S for second in asdict(span).values()] == [115, 122, 129, 136]


def test_too_few_days_are_refused_with_how_many_it_takes():
    training.windows(42 * DAY_S, delay_days=7, train_days=21, test_days=7)

    with pytest.raises(BadInput, match="takes 42 days, but 41 were collected") as refused:
        training.windows(41 * DAY_S, delay_days=7, train_days=21, test_days=7)
    assert "until_day to 42" in refused.value.hint


def test_today_is_read_from_the_data(features):
    assert training.today(features) == UNTIL_DAY * DAY_S


def test_today_counts_days_without_events_when_a_label_came_in_on_them():
    rows = pd.DataFrame(
        {
            "event_time": [0, 10 * DAY_S],
            "label_time": [3 * DAY_S, 12 * DAY_S + 5],
            "label": pd.array([0, None], dtype="Int8"),
        }
    )

    assert training.today(rows) == 11 * DAY_S
    assert training.today(rows.assign(label=pd.array([0, 1], dtype="Int8"))) == 13 * DAY_S


def test_the_model_learns_only_from_its_window_and_from_labels_known_before_the_test(features, fitted):
    train, test = fitted.card["train"], fitted.card["test"]
    window = features["event_time"].between(train["from"], train["until"], inclusive="left")

    assert train["until"] == test["from"] - FRAUD.label_delay_days * DAY_S
    assert features.loc[window, "label_time"].max() <= test["from"]
    assert train["rows"] == window.sum()
    assert train["positives"] == features.loc[window, "label"].sum()


def test_what_happens_after_the_training_window_changes_nothing_but_the_threshold(features, fitted):
    # given the same events, with other outcomes and amounts from the end of the window on
    later = features["event_time"] >= fitted.card["train"]["until"]
    changed = features.assign(
        label=features["label"].mask(later & features["label"].notna(), 1),
        amount=features["amount"].mask(later, 0.0),
    )

    again = training.fit(FRAUD, changed, QUICK, seed=2)

    assert again.card["golden_scores"] == fitted.card["golden_scores"]
    assert again.card["train"] == fitted.card["train"]
    assert again.card["threshold"] != fitted.card["threshold"]


def test_threshold_flags_about_as_many_as_can_be_looked_into_on_days_it_has_not_seen(features):
    # given a model whose scores are hardly ever equal
    fitted = training.fit(FRAUD, features, Train(model="logistic"), seed=2)
    card = fitted.card
    gap = features[features["event_time"].between(card["train"]["until"], card["test"]["from"], "left")]
    scores = training.score(fitted.model, gap[card["features"]])

    flagged = gap[scores >= card["threshold"]]
    alerts = flagged.groupby(flagged["event_time"] // DAY_S)["customer_id"].nunique()

    assert alerts.sum() / 7 == pytest.approx(alerts_in(FRAUD, features), abs=1)


def test_card_says_what_the_model_is(fitted):
    card = fitted.card

    assert (card["scenario"], card["task"], card["kind"], card["seed"]) == (
        "fraud",
        "classification",
        "boosting",
        2,
    )
    assert card["features"] == [feature.name for feature in FRAUD.features]
    assert Train(**card["params"]) == QUICK
    assert len(card["golden_scores"]) == len(fitted.golden) == training.GOLDEN_ROWS
    assert json.loads(json.dumps(card)) == card


def test_golden_rows_hold_positives_too(features, fitted):
    train = fitted.card["train"]
    rows = features[features["event_time"].between(train["from"], train["until"], inclusive="left")]
    frauds = rows.loc[rows["label"] == 1, fitted.card["features"]]

    assert len(fitted.golden.merge(frauds.drop_duplicates())) >= 40


@pytest.mark.parametrize("kind", ["logistic", "forest", "boosting"])
def test_a_stored_model_answers_as_before_and_has_the_same_digest(features, tmp_path, kind):
    fitted = training.fit(FRAUD, features, Train(model=kind, trees=10), seed=2)
    rows = features[fitted.card["features"]].tail(500)

    for name in ("first", "second"):
        training.save_model(tmp_path / name, fitted)
    loaded = training.load_model(tmp_path / "first")

    assert np.array_equal(training.score(loaded.model, rows), training.score(fitted.model, rows))
    assert loaded.card == fitted.card
    assert loaded.golden.equals(fitted.golden)
    assert digest(MODEL, tmp_path / "first") == digest(MODEL, tmp_path / "second")


def test_same_seed_same_digest_and_other_data_another(features, fitted, tmp_path):
    again = training.fit(FRAUD, features, QUICK, seed=2)
    other = training.fit(FRAUD, features, QUICK, seed=2, now_s=(UNTIL_DAY - 1) * DAY_S)

    for name, model in (("fitted", fitted), ("again", again), ("other", other)):
        training.save_model(tmp_path / name, model)

    assert digest(MODEL, tmp_path / "again") == digest(MODEL, tmp_path / "fitted")
    assert digest(MODEL, tmp_path / "other") != digest(MODEL, tmp_path / "fitted")


def test_scores_are_the_same_for_a_table_and_a_matrix(features, fitted):
    rows = features[fitted.card["features"]].head(50)

    assert np.array_equal(
        training.score(fitted.model, rows), training.score(fitted.model, rows.to_numpy(np.float64))
    )


@pytest.mark.parametrize("file", [training.MODEL_FILE, training.CARD_FILE, training.GOLDEN_FILE])
def test_a_file_cut_short_or_missing_is_reported_as_damage(fitted, tmp_path, file):
    training.save_model(tmp_path, fitted)
    content = (tmp_path / file).read_bytes()

    (tmp_path / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(Damaged, match="can't be read") as damaged:
        training.load_model(tmp_path)
    assert "train" in damaged.value.hint

    (tmp_path / file).unlink()
    with pytest.raises(Damaged):
        training.load_model(tmp_path)


def test_a_model_that_answers_otherwise_than_its_card_says_is_not_handed_out(features, fitted, tmp_path):
    # given a whole model of the same form, put in the place of the saved one
    other = training.fit(FRAUD, features, Train(trees=10, max_depth=2), seed=2)
    training.save_model(tmp_path, fitted)
    skops.io.dump(other.model, tmp_path / training.MODEL_FILE)

    with pytest.raises(Damaged, match="other scores"):
        training.load_model(tmp_path)


def test_a_model_made_of_foreign_types_is_refused_unread(fitted, tmp_path):
    # given a file that would call os.system when opened
    training.save_model(tmp_path, fitted)
    skops.io.dump(make_pipeline(FunctionTransformer(os.system)), tmp_path / training.MODEL_FILE)

    with pytest.raises(Refused, match="system"):
        training.load_model(tmp_path)


def test_a_pickle_in_the_place_of_a_model_is_damage_and_never_opened(fitted, tmp_path):
    class Explodes:
        def __reduce__(self):
            return pytest.fail, ("the pickle was opened",)

    training.save_model(tmp_path, fitted)
    (tmp_path / training.MODEL_FILE).write_bytes(pickle.dumps(Explodes()))

    with pytest.raises(Damaged):
        training.load_model(tmp_path)
    with zipfile.ZipFile(tmp_path / training.MODEL_FILE, "w") as empty:
        empty.writestr("schema.json", "{}")
    with pytest.raises(Damaged):
        training.load_model(tmp_path)


def test_reliance_figure_says_in_words_what_matters_most(features, fitted):
    figure = training.draw_reliance(features, fitted)

    words = figure._repr_mimebundle_()["text/plain"]
    assert f"Shuffling {figure.data[0].y[0]} costs most" in words
    assert len(figure.data[0].y) == 8


def test_training_gives_the_same_model_in_another_process(features, fitted, tmp_path):
    # given the same features in a fresh interpreter, whose hashes and memory lie otherwise
    features.to_parquet(tmp_path / "features.parquet", index=False)
    code = (
        "import pandas as pd; from pathlib import Path; from pipelines import training\n"
        "from pipelines.lifecycle import Train; from pipelines.scenarios import find_scenario\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "features = pd.read_parquet(folder / 'features.parquet')\n"
        "fitted = training.fit(find_scenario('fraud'), features, Train(trees=10), seed=2)\n"
        "training.save_model(folder / 'model', fitted)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, timeout=120)
    training.save_model(tmp_path / "here", fitted)

    assert digest(MODEL, tmp_path / "model") == digest(MODEL, tmp_path / "here")


def test_each_file_of_a_stored_model_is_named_once(fitted, tmp_path: Path):
    training.save_model(tmp_path, fitted)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["golden.parquet", "model.json", "model.skops"]

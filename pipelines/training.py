"""Training: which rows a model may learn from, the model, and the folder it is kept in.

Comes in: the features of events, with labels as far as they are known. Goes out: a fitted model with
its card, which says what it was trained on and how it answers; stored without pickle.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import skops.io
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from pipelines.errors import BadInput, Damaged, Refused
from pipelines.figures import Figure
from pipelines.ingestion import known
from pipelines.lifecycle import Train
from pipelines.run import write_json
from pipelines.scenarios.scenario import DAY_S, Scenario, alerts_in
from pipelines.tasks import classification, find_task, plots
from pipelines.tasks.alerts import alert_threshold

MODEL_FILE, CARD_FILE, GOLDEN_FILE = "model.skops", "model.json", "golden.parquet"

# Rows kept with a model, with the scores it gave them: whoever loads it can see that it still does.
GOLDEN_ROWS = 100
# Scores of one model on two processors differ by a rounding in the last place, never by this.
GOLDEN_TOLERANCE = 1e-9
# What a stored model may be made of; anything else in the file is refused unread.
TRUSTED = ("sklearn.", "numpy.", "scipy.", "pipelines.")


@dataclass(frozen=True)
class Windows:
    """Which events are for training and which for the test, in seconds since day 0; ends not included.

    Between the two lies a gap as long as labels take: when the test begins, nothing newer than
    `train_until` has a known label.
    """

    train_from: int
    train_until: int
    test_from: int
    test_until: int


@dataclass(frozen=True)
class FittedModel:
    """A model and its card.

    Attributes
    ----------
    model : BaseEstimator
        A scikit-learn pipeline over a float64 matrix, columns in the order of the card's features.
    card : dict
        scenario, task, kind, params, seed, features, train {from, until, rows, positives}, test
        {from, until}, golden_scores, threshold. Times in seconds since day 0.
    golden : DataFrame of shape (n_rows <= 100, n_features)
        Some rows of the training window; the card's golden_scores are the model's answers to them.
    """

    model: BaseEstimator
    card: dict[str, Any]
    golden: pd.DataFrame


def today(features: pd.DataFrame) -> int:
    """The time up to which these events were collected: the end of the newest day in them.

    Read from the data and not from a param, because a run may start from another run's data.

    Returns
    -------
    int
        Seconds since day 0, a whole number of days. Every label in `features` was known by then.
    """
    newest = int(features["event_time"].max()) // DAY_S + 1
    labelled = features.loc[features["label"].notna(), "label_time"]
    last_label = -(-int(labelled.max()) // DAY_S) if len(labelled) else 0
    return max(newest, last_label) * DAY_S


def windows(now_s: int, delay_days: int, train_days: int, test_days: int) -> Windows:
    """The newest windows that are honest: no label is used before it was known.

    The test is the newest days whose labels are all known. Whoever trained just before it knew labels
    only up to `delay_days` earlier, so the training window ends there.

    Raises
    ------
    BadInput
        Not enough days have passed for these lengths.

    Examples
    --------
    On day 60, with labels a week late, a week is tested and two weeks before it are learnt from.

    >>> span = windows(60 * 86_400, delay_days=7, train_days=14, test_days=7)
    >>> [second // 86_400 for second in (span.train_from, span.train_until, span.test_from, span.test_until)]
    [25, 39, 46, 53]
    """
    test_until = now_s // DAY_S - delay_days
    test_from = test_until - test_days
    train_until = test_from - delay_days
    train_from = train_until - train_days
    if train_from < 0:
        needed = train_days + delay_days + test_days + delay_days
        raise BadInput(
            f"Training on {train_days} days and testing on {test_days}, each followed by {delay_days} days "
            f"until its labels are known, takes {needed} days, but {now_s // DAY_S} were collected.",
            f"Set ingest.until_day to {needed} or later, or train.train_days or train.test_days lower.",
        )
    return Windows(train_from * DAY_S, train_until * DAY_S, test_from * DAY_S, test_until * DAY_S)


def windows_of(card: Mapping[str, Any]) -> Windows:
    """The windows that a model's card names."""
    train, test = card["train"], card["test"]
    return Windows(train["from"], train["until"], test["from"], test["until"])


def training_rows(features: pd.DataFrame, span: Windows) -> pd.DataFrame:
    """The rows of the training window, as they were known when the test began."""
    rows = known(features, span.test_from)
    return rows[rows["event_time"].between(span.train_from, span.train_until, inclusive="left")]


def fit(
    scenario: Scenario, features: pd.DataFrame, params: Train, seed: int, now_s: int | None = None
) -> FittedModel:
    """Train a model on the newest window whose labels were known before the test.

    Parameters
    ----------
    features : DataFrame
        As `features.offline.compute` makes it.
    now_s : int, optional
        Seconds since day 0; by default `today`, the end of the newest day in `features`.

    Raises
    ------
    BadInput
        Too few days have passed, or the training window holds one label only.
    """
    now_s = today(features) if now_s is None else now_s
    span = windows(now_s, scenario.label_delay_days, params.train_days, params.test_days)
    return fit_on(scenario, features, training_rows(features, span), span, params, seed)


def fit_on(
    scenario: Scenario,
    features: pd.DataFrame,
    rows: pd.DataFrame,
    span: Windows,
    params: Train,
    seed: int,
) -> FittedModel:
    """Train a model on the given `rows`, whichever they are; `fit` chooses honest ones.

    The threshold is set on the gap between the two windows: events that the model has not learnt
    from, and whose labels nobody needs for it.
    """
    task = find_task(scenario.task)
    names = [feature.name for feature in scenario.features]
    labels = rows["label"].to_numpy(np.int8)
    model = task.fit(params, rows[names].to_numpy(np.float64), labels, seed)
    golden = _golden_rows(rows[names], labels)
    gap = features[features["event_time"].between(span.train_until, span.test_from, inclusive="left")]
    card = {
        "scenario": scenario.name,
        "task": scenario.task,
        "kind": params.model,
        "params": params.model_dump(),
        "seed": seed,
        "features": names,
        "train": {
            "from": span.train_from,
            "until": span.train_until,
            "rows": len(rows),
            "positives": int(labels.sum()),
        },
        "test": {"from": span.test_from, "until": span.test_until},
        "golden_scores": task.score(model, golden).tolist(),
        "threshold": alert_threshold(
            gap["event_time"].to_numpy() // DAY_S,
            gap[scenario.alert_entity].to_numpy(),
            task.score(model, gap[names]),
            alerts_in(scenario, features),
        ),
    }
    return FittedModel(model, card, golden)


def draw_reliance(features: pd.DataFrame, fitted: FittedModel) -> Figure:
    """Which columns the model leans on, on the rows it has learnt from.

    Parameters
    ----------
    features : DataFrame
        Those that the model was trained on.
    """
    card = fitted.card
    rows = training_rows(features, windows_of(card))
    lost = find_task(card["task"]).reliance(
        fitted.model, rows[card["features"]], rows["label"].to_numpy(np.int8), card["seed"]
    )
    return plots.reliance(lost)


def score(model: BaseEstimator, features: pd.DataFrame | NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of label 1 for each row.

    Parameters
    ----------
    features : DataFrame or ndarray of shape (n_rows, n_features)
        The features of the model's card, in that order.

    Raises
    ------
    BadInput
        The number of columns is not the model's.
    """
    return classification.score(model, features)


def save_model(folder: Path, fitted: FittedModel) -> None:
    """Write the model, its card and its golden rows into `folder`.

    skops and not pickle: a pickle runs whatever code is in it when it is opened.
    """
    folder.mkdir(parents=True, exist_ok=True)
    skops.io.dump(fitted.model, folder / MODEL_FILE)
    fitted.golden.to_parquet(folder / GOLDEN_FILE, index=False)
    write_json(folder / CARD_FILE, fitted.card)


def load_model(folder: Path) -> FittedModel:
    """The model that `save_model` wrote into `folder`.

    The types in the file are checked before anything is built from it, then the model must give its
    golden rows the scores on its card.

    Raises
    ------
    Refused
        The file would build something other than the types in `TRUSTED`.
    Damaged
        A file is missing or cut short, or the model gives other scores than it did.
    """
    stored = folder / MODEL_FILE
    try:
        card = json.loads((folder / CARD_FILE).read_text("utf-8"))
        golden = pd.read_parquet(folder / GOLDEN_FILE)
        types = skops.io.get_untrusted_types(file=stored)
        foreign = [name for name in types if not name.startswith(TRUSTED)]
        if foreign:
            raise Refused(
                f"The stored model would build '{foreign[0]}', which no model of ours is made of.",
                "Load only models that this Flightdeck has trained.",
            )
        model = skops.io.load(stored, trusted=types)
        scores = score(model, golden[card["features"]])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Damaged(f"The stored model can't be read: {reason}.", "Run again from step 'train'.") from error
    if not np.allclose(scores, card["golden_scores"], rtol=0, atol=GOLDEN_TOLERANCE):
        raise Damaged(
            "The stored model gives its golden rows other scores than the ones on its card.",
            "Run again from step 'train'.",
        )
    return FittedModel(model, card, golden)


def _golden_rows(features: pd.DataFrame, labels: NDArray[np.int8]) -> pd.DataFrame:
    """At most `GOLDEN_ROWS` rows spread over the window, half of them positive where there are enough."""
    positive, other = np.flatnonzero(labels == 1), np.flatnonzero(labels != 1)
    some = _spread(positive, GOLDEN_ROWS // 2)
    rows = np.sort(np.concatenate([some, _spread(other, GOLDEN_ROWS - len(some))]))
    return features.iloc[rows].reset_index(drop=True)


def _spread(places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """`most` of `places` at equal distances, or all when there are fewer."""
    if len(places) <= most:
        return places
    return places[np.linspace(0, len(places) - 1, most).astype(np.int64)]

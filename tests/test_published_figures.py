"""The handbook's figures beside ours, on its protocol and at its size.

Source: Le Borgne, Siblini, Lebichot, Bontempi (2022), "Reproducible Machine Learning for Credit Card Fraud
Detection - Practical Handbook", chapter 3, section "Baseline fraud detection system", table of the
default models: training from 2018-07-25 (day 115) on 7 days, a delay of 7, a test of 7. On each test day
the cards whose fraud was known when it began are left out. Scores are ROC AUC, average precision, and
the precision of the 100 cards with the highest scores of the day, cards caught on earlier days left out.

Each of our figures is the mean over three worlds, made with three seeds; one world's test holds some 400
frauds, so between worlds average precision swings by about 0.03.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from pipelines.evaluation import evaluate
from pipelines.features import offline
from pipelines.ingestion import collect
from pipelines.lifecycle import Evaluate, Train
from pipelines.scenarios.fraud import FRAUD
from pipelines.scenarios.scenario import DAY_S
from pipelines.training import fit, windows_of

pytestmark = pytest.mark.road  # with --numprocesses 0 the table is printed

SEEDS = (1, 2, 3)
UNTIL_DAY = 115 + 7 + 7 + 7 + 7
FURTHEST_BELOW = 0.04

PUBLISHED = {
    "logistic": {"auc": 0.871, "average_precision": 0.606, "card_precision": 0.291},
    "forest": {"auc": 0.867, "average_precision": 0.658, "card_precision": 0.287},
    "boosting": {"auc": 0.862, "average_precision": 0.639, "card_precision": 0.273},  # theirs is XGBoost
}

# The handbook lets its forest grow 100 trees to the end, which takes a minute longer and scores the same.
OURS = {
    "logistic": Train(model="logistic", train_days=7, test_days=7),
    "forest": Train(model="forest", trees=40, max_depth=14, train_days=7, test_days=7),
    "boosting": Train(model="boosting", train_days=7, test_days=7),
}


@pytest.fixture(scope="module")
def figures() -> pd.DataFrame:
    """One row for each world and model: its metrics."""
    rows = []
    for seed in SEEDS:
        features = offline.compute(FRAUD, collect(FRAUD, "full", seed, UNTIL_DAY))
        for model, params in OURS.items():
            began = time.monotonic()
            fitted = fit(FRAUD, features, params, seed)
            report = evaluate(FRAUD, features, fitted, Evaluate(resamples=20), seed)
            windows = [second // DAY_S for second in vars(windows_of(fitted.card)).values()]
            assert windows == [115, 122, 129, 136]
            assert report["alerts_per_day"] == 100
            seconds = time.monotonic() - began
            rows.append({"seed": seed, "model": model, "seconds": seconds} | report["metrics"])
    return pd.DataFrame(rows)


def test_our_models_are_no_worse_than_the_handbooks(figures, capsys):
    ours = figures.drop(columns="seed").groupby("model").mean()
    spread = figures.drop(columns="seed").groupby("model").std()
    lines = [f"{'':10}{'metric':20}{'handbook':>10}{'ours':>8}{'± seeds':>9}{'difference':>12}"]
    differences = []
    for model, metrics in PUBLISHED.items():
        for name, published in metrics.items():
            found = ours.loc[model, name]
            differences.append(found - published)
            lines.append(
                f"{model:10}{name:20}{published:10.3f}{found:8.3f}{spread.loc[model, name]:9.3f}"
                f"{differences[-1]:+12.3f}"
            )
    with capsys.disabled():
        print("\n" + "\n".join(lines))  # noqa: T201 - the table is what this test is for

    assert np.min(differences) >= -FURTHEST_BELOW, "\n".join(lines)

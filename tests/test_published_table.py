"""The AI4I table by its published rules, and the table that was published: do they agree?

The published figures were counted in the table of UCI data set 601, and boosting was measured on it in the
same way as below.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from pipelines.scenarios.ai4i import CAUSES, QUALITIES, draw_table

ROWS = 10_000
SEEDS = range(20)
# In the published table, by column. By the rule, one in a thousand, 10 random failures are to be expected;
# the table has 19, and 18 of these do not count as failures in it.
PUBLISHED = {"tool": 46, "heat": 115, "power": 95, "overstrain": 98, "random": 19, "label": 339}
PUBLISHED_SHARES = {"L": 0.6, "M": 0.2997, "H": 0.1003}
# Quantiles .01, .05, .25, .5, .75, .95 and .99.
AT = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
PUBLISHED_SPEED = (1275, 1332, 1423, 1503, 1612, 1868, 2188)
PUBLISHED_TORQUE = (16.7, 23.5, 33.2, 40.1, 46.8, 56.1, 62.8)
# Boosting with scikit-learn's defaults, fivefold, four times: AUC .973 to .977, AP .812 to .828.
PUBLISHED_AUC, PUBLISHED_AP = 0.974, 0.821


@pytest.fixture(scope="module")
def tables() -> list[pd.DataFrame]:
    """One table a seed."""
    return [draw_table(ROWS, seed) for seed in SEEDS]


def test_as_many_rows_fail_by_each_cause_as_in_the_published_table(
    tables: list[pd.DataFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    counts = pd.DataFrame([table[[*CAUSES, "label"]].sum() for table in tables])
    found = pd.DataFrame({"published": PUBLISHED, "mean": counts.mean(), "deviation": counts.std().round(1)})
    found["apart"] = ((found["published"] - found["mean"]) / found["deviation"]).round(2)
    with capsys.disabled():
        print(f"\nfailures among {ROWS} pieces, {len(SEEDS)} seeds\n{found}")  # noqa: T201 - what it is for
    # The published table is one draw: it may lie two standard deviations from the mean of ours.
    assert (found["apart"].drop("random").abs() < 2).all()
    # Of random failures it has more than its own rule lets expect; the rule is kept.
    assert found.loc["random", "mean"] == pytest.approx(0.001 * ROWS, abs=2.5)


def test_what_is_measured_is_distributed_as_in_the_published_table(tables: list[pd.DataFrame]) -> None:
    for column, published, off in (
        ("rotational_speed", PUBLISHED_SPEED, 0.02),
        ("torque", PUBLISHED_TORQUE, 0.02),
    ):
        found = np.mean([table[column].quantile(AT) for table in tables], axis=0)
        assert found == pytest.approx(published, rel=off), column
    speed = np.mean([table["torque"].corr(table["rotational_speed"]) for table in tables])
    assert speed == pytest.approx(-0.875, abs=0.02)
    for quality in QUALITIES:
        share = np.mean([(table["quality"] == quality).mean() for table in tables])
        assert share == pytest.approx(PUBLISHED_SHARES[quality], abs=0.005)
    wear = pd.concat(tables)["tool_wear"]
    assert wear.mean() == pytest.approx(107.95, abs=2)
    assert wear.max() <= 235  # one tool of the published table lasted 253 minutes


def reached(table: pd.DataFrame, seed: int) -> tuple[float, float]:
    """ROC AUC and average precision of boosting with its defaults, each row scored by a model without it."""
    rows = table.drop(columns=["label", *CAUSES])
    rows = rows.assign(quality=rows["quality"].map(QUALITIES.index)).to_numpy(np.float64)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    model = HistGradientBoostingClassifier(random_state=seed)
    scores = cross_val_predict(model, rows, table["label"], cv=folds, method="predict_proba")[:, 1]
    return roc_auc_score(table["label"], scores), average_precision_score(table["label"], scores)


def boosting_is_as_good(tables: list[pd.DataFrame], capsys: pytest.CaptureFixture[str]) -> None:
    found = np.array([reached(table, seed) for seed, table in enumerate(tables)])
    means, deviations = found.mean(axis=0), found.std(axis=0)
    with capsys.disabled():
        print(  # noqa: T201 - the figures are what this test is for
            f"\nboosting, {len(tables)} tables: AUC {means[0]:.3f} ± {deviations[0]:.3f} (published table "
            f"{PUBLISHED_AUC}), AP {means[1]:.3f} ± {deviations[1]:.3f} ({PUBLISHED_AP})"
        )
    # Over twenty tables the deviations are .008 and .025; the published one is a single draw.
    assert means[0] == pytest.approx(PUBLISHED_AUC, abs=2 * 0.008)
    assert means[1] == pytest.approx(PUBLISHED_AP, abs=2 * 0.025)


def test_boosting_is_as_good_on_it(tables: list[pd.DataFrame], capsys: pytest.CaptureFixture[str]) -> None:
    boosting_is_as_good(tables[:3], capsys)


@pytest.mark.deep
def test_boosting_is_as_good_on_many_of_them(
    tables: list[pd.DataFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    boosting_is_as_good(tables, capsys)


def test_one_seed_gives_one_table() -> None:
    pd.testing.assert_frame_equal(draw_table(500, 1), draw_table(500, 1))
    assert not draw_table(500, 1).equals(draw_table(500, 2))

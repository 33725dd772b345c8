"""What each episode does to a model that was trained before it, and what training anew brings back.

A model is trained as on day 60 of the teaching size, and the world changes on day 70; another one is trained
as on day 119, from days that lie wholly after the change. Both are tested week by week, as the evaluation
tests: payments of customers whose fraud was known that morning are left out.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from pipelines import evaluation
from pipelines.features import offline
from pipelines.ingestion import collect
from pipelines.lifecycle import Evaluate, Train
from pipelines.monitoring.drift import compare
from pipelines.monitoring.reference import read_reference
from pipelines.monitoring.report import report_on
from pipelines.monitoring.rules import findings, is_below
from pipelines.run import write_json
from pipelines.scenarios.fraud import FRAUD
from pipelines.scenarios.fraud_episodes import EPISODES
from pipelines.scenarios.scenario import DAY_S
from pipelines.training import FittedModel, fit, save_model, score

TRAINED, BEGINS, RETRAINED, ENDS = 60, 70, 119, 140
BEFORE, AFTER, LATER = (42, 70), (70, 98), (105, 133)  # Whole weeks, labels known, none of them learnt from.
SEEDS = (1, 2, 3, 4, 5, 6)

# Mean and standard deviation over the seeds of average precision, and of the share of fraud in percent;
# `make test-deep` measures them anew. The days before and calm worlds reach .63 ± .03. A prototype on which
# the episodes were designed gave: inflation .07, retrained .52; an attack wave 2.6%; stealth .29, retrained
# .33; a changed pattern .05, retrained .06.
MEASURED: dict[str, dict[str, tuple[float, float]]] = {
    "inflation": {
        "after": (0.041, 0.013),
        "not retrained": (0.037, 0.010),
        "retrained": (0.657, 0.035),
    },
    "attack_wave": {
        "after": (0.617, 0.031),
        "not retrained": (0.624, 0.047),
        "retrained": (0.678, 0.020),
        "fraud before": (0.88, 0.03),
        "fraud later": (2.57, 0.10),
    },
    "stealth_fraud": {
        "after": (0.325, 0.038),
        "not retrained": (0.255, 0.027),
        "retrained": (0.331, 0.024),
    },
    "changed_pattern": {
        "after": (0.037, 0.015),
        "not retrained": (0.059, 0.005),
        "retrained": (0.060, 0.009),
    },
}


def average_precision(features: pd.DataFrame, model: FittedModel, days: tuple[int, int]) -> float:
    """Over these days, each week tested by itself."""
    weeks = []
    for day in range(*days, 7):
        test = {"from": day * DAY_S, "until": (day + 7) * DAY_S}
        weeks.append(
            evaluation.tested_rows(FRAUD, features, replace(model, card=model.card | {"test": test}))
        )
    tested = pd.concat(weeks)
    return float(average_precision_score(tested["label"], tested["score"]))


def figures(name: str, seed: int) -> dict[str, float]:
    """What a model from before the episode, and one from after it, reach; and the share of fraud."""
    events = collect(FRAUD, "teaching", seed, ENDS, f"{name}@{BEGINS}" if name else "")
    features = offline.compute(FRAUD, events)
    old, new = (fit(FRAUD, features, Train(), seed, day * DAY_S) for day in (TRAINED, RETRAINED))
    assert new.card["train"]["from"] >= BEGINS * DAY_S
    assert new.card["train"]["until"] <= LATER[0] * DAY_S
    day = features["event_time"] // DAY_S
    return {
        "before": average_precision(features, old, BEFORE),
        "after": average_precision(features, old, AFTER),
        "not retrained": average_precision(features, old, LATER),
        "retrained": average_precision(features, new, LATER),
        "fraud before": 100 * features.loc[day.between(*BEFORE, inclusive="left"), "label"].mean(),
        "fraud later": 100 * features.loc[day.between(*LATER, inclusive="left"), "label"].mean(),
    }


@pytest.mark.parametrize("name", [episode.name for episode in EPISODES])
def test_a_model_meets_the_episode_as_described(name: str) -> None:
    """One world; the mean over several is held closer below."""
    found = figures(name, seed=1)
    assert found["before"] > 0.5
    for part, (mean, deviation) in MEASURED[name].items():
        assert abs(found[part] - mean) < max(0.02, 4 * deviation), (part, found)


@pytest.mark.deep
@pytest.mark.timeout(900)
def test_the_figures_of_every_episode(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"episode": name or "none"} | figures(name, seed) for name in ("", *MEASURED) for seed in SEEDS]
    by_episode = pd.DataFrame(rows).groupby("episode", sort=False)
    means, deviations = by_episode.mean(), by_episode.std()
    table = means.round(3).astype(str) + " ± " + deviations.round(3).astype(str)
    with capsys.disabled():
        print(f"\nseeds {SEEDS}\n{table.to_string()}")  # noqa: T201 - the table is what this test is for
    for name, parts in MEASURED.items():
        for part, (mean, deviation) in parts.items():
            # Two and a half standard errors of the mean of these seeds; floating point differs by less.
            tolerance = max(0.005, 2.5 * deviation / len(SEEDS) ** 0.5)
            assert means.loc[name, part] == pytest.approx(mean, abs=tolerance), (name, part)
    for name in ("stealth_fraud", "changed_pattern"):
        assert means.loc[name, "retrained"] < 0.6 * means.loc["none", "retrained"]
    assert means.loc["inflation", "retrained"] > 0.9 * means.loc["none", "retrained"]


def test_a_feature_that_looks_at_the_terminals_last_payment_sees_the_changed_pattern() -> None:
    """Retraining alone does not help; this needs no model even."""
    events = collect(FRAUD, "teaching", 1, ENDS, f"changed_pattern@{BEGINS}")
    since_last_s = events.groupby("terminal_id")["event_time"].diff().fillna(DAY_S)
    later = events["label"].notna() & (events["event_time"] >= BEGINS * DAY_S)
    found = average_precision_score(events["label"][later].astype(int), -since_last_s[later])
    assert found > 0.7


@cache
def trained(seed: int) -> tuple[pd.DataFrame, FittedModel, dict[str, Any]]:
    """The features of day 60, the model that was trained on them, and its evaluation."""
    features = offline.compute(FRAUD, collect(FRAUD, "teaching", seed, TRAINED))
    model = fit(FRAUD, features, Train(), seed)
    return features, model, evaluation.evaluate(FRAUD, features, model, Evaluate(resamples=100), seed)


def monitored(folder: Path, episodes: str, seed: int, days: range) -> list[dict[str, Any]]:
    """Each of these days' report on the model of day 60, which answers since then, and the PSI of amounts."""
    features, model, promised = trained(seed)
    features.to_parquet(folder / "features.parquet")
    save_model(folder / "model", model)
    write_json(folder / "evaluation.json", promised)
    paths = (folder / name for name in ("features.parquet", "model", "evaluation.json"))
    reference = read_reference("fraud", 1, *paths)
    events = collect(FRAUD, "teaching", seed, days[-1], episodes)
    seen = offline.compute(FRAUD, events).assign(terminal_id=events["terminal_id"], cold_start="")
    answered = seen[seen["event_time"] >= TRAINED * DAY_S].reset_index(drop=True)
    scores = score(model.model, answered[model.card["features"]])
    answered = answered.assign(
        day=answered["event_time"] // DAY_S,
        version=1,
        route="champion",
        score=scores,
        decision=scores >= model.card["threshold"],
    )
    found = []
    for day in days:
        window = answered[answered["day"].between(day - 14, day - 1)]
        window = window.assign(label=window["label"].mask(window["label_time"] > day * DAY_S))
        known = answered[(answered["label"] == 1) & (answered["label_time"] <= day * DAY_S)]
        positives = pd.concat([reference.known_positives, known[["customer_id", "label_time"]]])
        report = report_on(FRAUD, window, positives, reference, day, resamples=50)
        week = window[window["day"] >= day - 7]
        (amount,) = compare(reference.features, week, columns=["amount"], method="psi").columns
        found.append(report | {"psi": amount.score})
    return found


def only_labels_show_it(folder: Path, seed: int, step: int) -> None:
    """Five weeks of hidden fraud: no input drifts, and performance leaves the promised interval."""
    reports = monitored(folder, f"stealth_fraud@{BEGINS}", seed, range(BEGINS + 7, BEGINS + 36, step))
    for report in reports:
        assert not {"input_drift", "quality"} & set(findings(report)), report["day"]
        assert report["psi"] < 0.03  # At most .021 in these worlds; .015 in calm ones, and .1 alarms.
    # The first report knows labels of the days before only.
    below = [is_below(report["performance"], "average_precision") for report in reports]
    assert not below[0]
    assert any(below)


def test_hidden_fraud_raises_no_alarm_in_what_comes_in_and_labels_show_it(tmp_path: Path) -> None:
    only_labels_show_it(tmp_path, seed=1, step=14)


@pytest.mark.deep
@pytest.mark.parametrize("seed", SEEDS)
def test_on_no_day_does_hidden_fraud_alarm_the_inputs(tmp_path: Path, seed: int) -> None:
    only_labels_show_it(tmp_path, seed, step=1)


def test_doubled_prices_do_raise_that_alarm(tmp_path: Path) -> None:
    (report,) = monitored(tmp_path, f"inflation@{BEGINS}", 1, range(BEGINS + 7, BEGINS + 8))
    assert "input_drift" in findings(report)

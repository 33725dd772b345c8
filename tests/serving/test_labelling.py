"""Which labels are awaited, and that a sample of them stands for all: measured, not promised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from pipelines.errors import BadInput
from pipelines.serving import labelling
from pipelines.serving.labelling import WEIGHT, Rule
from pipelines.workspace import Home, Workspace

SEEDS = range(20)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace of this test's own."""
    return Workspace(Home(tmp_path))


def answers(seed: int, count: int = 20_000) -> pd.DataFrame:
    """Scores that know something of labels, and alerts above a threshold."""
    random = np.random.default_rng(seed)
    label = (random.random(count) < 0.02).astype(int)
    score = np.clip(random.normal(0.2 + 0.35 * label, 0.15), 0, 1)
    rows = {"event_id": seed * count + np.arange(count), "day": 60, "label": label, "score": score}
    return pd.DataFrame(rows | {"decision": score > 0.5})


@pytest.mark.parametrize("rule", [Rule(0, "investigated", 0.1), Rule(0, "blocked", 0.2)])
def test_a_weighted_sample_says_the_same_and_an_unweighted_one_does_not(rule: Rule) -> None:
    weighted, plain, true = [], [], []
    for seed in SEEDS:
        rows = labelling.weigh([rule], answers(seed))
        known = labelling.awaited(rows)
        standing = labelling.repeated(known)
        true.append(average_precision_score(rows["label"], rows["score"]))
        weighted.append(average_precision_score(standing["label"], standing["score"]))
        plain.append(average_precision_score(known["label"], known["score"]))
    error = np.std(np.array(weighted) - true, ddof=1) / len(SEEDS) ** 0.5
    assert abs(np.mean(weighted) - np.mean(true)) < 3 * error
    # Of investigated alerts alone a model looks better than it is; of those let through, worse.
    off = np.mean(plain) - np.mean(true)
    assert off > 0.05 if rule.mode == "investigated" else off < -0.05


def test_who_gets_a_label_hangs_on_the_event_and_the_rule_of_its_day() -> None:
    there = (Rule(60, "investigated", 0.1), Rule(70, "blocked", 0.0))
    ids, alerts = list(range(1000)), [number % 10 == 0 for number in range(1000)]
    every = labelling.weights(there, [59] * 1000, ids, alerts)
    assert (every == 1).all()
    some = labelling.weights(there, [60] * 1000, ids, alerts)
    assert (some[::10] == 1).all()
    assert 60 < (some == 10).sum() < 125
    assert set(some.tolist()) == {0.0, 1.0, 10.0}
    none = labelling.weights(there, [71] * 1000, ids, alerts)
    assert (none[::10] == 0).all()
    assert none.sum() == 900


def test_rules_are_kept_by_day_and_refused_by_name(workspace: Workspace) -> None:
    assert labelling.rules(workspace, "fraud") == ()
    assert not workspace.database.exists()
    labelling.choose(workspace, "fraud", 60, "investigated", 0.1)
    labelling.choose(workspace, "fraud", 66, "blocked", 0.2)
    labelling.choose(workspace, "fraud", 66, "all", 1.0)
    there = labelling.rules(workspace, "fraud")
    assert there == (Rule(60, "investigated", 0.1), Rule(66, "all", 1.0))
    assert labelling.rule_on(there, 65).mode == "investigated"
    assert labelling.rule_on(there, 59).mode == "all"
    for mode, share, match in (
        ("some", 0.1, "There is no labelling 'some'"),
        ("all", 0.3, "The share is 0.3"),
    ):
        with pytest.raises(BadInput, match=match):
            labelling.choose(workspace, "fraud", 70, mode, share)


def test_without_a_rule_nothing_is_weighed() -> None:
    rows = answers(1, 10)
    assert labelling.weigh((), rows) is rows
    assert labelling.awaited(rows) is rows
    assert WEIGHT not in labelling.repeated(rows)

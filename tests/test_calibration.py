"""Calibration: known answers, and scores that keep or break their promise."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from pipelines.tasks import calibration


def drawn(rows: int, seed: int = 1, rare: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and labels that come true as often as the scores say."""
    random = np.random.default_rng(seed)
    score = random.beta(0.1, 8, rows) if rare else random.random(rows)
    return (random.random(rows) < score).astype(int), score


@pytest.mark.parametrize("rare", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_scores_that_labels_were_drawn_from_have_next_to_no_error(seed, rare):
    found = calibration.calibrate(*drawn(40_000, seed, rare))

    assert found["error"] < 0.01
    assert found["brier"] < found["brier_without"]
    assert "read them as probabilities" in found["words"] or "1 of" in found["words"]


def test_the_table_counted_by_hand():
    # given 100 rows at .2 of which 30 come true and 20 at .9 of which 15 do: 20 and 18 positives expected
    label = [1] * 30 + [0] * 70 + [1] * 15 + [0] * 5
    score = [0.2] * 100 + [0.9] * 20

    low, high = calibration.reliability(label, score, bins=2)

    assert (low["rows"], low["positives"], low["promised"], low["came_true"]) == (100, 30, 0.2, 0.3)
    assert (high["rows"], high["positives"], high["promised"], high["came_true"]) == (20, 15, 0.9, 0.75)
    assert calibration.calibration_error([low, high]) == pytest.approx((100 * 0.1 + 20 * 0.15) / 120)


def test_bins_hold_every_row_once_in_order_of_scores():
    label, score = drawn(5_000, rare=True)

    table = calibration.reliability(label, score)

    assert sum(each["rows"] for each in table) == 5_000
    assert sum(each["positives"] for each in table) == label.sum()
    assert all(before["high"] <= after["low"] for before, after in pairwise(table))
    expected = [each["rows"] * each["promised"] for each in table]
    assert max(expected) < 2 * min(expected)
    for each in table:
        assert each["interval"][0] <= each["came_true"] <= each["interval"][1]


def test_equal_scores_are_never_parted():
    table = calibration.reliability([0, 1] * 50, [0.5] * 100)

    assert [(each["rows"], each["came_true"]) for each in table] == [(100, 0.5)]


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_scores_of_nothing_but_0_or_1_are_one_bin(score):
    (only,) = calibration.reliability([0, 1, 0, 0], [score] * 4)

    assert only["came_true"] == 0.25
    assert calibration.calibration_error([only]) == pytest.approx(abs(score - 0.25))


def test_scores_twice_too_high_are_said_to_be_too_high_and_why():
    label, score = drawn(20_000, rare=True)

    found = calibration.calibrate(label, np.sqrt(score), balanced=True)

    assert "too high" in found["words"]
    assert "counted both classes alike" in found["words"]
    assert found["error"] > 0.03


def test_the_worst_group_is_the_one_that_is_named():
    table = [
        {"promised": 0.3, "came_true": 0.22, "interval": [0.18, 0.27], "rows": 400},
        {"promised": 0.6, "came_true": 0.58, "interval": [0.5, 0.66], "rows": 100},
    ]

    assert calibration.in_words(table, balanced=False).startswith(
        "Scores of about 0.30 came true in 22 of 100 (95% interval 18 to 27): too high. 1 of 2 groups"
    )


def test_being_off_where_scores_are_next_to_nothing_is_no_finding():
    table = [{"promised": 0.005, "came_true": 0.001, "interval": [0.0005, 0.002], "rows": 9_000}]

    assert "read them as probabilities" in calibration.in_words(table, balanced=False)


def test_wilson_stays_between_0_and_1_and_narrows_with_rows():
    assert calibration.wilson(0, 10)[0] == 0
    assert calibration.wilson(10, 10)[1] == pytest.approx(1)
    assert 0.2 < calibration.wilson(0, 10)[1] < 0.3
    wide, narrow = calibration.wilson(5, 10), calibration.wilson(500, 1000)
    assert narrow[1] - narrow[0] < (wide[1] - wide[0]) / 5


def test_brier_of_always_the_share_is_the_one_without_a_model():
    label = np.array([0, 0, 0, 1])

    assert calibration.brier_score(label, np.full(4, 0.25)) == pytest.approx(0.25 * 0.75)
    assert calibration.brier_score(label, label) == 0

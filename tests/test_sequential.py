"""Sequential tests: the published bounds keep their promise, and entities are not counted as events."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.tasks.sequential import POCOCK, compare

Floats = NDArray[np.float64]
TRIALS = 20_000
# Three standard errors of a share of .05 in so many trials.
NEAR = 3 * (0.05 * 0.95 / TRIALS) ** 0.5


@pytest.mark.parametrize("looks", sorted(POCOCK))
def test_the_published_bounds_err_in_five_of_a_hundred_over_all_looks(looks: int) -> None:
    # given trials in which nothing differs, each looked at after equal parts
    drawn = np.random.default_rng(looks).normal(size=(TRIALS, looks)).cumsum(axis=1)
    z = np.abs(drawn) / np.sqrt(np.arange(1, looks + 1))
    assert (z > POCOCK[looks]).any(axis=1).mean() == pytest.approx(0.05, abs=NEAR)
    # and whoever stops at the first 1.96 errs more often: Armitage's 13 of 100 after four looks
    if looks == 4:
        assert (z > 1.96).any(axis=1).mean() == pytest.approx(0.126, abs=0.01)


def drawn_pair(seed: int, effect: float = 0.0) -> tuple[Floats, Floats, Floats, Floats]:
    """Events of 60 cards on both sides; those of one card resemble each other strongly."""
    draw = np.random.default_rng(seed)
    cards = draw.normal(size=60) * 3
    sides = []
    for shift in (effect, 0.0):
        whose = draw.integers(0, 60, 400)
        sides += [cards[whose] + draw.normal(size=400) + shift, whose.astype(float)]
    return tuple(sides)  # type: ignore[return-value]


def test_the_error_is_that_of_repeated_experiments() -> None:
    found = [compare(*drawn_pair(seed)) for seed in range(600)]
    spread = np.std([each.value for each in found])
    assert np.mean([each.error for each in found]) == pytest.approx(spread, rel=0.1)
    wrong = np.mean([abs(each.z) > 1.96 for each in found])
    assert 0.03 < wrong < 0.08


def test_a_difference_is_found_with_its_sign() -> None:
    assert compare(*drawn_pair(1, effect=1.0)).z > 3
    assert compare(*drawn_pair(1, effect=-1.0)).z < -3


def test_a_card_that_is_on_one_side_only_is_no_forty_findings() -> None:
    # given forty events of one card on one side, and of forty cards on the other
    worth = np.ones(40)
    lonely = compare(worth * 5, np.zeros(40), np.random.default_rng(1).normal(size=40), np.arange(1, 41))
    spread = compare(
        worth * 5, np.arange(100, 140), np.random.default_rng(1).normal(size=40), np.arange(1, 41)
    )
    assert lonely.events == spread.events == (40, 40)
    assert lonely.value == spread.value


@pytest.mark.parametrize("sides", [([], [1.0, 2.0]), ([1.0], []), ([], [])])
def test_without_events_nothing_is_claimed(sides: tuple[list[float], list[float]]) -> None:
    first, second = sides
    found = compare(first, list(range(len(first))), second, list(range(len(second))))
    assert (found.value, found.error, found.z) == (0.0, 0.0, 0.0)


def test_where_nothing_varies_nothing_is_decided() -> None:
    found = compare([0.0] * 50, list(range(50)), [0.0] * 50, list(range(50, 100)))
    assert (found.value, found.z) == (0.0, 0.0)

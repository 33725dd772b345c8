"""Drift methods: known answers, the libraries as oracles, and what must hold for every sample."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from pipelines.errors import BadInput
from pipelines.monitoring.grid import Gap
from pipelines.monitoring.methods import METHODS, choose_method, find_method
from pipelines.monitoring.methods.kolmogorov_smirnov import largest_gap
from pipelines.monitoring.samples import categories, numbers

SHAPES = {
    "normal": lambda random, count: random.normal(size=count),
    "lognormal": lambda random, count: random.lognormal(sigma=2, size=count),
    "pareto": lambda random, count: random.pareto(1.1, size=count),
    "cents": lambda random, count: random.gamma(2, 30, size=count).round(2),
    "counts": lambda random, count: random.poisson(20, size=count),
    "large integers": lambda random, count: random.integers(0, 10**9, size=count),
    "far from zero": lambda random, count: 1e9 + random.normal(size=count),
    "tiny": lambda random, count: 1e-300 * random.normal(size=count),
    "two values": lambda random, count: 0.3 * random.integers(0, 2, size=count),
    "a spike": lambda random, count: np.where(random.random(count) < 0.5, 0.0, random.normal(size=count)),
    "constant": lambda _, count: np.full(count, 3.7),
}


def measure(name: str, reference: object, current: object) -> float:
    return METHODS[name].measure(numbers(reference), numbers(current)).value


@pytest.mark.parametrize("name", ["psi", "wasserstein", "jensenshannon"])
def test_equal_samples_are_no_distance_apart(name: str) -> None:
    values = np.random.default_rng(1).normal(size=3000)
    assert measure(name, values, values[::-1]) == 0


@pytest.mark.parametrize("name", ["ks", "chisquare", "z"])
def test_equal_samples_are_as_probable_as_can_be(name: str) -> None:
    assert measure(name, [1.0, 2.0, 2.0], [2.0, 1.0, 2.0]) == 1


def test_psi_of_a_small_table_is_what_the_formula_says() -> None:
    # given shares 0.5, 0.3, 0.2 and 0.4, 0.4, 0.2
    reference, current = categories("aaaaabbbcc"), categories("aaaabbbbcc")
    # when
    found = METHODS["psi"].measure(reference, current).value
    # then (0.5 - 0.4) ln(0.5 / 0.4) + (0.3 - 0.4) ln(0.3 / 0.4) + 0
    assert found == pytest.approx(0.1 * math.log(1.25) - 0.1 * math.log(0.75), abs=1e-15)


def test_an_empty_bin_counts_as_a_ten_thousandth() -> None:
    found = METHODS["psi"].measure(categories("ab"), categories("aa")).value
    assert found == pytest.approx((0.5 - 1) * math.log(0.5) + (0.5 - 1e-4) * math.log(0.5 / 1e-4))


def test_a_shift_by_one_standard_deviation_scores_one() -> None:
    values = np.random.default_rng(2).normal(size=5000)
    assert measure("wasserstein", values, values + values.std()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("rows", "others"), [(2, 3), (900, 1100), (60_000, 45_000)])
@pytest.mark.parametrize("moved", [False, True])
def test_numbers_score_as_scipy_says(shape: str, rows: int, others: int, moved: bool) -> None:
    # given
    reference = SHAPES[shape](np.random.default_rng(1), rows)
    current = SHAPES[shape](np.random.default_rng(2), others)
    current = current * 2 if moved else current
    # when
    area, gap = measure("wasserstein", reference, current), largest_gap(numbers(reference), numbers(current))
    # then
    expected = stats.wasserstein_distance(reference, current) / max(float(np.std(reference)), 0.001)
    test = stats.ks_2samp(reference, current)
    assert area == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert (gap.value, gap.error) == (pytest.approx(test.statistic, abs=1e-12), 0)
    assert measure("ks", reference, current) == pytest.approx(test.pvalue, abs=1e-12)


@pytest.mark.parametrize("rows", [50, 2000])
def test_categories_score_as_scipy_says(rows: int) -> None:
    # given
    random = np.random.default_rng(3)
    reference, current = (
        random.choice(list("abcde"), rows, p=p) for p in ([0.2] * 5, [0.3, 0.1, 0.2, 0.2, 0.2])
    )
    before, after = (np.array([(side == each).sum() for each in "abcde"]) for side in (reference, current))
    # when
    found = {
        name: METHODS[name].measure(categories(reference), categories(current)).value
        for name in ("chisquare", "jensenshannon")
    }
    # then
    assert found["chisquare"] == pytest.approx(stats.chisquare(after, before).pvalue, rel=1e-12)
    assert found["jensenshannon"] == pytest.approx(distance.jensenshannon(before, after), abs=1e-12)


def test_a_category_never_seen_before_can_not_be_chance() -> None:
    assert METHODS["chisquare"].measure(categories("aabb"), categories("abz")).value == 0


def test_the_z_test_is_for_two_values() -> None:
    with pytest.raises(BadInput, match="compares two values, but there are 3"):
        METHODS["z"].measure(categories("abc"), categories("abc"))


@pytest.mark.parametrize("name", ["ks", "wasserstein"])
def test_a_method_for_numbers_refuses_categories(name: str) -> None:
    with pytest.raises(BadInput, match="compares numbers"):
        METHODS[name].measure(categories("ab"), categories("ab"))


few = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(few, few)
def test_distances_are_symmetric_and_never_negative(left: list[float], right: list[float]) -> None:
    reference, current = numbers(left), numbers(right)
    for there, back in (
        (Gap(reference, current).area(), Gap(current, reference).area()),
        (Gap(reference, current).peak(), Gap(current, reference).peak()),
    ):
        assert there.value == pytest.approx(back.value, rel=1e-9, abs=1e-9)
        assert there.value >= 0


@settings(max_examples=60, deadline=None)
@given(few, few)
def test_the_area_and_the_peak_are_scipys_for_any_numbers(left: list[float], right: list[float]) -> None:
    gap = Gap(numbers(left), numbers(right))
    spread = max(max(left + right) - min(left + right), 1e-9)
    assert gap.area().value == pytest.approx(stats.wasserstein_distance(left, right), abs=1e-9 * spread)
    with np.errstate(all="ignore"):
        assert gap.peak().value == pytest.approx(
            stats.ks_2samp(left, right, method="asymp").statistic, abs=1e-12
        )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from("abcd"), min_size=1), st.lists(st.sampled_from("bcde"), min_size=1))
def test_shares_give_distances_within_their_bounds(left: list[str], right: list[str]) -> None:
    reference, current = categories(left), categories(right)
    there, back = (
        METHODS["jensenshannon"].measure(*pair).value for pair in ((reference, current), (current, reference))
    )
    assert there == pytest.approx(back, abs=1e-12)
    assert 0 <= there <= math.sqrt(math.log(2)) + 1e-12
    assert METHODS["psi"].measure(reference, current).value >= 0
    assert 0 <= METHODS["chisquare"].measure(reference, current).value <= 1


def test_what_may_be_missing_is_bounded_when_not_all_may_be_sorted() -> None:
    # given samples that cross in many cells
    random = np.random.default_rng(5)
    left, right = random.normal(size=200_000), random.normal(size=200_000)
    # when only a few values may be looked at closely
    area = Gap(numbers(left), numbers(right), most_sorted=500).area()
    peak = Gap(numbers(left), numbers(right), most_sorted=500).peak()
    assert area.error > 0
    # then the exact result lies within what is said
    for found, exact in (
        (area, stats.wasserstein_distance(left, right)),
        (peak, stats.ks_2samp(left, right).statistic),
    ):
        assert 0 <= found.error < 0.001
        assert found.value - 1e-12 <= exact <= found.value + found.error + 1e-12


def test_every_method_says_what_it_is() -> None:
    for name, method in METHODS.items():
        assert name == method.name
        assert all((method.title, method.formula, method.meaning, method.source, method.kinds))
        assert 0 < method.threshold < 1
        assert "References" in (method.measure.__doc__ or "")
        assert "Examples" in (method.measure.__doc__ or "")


def test_an_unknown_method_lists_those_there_are() -> None:
    with pytest.raises(BadInput, match="no drift method 'magic'"):
        find_method("magic")


@pytest.mark.parametrize(
    ("rows", "values", "expected"),
    [
        (1000, 6, "ks"),
        (1000, 5, "chisquare"),
        (1000, 2, "z"),
        (1001, 6, "wasserstein"),
        (1001, 5, "jensenshannon"),
    ],
)
def test_size_and_values_choose_the_method_for_numbers(rows: int, values: int, expected: str) -> None:
    column = np.arange(rows) % values + 0.5
    assert choose_method(numbers(column), numbers(column)).name == expected


@pytest.mark.parametrize(
    ("rows", "values", "expected"), [(1000, 3, "chisquare"), (1000, 2, "z"), (1001, 2, "jensenshannon")]
)
def test_size_and_values_choose_the_method_for_categories(rows: int, values: int, expected: str) -> None:
    column = [f"c{place % values}" for place in range(rows)]
    assert choose_method(categories(column), categories(column)).name == expected

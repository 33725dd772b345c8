"""Slices: parts that sum to the whole, and a weak part that is found."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pipelines.scenarios import SCENARIOS
from pipelines.scenarios.scenario import Slice
from pipelines.tasks import slices

SIZE = Slice("Size", "size", ("that are small", "that are large"), edges=(10.0,))
KIND = Slice("Kind", "kind", ("of kind a", "of kind b"), values=("a", "b"))
WORLD = SimpleNamespace(events="payments", positive="fraud", slices=(SIZE, KIND))


def rows(count: int = 600, seed: int = 1, blind_below: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tested rows whose scores follow the label, but say nothing where size is below `blind_below`."""
    random = np.random.default_rng(seed)
    label = (random.random(count) < 0.3).astype(np.int8)
    values = pd.DataFrame({"size": random.uniform(0, 20, count), "kind": random.choice(["a", "b"], count)})
    score = np.where(values["size"] < blind_below, 0.1, 0.2 + 0.6 * label) + random.uniform(0, 0.1, count)
    return pd.DataFrame({"entity": random.integers(0, 200, count), "label": label, "score": score}), values


def compare(tested: pd.DataFrame, values: pd.DataFrame) -> dict:
    return slices.compare_slices(WORLD, tested, values, threshold=0.5, resamples=60, seed=1)


def test_the_parts_of_each_slice_sum_to_the_whole():
    found = compare(*rows())

    assert [each["name"] for each in found["by"]] == ["Size", "Kind"]
    for each in found["by"]:
        for counted in ("rows", "positives", "flagged"):
            assert sum(one[counted] for one in each["parts"]) == found["all"][counted]


def test_figures_of_a_part_are_those_of_its_rows_alone():
    tested, values = rows(blind_below=3)

    part = compare(tested, values)["by"][0]["parts"][0]

    small = tested[values["size"] < 10]
    flagged = small[small["score"] >= 0.5]
    assert part["label"] == "that are small"
    assert part["rows"] == len(small)
    assert part["right"] == pytest.approx(flagged["label"].mean(), abs=1e-6)
    assert part["found"] == pytest.approx(flagged["label"].sum() / small["label"].sum(), abs=1e-6)
    assert part["found_interval"][0] < part["found"] < part["found_interval"][1]
    assert part["interval"][0] <= part["average_precision"] <= part["interval"][1]


def test_a_part_on_which_the_model_is_blind_is_the_worst():
    found = compare(*rows(blind_below=10))

    assert found["worst"] == {"name": "Size", "label": "that are small"}
    assert "It is weakest on payments that are small: it finds 0% of the" in found["words"]


def test_without_a_weak_part_none_is_named():
    found = compare(*rows())

    assert found["worst"] is None
    assert "than luck explains" in found["words"]


def test_a_part_with_too_few_positives_says_so_in_place_of_figures():
    # given nine positives among the small
    tested, values = rows()
    small = np.flatnonzero(values["size"] < 10)
    tested.loc[small, "label"] = 0
    tested.loc[small[:9], "label"] = 1

    part = compare(tested, values)["by"][0]["parts"][0]

    assert part["positives"] == 9
    assert not part["measured"]
    assert part["average_precision"] is None
    assert part["interval"] == part["found_interval"] == [None, None]


def test_a_test_with_too_few_positives_is_not_looked_at_in_parts():
    tested, values = rows(count=20)

    found = compare(tested.assign(label=[1] + [0] * 19), values)

    assert "Too few tested payments are fraud" in found["words"]


def test_rows_whose_value_is_not_known_are_a_part_of_their_own():
    tested, values = rows()
    values.loc[:49, "size"] = np.nan
    values.loc[:29, "kind"] = "c"

    by = compare(tested, values)["by"]

    assert [one["rows"] for one in (by[0]["parts"][-1], by[1]["parts"][-1])] == [50, 30]
    assert {by[0]["parts"][-1]["label"], by[1]["parts"][-1]["label"]} == {slices.UNKNOWN}


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": ("a", "b"), "edges": (1.0, 2.0)},
        {"labels": ("a", "b", "c"), "edges": (2.0, 1.0)},
        {"labels": ("a",)},
        {"labels": ("a", "b"), "edges": (1.0,), "values": ("x", "y")},
    ],
)
def test_a_slice_that_can_not_be_meant_fails_where_it_is_declared(wrong):
    with pytest.raises(ValueError, match="slice 'Size'"):
        Slice("Size", "size", **wrong)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda each: each.name)
def test_scenarios_part_their_events_by_features_they_have(scenario):
    assert scenario.slices
    assert {each.column for each in scenario.slices} <= {feature.name for feature in scenario.features}

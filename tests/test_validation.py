"""Which check finds which fault, that a good batch passes, and what a bad one is told."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipelines.errors import Refused
from pipelines.ingestion import receive
from pipelines.lifecycle import Validate
from pipelines.scenarios import SCENARIOS
from pipelines.scenarios.biopsies import BIOPSIES
from pipelines.scenarios.delivery import Mishap
from pipelines.scenarios.fraud import FRAUD
from pipelines.scenarios.maintenance import MAINTENANCE
from pipelines.scenarios.scenario import DAY_S, Scenario
from pipelines.validation import Check, checks_of, require, validate
from pipelines.validation.batch import CHANCE, median_interval, of_the_others, present_day

DAY = 45
DEFAULTS = Validate()

each_world = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: scenario.name)


@pytest.fixture(scope="module")
def batch() -> pd.DataFrame:
    """The small world of payments as it was delivered, faults and all."""
    return receive(FRAUD, "small", 1, DAY, damaged=0.004)


def look(batch: pd.DataFrame, scenario: Scenario = FRAUD, params: Validate = DEFAULTS) -> list[Check]:
    return checks_of(validate(scenario, batch, params))


def failed(checks: list[Check]) -> set[tuple[str, str]]:
    return {(check.name, check.column) for check in checks if not check.passed}


def find(checks: list[Check], name: str, column: str) -> Check:
    (found,) = [check for check in checks if (check.name, check.column) == (name, column)]
    return found


@each_world
@pytest.mark.parametrize("seed", range(20))
def test_a_good_batch_passes_whatever_the_seed(scenario: Scenario, seed: int) -> None:
    assert failed(look(receive(scenario, "small", seed, DAY, damaged=0.004), scenario)) == set()


@each_world
def test_a_batch_without_any_fault_has_no_finding(scenario: Scenario) -> None:
    report = validate(scenario, receive(scenario, "small", 1, DAY), DEFAULTS)
    assert report["passed"]
    assert [each for each in report["checks"] if each["count"]] == []
    assert report["summary"].endswith("nothing found.")


CAUGHT: dict[str, set[tuple[str, str]]] = {
    "unit": {("median", "amount")},
    "nulls": {("missing", "amount"), ("gap", "amount")},
    "renamed": {("columns", "amount_v2"), ("missing", "amount"), ("gap", "amount")},
    "late": {("newest", "event_time")},
}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("mishap", CAUGHT)
def test_each_mishap_is_caught_by_the_check_made_for_it(mishap: Mishap, seed: int) -> None:
    found = failed(look(receive(FRAUD, "small", seed, 60, "", 0.004, mishap)))
    assert found == CAUGHT[mishap]


@pytest.mark.parametrize(
    ("mishap", "check"), [("unit", "median"), ("nulls", "gap"), ("renamed", "columns"), ("late", "newest")]
)
def test_each_mishap_is_caught_in_six_biopsies_a_day(mishap: Mishap, check: str) -> None:
    found = failed(look(receive(BIOPSIES, "small", 1, 60, "", 0.004, mishap), BIOPSIES))
    assert check in {name for name, _ in found}


@pytest.mark.parametrize(
    ("mishap", "check"), [("unit", "median"), ("nulls", "gap"), ("renamed", "columns"), ("late", "newest")]
)
def test_each_mishap_is_caught_in_a_hall_of_machines(mishap: Mishap, check: str) -> None:
    found = failed(look(receive(MAINTENANCE, "small", 1, 60, "", 0.004, mishap), MAINTENANCE))
    assert (check, "event_time" if mishap == "late" else f"tool_wear{'_v2' * (mishap == 'renamed')}") in found
    assert {column.removesuffix("_v2") for _, column in found} <= {"tool_wear", "event_time"}


def test_a_category_nobody_knows_is_found_and_named() -> None:
    batch = receive(MAINTENANCE, "small", 1, DAY)
    check = find(
        look(batch.assign(quality=batch["quality"].where(batch.index != 7, "X")), MAINTENANCE),
        "category",
        "quality",
    )
    assert (check.count, check.passed) == (1, True)
    assert [(example.row, example.value) for example in check.examples] == [(7, "X")]
    assert ("category", "quality") in failed(look(batch.assign(quality="X"), MAINTENANCE))


def test_bounds_do_not_catch_cents_sent_as_euros_but_the_daily_median_does() -> None:
    # given three days in cents among sixty
    checks = look(receive(FRAUD, "small", 1, 60, mishap="unit"))
    # then the bound finds a few, tolerates them, and knows of no day
    bound, median = find(checks, "high", "amount"), find(checks, "median", "amount")
    assert bound.passed
    assert 0 < bound.share < DEFAULTS.most_damaged
    # while the median names the days
    assert not median.passed
    assert [example.day for example in median.examples] == [57, 58, 59]


def test_damage_is_counted_to_the_row(batch: pd.DataFrame) -> None:
    checks = look(batch)
    amount = batch["amount"]
    assert find(checks, "missing", "amount").count == amount.isna().sum()
    assert find(checks, "low", "amount").count == (amount < 0).sum()
    assert find(checks, "high", "amount").count == (amount > 10_000).sum()
    assert find(checks, "twice", "event_id").count == batch["event_id"].duplicated().sum()
    assert all(check.severity == "repair" for check in checks if check.count)


def test_examples_are_at_most_five_with_row_and_value(batch: pd.DataFrame) -> None:
    check = find(look(batch), "low", "amount")
    assert len(check.examples) == 5
    for example in check.examples:
        assert example.row is not None
        assert float(example.value) == pytest.approx(batch["amount"].iloc[example.row], rel=1e-5)
        assert example.day == batch["event_time"].iloc[example.row] // DAY_S


def test_more_damage_than_tolerated_stops(batch: pd.DataFrame) -> None:
    share = float((batch["amount"] < 0).mean())
    assert ("low", "amount") in failed(look(batch, params=Validate(most_damaged=share * 0.9)))
    assert ("low", "amount") not in failed(look(batch, params=Validate(most_damaged=share * 1.1)))


Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.mark.parametrize(
    ("change", "name", "column"),
    [
        (lambda b: b.drop(columns="amount"), "columns", "amount"),
        (lambda b: b.assign(scenario_id=1), "columns", "scenario_id"),
        (lambda b: b.assign(amount=b["amount"].astype(str)), "type", "amount"),
        (lambda b: b.assign(amount=b["amount"] > 0), "type", "amount"),
        (lambda b: b.assign(event_time=b["event_time"] + 0.5), "type", "event_time"),
        (lambda b: b.assign(event_time="yesterday"), "type", "event_time"),
        (lambda b: b.assign(label=b["label"].astype("object").fillna("unknown")), "type", "label"),
        (lambda b: b.assign(label=b["label"] + 1), "label", "label"),
        (lambda b: b.assign(label_time=b["event_time"]), "learned", "label_time"),
        (lambda b: b.assign(event_time=b["event_time"] - 30 * DAY_S), "time", "event_time"),
        (lambda b: b.assign(label=1 - b["label"]), "rate", "label"),
        (lambda b: b.assign(label=b["label"] * 0), "rate", "label"),
        (lambda b: b[b["event_time"] // DAY_S != 20], "volume", "event_time"),
        (lambda b: pd.concat([b, *[b[b["event_time"] // DAY_S == 20]] * 3]), "volume", "event_time"),
        (lambda b: b.assign(amount=b["amount"].where(b["event_time"] // DAY_S != 9)), "gap", "amount"),
        (lambda b: b.assign(amount=b["amount"].fillna(np.inf)), "high", "amount"),
        (lambda b: b.set_axis([*b.columns[:-2], "label", "label"], axis=1), "columns", "label"),
    ],
)
def test_whatever_is_wrong_is_named_and_never_a_crash(
    batch: pd.DataFrame, change: Change, name: str, column: str
) -> None:
    checks = look(change(batch))
    found = find(checks, name, column)
    assert found.count > 0
    assert found.examples
    assert found.severity == "repair" or not found.passed


def test_an_empty_batch_does_not_pass(batch: pd.DataFrame) -> None:
    for empty in (batch.head(0), pd.DataFrame()):
        report = validate(FRAUD, empty, DEFAULTS)
        assert not report["passed"]
        with pytest.raises(Refused):
            require(report)


def test_a_refusal_names_column_count_and_example(batch: pd.DataFrame) -> None:
    report = validate(FRAUD, receive(FRAUD, "small", 1, 60, mishap="nulls"), DEFAULTS)
    with pytest.raises(Refused) as caught:
        require(report)
    missing = report["checks"][
        [each["name"] == "missing" and each["count"] > 0 for each in report["checks"]].index(True)
    ]
    assert f"Column 'amount' holds nothing in {missing['count']:,} of" in caught.value.message
    assert "(row " in caught.value.message
    assert "1 more check failed" in caught.value.message
    assert "validate.on_failure" in caught.value.hint


def test_whoever_chooses_to_go_on_is_not_stopped() -> None:
    report = validate(FRAUD, receive(FRAUD, "small", 1, 60, mishap="unit"), DEFAULTS)
    require(report, "go on")


def test_prices_that_double_are_the_world_and_not_a_fault() -> None:
    # given an episode that a model has to live with
    assert failed(look(receive(FRAUD, "small", 1, 60, "inflation@30", 0.004))) == set()
    assert ("median", "amount") in failed(
        look(receive(FRAUD, "small", 1, 60, "inflation@58"), params=Validate(most_change=1.5))
    )


def test_long_values_and_names_are_cut(batch: pd.DataFrame) -> None:
    report = validate(FRAUD, batch.assign(**{"x" * 500: "y" * 500}), DEFAULTS)
    with pytest.raises(Refused) as caught:
        require(report)
    assert len(str(caught.value)) < 400


@each_world
def test_a_report_is_plain_json_and_the_same_each_time(scenario: Scenario) -> None:
    reports = [
        json.dumps(
            validate(scenario, receive(scenario, "small", 1, DAY, "", 0.01), DEFAULTS), allow_nan=False
        )
        for _ in range(2)
    ]
    assert reports[0] == reports[1]
    assert checks_of(json.loads(reports[0]))[0].examples[0].value


def test_today_is_told_by_the_labels(batch: pd.DataFrame) -> None:
    assert present_day(batch) == DAY
    assert present_day(batch[batch["event_time"] < (DAY - 3) * DAY_S]) == DAY
    assert present_day(batch.assign(label=pd.array([pd.NA] * len(batch), "Int8"))) == DAY


# The statistics, against known answers.


@pytest.mark.parametrize("count", [5, 11, 20, 101, 1900])
def test_the_interval_of_a_median_is_wide_enough_and_not_wider(count: int) -> None:
    values = np.arange(count, dtype=np.float64)
    low, high = median_interval(values)
    below = int(low)
    assert high == count - 1 - below
    # P(B <= k) is the chance that the true median lies below value k, the first being 0.
    if count >= 11:
        assert 2 * stats.binom.cdf(below, count, 0.5) <= CHANCE
    assert 2 * stats.binom.cdf(below + 1, count, 0.5) > CHANCE


def test_the_interval_holds_the_true_median_as_often_as_it_says() -> None:
    random, missed = np.random.default_rng(1), 0
    for _ in range(4000):
        low, high = median_interval(random.exponential(size=30))
        missed += not low <= np.log(2) <= high
    assert missed / 4000 <= CHANCE * 2


def test_the_others_leave_the_day_itself_out() -> None:
    assert of_the_others(np.array([1.0, 2.0, 9.0])).tolist() == [5.5, 5.0, 1.5]
    assert np.isnan(of_the_others(np.array([1.0]))).all()

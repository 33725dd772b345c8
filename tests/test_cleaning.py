"""Every repair is stated and counted, and what remains is strictly valid."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from pipelines.cleaning import Cleaned, clean, hundredfold_days
from pipelines.errors import Refused
from pipelines.ingestion import check_events, collect, receive
from pipelines.lifecycle import Clean, Validate
from pipelines.scenarios import SCENARIOS
from pipelines.scenarios.fraud import FRAUD
from pipelines.scenarios.maintenance import MAINTENANCE
from pipelines.scenarios.scenario import Scenario
from pipelines.validation import validate

DAY = 60
EVERY_WAY = [
    Clean(missing=a, impossible=b, units=c)
    for a in ("drop", "median")
    for b in ("drop", "clip")
    for c in ("leave", "rescale")
]  # type: ignore[arg-type]

each_world = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: scenario.name)


def cleaned(batch: pd.DataFrame, params: Clean, scenario: Scenario = FRAUD) -> Cleaned:
    return clean(scenario, batch, validate(scenario, batch, Validate()), params)


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    """What happened."""
    return collect(FRAUD, "small", 1, DAY)


@pytest.fixture(scope="module")
def batch() -> pd.DataFrame:
    """What was sent of it."""
    return receive(FRAUD, "small", 1, DAY, damaged=0.01)


@each_world
@pytest.mark.parametrize("mishap", ["none", "unit", "nulls", "renamed", "late"])
@pytest.mark.parametrize("params", EVERY_WAY, ids=lambda params: "-".join(params.model_dump().values()))
def test_whatever_was_sent_the_events_are_strictly_valid(
    scenario: Scenario, mishap: str, params: Clean
) -> None:
    sent = receive(scenario, "small", 1, DAY, "", 0.05, mishap)  # type: ignore[arg-type]
    made = cleaned(sent, params, scenario)
    check_events(made.events, scenario)
    assert (
        made.report["rows_after"]
        == len(made.events)
        == len(sent) - sum(each.dropped for each in made.repairs)
    )
    json.dumps(made.report, allow_nan=False)


@each_world
def test_events_without_a_fault_are_left_as_they_are(scenario: Scenario) -> None:
    events = collect(scenario, "small", 1, DAY)
    made = cleaned(events, Clean(), scenario)
    pd.testing.assert_frame_equal(made.events, events)
    assert made.repairs == []


def test_a_category_nobody_knows_is_left_out_with_its_row() -> None:
    events = collect(MAINTENANCE, "small", 1, DAY)
    sent = events.assign(quality=events["quality"].where(events.index % 100 != 0, "X"))
    made = cleaned(sent, Clean(), MAINTENANCE)
    (repair,) = made.repairs
    assert (repair.what, repair.column, repair.dropped) == (
        "no such category",
        "quality",
        len(events) // 100 + 1,
    )
    assert set(made.events["quality"]) == {"L", "M", "H"}


def test_dropping_leaves_only_what_happened(batch: pd.DataFrame, truth: pd.DataFrame) -> None:
    events = cleaned(batch, Clean()).events
    kept = truth[truth["event_id"].isin(events["event_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(events, kept)
    assert 0.98 < len(events) / len(truth) < 1


def test_each_repair_is_counted_to_the_row_with_an_example(batch: pd.DataFrame) -> None:
    # given
    once = batch.drop_duplicates("event_id")
    expected = {
        "sent twice": len(batch) - len(once),
        "below 0 EUR": int((once["amount"] < 0).sum()),
        "above 10,000 EUR": int((once["amount"] > 10_000).sum()),
        "missing": int(once["amount"].isna().sum()),
    }
    # when
    repairs = {each.what: each for each in cleaned(batch, Clean()).repairs}
    # then
    assert {what: each.rows for what, each in repairs.items()} == expected
    low = repairs["below 0 EUR"]
    before = once.set_index("event_id").loc[low.event_id, "amount"]
    assert (float(low.before), low.after) == (pytest.approx(before), "left out")


def test_filling_and_clipping_keep_every_event(batch: pd.DataFrame, truth: pd.DataFrame) -> None:
    # when
    made = cleaned(batch, Clean(missing="median", impossible="clip"))
    # then
    assert made.events["event_id"].equals(truth["event_id"])
    once = batch.drop_duplicates("event_id").reset_index(drop=True)["amount"]
    assert made.events["amount"][once < 0].eq(0).all()
    assert made.events["amount"][once > 10_000].eq(10_000).all()
    filled = made.events["amount"][once.isna()]
    assert filled.nunique() == 1
    assert filled.iloc[0] == pytest.approx(once.clip(0, 10_000).median(), abs=0.01)
    sound = once.between(0, 10_000)
    assert made.events["amount"][sound].equals(truth["amount"][sound])


def test_a_number_set_to_its_bound_bends_the_mean_all_the_same(
    batch: pd.DataFrame, truth: pd.DataFrame
) -> None:
    dropped, clipped = (
        cleaned(batch, Clean(impossible=how)).report["figures"]["amount"]["after"]["mean"]  # type: ignore[arg-type]
        for how in ("drop", "clip")
    )
    true = truth["amount"].mean()
    assert abs(dropped - true) < 1
    assert clipped - true > 10


def test_rescaling_gives_back_what_happened_to_the_cent(truth: pd.DataFrame) -> None:
    made = cleaned(receive(FRAUD, "small", 1, DAY, mishap="unit"), Clean(units="rescale"))
    pd.testing.assert_frame_equal(made.events, truth)
    (repair,) = made.repairs
    assert repair.how == "divided by 100 on days 57, 58, 59"
    assert float(repair.before.replace(",", "")) == pytest.approx(100 * float(repair.after), rel=1e-4)


def test_left_alone_the_wrong_unit_stays_in(truth: pd.DataFrame) -> None:
    events = cleaned(receive(FRAUD, "small", 1, DAY, mishap="unit"), Clean()).events
    assert events["amount"].mean() > 2 * truth["amount"].mean()


@pytest.mark.parametrize(
    ("factor", "found"),
    [(1, False), (3, False), (30, False), (50, True), (100, True), (300, True), (1000, False)],
)
def test_only_about_a_hundred_times_is_taken_for_another_unit(factor: float, found: bool) -> None:
    medians = [10.0, 10.2, 9.8, 10.0 * factor]
    report = {"daily": {"days": [5, 6, 7, 8], "medians": {"amount": medians}}}
    assert list(hundredfold_days(report, "amount")) == ([8] if found else [])


def test_days_without_a_median_are_passed_over() -> None:
    assert hundredfold_days({"daily": {"days": [1, 2], "medians": {"amount": [None, None]}}}, "amount") == {}
    assert hundredfold_days({}, "amount") == {}


def test_a_column_that_never_came_can_not_be_repaired(batch: pd.DataFrame) -> None:
    with pytest.raises(Refused, match="Column 'amount' was not delivered at all"):
        clean(FRAUD, batch.drop(columns="amount"), {}, Clean())


def test_texts_in_place_of_numbers_can_not_be_repaired(batch: pd.DataFrame) -> None:
    with pytest.raises(Refused, match=r"Column 'amount' holds .* and no numbers"):
        clean(FRAUD, batch.assign(amount="much"), {}, Clean())


def test_a_row_without_its_customer_or_time_is_left_out(batch: pd.DataFrame) -> None:
    # given
    table = batch.astype({"customer_id": "Int64", "event_time": "Int64"})
    table.loc[3, "customer_id"] = pd.NA
    table.loc[4, "event_time"] = pd.NA
    # when
    made = clean(FRAUD, table, {}, Clean())
    # then
    found = {(each.column, each.rows) for each in made.repairs if "nobody can say" in each.how}
    assert found == {("customer_id", 1), ("event_time", 1)}


def test_infinite_numbers_are_left_out_whatever_is_chosen(batch: pd.DataFrame) -> None:
    table = batch.assign(amount=batch["amount"].mask(batch.index == 7, np.inf))
    repairs = clean(FRAUD, table, {}, Clean(impossible="clip")).repairs
    assert ("not finite", 1) in {(each.what, each.rows) for each in repairs}


def test_rows_out_of_order_are_put_in_order(batch: pd.DataFrame) -> None:
    events = cleaned(batch, Clean()).events
    pd.testing.assert_frame_equal(cleaned(batch.iloc[::-1], Clean()).events, events)


def test_the_batch_given_is_left_as_it_is(batch: pd.DataFrame) -> None:
    before = batch.copy()
    cleaned(batch, Clean(missing="median", impossible="clip", units="rescale"))
    pd.testing.assert_frame_equal(batch, before)


def test_nothing_can_be_cleaned() -> None:
    assert cleaned(receive(FRAUD, "small", 1, DAY).head(0), Clean()).events.empty

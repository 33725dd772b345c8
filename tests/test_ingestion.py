"""What has happened by today, which labels are known by then, and what a table may not be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.errors import BadInput, Damaged, Missing
from pipelines.ingestion import check_events, collect, known, read_events
from pipelines.scenarios import SCENARIOS
from pipelines.scenarios.biopsies import BIOPSIES
from pipelines.scenarios.fraud import FRAUD, Fraud
from pipelines.scenarios.maintenance import MAINTENANCE
from pipelines.scenarios.scenario import DAY_S, Begun, Scenario, Size

DAY = 40
Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    """The small world of payments on day 40."""
    return collect(FRAUD, "small", seed=1, until_day=DAY)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: scenario.name)
def test_collected_are_the_events_before_today_with_the_labels_known_by_then(scenario: Scenario) -> None:
    # given
    world = scenario.produce("small", seed=1)
    # when
    events = collect(scenario, "small", seed=1, until_day=DAY)
    # then
    assert len(events) == (world["event_time"] < DAY * DAY_S).sum()
    assert events["event_time"].max() // DAY_S == DAY - 1
    told = events["event_time"] <= (DAY - scenario.label_delay_days) * DAY_S
    assert events["label"].dtype == "Int8"
    assert events["label"].notna().eq(told).all()
    assert events["label"][told].eq(world["label"].iloc[: len(events)][told]).all()
    pd.testing.assert_frame_equal(
        events.drop(columns="label"), world.drop(columns="label").iloc[: len(events)]
    )


class Midnights(Fraud):
    """Payments in the first and the last second of the days around day 8, all of them fraud."""

    def produce(
        self, size: Size, seed: int, until_day: int | None = None, happened: tuple[Begun, ...] = ()
    ) -> pd.DataFrame:
        time_s = np.array([0, DAY_S - 1, DAY_S, DAY_S + 1, 8 * DAY_S - 1])
        table = FRAUD.produce(size, seed, until_day).head(len(time_s))
        return table.assign(event_time=time_s, label_time=time_s + 7 * DAY_S, label=np.int8(1))


def test_today_begins_at_midnight() -> None:
    # when collected in the first second of day 8
    events = collect(Midnights(), "small", seed=1, until_day=8)
    # then what happens in that second is not yet an event, and what is learned in it is known
    assert events["event_time"].tolist() == [0, DAY_S - 1, DAY_S, DAY_S + 1, 8 * DAY_S - 1]
    assert events["label"].notna().tolist() == [True, True, True, False, False]


def test_a_later_day_only_adds(events: pd.DataFrame) -> None:
    later = collect(FRAUD, "small", seed=1, until_day=DAY + 5)
    told = events["label"].notna()
    pd.testing.assert_frame_equal(later.iloc[: len(events)][told], events[told])
    assert later["label"].notna().sum() > told.sum()


@pytest.mark.parametrize(
    ("size", "day", "length"),
    [("small", 366, 365), ("teaching", 366, 365), ("full", 184, 183), ("small", 0, 365)],
)
def test_a_day_the_world_does_not_reach_is_refused(size: str, day: int, length: int) -> None:
    with pytest.raises(BadInput, match=rf"Day {day} .*{size} world of fraud lasts {length} days.*until_day"):
        collect(FRAUD, size, seed=1, until_day=day)  # type: ignore[arg-type]


def test_the_last_day_of_each_world_can_be_collected() -> None:
    assert len(collect(FRAUD, "full", 1, 183)) == len(FRAUD.produce("full", 1))
    assert len(collect(BIOPSIES, "full", 1, 90)) == 569


def test_a_label_is_known_from_its_second_on() -> None:
    # given three events, learned at 100, at 200 and not yet
    rows = pd.DataFrame(
        {"event_id": [1, 2, 3], "label_time": [100, 200, 150], "label": pd.array([1, 0, None], "Int8")}
    )
    # when, then
    assert known(rows, 99)["event_id"].tolist() == []
    assert known(rows, 100)["event_id"].tolist() == [1]
    assert known(rows, 199)["event_id"].tolist() == [1]
    assert known(rows, 200)["event_id"].tolist() == [1, 2]
    assert known(rows, 10**9)["label"].tolist() == [1, 0]
    assert known(rows, 200)["label"].dtype == np.int8


def test_asking_what_is_known_leaves_the_events_as_they_are(events: pd.DataFrame) -> None:
    before = events.copy()
    rows = known(events, 20 * DAY_S)
    rows["label"] = 1
    pd.testing.assert_frame_equal(events, before)


def test_stored_events_come_back_as_they_were(events: pd.DataFrame, tmp_path: Path) -> None:
    events.to_parquet(tmp_path / "events.parquet", index=False)
    pd.testing.assert_frame_equal(read_events(tmp_path / "events.parquet", FRAUD), events)


def test_a_file_cut_short_is_damaged(events: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    events.to_parquet(path, index=False)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Damaged, match=r"events\.parquet can't be read.*step 'clean'"):
        read_events(path)


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1" + bytes(100) + b"PAR1"])
def test_a_file_that_is_no_table_is_damaged(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    path.write_bytes(content)
    with pytest.raises(Damaged, match=r"events\.parquet can't be read"):
        read_events(path)


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Missing, match=r"no file events\.parquet.*step 'clean'"):
        read_events(tmp_path / "events.parquet")


def put(name: str, row: int, value: object) -> Change:
    """Set one cell."""

    def change(events: pd.DataFrame) -> pd.DataFrame:
        values = events[name].astype(object)
        values.iloc[row] = value
        return events.assign(**{name: values.convert_dtypes() if value is None else values.infer_objects()})

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.drop(columns="amount"), "no column 'amount'. Expected: event_id, event_time"),
        (lambda e: e.drop(columns=["amount", "label"]), r"no column 'amount' \(nor label\)"),
        (lambda e: e.assign(scenario_id=2), "column 'scenario_id' that is not foreseen"),
        (
            lambda e: e.assign(amount=e["amount"].astype(str)),
            r"'amount' is of type str.*numbers are expected",
        ),
        (lambda e: e.assign(amount=e["amount"] > 50), "'amount' is of type bool"),
        (
            lambda e: e.assign(event_time=e["event_time"] / 2),
            "'event_time' is of type float64.*whole numbers",
        ),
        (lambda e: e.assign(customer_id=e["customer_id"] / 2), "'customer_id' is of type float64"),
        (lambda e: e.assign(label=e["label"].astype("Float64")), "'label' is of type Float64"),
        (put("amount", 3, np.nan), "'amount' holds nothing in 1 of 200 rows .*event 3 in row 3"),
        (put("amount", 4, np.inf), "'amount' is not finite in 1 of 200 rows .*event 4 in row 4: inf"),
        (put("amount", 5, -0.01), "'amount' is below 0 EUR in 1 of 200 rows .*event 5 in row 5: -0.01"),
        (put("amount", 6, 10_000.01), "'amount' is above 10000 EUR in 1 of 200 rows .*event 6"),
        (put("terminal_id", 7, None), "'terminal_id' holds nothing in 1 of 200 rows"),
        (put("event_time", 8, None), "'event_time' holds nothing in 1 of 200 rows"),
        (lambda e: e.assign(label=e["label"] + 1), r"'label' is neither 0 nor 1 in \d of 200 rows .*: 2"),
        (
            lambda e: e.assign(event_id=e["event_id"] // 2),
            "'event_id' has occurred before in 100 of 200 rows",
        ),
        (
            lambda e: e.assign(label_time=e["event_time"]),
            "'label_time' is not after event_time in 200 of 200",
        ),
        (
            lambda e: e.assign(event_time=e["event_time"] - 10**6),
            "'event_time' lies before day 0 in 200 of 200",
        ),
        (lambda e: e.iloc[::-1], "'event_time' is out of order: .* in 19"),
        (
            lambda e: e.assign(event_time=5, event_id=-e["event_id"]),
            "'event_time' is out of order: .* in 199",
        ),
    ],
)
def test_a_table_of_another_form_is_refused_with_column_count_and_example(
    events: pd.DataFrame, change: Change, message: str
) -> None:
    # given 200 events, one of them fraud
    table = events.head(200).assign(label=events["label"].head(200).mask(events.index[:200] == 9, 1))
    check_events(table, FRAUD)
    # when, then
    with pytest.raises(BadInput, match=message):
        check_events(change(table), FRAUD)


def test_a_category_that_is_not_declared_is_refused() -> None:
    table = collect(MAINTENANCE, "small", 1, 2)
    check_events(table, MAINTENANCE)
    wrong = table.assign(quality=table["quality"].where(table.index != 3, "X"))
    with pytest.raises(BadInput, match=r"'quality' .*is none of L, M, H"):
        check_events(wrong, MAINTENANCE)


def test_refusals_tell_what_to_do_and_never_repeat_long_values(events: pd.DataFrame) -> None:
    table = events.head(5).assign(**{"x" * 500: 1})
    with pytest.raises(BadInput) as caught:
        check_events(table, FRAUD)
    assert caught.value.hint
    assert len(str(caught.value)) < 300


def test_without_a_scenario_only_the_common_columns_are_checked(tmp_path: Path) -> None:
    # given
    table = collect(BIOPSIES, "small", 1, 40)
    table.to_parquet(tmp_path / "events.parquet", index=False)
    # when, then
    assert len(read_events(tmp_path / "events.parquet")) == len(table)
    with pytest.raises(BadInput, match=r"no column 'customer_id' \(nor terminal_id, amount\)"):
        read_events(tmp_path / "events.parquet", FRAUD)


def test_no_events_at_all_are_events() -> None:
    check_events(collect(FRAUD, "small", 1, 40).head(0), FRAUD)

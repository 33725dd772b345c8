"""Features for training: hand-computed tables, and the same numbers by another way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipelines.errors import BadInput
from pipelines.features.offline import calendar, compute
from pipelines.ingestion import collect
from pipelines.scenarios.biopsies import BIOPSIES
from pipelines.scenarios.fraud import FRAUD, LABEL_DELAY_DAYS, WINDOWS_DAYS
from pipelines.scenarios.maintenance import MAINTENANCE
from pipelines.scenarios.scenario import DAY_S as DAY
from pipelines.scenarios.scenario import Calendar


def payments(*rows: tuple[int, int, int, float, int | None]) -> pd.DataFrame:
    """Events from (time, customer, terminal, amount, label), numbered from 0, labels a week later."""
    table = pd.DataFrame(rows, columns=["event_time", "customer_id", "terminal_id", "amount", "label"])
    table.insert(0, "event_id", range(len(table)))
    table.insert(2, "label_time", table["event_time"] + 7 * DAY)
    return table.astype({"label": "Int8", "event_id": "int64", "event_time": "int64"})


# A label is known a week after its event, and a window of d days at time t is (t - d days, t].
# Label times at terminal 1: event 0 on day 7, event 1 on day 8, event 3 a second before day 14, event 4
# on day 14, event 5 on day 15, event 7 on day 21. At terminal 2: event 2 on day 8.
LATE_LABELS = payments(
    (0 * DAY, 1, 1, 10.0, 1),
    (1 * DAY, 1, 1, 10.0, 0),
    (1 * DAY, 1, 2, 10.0, 1),
    (7 * DAY - 1, 1, 1, 10.0, 0),  # Event 0 is a week old in a second: nothing is known yet.
    (7 * DAY, 1, 1, 10.0, 0),  # In this second event 0 turns out to be fraud.
    (8 * DAY, 1, 1, 10.0, 1),  # Event 1 is now known; event 0's label is a day old, and out of 1 day.
    (8 * DAY, 1, 2, 10.0, 0),  # Of terminal 2 only event 2 is known.
    (14 * DAY, 1, 1, 10.0, 1),  # 7 days hold labels 1, 3, 4, no fraud; 1 day holds 3, 4; 30 days also 0.
    (38 * DAY, 1, 1, 10.0, None),  # 30 days begin after day 8: labels 3, 4, 5 (fraud), 7 (fraud).
)
LABELLED_1D = [0, 0, 0, 0, 1, 1, 1, 2, 0]
LABELLED_7D = [0, 0, 0, 0, 1, 2, 1, 3, 0]
LABELLED_30D = [0, 0, 0, 0, 1, 2, 1, 4, 4]
RISK_1D = [0, 0, 0, 0, 1, 0, 1, 0, 0]
RISK_7D = [0, 0, 0, 0, 1, 1 / 2, 1, 0, 0]
RISK_30D = [0, 0, 0, 0, 1, 1 / 2, 1, 1 / 4, 2 / 4]


def test_a_label_counts_from_the_second_it_is_known_for_as_long_as_the_window() -> None:
    features = compute(FRAUD, LATE_LABELS)
    assert features["terminal_labelled_1d"].tolist() == LABELLED_1D
    assert features["terminal_labelled_7d"].tolist() == LABELLED_7D
    assert features["terminal_labelled_30d"].tolist() == LABELLED_30D
    assert features["terminal_risk_1d"].tolist() == RISK_1D
    assert features["terminal_risk_7d"].tolist() == RISK_7D
    assert features["terminal_risk_30d"].tolist() == RISK_30D


@pytest.mark.parametrize("now", [7 * DAY, 8 * DAY, 14 * DAY])
def test_labels_that_come_later_change_nothing_that_was_computed(now: int) -> None:
    # given what was known at `now`
    then = LATE_LABELS[LATE_LABELS["event_time"] <= now]
    then = then.assign(label=then["label"].mask(then["label_time"] > now))
    # when
    features, later = compute(FRAUD, then), compute(FRAUD, LATE_LABELS)
    # then
    names = [feature.name for feature in FRAUD.features]
    pd.testing.assert_frame_equal(features[names], later[names].iloc[: len(then)], check_exact=True)


def test_windows_hold_the_event_itself_and_leave_out_what_is_exactly_as_old_as_they_are() -> None:
    # given one customer's payments on days 0 (two in the same second), 1, 7 and 30, and another's
    events = payments(
        (0 * DAY, 1, 1, 10.0, 0),
        (0 * DAY, 1, 1, 20.0, 0),  # The earlier row of the same second counts for the later one only.
        (1 * DAY, 1, 1, 30.0, 0),  # The two of day 0 are a day old now, and out of 1 day.
        (1 * DAY, 2, 1, 99.0, 0),
        (7 * DAY, 1, 1, 1.0, 0),  # 7 days hold 30 and 1; 30 days hold all four.
        (30 * DAY, 1, 1, 5.0, 0),  # 30 days begin after day 0: 30, 1 and 5.
    )
    # when
    features = compute(FRAUD, events)
    # then
    assert features["customer_count_1d"].tolist() == [1, 2, 1, 1, 1, 1]
    assert features["customer_count_7d"].tolist() == [1, 2, 3, 1, 2, 1]
    assert features["customer_count_30d"].tolist() == [1, 2, 3, 1, 4, 3]
    assert features["customer_mean_amount_1d"].tolist() == [10, 15, 30, 99, 1, 5]
    assert features["customer_mean_amount_7d"].tolist() == [10, 15, 20, 99, 15.5, 5]
    assert features["customer_mean_amount_30d"].tolist() == [10, 15, 20, 99, 15.25, 12]


def test_labels_count_when_they_come_not_in_the_order_of_their_events() -> None:
    # given three payments a second apart, labelled on days 9, 8 and 7, the second of them fraud
    events = payments((0, 1, 1, 10.0, 0), (1, 1, 1, 10.0, 1), (2, 1, 1, 10.0, 0), (8 * DAY, 1, 1, 10.0, None))
    events["label_time"] = [9 * DAY, 8 * DAY, 7 * DAY, 15 * DAY]
    # when, on day 8, the last two are known
    features = compute(FRAUD, events)
    # then
    assert features["terminal_labelled_7d"].tolist() == [0, 0, 0, 2]
    assert features["terminal_risk_7d"].tolist() == [0, 0, 0, 1 / 2]
    assert features["terminal_risk_1d"].tolist() == [0, 0, 0, 1]


def test_equal_to_grouped_rolling_windows() -> None:
    # given all labels of a small world, so that the handbook's way works: a rate over the delay and
    # the window, less what lies in the delay
    events = FRAUD.produce("small", seed=2).head(40_000)
    clock = events.assign(at=pd.to_datetime(events["event_time"], unit="s"), one=1.0)
    found = compute(FRAUD, events)
    # when
    for days in WINDOWS_DAYS:
        paid = rolled(clock, "customer_id", days, ["amount", "one"])
        late = rolled(clock, "terminal_id", LABEL_DELAY_DAYS, ["label", "one"])
        told = rolled(clock, "terminal_id", LABEL_DELAY_DAYS + days, ["label", "one"]) - late
        # then
        close(found[f"customer_count_{days}d"], paid["one"])
        close(found[f"customer_mean_amount_{days}d"], paid["amount"] / paid["one"])
        close(found[f"terminal_labelled_{days}d"], told["one"])
        close(found[f"terminal_risk_{days}d"], (told["label"] / told["one"]).fillna(0.0))
    assert found["terminal_risk_30d"].max() > 0.5


def rolled(clock: pd.DataFrame, entity: str, days: int, columns: list[str]) -> pd.DataFrame:
    """Sums over each entity's last days by pandas, in the order of the events."""
    windows = clock.set_index("at").groupby(entity)[[*columns, "event_id"]].rolling(f"{days}D")
    sums = windows[columns].sum()
    order = clock.sort_values(entity, kind="stable")["event_id"].to_numpy()
    return sums.set_axis(order).sort_index()


def close(found: pd.Series[float], expected: pd.Series[float]) -> None:
    np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=0, atol=1e-9)


def test_rows_keep_the_order_and_the_columns_later_steps_need() -> None:
    events = collect(FRAUD, "small", seed=1, until_day=40)
    features = compute(FRAUD, events)
    names = [feature.name for feature in FRAUD.features]
    assert features.columns.tolist() == [
        "event_id", "event_time", "label_time", "label", "customer_id", *names
    ]  # fmt: skip
    shared = ["event_id", "event_time", "label_time", "label", "customer_id"]
    pd.testing.assert_frame_equal(features[shared], events[shared])
    assert set(features[names].dtypes) == {np.dtype(np.float64)}
    assert np.isfinite(features[names].to_numpy()).all()


def test_changing_the_features_leaves_the_events_as_they_are() -> None:
    events = collect(FRAUD, "small", seed=1, until_day=40)
    before = events.copy()
    features = compute(FRAUD, events)
    features.loc[0, ["amount", "event_time"]] = 0
    pd.testing.assert_frame_equal(events, before)


def test_entities_may_have_names_instead_of_numbers() -> None:
    numbered = LATE_LABELS
    named = numbered.assign(terminal_id="t" + numbered["terminal_id"].astype(str), customer_id="c")
    pd.testing.assert_frame_equal(
        compute(FRAUD, numbered).drop(columns="customer_id"),
        compute(FRAUD, named).drop(columns="customer_id"),
    )


def test_more_entities_than_16_bits_can_number() -> None:
    # given 70,000 customers with a payment each, then the first again
    count = 70_000
    events = payments(*((second, second, 1, 10.0, 0) for second in range(count)), (count, 0, 1, 30.0, 0))
    # when
    features = compute(FRAUD, events)
    # then
    assert features["customer_count_1d"].tolist() == [1] * count + [2]
    assert features["customer_mean_amount_1d"].iloc[-1] == 20


def test_events_out_of_order_are_refused() -> None:
    with pytest.raises(BadInput, match="not in order of time"):
        compute(FRAUD, LATE_LABELS.iloc[::-1])


def test_no_events_have_no_features() -> None:
    assert len(compute(FRAUD, LATE_LABELS.head(0))) == 0


def test_measurements_are_their_own_features() -> None:
    events = collect(BIOPSIES, "small", seed=1, until_day=40)
    features = compute(BIOPSIES, events)
    names = [column.name for column in BIOPSIES.columns]
    assert features.columns.tolist() == ["event_id", "event_time", "label_time", "label", *names]
    pd.testing.assert_frame_equal(features[names], events[names])


def test_weekends_and_nights_follow_the_calendar() -> None:
    # given day 0 of the payments, 2018-04-01, a Sunday
    times = np.array([0, 6 * 3600 - 1, 6 * 3600, DAY, 5 * DAY, 6 * DAY, 8 * DAY - 1, 8 * DAY])
    # when, then
    weekend = calendar(FRAUD, Calendar("weekend"), times)
    assert weekend.tolist() == [True, True, True, False, False, True, True, False]
    night = calendar(FRAUD, Calendar("night"), times)
    assert night.tolist() == [True, True, False, True, True, True, False, True]


def test_a_category_is_a_feature_for_each_of_its_values() -> None:
    # given pieces of three qualities
    events = collect(MAINTENANCE, "small", seed=1, until_day=2)
    # when
    features = compute(MAINTENANCE, events)
    # then just one of the three features is 1, and it is the one of the piece's quality
    names = [f"quality_is_{quality}" for quality in ("L", "M", "H")]
    assert features[names].sum(axis=1).eq(1).all()
    assert set(features[names].dtypes) == {np.dtype(np.float64)}
    assert [name[-1] for name in features[names].idxmax(axis=1)] == events["quality"].tolist()
    assert events["quality"].nunique() == 3

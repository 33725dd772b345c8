"""Features for training: every event's row, computed at once.

Comes in: the events that have happened, with the labels known by now. Goes out: one row an event, as
it would have been computed when the event happened: no row sees a later event, or a label that was
not known yet.

A window is counted by binary search. Each entity gets its own stretch of one long time line, so that
"customer 7's last 7 days" is the part between two places of one sorted array, for all events at once;
a sum over it is the difference of two running totals.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.errors import BadInput
from pipelines.scenarios.scenario import (
    DAY_S,
    Calendar,
    Column,
    Count,
    Is,
    LabelledCount,
    LabelRate,
    Mean,
    Scenario,
    Value,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NIGHT_ENDS_S = 6 * 3600
SATURDAY = 5


def compute(scenario: Scenario, events: pd.DataFrame) -> pd.DataFrame:
    """The features of all `events`.

    Parameters
    ----------
    events : DataFrame of shape (n_events, 4 + number of columns)
        As `ingestion.collect` returns it: sorted by event_time, then event_id; label missing where
        it is not known.

    Returns
    -------
    DataFrame of shape (n_events, 4 or 5 + number of features), in the order of `events`
        event_id, event_time, label_time, label, whom an alert would be about (the scenario's
        alert_entity, unless that is event_id), and a float64 column for each feature.

    Raises
    ------
    BadInput
        The events are not in order of time.
    """
    kept = dict.fromkeys(("event_id", "event_time", "label_time", "label", scenario.alert_entity))
    columns = {column.name: column for column in scenario.columns}
    time_s = events["event_time"].to_numpy(np.int64)
    if (np.diff(time_s) < 0).any():
        raise BadInput("The events are not in order of time.", "Sort them by event_time, then event_id.")
    entities: dict[str, _TimeLine] = {}
    features: dict[str, Floats | pd.Series[float]] = {}
    for feature in scenario.features:
        if isinstance(feature, Value):
            features[feature.name] = events[feature.column].astype(np.float64)
        elif isinstance(feature, Is):
            features[feature.name] = (events[feature.column] == feature.value).astype(np.float64)
        elif isinstance(feature, Calendar):
            features[feature.name] = calendar(scenario, feature, time_s).astype(np.float64)
        else:
            if feature.entity not in entities:
                entities[feature.entity] = _TimeLine(events, feature.entity)
            features[feature.name] = _window(feature, events, columns, entities[feature.entity])
    # Without copy=False pandas would gather all columns into one block: a third of the time, for nothing.
    return pd.DataFrame({**{name: events[name] for name in kept}, **features}, copy=False)


@overload
def calendar(scenario: Scenario, feature: Calendar, time_s: Ints) -> NDArray[np.bool_]: ...
@overload
def calendar(scenario: Scenario, feature: Calendar, time_s: int) -> bool: ...
def calendar(scenario: Scenario, feature: Calendar, time_s: Ints | int) -> NDArray[np.bool_] | bool:
    """Whether each time, in seconds since day 0, falls into that part of the week or day."""
    if feature.part == "night":
        return time_s % DAY_S < NIGHT_ENDS_S
    return (_first_weekday(scenario.start_date) + time_s // DAY_S) % 7 >= SATURDAY


@cache
def _first_weekday(start_date: str) -> int:
    return date.fromisoformat(start_date).weekday()


def in_last_decimal(values: Floats, decimals: int) -> Ints:
    """Numbers in whole units of their last decimal: EUR 12.34, with 2 decimals, is 1,234."""
    whole: Ints = np.rint(values * 10**decimals).astype(np.int64)
    return whole


class _TimeLine:
    """All entities of one column on one time line, each with a stretch of its own.

    Attributes
    ----------
    order : ndarray of shape (n_events,)
        Events by entity, then time. The arrays below follow it.
    events : ndarray of shape (n_events,)
        Their places on the line, ascending.
    labels : ndarray of shape (n_labelled,)
        The places at which labels became known, ascending.
    positives : ndarray of shape (n_labelled + 1,)
        How many of the first 0, 1, … labels are 1.
    """

    def __init__(self, events: pd.DataFrame, entity: str) -> None:
        codes, entities = pd.factorize(events[entity])
        # Up to 65,536 entities fit 16 bits, which numpy sorts many times faster.
        codes = codes.astype(np.uint16 if len(entities) <= 2**16 else np.int64)
        time_s = events["event_time"].to_numpy(np.int64)
        known = events["label"].notna().to_numpy()
        known_s = events["label_time"].to_numpy(np.int64)[known]
        # One second more than the longest stretch, so that the second before one belongs to no other.
        stretch = max(time_s.max(initial=0), known_s.max(initial=0)) + 2
        self.order = np.argsort(codes, kind="stable")
        begins = codes[self.order] * np.int64(stretch)
        self.events = begins + time_s[self.order]
        self._before_first = begins - 1
        by_time = np.argsort(known_s, kind="stable")
        told = by_time[np.argsort(codes[known][by_time], kind="stable")]
        self.labels = codes[known][told] * np.int64(stretch) + known_s[told]
        self.positives = running_total(events["label"][known].to_numpy(np.int64)[told])
        self._starts: dict[tuple[str, int], Ints] = {}

    def starts(self, of: str, days: int) -> Ints:
        """For each event, how many of the line's events or labels lie before its window of `days`."""
        if (of, days) not in self._starts:
            points = self.events if of == "events" else self.labels
            begins = np.maximum(self.events - days * DAY_S, self._before_first)
            self._starts[of, days] = np.searchsorted(points, begins, side="right")
        return self._starts[of, days]


def running_total(values: Ints) -> Ints:
    """0, then the sum of the first, of the first two, …: one longer than `values`."""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(values, dtype=np.int64)])


def _window(
    feature: Count | Mean | LabelledCount | LabelRate,
    events: pd.DataFrame,
    columns: dict[str, Column],
    line: _TimeLine,
) -> Floats:
    """A feature over the events or labels of the same entity in the last days."""
    if isinstance(feature, Count | Mean):
        # Up to and including the event itself: of two at the same second, the later row sees the other.
        first, end = line.starts("events", feature.days), np.arange(1, len(events) + 1)
    else:
        first = line.starts("labels", feature.days)
        end = line.starts("labels", 0)
    values = (end - first).astype(np.float64)
    if isinstance(feature, Mean):
        column = columns[feature.column]
        amounts = in_last_decimal(events[column.name].to_numpy(np.float64), column.decimals)
        totals = running_total(amounts[line.order])
        values = (totals[end] - totals[first]) / ((end - first) * 10**column.decimals)
    elif isinstance(feature, LabelRate):
        found = line.positives[end] - line.positives[first]
        values = np.divide(found, end - first, out=np.zeros(len(values)), where=end > first)
    in_order = np.empty_like(values)
    in_order[line.order] = values
    return in_order

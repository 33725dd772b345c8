"""Features at inference: one event's row, from what is remembered of the events before it.

Comes in: raw events one at a time, and their labels when they become known. Goes out: the same numbers
that `offline.compute` gives for these events. Both sum whole numbers (cents), so that equal means equal
to the last bit and not "nearly".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.features.offline import calendar, in_last_decimal, running_total
from pipelines.scenarios.scenario import (
    DAY_S,
    Calendar,
    Count,
    Is,
    LabelledCount,
    LabelRate,
    Mean,
    Scenario,
    Value,
)

Floats = NDArray[np.float64]
Event = Mapping[str, Any]

# An event may arrive this much later than newer ones and still find all it needs: so much more than
# the longest window is remembered.
LATE_S = DAY_S

# Forgetting one element moves all the others, so it waits until this many can be forgotten at once.
FORGET_AT_ONCE = 32


class _Series:
    """Times in ascending order, each with an id and a whole number, and the numbers' running total."""

    __slots__ = ("ids", "times", "totals")

    def __init__(
        self, times: list[int] | None = None, ids: list[int] | None = None, totals: list[int] | None = None
    ) -> None:
        self.times = times or []
        self.ids = ids or []
        self.totals = totals or [0]  # One longer: totals[i] is the sum of what lies before place i.

    def place(self, time_s: int, event_id: int) -> int:
        """How many come before (time_s, event_id); of two at the same second the smaller id does."""
        first = bisect_left(self.times, time_s)
        if first == len(self.times) or self.times[first] != time_s:
            return first
        return bisect_left(self.ids, event_id, first, bisect_right(self.times, time_s, first))

    def add(self, time_s: int, event_id: int, number: int) -> None:
        """Put one in at its place; the same one twice counts once."""
        place = self.place(time_s, event_id)
        if place < len(self.times) and (self.times[place], self.ids[place]) == (time_s, event_id):
            return
        self.times.insert(place, time_s)
        self.ids.insert(place, event_id)
        self.totals.insert(place + 1, self.totals[place])
        # Almost always the newest, and then only the last total changes.
        for later in range(place + 1, len(self.totals)):
            self.totals[later] += number

    def forget(self, until_s: int) -> None:
        """Drop what happened at `until_s` or before."""
        if len(self.times) >= FORGET_AT_ONCE and self.times[FORGET_AT_ONCE - 1] <= until_s:
            old = bisect_right(self.times, until_s)
            del self.times[:old], self.ids[:old], self.totals[:old]


# One entity kind's series, by the entity's id.
_SeriesById = dict[Any, _Series]


@dataclass
class _Window:
    """The features of one entity over one time: they begin at one place of its series.

    Attributes
    ----------
    counts, rates : list of int
        Places among the features of counts and of rates of positives.
    means : list of (int, str)
        Places of means, and of which column.
    """

    length_s: int
    counts: list[int] = field(default_factory=list)
    means: list[tuple[int, str]] = field(default_factory=list)
    rates: list[int] = field(default_factory=list)


# By entity, the windows over its events, or over its labels.
_Windows = dict[str, list[_Window]]


class OnlineState:
    """What is remembered of each entity: enough for the features of its next event, and no more.

    Of an entity are kept the events, and the labels, of the longest window before its newest one. Not
    safe for several threads.

    Parameters
    ----------
    scenario : Scenario
        Declares the features.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._decimals = {column.name: column.decimals for column in scenario.columns}
        self._units: dict[str, int] = {name: 10**decimals for name, decimals in self._decimals.items()}
        windowed = [each for each in scenario.features if not isinstance(each, Value | Is | Calendar)]
        self._kept_s = max((each.days for each in windowed), default=0) * DAY_S + LATE_S
        # A label is waited for until it is late by as much as events are kept.
        self._awaited_s = scenario.label_delay_days * DAY_S + self._kept_s
        # What is summed of whose events; no column where they are only counted.
        sums: list[tuple[str, str | None]] = [
            (each.entity, each.column) for each in windowed if isinstance(each, Mean)
        ]
        summed = {entity for entity, _ in sums}
        sums += [
            (each.entity, None) for each in windowed if isinstance(each, Count) and each.entity not in summed
        ]
        self._sums: dict[tuple[str, str | None], _SeriesById] = {each: {} for each in sums}
        self._counts = {entity: series for (entity, _), series in self._sums.items()}
        self._of_event = [
            (place, each)
            for place, each in enumerate(scenario.features)
            if isinstance(each, Value | Is | Calendar)
        ]
        self._of_events, self._of_labels = _windows(scenario)
        judged = [each.entity for each in windowed if isinstance(each, LabelledCount | LabelRate)]
        self._labels: dict[str, _SeriesById] = {entity: {} for entity in judged}
        self._seen: dict[str, set[Any]] = {
            column.name: set() for column in scenario.columns if column.kind == "id"
        }
        # Events whose label is not known yet, oldest first: when they happened, and to whom.
        self._waiting: OrderedDict[int, tuple[int, tuple[Any, ...]]] = OrderedDict()

    def load(self, events: pd.DataFrame) -> None:
        """Start again from this history, with the labels that are known in it.

        Parameters
        ----------
        events : DataFrame
            As `ingestion.collect` returns it. Of it are kept the longest window before its newest event.
        """
        newest_s = int(events["event_time"].max()) if len(events) else 0
        recent = events[events["event_time"] > newest_s - self._kept_s]
        for (entity, column), series in self._sums.items():
            numbers = np.zeros(len(recent), dtype=np.int64)
            if column is not None:
                numbers = in_last_decimal(recent[column].to_numpy(np.float64), self._decimals[column])
            series.clear()
            series.update(_series_by_id(recent, entity, "event_time", numbers))
        told = events[events["label"].notna() & (events["label_time"] > newest_s - self._kept_s)]
        for entity, series in self._labels.items():
            series.clear()
            series.update(_series_by_id(told, entity, "label_time", told["label"].to_numpy(np.int64)))
        for column_name, seen in self._seen.items():
            seen.clear()
            seen.update(events[column_name].unique().tolist())
        self._waiting.clear()
        if self._labels:
            untold = events[events["label"].isna() & (events["event_time"] > newest_s - self._awaited_s)]
            whom = zip(*(untold[entity].tolist() for entity in self._labels), strict=True)
            times = untold["event_time"].tolist()
            self._waiting.update(zip(untold["event_id"].tolist(), zip(times, whom, strict=True), strict=True))

    def remembered(self) -> int:
        """How many events and labels are kept, each counted once for every entity it is kept for."""
        kept = [*self._sums.values(), *self._labels.values()]
        return sum(len(series.times) for by_id in kept for series in by_id.values())

    def is_known(self, entity: str, value: object) -> bool:
        """Whether any event of this entity has been seen; if not, its features are a cold start's."""
        return value in self._seen[entity]

    def compute(self, event: Event) -> Floats:
        """The features of `event`, itself included; nothing is remembered by asking.

        Parameters
        ----------
        event : mapping
            event_id, event_time (seconds since day 0) and the scenario's columns, checked before.

        Returns
        -------
        ndarray of float64, shape (n_features,)
            In the order of the scenario's features. Labels count from the second they became known.
        """
        found = [0.0] * len(self.scenario.features)
        time_s, event_id = int(event["event_time"]), int(event["event_id"])
        for place, feature in self._of_event:
            found[place] = _read(self.scenario, feature, event)
        for entity, windows in self._of_events.items():
            whose = event[entity]
            own = self._counts[entity].get(whose, _NOTHING)
            end = own.place(time_s, event_id)
            for window in windows:
                first = bisect_right(own.times, time_s - window.length_s)
                for place in window.counts:
                    found[place] = float(end - first + 1)
                for place, column in window.means:
                    totals = self._sums[entity, column].get(whose, _NOTHING).totals
                    total = totals[end] - totals[first] + self._whole(column, event)
                    found[place] = total / ((end - first + 1) * self._units[column])
        for entity, windows in self._of_labels.items():
            told = self._labels[entity].get(event[entity], _NOTHING)
            end = bisect_right(told.times, time_s)
            for window in windows:
                first = bisect_right(told.times, time_s - window.length_s)
                for place in window.counts:
                    found[place] = float(end - first)
                for place in window.rates:
                    positives = told.totals[end] - told.totals[first]
                    found[place] = positives / (end - first) if end > first else 0.0
        return np.array(found, dtype=np.float64)

    def remember(self, event: Event) -> None:
        """Let `event` count for later ones; the same event twice counts once."""
        time_s, event_id = int(event["event_time"]), int(event["event_id"])
        for (entity, column), series in self._sums.items():
            own = series.get(event[entity])
            if own is None:
                own = series[event[entity]] = _Series()
            own.add(time_s, event_id, 0 if column is None else self._whole(column, event))
            own.forget(time_s - self._kept_s)
        for entity, seen in self._seen.items():
            seen.add(event[entity])
        if self._labels:
            self._waiting[event_id] = (time_s, tuple(event[entity] for entity in self._labels))
            while next(iter(self._waiting.values()))[0] <= time_s - self._awaited_s:
                self._waiting.popitem(last=False)

    def learn_label(self, event_id: int, label: int, label_time: int) -> bool:
        """Let the label of a remembered event count, from `label_time` on.

        Returns
        -------
        bool
            False when no label is waited for under this id: the event is unknown, too old, or its
            label was learned before; then nothing changes.
        """
        if event_id not in self._waiting:
            return False
        _, whom = self._waiting.pop(event_id)
        for value, series in zip(whom, self._labels.values(), strict=True):
            own = series.setdefault(value, _Series())
            own.add(label_time, event_id, label)
            own.forget(label_time - self._kept_s)
        return True

    def _whole(self, column: str, event: Event) -> int:
        """The event's number in whole units of the column's last decimal, rounded as offline."""
        return round(float(event[column]) * self._units[column])


_NOTHING = _Series()


def _windows(scenario: Scenario) -> tuple[_Windows, _Windows]:
    """Over which windows of events, and of labels, features are counted; each is searched once an event."""
    of_events: dict[tuple[str, int], _Window] = {}
    of_labels: dict[tuple[str, int], _Window] = {}
    for place, feature in enumerate(scenario.features):
        if isinstance(feature, Value | Is | Calendar):
            continue
        kind = of_events if isinstance(feature, Count | Mean) else of_labels
        window = kind.setdefault((feature.entity, feature.days), _Window(feature.days * DAY_S))
        if isinstance(feature, Mean):
            window.means.append((place, feature.column))
        elif isinstance(feature, LabelRate):
            window.rates.append(place)
        else:
            window.counts.append(place)
    return _by_entity(of_events), _by_entity(of_labels)


def _by_entity(windows: Mapping[tuple[str, int], _Window]) -> _Windows:
    found: _Windows = {}
    for (entity, _), window in windows.items():
        found.setdefault(entity, []).append(window)
    return found


def _read(scenario: Scenario, feature: Value | Is | Calendar, event: Event) -> float:
    """A feature of the event alone."""
    if isinstance(feature, Value):
        return float(event[feature.column])
    if isinstance(feature, Is):
        return float(event[feature.column] == feature.value)
    return float(calendar(scenario, feature, int(event["event_time"])))


def _series_by_id(
    events: pd.DataFrame, entity: str, time: str, numbers: NDArray[np.int64]
) -> Iterator[tuple[Any, _Series]]:
    """One series for each entity in `events`, by the times in column `time`."""
    codes, values = pd.factorize(events[entity])
    ids, times = events["event_id"].to_numpy(np.int64), events[time].to_numpy(np.int64)
    order = np.lexsort((ids, times, codes))
    ids, times, totals = ids[order], times[order], running_total(numbers[order])
    ends = np.cumsum(np.bincount(codes, minlength=len(values))).tolist()
    first = 0
    for value, end in zip(values.tolist(), ends, strict=True):
        # The totals need not begin at 0: only their differences are used.
        yield (
            value,
            _Series(times[first:end].tolist(), ids[first:end].tolist(), totals[first : end + 1].tolist()),
        )
        first = end

"""Sending: what a source makes of a day on its way to the gateway, when something upstream goes wrong.

Comes in: a world's day with its outcomes, and the faults that act on it. Goes out: what is sent, under which
names, and what is true of it. Pure: the same day under the same faults is always the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from pipelines.scenarios.delivery import CENTS, RENAMED
from pipelines.scenarios.scenario import DAY_S, Column, Scenario
from pipelines.serving.open_inference import FIRST_COPIED_ID

Kind = Literal["unit", "nulls", "renamed", "twice", "spike", "stopped"]

# How often an event comes besides, when a source sends again what it need not; and how many more customers
# come in a spike, for each one. Monitoring calls twice the usual number unusual.
COPIES, CROWD = 2, 3
_CROWD_NUMBERS = range(COPIES, COPIES + CROWD)  # An event may have copies of both kinds.
# A copy follows its event by so many seconds.
LATER_S = 1
# Random numbers of a day's faults: far from those by which worlds and deliveries are made.
_STREAM = 2_000


@dataclass(frozen=True)
class SourceFault:
    """Something that goes wrong upstream, from a day on and before another."""

    kind: Kind
    from_day: int
    until_day: int

    def acts_on(self, day: int) -> bool:
        return self.from_day <= day < self.until_day


@dataclass(frozen=True)
class Sending:
    """What a source sends on one day.

    Attributes
    ----------
    sent : DataFrame
        event_id, event_time and the scenario's columns, in order of time: events that a gateway can read.
    unreadable : DataFrame
        The same columns: events with a value that no gateway takes.
    called : mapping
        New names of columns; then all events are unreadable.
    outcomes : DataFrame
        event_id, label and stake (what is lost if it is positive and nobody notices) of all of them.
    """

    sent: pd.DataFrame
    unreadable: pd.DataFrame
    outcomes: pd.DataFrame
    called: Mapping[str, str] = field(default_factory=dict)


def send(
    scenario: Scenario, happens: pd.DataFrame, day: int, faults: Sequence[SourceFault], seed: int
) -> Sending:
    """What the source makes of that day.

    Parameters
    ----------
    happens : DataFrame
        From `World.day`.
    seed : int
        The world's.
    """
    kinds = {fault.kind for fault in faults if fault.acts_on(day)}
    if "stopped" in kinds:
        happens = happens[~scenario.stopped(happens)].reset_index(drop=True)
    stake = happens[scenario.prices.missed_column] if scenario.prices.missed_column else 1.0
    rows = happens.assign(stake=stake)
    if "twice" in kinds:
        rows = _together([rows, *(_copied(rows, number) for number in range(COPIES))])
    if "spike" in kinds:
        rows = _together([rows, *(_crowd(scenario, rows, number, day, seed) for number in _CROWD_NUMBERS)])
    outcomes = rows[["event_id", "label", "stake"]]
    sent = rows.drop(columns=["label", "label_time", "stake"])
    column = next((each for each in scenario.columns if each.kind == "number"), None)
    if column is None or not kinds & {"unit", "nulls", "renamed"}:
        return Sending(sent, sent.iloc[:0], outcomes)
    if "renamed" in kinds:
        return Sending(sent.iloc[:0], sent, outcomes, {column.name: column.name + RENAMED})
    if "unit" in kinds:
        sent[column.name] = (sent[column.name] * CENTS).round(column.decimals)
    if "nulls" in kinds:
        sent[column.name] = sent[column.name].mask(_random(day, seed).random(len(sent)) < 0.5)
    bad = ~_is_readable(sent[column.name], column)
    return Sending(sent[~bad], sent[bad], outcomes)


def labels_of_copies(labels: pd.DataFrame, faults: Sequence[SourceFault]) -> pd.DataFrame:
    """What becomes known of events that came besides: a copy is what its event was, a crowd is honest.

    Parameters
    ----------
    labels : DataFrame
        From `World.labels`: event_id, event_time, label_time, label.
    """
    found = [labels]
    days = labels["event_time"] // DAY_S
    for fault in faults:
        numbers = {"twice": range(COPIES), "spike": _CROWD_NUMBERS}.get(fault.kind, range(0))
        then = labels[days.between(fault.from_day, fault.until_day - 1)]
        if fault.kind == "spike":
            then = then[then["label"] == 0]
        found += [then.assign(event_id=_copied_id(then["event_id"], number)) for number in numbers]
    return _together(found, "label_time") if len(found) > 1 else labels


def corrected(
    scenario: Scenario, happens: pd.DataFrame, day: int, fault: SourceFault, seed: int
) -> dict[int, dict[str, object] | None]:
    """What the source sends again of that day, once it is mended: by event id its columns, or None to forget.

    Only what a gateway could read was answered, so only that needs it.
    """
    sending = send(scenario, happens, day, [fault], seed)
    if fault.kind == "twice":
        copies = sending.sent["event_id"]
        return dict.fromkeys(copies[copies >= FIRST_COPIED_ID].tolist())
    if fault.kind != "unit":
        return {}
    names = [column.name for column in scenario.columns]
    true = happens[happens["event_id"].isin(sending.sent["event_id"])]
    rows = zip(*(true[name].tolist() for name in names), strict=True)
    return {
        event_id: dict(zip(names, row, strict=True))
        for event_id, row in zip(true["event_id"].tolist(), rows, strict=True)
    }


def _copied(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    """The same events again, a little later; nothing more is at stake."""
    return rows.assign(
        event_id=_copied_id(rows["event_id"], number), event_time=_later(rows, number), stake=0.0
    )


def _crowd(scenario: Scenario, rows: pd.DataFrame, number: int, day: int, seed: int) -> pd.DataFrame:
    """Honest events of other people: those of the day, each entity exchanged for another of the day."""
    honest = rows[(rows["label"] == 0) & (rows["event_id"] < FIRST_COPIED_ID)]
    crowd = honest.assign(event_id=_copied_id(honest["event_id"], number), event_time=_later(honest, number))
    mixed = _random(day, seed, number).permutation(len(honest))
    for column in scenario.columns:
        if column.name == scenario.alert_entity:
            crowd[column.name] = honest[column.name].to_numpy()[mixed]
    return crowd


def _copied_id(event_ids: pd.Series[int], number: int) -> pd.Series[int]:
    return FIRST_COPIED_ID + event_ids * (COPIES + CROWD) + number


def _later(rows: pd.DataFrame, number: int) -> pd.Series[int]:
    """A little after the event, and on the same day."""
    ends = (rows["event_time"] // DAY_S + 1) * DAY_S - 1
    return (rows["event_time"] + LATER_S * (number + 1)).clip(upper=ends)


def _together(parts: Sequence[pd.DataFrame], by: str = "event_time") -> pd.DataFrame:
    return pd.concat(parts).sort_values([by, "event_id"], ignore_index=True)


def _is_readable(values: pd.Series[float], column: Column) -> pd.Series[bool]:
    """Whether each lies within the column's bounds; what is missing does not."""
    low = -np.inf if column.low is None else column.low
    high = np.inf if column.high is None else column.high
    return values.between(low, high)


def _random(day: int, seed: int, purpose: int = 0) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_STREAM, day, purpose)))

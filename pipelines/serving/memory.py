"""Memory: what serving knows of earlier events when the next one comes.

Comes in: the events that the champion's run collected, then every event answered and every label
learned since, in order. Goes out: the features of the next event. After a restart it is built again
from the same two sources, and is the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.artifacts import digest
from pipelines.errors import BadInput, Missing, Refused
from pipelines.features.online import LATE_S, OnlineState
from pipelines.ingestion import read_events
from pipelines.lifecycle import EVENTS
from pipelines.run import collector, read_params
from pipelines.scenarios.scenario import DAY_S, Scenario
from pipelines.serving import corrections
from pipelines.serving.open_inference import (
    EVENT_ID,
    EVENT_TIME,
    FIRST_COPIED_ID,
    FIRST_GIVEN_ID,
    LARGEST_ID,
)
from pipelines.serving.prediction_log import replay
from pipelines.serving.predictions import Entry, Stream
from pipelines.workspace import Workspace

Event = dict[str, Any]


@dataclass(frozen=True)
class Clock:
    """Where a stream has come to.

    Attributes
    ----------
    newest_s : int
        Time of the newest event, in seconds since day 0.
    present_s : int
        The time given to an event that comes without one: events were collected up to here, or happened.
    next_id : int
        The id given to an event that comes without one.
    """

    newest_s: int
    present_s: int
    next_id: int = FIRST_GIVEN_ID

    def after(self, event_id: int, time_s: int) -> Clock:
        """The clock once this event has happened."""
        return Clock(max(self.newest_s, time_s), max(self.present_s, time_s), max(self.next_id, event_id + 1))


@dataclass(frozen=True)
class History:
    """Which events a memory begins with: of two that are equal, either will do.

    Attributes
    ----------
    stream : Stream
        The stream they are the beginning of.
    digest : str
        Of the events as the run collected them.
    corrected : int
        How many of the events since were sent again by their source, corrected.
    """

    stream: Stream
    digest: str
    corrected: int = 0


class Memory:
    """What is remembered of one stream of events. For one thread.

    Parameters
    ----------
    events : DataFrame
        The history, as `ingestion.collect` returns it.
    entries : iterable of Entry
        What the log says has happened since.

    Attributes
    ----------
    scenario : Scenario
    clock : Clock
    replayed : int
        The log's entries up to this one are remembered.
    """

    def __init__(
        self, scenario: Scenario, history: History, events: pd.DataFrame, entries: Iterable[Entry] = ()
    ) -> None:
        self.history = history
        self.replayed = 0
        self.scenario = scenario
        self._entities = [column.name for column in scenario.columns if column.kind == "id"]
        self._columns = [EVENT_ID, EVENT_TIME, *(column.name for column in scenario.columns)]
        by_id = np.argsort(events[EVENT_ID].to_numpy(np.int64))
        self._collected: NDArray[np.int64] = events[EVENT_ID].to_numpy(np.int64)[by_id]
        self._collected_at: NDArray[np.int64] = events[EVENT_TIME].to_numpy(np.int64)[by_id]
        newest_s = int(events[EVENT_TIME].max())
        latest = events.loc[events[EVENT_TIME] >= newest_s - LATE_S, self._columns]
        # What is sent again of the history may be as late as any other event.
        self._latest: dict[int, Event] = {
            values[0]: dict(zip(self._columns, values, strict=True))
            for values in zip(*(latest[name].tolist() for name in self._columns), strict=True)
        }
        self._highest_id = self._last_collected = int(self._collected[-1])
        self.clock = Clock(newest_s, (newest_s // DAY_S + 1) * DAY_S)
        self._state = OnlineState(scenario)
        self._state.load(self._with_entries(events, entries))

    @property
    def stream(self) -> Stream:
        return self.history.stream

    def may_know(self, event_id: int) -> bool:
        """False when no event of that id was ever answered, so that the log need not be asked."""
        if FIRST_COPIED_ID <= event_id < FIRST_GIVEN_ID:
            return True  # of copies too few are sent to remember which were
        return event_id <= self._highest_id or FIRST_GIVEN_ID <= event_id < self.clock.next_id

    def collected_at(self, event_id: int) -> int | None:
        """When an event of the history happened; None for one that the run did not collect."""
        if event_id > self._last_collected:
            return None  # almost always: what comes is new
        place = int(np.searchsorted(self._collected, event_id))
        if place == len(self._collected) or int(self._collected[place]) != event_id:
            return None
        return int(self._collected_at[place])

    def complete(self, sent: Event, clock: Clock) -> Event:
        """The event as it will be remembered, with id and time, once `clock` has been reached.

        Raises
        ------
        BadInput
            It happened too long before the newest event, or its id is one that only the gateway gives.
        Refused
            The run collected another event under its id.
        """
        event = dict(sent)
        if event[EVENT_ID] is None:
            event[EVENT_ID] = clock.next_id
        elif event[EVENT_ID] >= FIRST_GIVEN_ID:
            raise BadInput(
                f"Event {event[EVENT_ID]} was never answered, and the gateway alone gives such ids.",
                f"Choose an id below {FIRST_GIVEN_ID}, or leave event_id out.",
            )
        elif self._is_collected(event[EVENT_ID]):
            event = self._latest.get(event[EVENT_ID], {})
            if not event or not agrees(event, sent):
                raise Refused(
                    f"Event {sent[EVENT_ID]} is another one: the run that serving continues collected it.",
                    f"Ids up to {self._collected[-1]} are taken; leave event_id out, and one is given.",
                )
        if event[EVENT_TIME] is None:
            event[EVENT_TIME] = clock.present_s
        if event[EVENT_TIME] < clock.newest_s - LATE_S:
            late = (clock.newest_s - event[EVENT_TIME]) / DAY_S
            raise BadInput(
                f"Event_time {event[EVENT_TIME]} lies {late:.1f} days before that of the newest event, "
                f"{clock.newest_s}.",
                f"Serving remembers enough for events at most {LATE_S // DAY_S} day late; send newer ones.",
            )
        return event

    def cold_start(self, event: Event) -> str:
        """Names of the event's entities that were never seen before, separated by commas."""
        return ",".join(name for name in self._entities if not self._state.is_known(name, event[name]))

    def take(self, event: Event) -> NDArray[np.float64]:
        """The features of a complete event, which from now on counts for later ones.

        Returns
        -------
        ndarray of float64, shape (n_features,)
        """
        features = self._state.compute(event)
        self._remember(event)
        return features

    def learn(self, event_id: int, label: int, label_time: int) -> None:
        """Let a label count, from `label_time` on."""
        self._state.learn_label(event_id, label, label_time)

    def follow(self, entries: Iterable[Entry]) -> None:
        """Remember what the log says has happened."""
        for entry in entries:
            if entry.event is not None:
                self._remember({EVENT_ID: entry.event_id, EVENT_TIME: entry.time_s, **entry.event})
            elif entry.label is not None:
                self.learn(entry.event_id, entry.label, entry.time_s)
            self.replayed = entry.seq

    def _remember(self, event: Event) -> None:
        # What the run collected is in the state already, perhaps with its label.
        if not self._is_collected(event[EVENT_ID]):
            self._state.remember(event)
        self._notice(event[EVENT_ID], event[EVENT_TIME])

    def _is_collected(self, event_id: int) -> bool:
        return self.collected_at(event_id) is not None

    def _with_entries(self, events: pd.DataFrame, entries: Iterable[Entry]) -> pd.DataFrame:
        """The history and what happened since, as if a run had collected both.

        That gives the same features as to follow the entries one by one, in a sixth of the time.
        """
        entries = list(entries)
        event_ids = np.array([entry.event_id for entry in entries], dtype=np.int64)
        collected = np.isin(event_ids, self._collected).tolist()
        served: dict[int, tuple[Any, ...]] = {}
        labels: dict[int, tuple[int, int]] = {}
        raw = self._columns[2:]
        for entry, is_collected in zip(entries, collected, strict=True):
            if entry.label is not None:
                labels[entry.event_id] = (entry.label, entry.time_s)
            elif entry.event is not None and not is_collected and entry.event_id not in served:
                served[entry.event_id] = (
                    entry.event_id,
                    entry.time_s,
                    *[entry.event[name] for name in raw],
                )
        if served:
            newest_s = max(values[1] for values in served.values())
            ends = (FIRST_COPIED_ID, FIRST_GIVEN_ID, LARGEST_ID + 1)
            for event_id in {max((each for each in served if each < end), default=0) for end in ends}:
                self._notice(event_id, newest_s)
        self.replayed = entries[-1].seq if entries else 0
        if not served and not labels:
            return events
        since = pd.DataFrame(list(served.values()), columns=self._columns)
        unknown = pd.array([pd.NA] * len(since), dtype="Int8")
        together = events
        if served:
            together = pd.concat([events, since.assign(label_time=since[EVENT_TIME], label=unknown)])
        together = together.sort_values([EVENT_TIME, EVENT_ID], ignore_index=True)
        # What the run knew already stays as it was.
        learned = together["label"].isna() & together[EVENT_ID].isin(labels)
        told = [labels[event_id] for event_id in together.loc[learned, EVENT_ID]]
        together.loc[learned, ["label", "label_time"]] = np.array(told, dtype=np.int64).reshape(-1, 2)
        return together

    def _notice(self, event_id: int, time_s: int) -> None:
        """Let the clock go on to an event."""
        if event_id < FIRST_COPIED_ID:
            self._highest_id = max(self._highest_id, event_id)
        self.clock = self.clock.after(event_id, time_s)


def agrees(known: Event, sent: Event) -> bool:
    """Whether `sent` is the event that is known under its id; a time not sent agrees with any."""
    return all(known[name] == value for name, value in sent.items() if value is not None)


def history_of(workspace: Workspace, scenario: Scenario, branch: str, run_id: str) -> History:
    """What a memory that continues run `run_id` begins with.

    Raises
    ------
    Missing
        The run or its events are gone: without them, features would be wrong.
    Damaged
        Its events can't be read.
    """
    path = _events_of(workspace, scenario, run_id)
    stream = Stream(workspace.name, branch, scenario.name, world_of(workspace, run_id))
    return History(stream, digest(EVENTS, path), corrections.count(workspace, scenario.name, branch))


def load_memory(workspace: Workspace, scenario: Scenario, history: History, run_id: str) -> Memory:
    """The memory that begins with what run `run_id` collected, and goes on with what the log says.

    Raises
    ------
    Missing
        The run's events are gone.
    Damaged, BadInput
        They can't be read.
    Unavailable
        The log can't be read.
    """
    events = read_events(_events_of(workspace, scenario, run_id), scenario)
    return Memory(scenario, history, events, replay(workspace, history.stream))


def _events_of(workspace: Workspace, scenario: Scenario, run_id: str) -> Path:
    path = workspace.run_folder(run_id, exists=False) / EVENTS.path
    if not path.is_file():
        raise Missing(
            f"Run '{run_id}', whose events serving continues, has lost {EVENTS.path}.",
            f"Run again and deploy: python -m pipelines run {scenario.name}",
        )
    return path


def world_of(workspace: Workspace, run_id: str) -> str:
    """Name of the world whose events the run has: its size and seed.

    A run that began with another's events has that one's world, whatever its own params say.

    Raises
    ------
    Missing
        There is no such run.
    """
    run = collector(workspace, run_id)
    return f"{read_params(workspace.run_folder(run.run_id))['ingest']['size']}-{run.seed}"

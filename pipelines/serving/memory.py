"""Memory: what serving knows of earlier events when the next one comes.

Comes in: the events that the champion's run collected, then every event answered and every label
learned since, in order. Goes out: the features of the next event. After a restart it is built again
from the same two sources, and is the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.errors import BadInput, Missing, Refused
from pipelines.features.online import LATE_S, OnlineState
from pipelines.ingestion import read_events
from pipelines.lifecycle import EVENTS
from pipelines.run import read_params, read_run
from pipelines.scenarios.scenario import DAY_S, Scenario
from pipelines.serving.open_inference import EVENT_ID, EVENT_TIME, FIRST_GIVEN_ID
from pipelines.serving.prediction_log import Entry, Stream
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

    def after(self, event: Event) -> Clock:
        """The clock once `event` has happened."""
        time_s, event_id = event[EVENT_TIME], event[EVENT_ID]
        return Clock(max(self.newest_s, time_s), max(self.present_s, time_s), max(self.next_id, event_id + 1))


class Memory:
    """What is remembered of one stream of events. For one thread.

    Parameters
    ----------
    events : DataFrame
        The history, as `ingestion.collect` returns it.
    run_id : str
        The run it is from.

    Attributes
    ----------
    clock : Clock
    replayed : int
        The log's entries up to this one are remembered.
    """

    def __init__(self, scenario: Scenario, stream: Stream, run_id: str, events: pd.DataFrame) -> None:
        self.stream = stream
        self.run_id = run_id
        self.replayed = 0
        self._entities = [column.name for column in scenario.columns if column.kind == "id"]
        self._state = OnlineState(scenario)
        self._state.load(events)
        self._collected: NDArray[np.int64] = np.sort(events[EVENT_ID].to_numpy(np.int64))
        newest_s = int(events[EVENT_TIME].max())
        columns = [EVENT_ID, EVENT_TIME, *(column.name for column in scenario.columns)]
        latest = events.loc[events[EVENT_TIME] >= newest_s - LATE_S, columns]
        # What is sent again of the history may be as late as any other event.
        self._latest: dict[int, Event] = {
            values[0]: dict(zip(columns, values, strict=True))
            for values in zip(*(latest[name].tolist() for name in columns), strict=True)
        }
        self._highest_id = int(self._collected[-1])
        self.clock = Clock(newest_s, (newest_s // DAY_S + 1) * DAY_S)

    def may_know(self, event_id: int) -> bool:
        """False when no event of that id was ever answered, so that the log need not be asked."""
        return event_id <= self._highest_id or FIRST_GIVEN_ID <= event_id < self.clock.next_id

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
        if event[EVENT_ID] < FIRST_GIVEN_ID:
            self._highest_id = max(self._highest_id, event[EVENT_ID])
        self.clock = self.clock.after(event)

    def _is_collected(self, event_id: int) -> bool:
        place = int(np.searchsorted(self._collected, event_id))
        return place < len(self._collected) and int(self._collected[place]) == event_id


def agrees(known: Event, sent: Event) -> bool:
    """Whether `sent` is the event that is known under its id; a time not sent agrees with any."""
    return all(known[name] == value for name, value in sent.items() if value is not None)


def load_memory(workspace: Workspace, scenario: Scenario, branch: str, run_id: str) -> Memory:
    """The memory that begins with what run `run_id` collected; nothing is replayed yet.

    Raises
    ------
    Missing
        The run or its events are gone: without them, features would be wrong.
    Damaged, BadInput
        Its events can't be read.
    """
    path = workspace.run_folder(run_id, exists=False) / EVENTS.path
    if not path.is_file():
        raise Missing(
            f"Run '{run_id}', whose events serving continues, has lost {EVENTS.path}.",
            f"Run again and deploy: python -m pipelines run {scenario.name}",
        )
    events = read_events(path, scenario)
    stream = Stream(branch, scenario.name, world_of(workspace, run_id))
    return Memory(scenario, stream, run_id, events)


def world_of(workspace: Workspace, run_id: str) -> str:
    """Name of the world whose events the run has: its size and seed.

    A run that began with another's events has that one's world, whatever its own params say.

    Raises
    ------
    Missing
        There is no such run.
    """
    while True:
        folder = workspace.run_folder(run_id)
        run = read_run(folder)
        if "ingest" in run.steps or run.base is None:
            return f"{read_params(folder)['ingest']['size']}-{run.seed}"
        run_id = run.base

"""Traffic: one day of the world as HTTP requests to the gateway, at the world's own rhythm.

Comes in: a clock and its world. Goes out: answered events and told labels, in the gateway's log. Each
quarter is sent at its end: first the labels that became known in it, then its events, so that an event is
answered with what was known when it happened. Sent again after a crash, everything is answered as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipelines.errors import FlightdeckError
from pipelines.lifecycle import EVENTS
from pipelines.production import clock as clocks
from pipelines.production.clock import Clock
from pipelines.production.worlds import World
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving import client
from pipelines.serving.feedback import MAX_LABELS
from pipelines.serving.infer_request import MAX_ROWS
from pipelines.workspace import Workspace

# The world's rhythm: quarters of a day. By the hour, three times as many requests, commits and scorings
# for the same events took twice as long (measured).
BATCH_S = 6 * 3600


@dataclass(frozen=True)
class Sent:
    """What a day sent: its events, which have the ids from `first_event` to `last_event`, and labels.

    On a day without events the last id is below the first.
    """

    first_event: int
    last_event: int
    events: int
    labels: int


def play(
    workspace: Workspace, clock: Clock, world: World, alive: Callable[[], object] = lambda: None
) -> Sent:
    """Send the day that the clock shows: its events, and the labels that become known in it.

    Parameters
    ----------
    alive : callable
        Called before each request, so that whoever watches sees that it goes on.

    Raises
    ------
    FlightdeckError
        The gateway did not answer, or refused. What it answered stays answered.
    """
    events = world.events(clock.day)
    labels = _expected(workspace, clock, world.labels(clock.day * DAY_S, (clock.day + 1) * DAY_S))
    times, learned = events["event_time"].to_numpy(), labels["label_time"].to_numpy()
    for begin_s in range(clock.day * DAY_S, (clock.day + 1) * DAY_S, BATCH_S):
        # An event in the quarter's first second belongs to it; a label, to the one before, which told it.
        first, end = np.searchsorted(learned, [begin_s, begin_s + BATCH_S], side="right")
        for told in _batches(labels.iloc[first:end], MAX_LABELS):
            alive()
            client.feedback_many(workspace.name, clock.scenario, told)
        first, end = np.searchsorted(times, [begin_s, begin_s + BATCH_S], side="left")
        for sent in _batches(events.iloc[first:end], MAX_ROWS):
            alive()
            try:
                client.predict_many(workspace.name, clock.scenario, sent)
            except FlightdeckError:
                clocks.count_errors(workspace, clock, len(sent))
                raise
    ids = (int(events["event_id"].iloc[0]), int(events["event_id"].iloc[-1])) if len(events) else (0, -1)
    return Sent(*ids, len(events), len(labels))


def _expected(workspace: Workspace, clock: Clock, labels: pd.DataFrame) -> pd.DataFrame:
    """The labels that somebody waits for: of events that were played, or that the world's run had kept.

    What the source damaged beyond repair was left out when that run cleaned its data; the outcome of such
    an event reaches nobody.
    """
    played = labels["event_time"] >= clock.first_day * DAY_S
    if not played.all():
        path = workspace.run_folder(clock.run_id) / EVENTS.path
        kept = pd.read_parquet(path, columns=["event_id"])["event_id"]
        labels = labels[played | labels["event_id"].isin(kept)]
    return labels.drop(columns="event_time")


def _batches(rows: pd.DataFrame, most: int) -> Iterator[list[dict[str, Any]]]:
    for first in range(0, len(rows), most):
        part = rows.iloc[first : first + most]
        values = zip(*(part[name].tolist() for name in part.columns), strict=True)
        yield [dict(zip(part.columns, each, strict=True)) for each in values]

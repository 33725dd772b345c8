"""Traffic: one day of the world as HTTP requests to the gateway, at the world's own rhythm.

Comes in: a clock and its world. Goes out: answered events and told labels, in the gateway's log. Each
quarter is sent at its end: first the labels that became known in it, then its events, so that an event is
answered with what was known when it happened. Sent again after a crash, everything is answered as before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pipelines.errors import BadInput, Damaged, FlightdeckError
from pipelines.lifecycle import EVENTS
from pipelines.production import clock as clocks
from pipelines.production.clock import Clock
from pipelines.production.incidents.acting import Situation
from pipelines.production.sending import labels_of_copies, send
from pipelines.production.worlds import World
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving import client, labelling, logged
from pipelines.serving.faults import Broken
from pipelines.serving.feedback import MAX_LABELS
from pipelines.serving.infer_request import MAX_ROWS
from pipelines.serving.predictions import Stream
from pipelines.workspace import Workspace

CALM = Situation()

# The world's rhythm: quarters of a day. By the hour, three times as many requests, commits and scorings
# for the same events took twice as long (measured).
BATCH_S = 6 * 3600


@dataclass(frozen=True)
class Sent:
    """What a day sent: the world's own events have the ids from `first_event` to `last_event`.

    On a day without events the last id is below the first.

    Attributes
    ----------
    events : int
        All that were sent, those that a source sent besides included.
    labels : int
        Labels that were told.
    lost : int
        Events that got no answer, because of an incident.
    refusals : mapping
        What the gateway said to how many of them.
    """

    first_event: int
    last_event: int
    events: int
    labels: int
    lost: int = 0
    refusals: Mapping[str, int] = field(default_factory=dict)


def play(
    workspace: Workspace,
    clock: Clock,
    world: World,
    alive: Callable[[], object] = lambda: None,
    situation: Situation = CALM,
) -> Sent:
    """Send the day that the clock shows: its events, and the labels that become known in it.

    Parameters
    ----------
    alive : callable
        Called before each request, so that whoever watches sees that it goes on.
    situation : Situation
        What has come over the clock's branch.

    Raises
    ------
    FlightdeckError
        The gateway did not answer, or refused, and no incident was the reason. What it answered stays
        answered.
    """
    scenario = find_scenario(clock.scenario)
    happens = world.day(clock.day)
    sending = send(scenario, happens, clock.day, situation.source_faults(), clock.seed)
    labels = told_today(workspace, clock, world, situation)
    lost: Counter[str] = Counter()
    times, learned = sending.sent["event_time"].to_numpy(), labels["label_time"].to_numpy()
    broken_times = sending.unreadable["event_time"].to_numpy()
    for begin_s in range(clock.day * DAY_S, (clock.day + 1) * DAY_S, BATCH_S):
        # An event in the quarter's first second belongs to it; a label, to the one before, which told it.
        first, end = np.searchsorted(learned, [begin_s, begin_s + BATCH_S], side="right")
        for told in _batches(labels.iloc[first:end], MAX_LABELS):
            alive()
            client.feedback_many(workspace.name, clock.scenario, told)
        first, end = np.searchsorted(times, [begin_s, begin_s + BATCH_S], side="left")
        for sent in _batches(sending.sent.iloc[first:end], MAX_ROWS):
            alive()
            lost += _send(workspace, clock, sent)
        first, end = np.searchsorted(broken_times, [begin_s, begin_s + BATCH_S], side="left")
        for sent in _batches(sending.unreadable.iloc[first:end], MAX_ROWS):
            alive()
            lost += _send_unreadable(workspace, clock, sent, sending.called)
    ids = (int(happens["event_id"].iloc[0]), int(happens["event_id"].iloc[-1])) if len(happens) else (0, -1)
    events = len(sending.sent) + len(sending.unreadable)
    return Sent(*ids, events, len(labels), lost.total(), dict(lost))


def told_today(workspace: Workspace, clock: Clock, world: World, situation: Situation) -> pd.DataFrame:
    """The labels that are told on the day that the clock shows, by when they become known.

    Returns
    -------
    DataFrame with columns event_id, label_time and label
    """
    begin_s, end_s = clock.day * DAY_S, (clock.day + 1) * DAY_S
    upstream = situation.source_faults()
    due = _expected(workspace, clock, labels_of_copies(world.labels(begin_s, end_s), upstream))
    rules = labelling.rules(workspace, clock.scenario, clock.branch)
    if situation == CALM and not rules:
        return due.drop(columns="event_time")
    held = situation.held_up(clock.day)
    if held is not None:
        # What was held up comes all at once, on the morning on which it is told again.
        late = labels_of_copies(world.labels(held * DAY_S, begin_s), upstream)
        late = _expected(workspace, clock, late).assign(label_time=begin_s + 1)
        due = pd.concat([late, due], ignore_index=True)
    stream = Stream(workspace.name, clock.branch, clock.scenario, clock.world)
    decided = logged.decisions_of(workspace, stream, due["event_id"].tolist())
    # Of what nobody answered since serving began, nobody waits for the outcome.
    played = due["event_time"] >= clock.first_day * DAY_S
    due = due[~played | due["event_id"].isin(decided)]
    if rules:
        ids = due["event_id"].tolist()
        days = (due["event_time"] // DAY_S).tolist()
        stand = labelling.weights(rules, days, ids, [decided.get(each, False) for each in ids])
        due = due[(stand > 0) | ~due["event_id"].isin(decided).to_numpy()]
    return situation.change_labels(clock.day, due, decided).drop(columns="event_time")


def _send(workspace: Workspace, clock: Clock, sent: list[dict[str, Any]]) -> Counter[str]:
    """Send events; how many an incident kept from being answered, by what was said to them."""
    try:
        client.predict_many(workspace.name, clock.scenario, sent)
    except Broken as error:
        clocks.count_errors(workspace, clock, len(sent))
        return Counter({error.message: len(sent)})
    except FlightdeckError:
        clocks.count_errors(workspace, clock, len(sent))
        raise
    return Counter()


def _send_unreadable(
    workspace: Workspace, clock: Clock, sent: list[dict[str, Any]], called: Mapping[str, str]
) -> Counter[str]:
    """Send what no gateway can read: it is refused, and nobody sends it again."""
    given = [{name: None if value != value else value for name, value in row.items()} for row in sent]
    clocks.count_errors(workspace, clock, len(sent))
    try:
        client.send_unchecked(workspace.name, clock.scenario, given, called)
    except (BadInput, Broken) as error:
        return Counter({error.message: len(sent)})
    raise Damaged(
        f"The gateway has answered {len(sent)} {clock.scenario} events that it should have refused.",
        "Look at what was sent, in the room Deploy.",
    )


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
    return labels


def _batches(rows: pd.DataFrame, most: int) -> Iterator[list[dict[str, Any]]]:
    names = rows.columns.tolist()  # looked up once: an Index gives its names slowly
    for first in range(0, len(rows), most):
        part = rows.iloc[first : first + most]
        values = zip(*(part[name].tolist() for name in names), strict=True)
        yield [dict(zip(names, each, strict=True)) for each in values]

"""Acting: what incidents do to a day, and what levers do about them.

Comes in: a clock in the morning, incidents, levers. Goes out: faults that begin and end. What an incident
breaks, it breaks through the same doors as in life: what is sent, what is told, the route, a release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines import freezing, promotion, registry
from pipelines.production import clock as clocks
from pipelines.production import retraining
from pipelines.production.champion import read_champion
from pipelines.production.clock import Clock
from pipelines.production.incidents import levers, records
from pipelines.production.incidents.levers import Lever
from pipelines.production.incidents.records import Incident
from pipelines.production.sending import SourceFault, corrected
from pipelines.production.worlds import open_world
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving import corrections, faults
from pipelines.serving.faults import Fault
from pipelines.serving.predictions import Stream
from pipelines.serving.rollout import place
from pipelines.workspace import Workspace

NEVER = 10**9  # A day that no world reaches.
FLIPPED_SHARE = 0.8
CANARY_SHARE = 0.2
# What the promotion ledger says of a release that an incident has led to.
REASON = "because of an incident"


def morning(workspace: Workspace, clock: Clock) -> Clock:
    """Let begin what begins on the day that the clock shows, and end what ends by itself or by a release.

    Repeated after a crash, nothing begins twice.

    Returns
    -------
    Clock
        As it is then: an episode is written on it.
    """
    for incident in records.of_branch(workspace, clock.scenario, clock.branch):
        if not incident.begun and incident.begins <= clock.day:
            _begin(workspace, clock, incident)
        elif incident.acts_on(clock.day) and _is_ended_by_release(workspace, clock, incident):
            with records.TABLES.writing(workspace) as connection:
                records.end(connection, incident, clock.day)
    return clocks.read(workspace, clock.scenario, clock.branch) or clock


@dataclass(frozen=True)
class Situation:
    """What incidents, and rules by hand, make of a branch's days.

    Attributes
    ----------
    incidents : tuple of Incident
        Those that have begun, those that are over included.
    stopped_from : int or None
        Since which day the scenario's rule stops events before they are sent.
    """

    incidents: tuple[Incident, ...] = ()
    stopped_from: int | None = None

    def acting_on(self, day: int) -> list[Incident]:
        """The incidents that have an effect on that day."""
        return [each for each in self.incidents if each.acts_on(day)]

    def source_faults(self) -> list[SourceFault]:
        """What is wrong with what is sent."""
        found = []
        for each in self.incidents:
            if each.definition.source is None:
                continue
            until = NEVER if each.until_day is None else each.until_day
            if each.definition.lasts_days is not None:
                # More workers take what is sent; it is sent all the same.
                until = each.begins + each.definition.lasts_days
            found.append(SourceFault(each.definition.source, each.begins, until))
        if self.stopped_from is not None:
            found.append(SourceFault("stopped", self.stopped_from, NEVER))
        return found

    def held_up(self, day: int) -> int | None:
        """Since which day labels were held up that are told on the morning of `day`; None when none are."""
        late = [each for each in self.incidents if each.definition.labels == "late"]
        return min((each.begins for each in late if each.until_day == day), default=None)

    def change_labels(self, day: int, due: pd.DataFrame, decided: Mapping[int, bool]) -> pd.DataFrame:
        """The labels that are told of those that are due on that day, as they are told.

        Parameters
        ----------
        due : DataFrame
            event_id, event_time, label_time, label.
        decided : mapping
            By event id, whether an alert was raised.
        """
        acting = {each.definition.labels for each in self.acting_on(day)}
        if "late" in acting:
            return due.iloc[:0]
        if "blocked" in acting:
            due = due[[not decided.get(event_id, False) for event_id in due["event_id"].tolist()]]
        if "flipped" in acting:
            wrong = [place(event_id, 0) < FLIPPED_SHARE for event_id in due["event_id"].tolist()]
            due = due.assign(label=due["label"].mask(np.array(wrong, dtype=np.bool_), 0))
        return due


def situation(workspace: Workspace, clock: Clock) -> Situation:
    """What has come over the clock's branch so far."""
    there = records.of_branch(workspace, clock.scenario, clock.branch)
    rules = [
        made.day
        for made in records.moves(workspace, clock.scenario, clock.branch)
        if (made.move, made.what) == ("lever", levers.STOP)
    ]
    return Situation(tuple(each for each in there if each.begun), min(rules, default=None))


def pull(workspace: Workspace, clock: Clock, name: str, incident: str = "") -> str:
    """Pull a lever on the morning of the day that the clock shows; what was done, in a sentence.

    Whether it helped is for the next days to show.

    Parameters
    ----------
    incident : str
        Key of the incident that it is meant for.

    Raises
    ------
    BadInput
        There is no such lever in this world.
    Refused
        It can't be pulled now: there is no champion before, or no canary.
    FlightdeckError
        As what it calls.
    """
    lever = levers.find(find_scenario(clock.scenario), name)
    done = _release(workspace, clock, lever)
    acting = situation(workspace, clock).acting_on(clock.day)
    ended = [
        each
        for each in acting
        if (lever.name in each.definition.fixes and not lever.releases)
        or _is_ended_by_release(workspace, clock, each)
    ]
    again = {each.key: _sent_again(workspace, clock, each) for each in ended}
    stream = Stream(workspace.name, clock.branch, clock.scenario, clock.world)
    with records.TABLES.writing(workspace) as connection:
        corrections.TABLES.make(connection)
        faults.TABLES.make(connection)
        connection.execute("BEGIN IMMEDIATE")
        for each in ended:
            records.end(connection, each, clock.day)
            corrections.correct(connection, stream, clock.day, again[each.key])
            if each.definition.route is not None:
                kinds = (each.definition.route,)
                faults.end(connection, clock.scenario, clock.branch, kinds, clock.day * DAY_S)
        of_branch = (clock.scenario, clock.branch, clock.day)
        records.note(connection, *of_branch, "lever", lever.name, done, incident)
    return done


def _release(workspace: Workspace, clock: Clock, lever: Lever) -> str:
    """Do what changes who answers; what was done, in a sentence."""
    scenario, day, branch = clock.scenario, clock.day, clock.branch
    if lever.name == "rollback":
        row = promotion.rollback(workspace, scenario, reason=REASON, day=day, branch=branch)
        return f"Version {row.version} answers again, from day {day} on."
    if lever.name == "end_canary":
        promotion.withdraw(workspace, scenario, stage="canary", reason=REASON, day=day, branch=branch)
        return f"The champion answers alone, from day {day} on."
    if lever.name == "retrain":
        run = retraining.retrain(workspace, scenario, REASON, branch)
        return f"Run {run.run_id} is on its way; what it makes serves once its gate has let it through."
    return f"Done on the morning of day {day}. The next days will show what it has changed."


def _begin(workspace: Workspace, clock: Clock, incident: Incident) -> None:
    """Let it begin today; each part may be repeated without a second effect."""
    definition, found = incident.definition, dict[str, int]()
    if definition.canary or definition.route == "artifact":
        serving = promotion.serving(workspace, clock.scenario, clock.branch)
        frozen = freezing.holding(workspace, clock.scenario, clock.branch) is not None
        if serving.champion is None or (definition.canary and (frozen or serving.canary is not None)):
            return  # a day on which it can
        found["version"] = serving.champion
    if definition.canary:
        made_for = f"{clock.branch}/{incident.key}"
        found["version"] = registry.rebuild(
            workspace.name, clock.scenario, found["version"], made_for, "Same model, rebuilt package."
        )
        promotion.promote(
            workspace,
            clock.scenario,
            found["version"],
            stage="canary",
            share=CANARY_SHARE,
            reason="a colleague has rebuilt the package on a newer base image",
            day=clock.day,
            source=f"incident:{made_for}",
            branch=clock.branch,
        )
    if definition.episode:
        clocks.add_episode(workspace, clock, definition.name)
    with records.TABLES.writing(workspace) as connection:
        faults.TABLES.make(connection)
        connection.execute("BEGIN IMMEDIATE")
        if definition.route is not None:
            last = NEVER if definition.lasts_days is None else clock.day + definition.lasts_days
            span = (clock.day * DAY_S, min(last * DAY_S, faults.NEVER_S))
            fault = Fault(definition.route, *span, found.get("version"))
            faults.begin(connection, clock.scenario, clock.branch, fault)
        records.mark_begun(connection, incident, clock.day, found)


def _is_ended_by_release(workspace: Workspace, clock: Clock, incident: Incident) -> bool:
    """Whether what serves now keeps it from having any effect."""
    serving = promotion.serving(workspace, clock.scenario, clock.branch)
    definition, version = incident.definition, incident.found.get("version")
    if definition.canary:
        return serving.canary != version
    if definition.route == "artifact":
        return serving.champion != version
    if not definition.episode or "retrain" not in definition.fixes or serving.champion is None:
        return False
    run = read_champion(workspace, clock.scenario, serving.champion)
    learns = retraining.learnable_from(find_scenario(clock.scenario), run.params["train"], incident.begins)
    return int(run.ingest["until_day"]) >= learns.worth_day


def _sent_again(
    workspace: Workspace, clock: Clock, incident: Incident
) -> dict[int, dict[str, object] | None]:
    """What the source sends again, once it is mended, of the days on which it was not."""
    if incident.definition.source is None or incident.definition.lasts_days is not None:
        return {}
    scenario = find_scenario(clock.scenario)
    world = open_world(workspace.home, scenario, clock.size, clock.seed, clock.episodes)
    fault = SourceFault(incident.definition.source, incident.begins, clock.day)
    found: dict[int, dict[str, object] | None] = {}
    for day in range(incident.begins, clock.day):
        found |= corrected(scenario, world.day(day), day, fault, clock.seed)
    return found

"""Solving: a learner's way through an incident, from the alarm to the post-mortem.

Comes in: what a learner does. Goes out: a case: what was noticed, done, thought and found. One case is open
at a time. Mitigation comes first; a cause can be named once a hypothesis is written; and it is closed once it
has had no effect for some days and nothing about them is unusual.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from pipelines.errors import BadInput, Refused
from pipelines.production import clock as clocks
from pipelines.production import ledger
from pipelines.production.clock import Clock
from pipelines.production.incidents import acting, library, records, scoring, signs
from pipelines.production.incidents.records import Incident, Made
from pipelines.production.incidents.scoring import Part, Way
from pipelines.production.rewinding import resting_clock
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace

HEALTHY_DAYS = 3
# A drill begins within so many days, so that nobody knows on which.
DRILL_DAYS = 5
LEAST_HYPOTHESIS, MOST_HYPOTHESIS = 15, 500


@dataclass(frozen=True)
class Case:
    """One incident as a learner has met it.

    Attributes
    ----------
    incident : Incident
    declared : int
        On the morning of which day it was declared.
    moves : tuple of Made
        What was done since, in order, false alarms before it included.
    hypothesis, cause : str
        What was written last, and which cause was named last; empty before.
    closed : int or None
        On which day it was closed.
    """

    incident: Incident
    declared: int
    moves: tuple[Made, ...]
    hypothesis: str
    cause: str
    closed: int | None

    @property
    def solved(self) -> bool:
        """Whether the cause was named that it is."""
        return self.cause == self.incident.name

    @property
    def tries(self) -> int:
        """How many causes were named until it was the right one; 0 when it never was."""
        named = [made.what for made in self.moves if made.move == "cause"]
        return named.index(self.incident.name) + 1 if self.incident.name in named else 0

    @property
    def pulled(self) -> list[Made]:
        return [made for made in self.moves if made.move == "lever"]


def inject(workspace: Workspace, scenario: str, name: str, day: int | None = None) -> Incident:
    """Let an incident begin, on the morning of a day that has not been played.

    Raises
    ------
    BadInput
        It can't happen in this world, or the day has passed.
    Missing
        No world was begun.
    """
    world, clock = find_scenario(scenario), clocks.must_read(workspace, scenario)
    definition = library.find(world, name)
    day = clock.target_day if day is None else day
    check_day(clock, day, definition.name)
    return records.add(workspace, scenario, clock.branch, definition.name, day)


def check_day(clock: Clock, day: int, name: str) -> None:
    """Refuse a day that has passed, or that the world does not reach.

    Raises
    ------
    BadInput
        Says which days there are.
    """
    if not clock.target_day <= day < clock.last_day:
        raise BadInput(
            f"'{name}' can't begin on day {day}: it is day {clock.day}, and the world ends with day "
            f"{clock.last_day}.",
            f"Choose a day from {clock.target_day} to {clock.last_day - 1}.",
        )


def drill(workspace: Workspace, scenario: str, seed: int) -> Incident:
    """Let an incident that the seed chooses begin within some days; which one, and when, stays hidden.

    Raises
    ------
    Refused
        One is running or waiting already, or the world ends too soon.
    Missing
        No world was begun.
    """
    world, clock = find_scenario(scenario), clocks.must_read(workspace, scenario)
    there = records.of_branch(workspace, scenario, clock.branch)
    if any(not each.begun or each.acts_on(clock.day) for each in there):
        raise Refused("An incident is on its way, or has not ended.", "Find it: the room Incidents.")
    possible = [each for each in library.possible_in(world) if not each.labels or _labels_come(clock, world)]
    random = Random(f"{seed}/{scenario}/{clock.branch}/{clock.day}")
    chosen = random.choice(possible)
    day = clock.target_day + random.randrange(DRILL_DAYS)
    if day + chosen.within_days + HEALTHY_DAYS > clock.last_day:
        raise Refused(
            f"The world ends on day {clock.last_day}: too soon for an incident.", "Go back a while."
        )
    return records.add(workspace, scenario, clock.branch, chosen.name, day, hidden=True)


def _labels_come(clock: Clock, scenario: Scenario) -> bool:
    """Whether labels of events that were answered here come already: before, nobody can miss them."""
    return clock.day >= clock.first_day + scenario.label_delay_days + 2


def cases(workspace: Workspace, scenario: str) -> list[Case]:
    """The cases of the branch that is lived in, the newest first; an open one is the first."""
    there = {each.key: each for each in records.of_branch(workspace, scenario)}
    by_key: dict[str, list[Made]] = {}
    before: list[Made] = []
    for made in records.moves(workspace, scenario):
        if made.incident not in there:
            before.append(made)
            continue
        if made.move == "declared":
            # Alarms without a cause count against the next case; so do levers pulled while it ran unnoticed.
            begins = there[made.incident].begins
            by_key[made.incident] = [
                each for each in before if each.move == "false alarm" or each.day > begins
            ]
            before = []
        by_key.setdefault(made.incident, []).append(made)
    found = [_case(there[key], moves) for key, moves in by_key.items()]
    return sorted(found, key=lambda each: (each.closed is None, each.declared), reverse=True)


def open_case(workspace: Workspace, scenario: str) -> Case | None:
    """The case that is open; None when there is none."""
    return next((case for case in cases(workspace, scenario) if case.closed is None), None)


def declare(workspace: Workspace, scenario: str) -> Case | None:
    """Say that something is wrong; the case that is opened, or None when nothing was: a false alarm.

    Raises
    ------
    Refused
        A case is open, or days are being played.
    Missing
        No world was begun.
    """
    clock = resting_clock(workspace, scenario)
    if open_case(workspace, scenario) is not None:
        raise Refused("An incident is declared already.", "Close it first.")
    known = {case.incident.key for case in cases(workspace, scenario)}
    running = [
        each
        for each in acting.situation(workspace, clock).incidents
        # It began before this morning, so somebody can have seen it; one that has ended may still be noticed.
        if each.key not in known and each.begins < clock.day
    ]
    with records.TABLES.writing(workspace) as connection:
        connection.execute("BEGIN IMMEDIATE")
        key = running[0].key if running else ""
        move: records.Move = "declared" if running else "false alarm"
        records.note(connection, scenario, clock.branch, clock.day, move, incident=key)
    return open_case(workspace, scenario)


def pull(workspace: Workspace, scenario: str, lever: str) -> str:
    """Pull a lever, in a case or outside of one; what was done.

    Raises
    ------
    Refused
        Days are being played, or it can't be pulled now.
    BadInput
        There is no such lever.
    """
    clock, case = resting_clock(workspace, scenario), open_case(workspace, scenario)
    return acting.pull(workspace, clock, lever, case.incident.key if case is not None else "")


def suppose(workspace: Workspace, scenario: str, hypothesis: str) -> Case:
    """Write down what one thinks is the cause.

    Raises
    ------
    BadInput
        It is no sentence yet, or too long.
    Refused
        No case is open.
    """
    case, text = _must_be_open(workspace, scenario), " ".join(hypothesis.split())
    if not LEAST_HYPOTHESIS <= len(text) <= MOST_HYPOTHESIS:
        raise BadInput(
            f"The hypothesis has {len(text)} characters.",
            f"Write a sentence of {LEAST_HYPOTHESIS} to {MOST_HYPOTHESIS}: what happened, and what shows it.",
        )
    return _note(workspace, scenario, case, "hypothesis", said=text)


def name_cause(workspace: Workspace, scenario: str, cause: str) -> Case:
    """Name the cause; whether it is the right one, the case says.

    Raises
    ------
    BadInput
        There is no such cause in this world.
    Refused
        No case is open, no hypothesis is written, or the right one was named.
    """
    case = _must_be_open(workspace, scenario)
    chosen = library.find(find_scenario(scenario), cause)
    if not case.hypothesis:
        raise Refused("No hypothesis is written yet.", "First write what you think, and what shows it.")
    if case.solved:
        raise Refused("The cause is known.", "End it, and close the case.")
    return _note(workspace, scenario, case, "cause", chosen.name)


def close(workspace: Workspace, scenario: str, *, give_up: bool = False) -> Case:
    """Confirm that it is over, or give up: then all is told, and no cause counts.

    Raises
    ------
    Refused
        It is not over, says why; or no case is open, or no cause is named.
    """
    clock, case = resting_clock(workspace, scenario), _must_be_open(workspace, scenario)
    if not give_up:
        if not case.cause:
            raise Refused("No cause is named yet.", "Diagnose it first, or give up.")
        problem = not_over(workspace, clock, case)
        if problem:
            raise Refused(problem, "Do something about it, or let days pass.")
    _note(workspace, scenario, case, "closed", "given up" if give_up else "")
    return next(each for each in cases(workspace, scenario) if each.incident.key == case.incident.key)


def not_over(workspace: Workspace, clock: Clock, case: Case) -> str:
    """Why it can't be said that it is over, in a sentence; empty when it can."""
    scenario, days = find_scenario(clock.scenario), ledger.days(workspace, clock.scenario, clock.branch)
    known = signs.usual(days, case.incident.begins)
    since = max(case.incident.until_day or 0, clock.day - HEALTHY_DAYS)
    for day in days:
        if day.day >= since and known is not None:
            odd = signs.unusual(scenario, days, day, known)
            if odd:
                return f"Day {day.day} was not a usual one: {'; '.join(odd)}."
    if case.incident.until_day is None:
        return "What you did has not ended it: it still has an effect, and will show it."
    passed = clock.day - case.incident.until_day
    if passed < HEALTHY_DAYS:
        return f"{passed} of {HEALTHY_DAYS} healthy days have passed since it was ended."
    return ""


def lost(workspace: Workspace, case: Case) -> tuple[float | None, float | None, int]:
    """What it cost against usual days, what a usual day saves, and how many of its days are not known yet."""
    incident = case.incident
    days = ledger.days(workspace, incident.scenario, incident.branch)
    before = [day.bill.saved for day in days if day.day < incident.begins and day.bill is not None]
    during = [
        day
        for day in days
        if day.day >= incident.begins and (incident.until_day is None or day.day < incident.until_day)
    ]
    known = [day.bill.saved for day in during if day.bill is not None]
    if not before:
        return None, None, len(during) - len(known)
    usual = sum(before[-signs.USUAL_DAYS :]) / len(before[-signs.USUAL_DAYS :])
    return round(usual * len(known) - sum(known), 2), round(usual, 2), len(during) - len(known)


def score(workspace: Workspace, case: Case) -> list[Part]:
    """What the way was worth so far."""
    incident, definition = case.incident, case.incident.definition
    cost, usual, _ = lost(workspace, case)
    right = [made for made in case.pulled if made.what in definition.fixes]
    alarms = sum(made.move == "false alarm" for made in case.moves)
    return scoring.score(
        Way(
            noticed_after=max(0, case.declared - incident.begins),
            due=definition.within_days,
            ended_after=None if incident.until_day is None else incident.until_day - incident.begins,
            slow_to_end=definition.fixes == ("retrain",),
            lost=cost,
            usual=usual,
            in_vain=len(case.pulled) - len(right) + alarms,
            causes_named=case.tries,
        )
    )


def _must_be_open(workspace: Workspace, scenario: str) -> Case:
    case = open_case(workspace, scenario)
    if case is None:
        raise Refused("No incident is declared.", "Declare one first, when something looks wrong.")
    return case


def _note(
    workspace: Workspace, scenario: str, case: Case, move: records.Move, what: str = "", said: str = ""
) -> Case:
    clock = resting_clock(workspace, scenario)
    with records.TABLES.writing(workspace) as connection:
        connection.execute("BEGIN IMMEDIATE")
        of_branch = (scenario, clock.branch, clock.day)
        records.note(connection, *of_branch, move, what, said, case.incident.key)
    return next(each for each in cases(workspace, scenario) if each.incident.key == case.incident.key)


def _case(incident: Incident, moves: list[Made]) -> Case:
    said = {made.move: made for made in moves}  # the last of each
    hypothesis, cause, closed = (said.get(move) for move in ("hypothesis", "cause", "closed"))
    return Case(
        incident,
        said["declared"].day if "declared" in said else moves[0].day,
        tuple(moves),
        hypothesis.said if hypothesis else "",
        cause.what if cause else "",
        closed.day if closed else None,
    )

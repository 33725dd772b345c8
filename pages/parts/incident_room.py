"""What Incidents shows: the case that is open, what is known by now, and what became of those before.

Comes in: a workspace and a scenario. Goes out: words and rows; nothing is drawn here. Of an incident that is
not closed nothing is told but what a learner can see in production.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from pages.parts import production, watch
from pages.parts.words import plain, several
from pipelines.production import ledger
from pipelines.production.clock import Clock
from pipelines.production.incidents import records, scoring, signs, solving
from pipelines.production.incidents.levers import LEVERS
from pipelines.production.incidents.library import LIBRARY
from pipelines.production.incidents.records import Made
from pipelines.production.incidents.scoring import Part
from pipelines.production.incidents.signs import Usual
from pipelines.production.incidents.solving import Case
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace, unreadable_database

# The log goes back so far: what is older has nothing to do with it.
SHOWN_DAYS = 14
WINDOW_DAYS = 7  # Monitoring looks back so far.


@dataclass(frozen=True)
class Facts:
    """The open case, and what can be seen.

    Attributes
    ----------
    case : Case or None
        The one that is open.
    closed : list of Case
        The newest first.
    drilled : bool
        Whether an incident is on its way, or has not ended, that nobody has declared: told where it was asked
        for by a drill.
    usual : Usual or None
        What days were like before the case, or before the last weeks.
    parts : list of Part
        What the newest closed case has come to.
    """

    scenario: Scenario
    production: production.Production
    watched: watch.Facts
    moves: list[Made]
    case: Case | None
    closed: list[Case]
    drilled: bool
    usual: Usual | None
    parts: list[Part]

    @property
    def clock(self) -> Clock | None:
        return self.production.clock

    @property
    def days(self) -> list[ledger.Day]:
        return self.production.days

    @property
    def just_closed(self) -> Case | None:
        """The newest case, on the morning on which it was closed."""
        if self.case is None and self.closed and self.clock is not None:
            return self.closed[0] if self.closed[0].closed == self.clock.day else None
        return None

    @property
    def rests(self) -> bool:
        return self.clock is not None and self.clock.state != "playing"


@dataclass(frozen=True)
class Seen:
    """One line of the evidence log."""

    day: int
    icon: str
    words: str


def look(workspace: Workspace, scenario: Scenario) -> Facts:
    """Read everything.

    Raises
    ------
    Damaged, Unavailable
        The workspace's database can't be read.
    """
    watched, found = watch.look(workspace, scenario), production.look(workspace, scenario)
    try:
        cases = solving.cases(workspace, scenario.name)
        there, moves = records.of_branch(workspace, scenario.name), records.moves(workspace, scenario.name)
    except sqlite3.Error as error:
        raise unreadable_database(workspace, error) from error
    case = next((each for each in cases if each.closed is None), None)
    known = {each.incident.key for each in cases}
    day = found.clock.day if found.clock is not None else 0
    drilled = any(
        each.hidden and each.key not in known and (not each.begun or each.acts_on(day)) for each in there
    )
    # Before a case is declared nobody knows since when days are unusual: long ago they were not.
    before = case.declared - SHOWN_DAYS if case is not None else day - SHOWN_DAYS
    usual = signs.usual(found.days, before) or signs.usual(found.days, day)
    closed = [each for each in cases if each.closed is not None]
    parts = solving.score(workspace, closed[0]) if closed else []
    return Facts(scenario, found, watched, moves, case, closed, drilled, usual, parts)


def headline(facts: Facts) -> tuple[str, str]:
    """Where the learner stands, and what to do next."""
    if facts.clock is None:
        return "No day has passed yet", (
            "Here you train for what goes wrong in production. First a model has to serve, and days to pass."
        )
    day, case = facts.clock.day, facts.case
    if case is not None:
        old = several(day - case.declared, "day", "days")
        stage = "End it first; then find out what it is."
        if case.pulled:
            stage = "Something was done. Let a day pass and see whether it helped; then say what it was."
        if case.solved:
            stage = "You know the cause. Once three healthy days have passed, confirm that it is over."
        return f"Day {day}: an incident, declared {old} ago" if day > case.declared else (
            f"Day {day}: an incident is declared"
        ), stage
    if facts.just_closed is not None:
        what, sentence = LIBRARY[facts.just_closed.incident.name].title, story(facts.just_closed)
        return f"Day {day}: it is over, {scoring.total(facts.parts)} of 100", f"**{plain(what)}.** {sentence}"
    if facts.drilled:
        return f"Day {day}: a drill is on", (
            "Within five days of its start something goes wrong. Play on, watch, and declare what you see."
        )
    opened = [each for each in facts.watched.open if each.state == "open"]
    over = facts.closed[0].incident.until_day if facts.closed else None
    if opened and over is not None and day - over <= WINDOW_DAYS:
        return f"Day {day}: nothing is declared", (
            "The incident is over. Alerts that are still open look back a week, at days of the incident."
        )
    if opened:
        words = f"Open alerts: {plain(opened[0].title.lower())}"
        more = f", and {len(opened) - 1} more" if len(opened) > 1 else ""
        return (
            f"Day {day}: nothing is declared",
            f"{words}{more}. Is it an incident? Say so, or start a drill.",
        )
    return f"Day {day}: nothing is wrong that anybody knows of", (
        "Start a drill: something goes wrong within five days, and nobody tells you what."
    )


def log(facts: Facts) -> list[Seen]:
    """What can be seen of the newest days, the newest first."""
    if facts.clock is None:
        return []
    first = facts.clock.day - SHOWN_DAYS
    found = [
        Seen(each.opened, "notifications", f"{plain(each.title)}. {plain(each.found)}.")
        for each in facts.watched.all
    ]
    found += [
        Seen(each.resolved, "notifications_off", f"{plain(each.title)}: over, {plain(each.ended)}.")
        for each in facts.watched.all
        if each.resolved is not None
    ]
    for row in facts.watched.promotions:
        if row.day is not None:
            which = f"version {row.version}" if row.version is not None else "nobody"
            words = f"{row.stage.capitalize()}: {which}. {plain(row.reason)}."
            found.append(Seen(row.day, "rocket_launch", words))
    found += [Seen(each.day, "build", _made(each)) for each in facts.moves if each.move in ("lever",)]
    found += [
        Seen(each.day, "flag", "You declared an incident." if each.incident else "A false alarm of yours.")
        for each in facts.moves
        if each.move in ("declared", "false alarm")
    ]
    shown = [each for each in found if each.day >= first]
    return sorted(shown, key=lambda each: -each.day)


def refusals(facts: Facts) -> list[tuple[str, int]]:
    """What requests of the newest day were told that got no answer, and how many."""
    report = facts.watched.report
    of_day = report.get("operations") if report else None
    return [(str(message), int(number)) for message, number in of_day["refusals"]] if of_day else []


def told(case: Case) -> str:
    """Whether the cause that was named is the right one, in a sentence; empty before one was named."""
    if not case.cause:
        return ""
    title = plain(LIBRARY[case.cause].title)
    if case.solved:
        return f":green[:material/check:] **{title}**: that is what happened."
    return f":orange[:material/close:] **{title}**: that is not what happened. What speaks against it?"


def story(case: Case) -> str:
    """When it began, was declared and ended, in a sentence."""
    ended = case.incident.until_day
    when = f"ended on day {ended}" if ended is not None else "has not ended"
    practice = " It was practice: you had met it before." if case.incident.again else ""
    return (
        f"It began on day {case.incident.begins}, was declared on day {case.declared} and {when}.{practice}"
    )


def result(case: Case, parts: list[Part]) -> str:
    """What a closed case came to, in a line."""
    return f"{scoring.total(parts)} of 100: {LIBRARY[case.incident.name].title.lower()}"


def _made(made: Made) -> str:
    return f"{plain(LEVERS[made.what].title)}. {plain(made.said)}"

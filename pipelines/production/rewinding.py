"""Rewinding: back to the morning of a past day, on a branch of its own.

Comes in: a day that was played. Goes out: a branch that begins with all that had happened by then: answers,
labels, decisions, alerts, reports, money. The line that was left stays as it was, and can be lived in again.
Runs and registered versions are not copied: those that were made later, or elsewhere, the branch can't know.
"""

from __future__ import annotations

import shutil

from pipelines import branches, freezing, promotion
from pipelines.branches import Branch
from pipelines.errors import BadInput, Missing, Refused
from pipelines.monitoring import alerts, diary
from pipelines.production import canaries, ledger, policies
from pipelines.production import clock as clocks
from pipelines.production.clock import Clock
from pipelines.production.incidents import records
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving import corrections, faults, labelling, prediction_log
from pipelines.workspace import Workspace

# So many lines of time of one world can be told apart in one plot.
MOST_BRANCHES = 12


def rewind(workspace: Workspace, scenario: str, day: int, title: str = "") -> Branch:
    """Go back to the morning of `day`, on a new branch that is lived in from now on.

    All of it is copied in one transaction: a crash in the middle leaves everything as it was.

    Parameters
    ----------
    title : str
        What is to be tried this time.

    Raises
    ------
    Missing
        No world was begun.
    BadInput
        The day was not played, or lies before the first.
    Refused
        Days are being played, or there are as many branches as can be told apart.
    """
    clock = resting_clock(workspace, scenario)
    check_day(clock, day)
    check_room(workspace, scenario)
    # What was decided on the first morning put the version there without which no day can be played.
    decided_before = max(day, clock.first_day + 1)
    with branches.TABLES.writing(workspace) as connection:
        connection.execute("BEGIN IMMEDIATE")
        clocks.halt(connection, clock)
        made = branches.add(connection, scenario, clock.branch, day, title or f"from day {day} on")
        of_branch = (scenario, clock.branch, made.name)
        clocks.copy_branch(connection, *of_branch, day)
        promotion.copy_branch(connection, *of_branch, decided_before)
        freezing.copy_branch(connection, *of_branch, day)
        records.copy_branch(connection, *of_branch, day)
        faults.copy_branch(connection, *of_branch, day * DAY_S)
        corrections.copy_branch(connection, *of_branch, day)
        labelling.copy_branch(connection, *of_branch, day)
        policies.copy_branch(connection, *of_branch, day)
        canaries.copy_branch(connection, *of_branch, day)
        prediction_log.copy_branch(connection, *of_branch, day)
        diary.copy_branch(connection, *of_branch, day)
        alerts.copy_branch(connection, workspace, *of_branch, day)
        ledger.copy_branch(connection, find_scenario(scenario), clock.branch, made.name, day)
    promotion.project_if_possible(workspace, scenario)
    return made


def switch(workspace: Workspace, scenario: str, name: str) -> Branch:
    """Live in another branch again, where it was left.

    Raises
    ------
    Missing
        There is no such branch.
    Refused
        Days are being played.
    """
    found = branches.find(workspace, scenario, name)
    clock = resting_clock(workspace, scenario)
    with branches.TABLES.writing(workspace) as connection:
        connection.execute("BEGIN IMMEDIATE")
        clocks.halt(connection, clock)
        branches.live_from_now_on(connection, scenario, found.name)
    promotion.project_if_possible(workspace, scenario)
    return found


def resting_clock(workspace: Workspace, scenario: str) -> Clock:
    """The clock of the branch that is lived in, if no day is being played on it."""
    find_scenario(scenario)
    clock = clocks.read(workspace, scenario)
    if clock is None:
        raise Missing(
            f"No world of '{scenario}' has been begun in workspace '{workspace.name}', so there is no past.",
            f"Deploy a version and let a day pass: python -m pipelines simulate {scenario} --days 1",
        )
    if clock.state == "playing":
        raise Refused(
            f"Days are being played: it is day {clock.day} of {clock.target_day}.",
            "Pause, or wait until they have passed.",
        )
    return clock


def check_day(clock: Clock, day: int) -> None:
    """Refuse a day that is not in this branch's past.

    Raises
    ------
    BadInput
        The day was not played, or lies before the first.
    """
    if not clock.first_day <= day <= clock.day:
        raise BadInput(
            f"Day {day} can't be gone back to: this branch has the days {clock.first_day} to {clock.day}.",
            f"Choose a day from {clock.first_day} to {clock.day}.",
        )


def check_room(workspace: Workspace, scenario: str, more: int = 1) -> None:
    """Refuse when so many more branches can't be told apart, or the disk could not take the copies.

    Raises
    ------
    Refused
        Nothing was written.
    """
    there = branches.known(workspace, scenario)
    if len(there) + more > MOST_BRANCHES:
        raise Refused(
            f"'{scenario}' has {len(there)} branches already, and {MOST_BRANCHES} are the most that one plot "
            "can tell apart.",
            "Live in one of them again, or begin afresh: python -m pipelines reset",
        )
    needed, free = workspace.database.stat().st_size, shutil.disk_usage(workspace.root).free
    if free < (1 + more) * needed:
        raise Refused(
            f"A branch may need {needed / 1e6:.0f} MB, and again as much while it is written; "
            f"{free / 1e6:.0f} MB are free.",
            "Free some space on the disk.",
        )

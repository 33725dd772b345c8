"""Worlds as their service leaves them after some days, made in a moment: what tests of pages start from."""

from __future__ import annotations

from pathlib import Path

import page_samples

from pipelines.production import clock as clocks
from pipelines.production import ledger
from pipelines.production.clock import Clock
from pipelines.production.day import play_day
from pipelines.production.traffic import Sent
from pipelines.run import Run, create_run
from pipelines.scenarios import find_scenario
from pipelines.workspace import Home, Workspace, open_workspace


def begun(home: Path, days: int) -> Workspace:
    """A workspace with a small fraud world on day 60: version 1 serves, and `days` are to be played."""
    workspace = open_workspace("ada", Home(home))
    run = create_run(workspace, "fraud", {"ingest": {"size": "small"}})
    page_samples.promote(workspace, 1, run.run_id)
    clocks.advance(workspace, "fraud", days)
    return workspace


def now(workspace: Workspace, scenario: str = "fraud") -> Clock:
    """How the world stands."""
    clock = clocks.read(workspace, scenario)
    assert clock is not None
    return clock


def play(workspace: Workspace, days: int, scenario: str = "fraud") -> Clock:
    """Play the world as its service does, in this process."""
    clock = clocks.advance(workspace, scenario, days)
    while clock.day < clock.target_day:
        play_day(workspace, clock)
        clock = now(workspace, scenario)
    return clock


def played(
    workspace: Workspace, run: Run, saved: list[float], *, going_on: int = 0, problem: str = ""
) -> None:
    """A world that was played behind `run`: one day for each value saved, and a week that is not known yet.

    Parameters
    ----------
    going_on : int
        Days that are still to be played.
    problem : str
        Why they are not.
    """
    scenario = find_scenario(run.scenario)
    clock = clocks.begin(workspace, run.scenario)
    for value in [*saved, *[None] * scenario.label_delay_days]:
        ledger.enter(workspace, clock, Sent(0, -1, 0, 0), {"drifted": 0, "alerts": 0})
        cost = None if value is None else max(0.0, -value)
        with workspace.connect() as connection:
            connection.execute(
                "UPDATE ledger SET requests = 1900, flagged = 40, labels = 1900, missed = 0, reviews = ?, "
                "false_alarms = 0, without = ?, right = 10 WHERE day = ?",
                (cost, None if value is None else max(0.0, value), clock.day),
            )
        clocks.pass_day(workspace, clock)
        clock = clocks.read(workspace, run.scenario) or clock
    if going_on:
        clock = clocks.advance(workspace, run.scenario, going_on)
    if problem:
        clocks.stop(workspace, clock, problem, "Start it: make run")

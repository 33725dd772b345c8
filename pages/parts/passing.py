"""What Monitor asks of time: which day it is, whether days are being played, and whether to retrain.

Comes in: a workspace and a scenario. Goes out: plain values; nothing is drawn here.
"""

from __future__ import annotations

from pipelines import branches
from pipelines.production import clock as clocks
from pipelines.scenarios.scenario import Scenario
from pipelines.serving.logged import newest_day
from pipelines.workspace import Workspace

WEEK = 7


def today(workspace: Workspace, scenario: Scenario) -> int | None:
    """Which day it is in the world; without a world, the day after the newest event that was answered."""
    day = branches.today(workspace, scenario.name)
    if day is None:
        newest = newest_day(workspace, scenario.name)
        day = None if newest is None else newest + 1
    return day


def is_playing(workspace: Workspace, scenario: Scenario) -> bool:
    """Whether days are being played just now."""
    found = clocks.read(workspace, scenario.name)
    return found is not None and found.state == "playing"

"""Time passing, as pages ask for it: the one place that knows whether the simulated world can be played here.

Comes in: a workspace and a scenario. Goes out: the day, and what its buttons do. Without the world's own
modules a page shows what there is, and offers nothing that would not work.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from pipelines.errors import Unavailable
from pipelines.run import Run
from pipelines.scenarios.scenario import Scenario
from pipelines.serving.logged import newest_day
from pipelines.workspace import Workspace

WEEK = 7


def today(workspace: Workspace, scenario: Scenario) -> int | None:
    """Which day it is in the world; without a world, the day after the newest event that was answered."""
    clock = _module("clock")
    day: int | None = clock.today(workspace, scenario.name) if clock is not None else None
    if day is None:
        newest = newest_day(workspace, scenario.name)
        day = None if newest is None else newest + 1
    return day


def can_pass(workspace: Workspace) -> bool:
    """Whether days can be played."""
    del workspace
    return _module("clock") is not None


def is_playing(workspace: Workspace, scenario: Scenario) -> bool:
    """Whether days are being played just now."""
    clock = _module("clock")
    found = clock.read(workspace, scenario.name) if clock is not None else None
    return found is not None and found.state == "playing"


def advance(workspace: Workspace, scenario: Scenario, days: int = WEEK) -> None:
    """Let days pass.

    Raises
    ------
    FlightdeckError
        They can't be played.
    """
    _needed("clock").advance(workspace, scenario.name, days)


def retrain(workspace: Workspace, scenario: Scenario, reason: str) -> Run:
    """Run the same notebooks again on the world as it is now.

    Raises
    ------
    FlightdeckError
        Nothing was started.
    """
    run: Run = _needed("retraining").retrain(workspace, scenario.name, reason)
    return run


def worth_retraining(workspace: Workspace, scenario: Scenario, since_day: int) -> tuple[bool, str]:
    """Whether retraining today can learn from the time since then, and why."""
    module = _module("retraining")
    if module is None or not hasattr(module, "worth_retraining"):
        return False, ""
    found: tuple[bool, str] = module.worth_retraining(workspace, scenario, since_day)
    return found


def draw_time_bar(workspace: Workspace, scenario: Scenario) -> None:
    """The bar with the day and the buttons that let time pass, where there is one."""
    if find_spec("pages.parts.time_bar") is not None:
        draw: Any = import_module("pages.parts.time_bar").draw
        draw(workspace, scenario)


def _module(name: str) -> ModuleType | None:
    if find_spec("pipelines.production") is None or find_spec(f"pipelines.production.{name}") is None:
        return None
    return import_module(f"pipelines.production.{name}")


def _needed(name: str) -> ModuleType:
    module = _module(name)
    if module is None:
        raise Unavailable("The simulated world is not installed here.", "Send events through the gateway.")
    return module

"""A day of production: its traffic, then what is looked at every evening, then it has passed.

Comes in: a clock. Goes out: the same clock a day later. Each part may be repeated without a second effect,
and the clock goes on last, so that a crash in the middle loses nothing and doubles nothing.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from pipelines import promotion
from pipelines.errors import FlightdeckError, Missing, Refused, Unavailable
from pipelines.production import canaries, evening, ledger, policies, traffic
from pipelines.production import clock as clocks
from pipelines.production.champion import read_champion
from pipelines.production.clock import Clock
from pipelines.production.incidents import acting
from pipelines.production.sending import send
from pipelines.production.traffic import Sent
from pipelines.production.worlds import open_world
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import read_happened
from pipelines.serving import client
from pipelines.serving.jobs import nothing_promoted
from pipelines.workspace import Workspace

log = logging.getLogger(__name__)

# A version and the history that its features need are loaded in a second or two; on a busy machine, in many.
LOADING_S, LOOK_S = 60.0, 0.05


def play_day(
    workspace: Workspace,
    clock: Clock,
    alive: Callable[[], object] = lambda: None,
    loading_s: float = LOADING_S,
) -> ledger.Day:
    """Play the day that the clock shows, and let it pass.

    Parameters
    ----------
    alive : callable
        Called whenever something was done.
    loading_s : float
        How long a version that was just promoted may take until it serves.

    Raises
    ------
    Waiting
        A policy retrains the model first.
    FlightdeckError
        The day can't be played now: nothing serves, the gateway does not answer, or what serves knows
        another past. What was done stays done, and is found when the day is played again.
    """
    scenario = find_scenario(clock.scenario)
    check_champion(workspace, clock)
    clock = acting.morning(workspace, clock)
    canaries.morning(workspace, clock)
    policies.morning(workspace, clock)
    await_lineup(workspace, clock, loading_s)
    world = open_world(workspace.home, scenario, clock.size, clock.seed, clock.episodes)
    situation = acting.situation(workspace, clock)
    sent = traffic.play(workspace, clock, world, alive, situation)
    alive()
    watched = _watch(workspace, clock, sent)
    alive()

    def outcomes(day: int) -> pd.DataFrame:
        upstream = situation.source_faults()
        return send(scenario, world.day(day), day, upstream, clock.seed).outcomes

    # Read again: what was sent in vain has been counted meanwhile.
    now = clocks.read(workspace, clock.scenario, clock.branch) or clock
    day = ledger.enter(workspace, now, sent, watched, outcomes)
    clocks.pass_day(workspace, clock)
    return day


def await_lineup(workspace: Workspace, clock: Clock, loading_s: float = LOADING_S) -> None:
    """Wait until the gateway serves what the ledger says.

    A new version is loaded beside the one that answers, which takes seconds, and days pass in less: without
    this, who answered a day would depend on how busy the machine is. A canary or shadow that can't be
    loaded is not waited for: it keeps nobody from being answered.

    Raises
    ------
    Unavailable
        The gateway is not answering, or the champion is not loaded after `loading_s`; says why.
    """
    version = promotion.serving(workspace, clock.scenario, clock.branch).champion
    begun = time.monotonic()
    while not client.ready(workspace.name, clock.scenario, version):
        about = client.describe(workspace.name, clock.scenario)["parameters"]
        absent = [route for route in ("canary", "shadow") if f"{route}_absent" in about]
        if absent and about.get("champion") == version:
            return
        if time.monotonic() - begun > loading_s:
            what = f"Version {version} of '{clock.scenario}' is not loaded yet."
            why = str(about.get("problem", ""))
            raise Unavailable(f"{what} {why}".strip(), "See gateway.log in the home's folder logs.")
        time.sleep(LOOK_S)


def _watch(workspace: Workspace, clock: Clock, sent: Sent) -> Mapping[str, Any] | None:
    """What monitoring says; without anything to compare with, or by a defect, a day is left unwatched."""
    try:
        return evening.watch(workspace, clock, sent)
    except Missing as error:
        log.warning("day %d of %s in '%s': %s", clock.day, clock.scenario, workspace.name, error)
        return None
    except (FlightdeckError, sqlite3.Error, OSError):
        raise
    except Exception:
        log.exception("day %d of %s in '%s' is not monitored", clock.day, clock.scenario, workspace.name)
        return None


def check_champion(workspace: Workspace, clock: Clock) -> None:
    """Refuse to play a day for a version that knows another world, or what has not happened yet.

    Raises
    ------
    Missing
        Nothing serves.
    Refused
        What serves was trained in another world, on another past or in the future.
    """
    version = promotion.serving(workspace, clock.scenario, clock.branch).champion
    if version is None:
        raise nothing_promoted(clock.scenario)
    run = read_champion(workspace, clock.scenario, version)
    until_day, scenario = int(run.ingest["until_day"]), find_scenario(clock.scenario)
    again = f"Roll back, or run again with {_settings(clock)}."
    if run.world != clock.world:
        raise Refused(
            f"Version {version} was trained in world {run.world}, but this world is {clock.world}: the "
            "customers it remembers are other people.",
            again,
        )
    if until_day > clock.day:
        raise Refused(
            f"Version {version} was trained on events up to day {until_day}, but it is only day {clock.day}.",
            again,
        )
    seen, happened = (
        [str(begun) for begun in read_happened(scenario, text) if begun.day < until_day]
        for text in (run.ingest["episodes"], clock.episodes)
    )
    if seen != happened:
        raise Refused(
            f"Version {version} was trained on a past with {', '.join(seen) or 'no episode'}, but "
            f"{', '.join(happened) or 'none'} happened here.",
            again,
        )


def _settings(clock: Clock) -> str:
    """What a run has to be given to collect this world, as the command line takes it."""
    values = " ".join(f"--set ingest.{name}={value}" for name, value in clock.ingest().items() if value)
    return f"{values} --seed {clock.seed}"

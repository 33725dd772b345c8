"""The time bar: which day it is in the world, and the buttons that let time pass.

It is drawn again by itself while days are being played; it always has the same lines, so that nothing jumps.
"""

from __future__ import annotations

import time

import streamlit as st

from pages.parts import frame
from pages.parts.words import date_words, plain
from pipelines import promotion
from pipelines.production import clock as clocks
from pipelines.production.clock import Clock
from pipelines.scenarios.scenario import Scenario
from pipelines.services.programs import HEARTBEAT_FRESH_S
from pipelines.workspace import Workspace

TICK_S = 0.5
STEPS = (("+1 day", 1), ("+1 week", 7), ("+1 month", 30))
# Play is for watching: a day a second. The steps go as fast as they can.
WATCHED_S = 1.0


def draw(workspace: Workspace, scenario: Scenario) -> None:
    """Show the bar, where there is a world or a version that could begin one.

    When playing begins or ends the whole page is drawn again.
    """
    clock = clocks.read(workspace, scenario.name)
    if clock is None and promotion.serving(workspace, scenario.name).champion is None:
        return
    live = clock is not None and clock.state != "idle"
    st.fragment(_draw, run_every=TICK_S if live else None)(workspace, scenario, clock.state if clock else "")


def _draw(workspace: Workspace, scenario: Scenario, state: str) -> None:
    clock = clocks.read(workspace, scenario.name)
    if clock is not None and clock.state != state:
        st.rerun()
    with st.container(border=True, gap="xsmall"):
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"
        ):
            st.markdown(_day(clock, scenario), width="content")
            with st.container(horizontal=True, gap="xsmall", width="content"):
                _draw_steps(workspace, scenario, clock)
        # Beside what it moves: with the three others it would not fit on a phone's line.
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.progress(_share(clock), text=_progress(clock, scenario))
            _draw_play(workspace, scenario, clock)
        problem = _problem(workspace, clock)
        if problem:
            st.markdown(f":orange[:material/warning:] {problem}")


def _draw_steps(workspace: Workspace, scenario: Scenario, clock: Clock | None) -> None:
    going_on = clock is not None and clock.state != "idle"
    for label, days in STEPS:
        too_far = clock is not None and days > clock.last_day - clock.day
        why = "The world ends before." if too_far else None
        if st.button(label, disabled=going_on or too_far, help=why, key=f"time:{days}"):
            with frame.problems_shown():
                clocks.advance(workspace, scenario.name, days)
                st.rerun()


def _draw_play(workspace: Workspace, scenario: Scenario, clock: Clock | None) -> None:
    """Play on, slowly enough to watch, until somebody pauses; or pause."""
    going_on = clock is not None and clock.state != "idle"
    if going_on:
        if st.button("Pause", icon=":material/pause:", key="time:pause"):
            with frame.problems_shown():
                clocks.pause(workspace, scenario.name)
                st.rerun()
        return
    left = clock.last_day - clock.day if clock is not None else 0
    why = "A day a second." if left else "First let a day pass." if clock is None else "The world has ended."
    if st.button("Play", icon=":material/play_arrow:", disabled=not left, help=why, key="time:play"):
        with frame.problems_shown():
            clocks.advance(workspace, scenario.name, left, pace_s=WATCHED_S)
            st.rerun()


def _day(clock: Clock | None, scenario: Scenario) -> str:
    if clock is None:
        return "**No day has passed yet**"
    return f"**Day {clock.day}** :gray[{date_words(clocks.date_of(scenario, clock.day))}]"


def _share(clock: Clock | None) -> float:
    """How much of the world has passed: an empty bar on day 98 would say something else than it means."""
    return min(1.0, clock.day / clock.last_day) if clock is not None and clock.last_day else 0.0


def _progress(clock: Clock | None, scenario: Scenario) -> str:
    if clock is None:
        return f":small[:gray[Let time pass: {scenario.events} go to your model.]]"
    if clock.state == "idle":
        return f":small[:gray[The world lasts {clock.last_day} days.]]"
    return f":small[:gray[Playing day {clock.day}, up to day {clock.target_day}.]]"


def _problem(workspace: Workspace, clock: Clock | None) -> str:
    if clock is None or clock.state == "idle":
        return ""
    if clock.state == "stopped":
        return f"{plain(clock.problem)} {plain(clock.hint)} It is tried again by itself."
    try:
        quiet = time.time() - (workspace.home.root / "world.heartbeat").stat().st_mtime > HEARTBEAT_FRESH_S
    except OSError:
        quiet = True
    return "The world is not running. Start everything with `make run`; it then goes on." if quiet else ""

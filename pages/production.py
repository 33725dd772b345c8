"""Production: the control room of a world: its time, its lines of time, what it is worth and what is open."""

import streamlit as st

from pages.parts import control_room, frame, lines_of_time, time_bar, watch, watch_panels
from pipelines.errors import FlightdeckError
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace

TICK_S = 1.0


def main() -> None:
    workspace, room = frame.workspace(), frame.Room()
    scenario = room.choose_scenario()
    try:
        facts = control_room.look(workspace, scenario)
    except FlightdeckError as error:
        room.say("Your workspace can't be read")
        frame.show_problem(error)
        return
    room.say(*control_room.headline(facts))
    time_bar.draw(workspace, scenario)
    if facts.clock is None:
        draw_empty(scenario)
    else:
        lines_of_time.draw(workspace, scenario, facts)
        if facts.watched.playing:
            st.fragment(follow, run_every=TICK_S)(workspace, scenario)
        else:
            draw_state(workspace, facts)
    watch_panels.draw_bar(workspace, scenario, facts.watched)


def follow(workspace: Workspace, scenario: Scenario) -> None:
    """What changes as days pass; once they have, the title does too."""
    with frame.problems_shown():
        facts = control_room.look(workspace, scenario)
        if not facts.watched.playing:
            st.rerun()
        draw_state(workspace, facts)


def draw_state(workspace: Workspace, facts: control_room.Facts) -> None:
    """What happened when, four figures, how right the alerts are, and the lines of time."""
    watched = facts.watched
    with frame.problems_shown():
        frame.show(control_room.strip(facts), key="strip")
        draw_numbers(facts)
        left, right = st.columns([13, 7], gap="medium")
        with left:
            if watched.report is not None:
                frame.show(watch.performance_figure(watched), key="performance")
            else:
                frame.note("Once labels come, here is how right the alerts are.")
        with right:
            watch_panels.draw_alerts(workspace, watched)
        lines = control_room.lines(workspace, facts)
        if lines is not None:
            frame.show(lines, key="lines")


def draw_numbers(facts: control_room.Facts) -> None:
    """Four figures in one row, which breaks into two on a phone."""
    with st.container(horizontal=True, gap="medium"):
        for value, meaning in control_room.numbers(facts):
            with st.container(width=200, gap=None):
                st.subheader(value, anchor=False)
                frame.note(meaning)


def draw_empty(scenario: Scenario) -> None:
    with st.container(border=True, height=260, vertical_alignment="center"):
        st.markdown("**Here will be your production**", text_alignment="center")
        frame.note(
            f"Let a day pass, and the world's {scenario.events} go to your model over HTTP.", centred=True
        )


main()

"""Incidents: something goes wrong, and you notice it, end it, find out what it is, and write it down."""

from __future__ import annotations

import time

import streamlit as st

from pages.parts import frame, incident_figures, incident_room, incident_steps, rooms, time_bar, views
from pages.parts.incident_room import Facts
from pipelines.errors import FlightdeckError
from pipelines.production.incidents import solving
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace

TICK_S = 1.0
LOG_HEIGHT = 230


def main() -> None:
    workspace, room = frame.workspace(), frame.Room()
    scenario = room.choose_scenario()
    try:
        facts = incident_room.look(workspace, scenario)
    except FlightdeckError as error:
        room.say("Your workspace can't be read")
        frame.show_problem(error)
        return
    room.say(*incident_room.headline(facts))
    notice = st.container()
    if facts.clock is None:
        draw_empty(scenario)
        return
    time_bar.draw(workspace, scenario)
    if facts.just_closed is not None:
        incident_steps.draw_closed(workspace, facts)
    left, side = st.columns([13, 7], gap="medium")
    with left:
        if facts.rests:
            draw_evidence(facts)
        else:
            st.fragment(follow, run_every=TICK_S)(workspace, scenario)
    with side:
        draw_side(workspace, facts)
    if facts.closed and facts.case is None and facts.just_closed is None:
        incident_steps.draw_closed(workspace, facts)
    draw_bar(workspace, facts, notice)


def follow(workspace: Workspace, scenario: Scenario) -> None:
    """What can be seen, as days pass; once they have, the whole page is told anew."""
    with frame.problems_shown():
        facts = incident_room.look(workspace, scenario)
        if facts.rests:
            st.rerun()
        draw_evidence(facts)


def draw_evidence(facts: Facts) -> None:
    """The plot that answers the question that was asked, and the log."""
    asked = st.query_params.get("look", "requests")
    view = asked if asked in incident_figures.VIEWS else "requests"
    chosen = views.choose(incident_figures.VIEWS, view, label="What to look at")
    if chosen != view:
        st.query_params["look"] = chosen
        st.rerun()
    figure = incident_figures.draw(view, facts)
    if figure is None:
        with st.container(border=True, height=incident_figures.HEIGHT, vertical_alignment="center"):
            frame.note("Once days have passed, and labels have come, here is what they show.", centred=True)
    else:
        frame.show(figure, key=f"evidence:{view}")
    for message, number in incident_room.refusals(facts):
        frame.note(f"{number:,} were told: {message}")
    st.markdown("**What was seen and done**")
    with st.container(height=LOG_HEIGHT, border=False, gap="xsmall"):
        entries = incident_room.log(facts)
        if not entries:
            frame.note(f"Nothing in the last {incident_room.SHOWN_DAYS} days.")
        for entry in entries:
            st.markdown(f":small[:gray[Day {entry.day}] :material/{entry.icon}: {entry.words}]")


def draw_side(workspace: Workspace, facts: Facts) -> None:
    """The steps of a case; without one, what can be done."""
    if facts.case is None:
        st.markdown("**How it goes**")
        st.markdown(
            "1. **Notice**: watch the alerts, and declare.\n"
            "2. **Mitigate**: stop the harm first.\n"
            "3. **Diagnose**: write what you think, and what shows it; then name the cause.\n"
            "4. **Confirm**: three healthy days."
        )
        frame.note(
            "Scored are days until you notice (20), until it is ended (30), money (20), nothing done in vain "
            "(10) and the cause (20)."
        )
        with st.popover("Let a certain one begin", type="tertiary"):
            incident_steps.draw_inject(workspace, facts.scenario)
        return
    incident_steps.draw_mitigate(workspace, facts)
    incident_steps.draw_diagnose(workspace, facts, facts.case)
    incident_steps.draw_confirm(workspace, facts, facts.case)


def draw_bar(workspace: Workspace, facts: Facts, notice: st.delta_generator.DeltaGenerator) -> None:
    """The one thing to do next."""
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        if facts.case is not None:
            if st.button(
                "Confirm that it is over",
                type="primary",
                icon=":material/verified:",
                disabled=not facts.rests,
            ):
                with notice, frame.problems_shown():
                    solving.close(workspace, facts.scenario.name)
                    st.rerun()
            return
        if st.button("Declare an incident", type="primary", icon=":material/flag:", disabled=not facts.rests):
            with notice, frame.problems_shown():
                if solving.declare(workspace, facts.scenario.name) is None:
                    st.toast("A false alarm: nothing has gone wrong.", icon=":material/info:")
                st.rerun()
        if not facts.drilled and st.button(
            "Start a drill", icon=":material/casino:", disabled=not facts.rests
        ):
            with notice, frame.problems_shown():
                solving.drill(workspace, facts.scenario.name, int(time.time()))
                st.rerun()


def draw_empty(scenario: Scenario) -> None:
    with st.container(border=True, height=260, vertical_alignment="center"):
        st.markdown("**Here something will go wrong, and you will find out what**", text_alignment="center")
        frame.note("First let days pass: the room Production has the time bar.", centred=True)
    with st.bottom:
        if st.button("To Production", type="primary", icon=":material/arrow_forward:"):
            st.switch_page(rooms.file_of(rooms.PRODUCTION), query_params={"scenario": scenario.name})


main()

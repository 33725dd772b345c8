"""Deploy: who serves, since when and why; promote, roll back; ask the model yourself; trace an answer."""

import streamlit as st

from pages.parts import answers, ask, chain, frame, lanes, promote, shadow_view, trace, views
from pages.parts.words import plain
from pipelines.errors import FlightdeckError
from pipelines.production import clock as clocks
from pipelines.production import shadows
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace

VIEWS = {"stages": "Stages", "ask": "Ask it", trace.VIEW: "Trace an answer"}


def main() -> None:
    workspace, room = frame.workspace(), frame.Room()
    asked = st.query_params.get("view", "")
    view = asked if asked in VIEWS else "ask" if "prediction" in st.query_params else "stages"
    named = trace.asked() if view == trace.VIEW else ""
    scenario = room.choose_scenario(chain.scenario_of(workspace, named))
    if view == trace.VIEW:
        choose_view(view, scenario)
        draw_trace(workspace, room, scenario, named)
        return
    try:
        if view == "ask":
            found = answers.look(workspace, scenario, st.query_params.get("prediction", ""))
            room.say(*answers.headline(found))
        else:
            facts = lanes.gather(workspace, scenario)
            room.say(*lanes.headline(facts))
    except FlightdeckError as error:
        room.say("Your workspace can't be read")
        frame.show_problem(error)
        return
    choose_view(view, scenario)
    if view == "ask":
        ask.draw(workspace, scenario, found)
    else:
        draw_stages(workspace, facts)


def choose_view(view: str, scenario: Scenario) -> None:
    chosen = views.choose(VIEWS, view)
    if chosen != view:
        st.query_params.from_dict({"scenario": scenario.name, "view": chosen})
        st.rerun()


def draw_trace(workspace: Workspace, room: frame.Room, scenario: Scenario, named: str) -> None:
    """The chain behind one answer."""
    try:
        facts = chain.look(workspace, scenario, named)
        if trace.draw_bar(facts):
            with st.spinner("The model is loaded and asked again."):
                facts = chain.look(workspace, scenario, named, verify=True)
    except FlightdeckError as error:
        room.say("Your workspace can't be read")
        frame.show_problem(error)
        return
    room.say(*chain.headline(facts))
    trace.draw(facts)


def draw_stages(workspace: Workspace, facts: lanes.Facts) -> None:
    problem = promote.refused()
    if problem is not None:
        frame.show_problem(problem)
    promote.draw_lanes(workspace, facts)
    promote.draw_frozen(workspace, facts)
    draw_shadow(workspace, facts.scenario)
    left, right = st.columns([9, 11], gap="medium")
    with left:
        st.subheader("Promote a version", anchor=False)
        choice = promote.draw_form(facts)
        if facts.shelf.problem is not None:
            frame.note(
                ":orange[MLflow is not answering: nothing can be promoted now.] A rollback can be done."
            )
    with right:
        draw_history(facts)
    gateway = st.container(gap="xxsmall")
    if choice is not None:
        draw_command(facts, choice)
    promote.draw_freeze(workspace, facts)
    promote.draw_bar(workspace, facts, choice)
    # Asked last: a gateway that hangs does not keep the page from being used.
    well, words = lanes.gateway(workspace, facts)
    sign = ":material/check_circle:" if well else ":orange[:material/error:]"
    with gateway:
        st.markdown(f":small[**The gateway**] {sign} :small[{plain(words)}]")
        frame.note(lanes.latencies(workspace, facts.scenario))


def draw_shadow(workspace: Workspace, scenario: Scenario) -> None:
    """Where a shadow would decide otherwise, and what that would be worth."""
    with frame.problems_shown():
        world = clocks.read(workspace, scenario.name)
        found = shadows.compare(workspace, world) if world is not None else None
        if found is not None:
            frame.show(shadow_view.figure(scenario, found), key="shadow")
            frame.note(shadow_view.words(scenario, found))


def draw_history(facts: lanes.Facts) -> None:
    """What served when, from the ledger's own rows."""
    if not facts.stays:
        with st.container(border=True, height=250, vertical_alignment="center"):
            st.markdown("**Here will be what served when**", text_alignment="center")
            frame.note("One bar for each version that held a stage, with the reason.", centred=True)
        return
    frame.show(lanes.figure(facts), key="stays")
    with st.expander("The ledger, row by row"):
        rows = lanes.ledger(facts).map(plain)
        st.table(rows, border="horizontal", hide_index=True, alt="The promotion ledger")


def draw_command(facts: lanes.Facts, choice: promote.Choice) -> None:
    line = (
        f"python -m pipelines deploy {facts.scenario.name} --version {choice.version} --stage {choice.stage}"
    )
    line += f" --share {choice.share:g}" if choice.share is not None else ""
    st.code(line, language=None, wrap_lines=True)


main()

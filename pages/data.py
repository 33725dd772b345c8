"""Data: what came, whether it is fit, what was repaired, and which versions are kept."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.parts import data_facts, data_views, frame, rooms, runs
from pages.parts.data_facts import STEP_OF, Facts
from pages.parts.record import command, params_of
from pipelines.lifecycle import LIFECYCLE
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace

TICK_S = 1.0


def main() -> None:
    workspace, room = frame.workspace(), frame.Room()
    asked, problem = runs.asked_run(workspace)
    scenario = room.choose_scenario(asked.run.scenario if asked else None)
    facts = data_facts.look(workspace, scenario, asked)
    room.say(*data_facts.headline(facts))
    notice = st.container()
    if problem is not None:
        with notice:
            frame.show_problem(problem)
    view = data_views.choose_view(facts)
    # While a run goes on the view is drawn again each second; when a step ends, the whole page is.
    live = facts.state == "running"
    run_id = facts.record.run_id if facts.record else None
    panel = st.fragment(draw_view, run_every=TICK_S if live else None)
    panel(view, workspace, scenario, run_id, (facts.state, facts.step))
    draw_foot(workspace, scenario, facts, view)
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        draw_bar(workspace, scenario, facts, view, notice)


def draw_view(
    view: str, workspace: Workspace, scenario: Scenario, run_id: str | None, seen: tuple[str, str]
) -> None:
    with frame.problems_shown():
        facts = data_facts.look(workspace, scenario, runs.reread(workspace, run_id))
        if (facts.state, facts.step) != seen:
            st.rerun()
        data_views.draw(view, workspace, facts)


def draw_foot(workspace: Workspace, scenario: Scenario, facts: Facts, view: str) -> None:
    """Where else this run can be looked at: its command line, its notebook with the code, MLflow."""
    record = facts.record
    if record is None:
        return
    step = LIFECYCLE.step(STEP_OF[view])
    line = command(scenario.name, params_of(record), record.run.steps, record.run.seed, record.run.base)
    st.space("small")
    st.code(line, language=None, wrap_lines=True)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Notebook and code", icon=":material/menu_book:"):
            query = {"run": record.run_id, "step": step.name, "view": "notebook", "code": "true"}
            st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params=query)
        runs.draw_links(workspace, record, step)


def draw_bar(
    workspace: Workspace, scenario: Scenario, facts: Facts, view: str, notice: DeltaGenerator
) -> None:
    """The one thing to do next, and what it does."""
    if facts.state == "running" and facts.record is not None:
        if st.button("Watch the run", type="primary", icon=":material/arrow_forward:"):
            st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params={"run": facts.record.run_id})
        return
    if facts.state == "stopped" and view != "validate":
        if st.button("Look at the failing check", type="primary", icon=":material/arrow_forward:"):
            st.query_params["view"] = "validate"
            st.rerun()
        return
    day = data_facts.next_day(facts)
    label, act, words = {
        "empty": ("Collect the data", data_facts.collect, "Collects, checks, cleans and keeps a version."),
        "stopped": ("Collect again", data_facts.collect, "As if the source had been mended."),
        "failed": ("Collect again", data_facts.collect, "Starts from the source."),
        "begun": (
            "Run validation" if facts.step == "validate" else "Go on",
            data_facts.go_on,
            "Goes on where the last run ended.",
        ),
        "full": ("Take a new snapshot", data_facts.snapshot, f"Collects up to day {day} and keeps it."),
    }[facts.state]
    over = facts.state == "full" and data_facts.is_over(facts)
    chosen = act if st.button(label, type="primary", icon=":material/play_arrow:", disabled=over) else None
    if facts.state == "stopped" and st.button("Repair and go on", icon=":material/build:"):
        chosen = data_facts.repair_and_go_on
    st.markdown("This world has no later day." if over else words, width="content")
    if chosen is not None:
        with notice, frame.problems_shown():
            chosen(workspace, facts)
            st.query_params.from_dict({"scenario": scenario.name, "view": view})
            st.rerun()


main()

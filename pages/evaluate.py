"""Evaluate: is your model good enough to serve, and what does each threshold cost?"""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.parts import beside, frame, launch, model_card, money_curve, rooms, verdict
from pages.parts.models import Model
from pages.parts.record import params_of
from pages.parts.runs import reread
from pages.parts.words import plain
from pipelines.errors import FlightdeckError
from pipelines.lifecycle import LIFECYCLE
from pipelines.scenarios.scenario import Scenario
from pipelines.tasks import plots
from pipelines.workspace import Workspace

TICK_S = 1.0


def main() -> None:
    workspace, room = frame.workspace(), frame.Room()
    scenario = room.choose_scenario()
    try:
        facts = verdict.look(workspace, scenario, st.query_params.get("run", ""))
    except FlightdeckError as error:
        room.say("Your workspace can't be read")
        frame.show_problem(error)
        return
    room.say(*verdict.headline(facts))
    notice = st.container()
    if facts.working is not None:
        st.fragment(watch, run_every=TICK_S)(workspace, facts.working.run_id, facts.working.state.status)
    if facts.model is None:
        draw_empty(scenario)
    else:
        draw_model(workspace, scenario, facts, facts.model)
    draw_bar(workspace, facts, notice)


def watch(workspace: Workspace, run_id: str, status: str) -> None:
    """Draw the page anew once the run has changed its state."""
    record = reread(workspace, run_id)
    if record is None or record.state.status != status:
        st.rerun()
        return
    current = record.state.current
    what = LIFECYCLE.step(current.name).title if current is not None else "It waits for its turn"
    frame.note(f":material/hourglass_top: Another run goes on: {plain(what).lower()}.")


def draw_empty(scenario: Scenario) -> None:
    with st.container(border=True, height=300, vertical_alignment="center"):
        st.markdown("**Here will be the verdict on your model**", text_alignment="center")
        frame.note(
            f"How many of 100 alerts are {plain(scenario.positive)}, what they save, and on which "
            f"{plain(scenario.events)} it is weak.",
            centred=True,
        )


def draw_model(workspace: Workspace, scenario: Scenario, facts: verdict.Facts, model: Model) -> None:
    problem = verdict.problem_of(model)
    left, right = st.columns([7, 5], gap="medium")
    with left:
        if problem is not None:
            frame.show_problem(problem)
        elif model.report["money"] is None:
            frame.show(plots.cost(None), key="cost")
        else:
            st.fragment(money_curve.draw)(scenario, model)
    with right:
        model_card.draw_choice(facts.models, model)
        money_curve.draw_gate(model)
    if problem is None:
        left, right = st.columns(2, gap="medium")
        with left:
            draw_figure(plots.parts(model.report["slices"]), "parts")
        with right:
            draw_figure(plots.reliability(model.report["calibration"]), "reliability")
    beside.draw(workspace, scenario, model, [each for each in facts.models if each.run_id != model.run_id])
    st.space("small")
    model_card.draw_foot(workspace, model.record, "evaluate")


def draw_figure(figure: plots.Figure, key: str) -> None:
    frame.show(figure, key=key)
    frame.note(plain(figure.layout.meta["alt"]))


def draw_bar(workspace: Workspace, facts: verdict.Facts, notice: DeltaGenerator) -> None:
    following = verdict.next_step(facts)
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        if st.button(following.button, type="primary", icon=":material/arrow_forward:"):
            with notice, frame.problems_shown():
                if not following.steps:
                    st.switch_page(following.page, query_params=following.query or {})
                run = facts.newest.run if facts.newest else None
                base = run.run_id if run else None
                params, seed = params_of(facts.newest), run.seed if run else 1
                made = launch.start(workspace, facts.scenario, params, following.steps, seed=seed, base=base)
                st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params={"run": made.run_id})
        st.markdown(following.words, width="content")


main()

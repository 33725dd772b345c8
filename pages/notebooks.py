"""Notebooks: set a step's params, run its notebook, watch it cell by cell."""

from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.parts import form, frame, launch, runs
from pages.parts.following import Following
from pages.parts.notebook import PANEL_HEIGHT, draw_notebook
from pages.parts.record import Record, command, params_of
from pipelines.engines.local import choose_steps
from pipelines.errors import FlightdeckError
from pipelines.execution import queue
from pipelines.lifecycle import LIFECYCLE
from pipelines.scenarios.scenario import Scenario
from pipelines.step import Step
from pipelines.workspace import Workspace


def main() -> None:
    workspace, room = frame.workspace(), frame.Room()
    asked, problem = runs.asked_run(workspace)
    scenario = room.choose_scenario(asked.run.scenario if asked else None)
    record = asked or runs.newest_run(workspace, scenario)
    room.say(*runs.headline(workspace, scenario, record))
    notice = st.container()
    if problem is not None:
        with notice:
            frame.show_problem(problem)
    draw_panel(workspace, record)
    draw_foot(workspace, scenario, record)
    draw_bar(workspace, scenario, record, notice)


def draw_panel(workspace: Workspace, record: Record | None) -> None:
    """The steps, and the notebook or the params of one; of a run that goes on, as it goes."""
    step = runs.shown_step(record)
    live = Following(workspace, record, step) if record is not None and not record.state.finished else None
    left, right = st.columns([256, 692], gap="medium")
    with left:
        draw_steps = live.draw_steps if live else partial(runs.draw_steps, record, step)
        draw_steps()
    with right:
        title = live.draw_title if live else partial(runs.draw_title, record, step)
        if runs.choose_view(record, step, title) == "params":
            draw_params(record, step)
        elif live is not None:
            live.draw_notebook()
        else:
            draw_notebook(record, step)
    if live is not None:
        live.start()


def draw_params(record: Record | None, step: Step) -> None:
    base = params_of(record)
    seed = record.run.seed if record else 1
    origin = record.run_id if record else "new"
    with st.container(height=PANEL_HEIGHT, border=True, gap="xsmall"):
        try:
            values = form.edited(base)
        except FlightdeckError as error:
            frame.show_problem(error)
            st.button("Take back my changes", on_click=form.forget_edits)
            return
        form.draw_params(step, values[step.name], base[step.name], origin)
        if step.name == LIFECYCLE.names[0]:
            form.draw_seed(form.edited_seed(seed), seed, origin)


def draw_foot(workspace: Workspace, scenario: Scenario, record: Record | None) -> None:
    """Where else this run can be looked at: command line, MLflow, other runs."""
    if record is None:
        return
    base = record.run.base
    line = command(scenario.name, params_of(record), record.run.steps, record.run.seed, base)
    st.code(line, language=None, wrap_lines=True)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        runs.choose_run(workspace, scenario, record)
        runs.draw_links(workspace, record, runs.shown_step(record))
        runs.draw_file(record, runs.shown_step(record))


def draw_bar(workspace: Workspace, scenario: Scenario, record: Record | None, notice: DeltaGenerator) -> None:
    """What can be done now; what is refused is said above, in `notice`."""
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        if record is not None and not record.state.finished:
            if st.button("Cancel", type="primary", icon=":material/stop:"):
                with notice, frame.problems_shown():
                    queue.cancel(workspace, record.run_id)
                    st.rerun()
            return
        step = runs.shown_step(record)
        ready = runs.can_start_at(record, step)
        buttons = (
            ("Run all", None, None),
            ("Run from here", step.name, None),
            ("Run this step", None, step.name),
        )
        # What is offered first: a step on demand by itself, and after a failure to go on from where it was.
        leading = "Run this step" if step.on_demand else "Run all"
        if record is not None and ready and record.state.status == "failed" and not step.on_demand:
            leading = "Run from here"
        for label, first, only in sorted(buttons, key=lambda each: each[0] != leading):
            whole = first is None and only is None
            pressed = st.button(
                label,
                type="primary" if label == leading else "secondary",
                disabled=not (whole or ready),
                help=None if whole or ready else "The steps before it have not been run yet.",
            )
            if pressed:
                with notice, frame.problems_shown():
                    made = launch.start_edited(workspace, scenario, record, choose_steps(first, only))
                    st.query_params.from_dict({"run": made.run_id})
                    st.rerun()


main()

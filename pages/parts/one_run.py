"""One run as History shows it: its notebooks, its command line, and running it again with a change."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.parts import form, frame, launch, rooms, runs, runs_table
from pages.parts.notebook import draw_notebook
from pages.parts.record import Record, command, params_of
from pages.parts.words import distinct
from pipelines.engines.local import choose_steps
from pipelines.execution.catalogue import Entry
from pipelines.lifecycle import LIFECYCLE
from pipelines.scenarios import SCENARIOS
from pipelines.workspace import Workspace


def draw(workspace: Workspace, room: frame.Room, entries: Sequence[Entry], record: Record) -> None:
    scenario = SCENARIOS.get(record.run.scenario)
    entry = next(each for each in entries if each.run_id == record.run_id)
    title = f"version {entry.version}" if entry.version is not None else runs_table.state(entry)
    room.say(
        f"A run of {scenario.title.lower() if scenario else entry.scenario}: {title}", runs_table.facts(entry)
    )
    step = _draw_steps(record)
    draw_notebook(record, LIFECYCLE.step(step))
    base = record.run.base
    line = command(record.run.scenario, params_of(record), record.run.steps, record.run.seed, base)
    st.code(line, language=None, wrap_lines=True)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        runs.draw_links(workspace, record, LIFECYCLE.step(step))
        runs.draw_file(record, LIFECYCLE.step(step))
        others = [each for each in entries if each.run_id != entry.run_id and each.status != "damaged"]
        labels = distinct({each.run_id: runs_table.label(each) for each in others[:200]})
        other = st.selectbox("Compare with", list(labels), None, format_func=labels.get, width=360)
        if other:
            first, second = sorted((other, entry.run_id))
            st.query_params.from_dict({"a": first, "b": second})
            st.rerun()
    _draw_rerun(workspace, record)


def _draw_steps(record: Record) -> str:
    """Which step's notebook is shown, kept in the address."""
    names = [step.name for step in LIFECYCLE if record.notebook(step.name) is not None]
    names = names or list(record.run.steps)
    asked = st.query_params.get("step", "") or ("evaluate" if record.state.status == "completed" else "")
    shown = next(
        (name for name in (asked, runs.shown_step(record).name, names[0]) if name in names), names[0]
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        titles = {name: LIFECYCLE.step(name).title for name in names}
        chosen = st.selectbox(
            "Notebook",
            names,
            names.index(shown),
            format_func=titles.__getitem__,
            width=320,
            key=f"step:{shown}",
        )
        runs.draw_code_toggle()
    if chosen != shown:
        st.query_params["step"] = chosen
        st.rerun()
    return shown


def _draw_rerun(workspace: Workspace, record: Record) -> None:
    """Run it again with one param changed, at once; or take all its params to Notebooks."""
    scenario = SCENARIOS.get(record.run.scenario)
    if scenario is None or not record.state.finished:
        with st.bottom:
            draw_back()
        return
    base = params_of(record)
    names = [f"{step}.{param}" for step in record.run.steps for param in base[step]]
    st.subheader("Run it again with a change", anchor=False)
    with frame.problems_shown():
        left, right = st.columns(2, gap="medium")
        name = left.selectbox(
            "What to change",
            names,
            next((place for place, each in enumerate(names) if each.startswith("train.")), 0),
            format_func=lambda each: form.title_of(each.replace(".", ": ", 1)),
            key=f"change:{record.run_id}",
            on_change=form.forget_edits,
        )
        step, _, param = name.partition(".")
        with right:
            form.draw_param(
                LIFECYCLE.step(step), param, form.edited(base)[step][param], base[step][param], record.run_id
            )
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Run again with this change", type="primary", icon=":material/play_arrow:"):
            with frame.problems_shown():
                steps = choose_steps(first=step) if record.done(step) else record.run.steps
                steps = tuple(each for each in steps if each in record.run.steps or each == step)
                made = launch.start_edited(workspace, scenario, record, steps)
                st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params={"run": made.run_id})
        if st.button("All params, in Notebooks"):
            query = {"run": record.run_id, "step": step, "view": "params"} | form.edits()
            st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params=query)
        draw_back()


def draw_back() -> None:
    if st.button("All runs", icon=":material/arrow_back:"):
        st.query_params.clear()
        st.rerun()

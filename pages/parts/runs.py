"""The parts of Train that are about runs: which one is shown, its steps, its links."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from pages.parts import loop, views
from pages.parts.frame import note
from pages.parts.record import Record, newest_records, read_record
from pages.parts.words import clock, distinct, plain, seconds, several, spelt
from pipelines import tracking
from pipelines.errors import FlightdeckError, Unavailable
from pipelines.execution import queue
from pipelines.lifecycle import LIFECYCLE
from pipelines.scenarios.scenario import Scenario
from pipelines.services.programs import HEARTBEAT_FRESH_S
from pipelines.step import Step
from pipelines.workspace import Workspace

CODE_KEY = "code"
_TOGGLE = "code:toggle"  # A widget's own value is dropped as soon as no page shows it.
VIEWS = {"notebook": "Notebook", "params": "Params"}


def asked_run(workspace: Workspace) -> tuple[Record | None, FlightdeckError | None]:
    """The run that the address names, or why it can't be shown."""
    run_id = st.query_params.get("run", "")
    if not run_id:
        return None, None
    try:
        return read_record(workspace, run_id), None
    except FlightdeckError as error:
        return None, error


def newest_run(workspace: Workspace, scenario: Scenario) -> Record | None:
    """The newest run of the scenario."""
    records = newest_records(workspace, scenario.name)
    return records[0] if records else None


def reread(workspace: Workspace, run_id: str | None) -> Record | None:
    """The run as it is now."""
    if run_id is None:
        return None
    try:
        return read_record(workspace, run_id)
    except FlightdeckError:
        return None


def shown_step(record: Record | None) -> Step:
    """The step that the address names, else the one the run is at."""
    asked = st.query_params.get("step", "")
    if asked in LIFECYCLE.names:
        return LIFECYCLE.step(asked)
    current = record.state.current if record else None
    if current is not None:
        return LIFECYCLE.step(current.name)
    return LIFECYCLE.step(record.run.steps[0] if record else LIFECYCLE.names[0])


def can_start_at(record: Record | None, step: Step) -> bool:
    """Whether what `step` needs from others is there."""
    return all(record is not None and record.done(name) for name in LIFECYCLE.upstream(step.name))


def headline(workspace: Workspace, scenario: Scenario, record: Record | None) -> tuple[str, str]:
    """How the run stands, as a title and a sentence."""
    if record is None:
        return (
            f"Make your first model: {scenario.title.lower()}",
            f"{scenario.question} {spelt(len(LIFECYCLE.road)).capitalize()} notebooks lead from raw "
            f"{scenario.events} to a model that answers. "
            "Look at each, set its params, then run all.",
        )
    state = record.state
    if state.status == "queued":
        return "Your run is waiting", _waiting(workspace, record)
    if state.status == "running":
        sentence = "Each cell appears as it is executed. You can close the page: the run goes on."
        return "Your run is going on", sentence
    if state.status == "failed":
        at = LIFECYCLE.step(state.current.name).title.lower() if state.current else "its start"
        return (
            f"The run stopped at: {at}",
            "Nothing half-made was kept. Mend the cause, then run from this step.",
        )
    if state.status == "cancelled":
        return "The run was cancelled", "The steps it had completed are kept; you can run on from there."
    return _completed(record)


def _completed(record: Record) -> tuple[str, str]:
    took, count = seconds(record.seconds), several(len(record.run.steps), "step", "steps")
    report = record.report("evaluation") if record.done("evaluate") else None
    if report is not None and not report["gate"]["passed"]:
        return (
            "The gate stopped this model",
            "It was tested and is not good enough to serve. Evaluate says why.",
        )
    receipt = record.report("registration") if "register" in record.run.steps else None
    if receipt is not None:
        return (
            f"Version {receipt['version']} is made",
            f"{count} in {took}. All you see here is from this run.",
        )
    last = LIFECYCLE.step(record.run.steps[-1]).title
    return f"Done: {last.lower()}", f"{count} in {took}."


def _waiting(workspace: Workspace, record: Record) -> str:
    heartbeat = workspace.home.root / "worker.heartbeat"
    try:
        alive = time.time() - heartbeat.stat().st_mtime < HEARTBEAT_FRESH_S
    except OSError:
        alive = False
    if not alive:
        return (
            "No worker is running. The run is safe on disk and starts as soon as one is: "
            "start everything with `make run`."
        )
    before = queue.place(workspace, record.run_id)
    if not before:
        return "It is the next one."
    return f"{several(before, 'run is', 'runs are')} before it. It starts by itself."


def draw_steps(record: Record | None, shown: Step) -> None:
    """The list of steps with their state and seconds; a click shows that step."""
    chosen = loop.steps(nodes_of(record), shown.name, "Steps of the run", key="steps")
    if chosen and chosen != shown.name:
        st.query_params["step"] = chosen
        st.rerun()


def nodes_of(record: Record | None) -> list[loop.Node]:
    """All steps, those on demand apart, as the run has them."""
    return [replace(_node(record, step), apart=step.on_demand) for step in LIFECYCLE]


def _node(record: Record | None, step: Step) -> loop.Node:
    state = record.state.steps.get(step.name) if record else None
    if record is None:
        return loop.Node(step.name, step.title, "none", "")
    if state is None:
        taken = record.done(step.name)
        return loop.Node(step.name, step.title, "done" if taken else "none", "kept" if taken else "not run")
    if state.status == "running":
        took = time.time() - (state.started_at or time.time())
        return loop.Node(step.name, step.title, "running", f"{took:.0f} s")
    if step.name == "evaluate" and state.status == "completed" and record.gate is False:
        return loop.Node(step.name, step.title, "failed", "gate: no")
    if state.status in ("completed", "reused"):
        fact = "kept" if state.status == "reused" else seconds(state.seconds)
        return loop.Node(step.name, step.title, "done", fact)
    if state.status == "failed":
        return loop.Node(step.name, step.title, "failed", "failed")
    return loop.Node(step.name, step.title, "none", "cancelled" if state.status == "cancelled" else "")


def choose_view(record: Record | None, step: Step, draw_title: Callable[[], None]) -> str:
    """Notebook or params: as the address says, else params where there is nothing to read yet."""
    asked = st.query_params.get("view", "")
    begun = record is not None and (record.notebook(step.name) is not None or not record.state.finished)
    shown = asked if asked in VIEWS else ("notebook" if begun else "params")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(width="content"):
            draw_title()
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            if shown == "notebook":
                draw_code_toggle()
            chosen = views.choose(VIEWS, shown)
    if chosen != shown:
        st.query_params["view"] = chosen
        st.rerun()
    return shown


def draw_code_toggle() -> None:
    """Whether cells show their code: remembered from room to room, and by a copied address."""
    shown = bool(st.session_state.get(CODE_KEY, st.query_params.get(CODE_KEY) == "true"))
    st.session_state[CODE_KEY] = shown
    st.toggle("Code", shown, key=_TOGGLE, on_change=_keep_code)


def _keep_code() -> None:
    shown = st.session_state[CODE_KEY] = bool(st.session_state[_TOGGLE])
    if shown:
        st.query_params[CODE_KEY] = "true"
    else:
        st.query_params.pop(CODE_KEY, None)


def draw_title(record: Record | None, step: Step) -> None:
    """What the step is called, and at which of its cells it is."""
    st.subheader(title_of(record, step), anchor=False, width="content")


def title_of(record: Record | None, step: Step) -> str:
    state = record.state.steps.get(step.name) if record else None
    if state is None or state.status != "running" or not state.cells:
        return step.title
    return f"{step.title} :gray[cell {min(state.cells_done + 1, state.cells)} of {state.cells}]"


def choose_run(workspace: Workspace, scenario: Scenario, record: Record) -> None:
    """Any past run can be opened."""
    records = newest_records(workspace, scenario.name)
    labels = distinct({each.run_id: _label(each) for each in [*records, record]})
    chosen = st.selectbox(
        "Run",
        list(labels),
        list(labels).index(record.run_id),
        format_func=labels.__getitem__,
        key=f"run:{record.run_id}",
        width=320,
    )
    if chosen != record.run_id:
        st.query_params.from_dict({"run": chosen})
        st.rerun()


def _label(record: Record) -> str:
    steps = "all steps" if record.run.steps == LIFECYCLE.road else ", ".join(record.run.steps)
    return f"{clock(record.run.created_at)} {record.state.status}: {steps}"


def draw_file(record: Record, step: Step) -> None:
    """The executed notebook as a file, and where the one it was made from is worked on."""
    path = record.notebook(step.name)
    if path is None:
        return
    with st.popover("The file", icon=":material/description:"):
        st.download_button(
            "Download as executed",
            path.read_bytes,
            f"{step.name}-{record.run_id}.ipynb",
            "application/x-ipynb+json",
            icon=":material/download:",
            on_click="ignore",
        )
        note("Where it lies:")
        st.code(str(path), language=None, wrap_lines=True)
        note(f"To work on it by hand, run `make lab` and open `{step.notebook}`: it reads the newest run.")


def draw_links(workspace: Workspace, record: Record, step: Step) -> None:
    """The exact page in MLflow: of the step that is shown, else of the whole run."""
    known = record.mlflow_run(step.name)
    if known is None:
        return
    try:
        url = tracking.run_url(known, workspace.name)
    except Unavailable:
        note("MLflow is not answering. Start it with `make run`.", width="content")
    except FlightdeckError as error:
        note(plain(error.message), width="content")
    else:
        st.link_button("Open in MLflow", url, icon=":material/open_in_new:")

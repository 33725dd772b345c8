"""The notebook panel: one executed notebook, cell by cell, while it runs and afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.parts.cells import Cell, Output, read_cells
from pages.parts.frame import note, problems_shown, show, show_problem
from pages.parts.record import Record
from pages.parts.runs import CODE_KEY
from pages.parts.words import plain, seconds
from pipelines.errors import FlightdeckError
from pipelines.events import StepState
from pipelines.settings import NOTEBOOKS
from pipelines.step import Step

PANEL_HEIGHT = 520
CELL_GAP = 20
LEAST_SHOWN_S = 0.1


@dataclass(frozen=True)
class Standing:
    """How one cell stands: whether it waits or runs, what is said about its time, what it has printed."""

    waits: bool = False
    running: bool = False
    timing: str = ""
    printed: str = ""


def cells_of(record: Record | None, step: Step) -> tuple[Cell, ...]:
    """The cells of the step's notebook as executed, as far as it came; none before it is begun.

    Raises
    ------
    Damaged
        The notebook can't be read.
    """
    path = record.notebook(step.name) if record else None
    return read_cells(path) if path is not None else ()


def standing(record: Record | None, step: Step, cell: Cell) -> Standing:
    """How `cell` of the step's notebook stands in the run."""
    state = record.state.steps.get(step.name) if record else None
    live = state is not None and state.status == "running"
    done = live and cell.place in state.cell_seconds
    running = live and not done and state.cell == cell.place
    if live and not running and not done and not cell.started:
        return Standing(waits=True, timing=":gray[waits]")
    printed = state.printed.rstrip() if running and state.printed and not cell.outputs else ""
    began = record.cell_began if record and running else None
    return Standing(running=running, timing=_timing(state, cell, began), printed=printed)


def draw_notebook(
    record: Record | None,
    step: Step,
    draw: Callable[[Cell, int], None] | None = None,
    cells: tuple[Cell, ...] | None = None,
) -> None:
    """The notebook of one step in a frame of fixed height that follows the running cell.

    Parameters
    ----------
    draw : callable, optional
        Draws one cell, given with its number; else each is drawn here, once.
    cells : tuple of Cell, optional
        As they were read before; else they are read now.
    """
    state = record.state.steps.get(step.name) if record else None
    running = state is not None and state.status == "running"
    frame = st.container(height=PANEL_HEIGHT, border=True, autoscroll=running, gap=CELL_GAP, key="notebook")
    with frame, problems_shown():
        cells = cells_of(record, step) if cells is None else cells
        if not cells and (state is None or state.status != "failed"):
            _draw_preview(step)
            return
        _draw_failure(step, state)
        for number, cell in enumerate(cells):
            if draw is not None:
                draw(cell, number)
            else:
                draw_cell(cell, number, step, standing(record, step, cell))


def draw_cell(cell: Cell, number: int, step: Step, stands: Standing) -> None:
    """One cell: its purpose and its time, then its outputs."""
    with st.container(gap="xxsmall"):
        if not cell.source:
            _draw_words(cell, step)
            return
        if stands.waits:
            # One element instead of four: most cells of a page that follows a run wait.
            st.markdown(f"**{plain(cell.purpose)}** {stands.timing}")
            return
        _draw_head(cell, stands.timing)
        _draw_body(cell, number)
        if stands.printed:
            st.code(stands.printed, language=None)


def _draw_head(cell: Cell, timing: str) -> None:
    if not timing:
        st.markdown(f"**{plain(cell.purpose)}**")
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", gap="small", wrap=False):
        st.markdown(f"**{plain(cell.purpose)}**", width="stretch")
        st.markdown(timing, width="content")


def _draw_words(cell: Cell, step: Step) -> None:
    if cell.purpose and cell.purpose != step.title:
        st.markdown(f"**{plain(cell.purpose)}**")
    if cell.prose:
        st.markdown(cell.prose)


def _draw_body(cell: Cell, number: int) -> None:
    if cell.prose:
        st.markdown(cell.prose)
    failed = any(output.kind == "error" for output in cell.outputs)
    code = failed or bool(st.session_state.get(CODE_KEY))
    if cell.params and not code:
        note(" · ".join(f"{plain(name)} **{plain(value or '—')}**" for name, value in cell.params))
    if code:
        st.code(cell.source, language=None)
    for place, output in enumerate(cell.outputs):
        _draw_output(output, f"figure:{number}:{place}")


def _draw_output(output: Output, key: str) -> None:
    if output.kind == "figure":
        show(go.Figure(output.content, skip_invalid=True), key=key)
    elif output.kind == "table":
        found = output.content
        rows = [[plain(value) for value in row] for row in found.rows]
        columns = [plain(name.replace("_", " ")) for name in found.columns]
        st.table(pd.DataFrame(rows, columns=columns), border="horizontal", hide_index=True, alt="Table")
    elif output.kind == "words":
        st.markdown(output.content)
    elif output.kind == "text" and output.content:
        st.code(output.content, language=None)
    elif output.kind == "error":
        with st.expander("Traceback"):
            st.code(output.content, language=None)


def _draw_failure(step: Step, state: StepState | None) -> None:
    """Cause and remedy first; the failing cell is further down, with its traceback folded."""
    if state is None or state.status not in ("failed", "cancelled"):
        return
    if state.status == "cancelled":
        st.markdown(":gray[:material/cancel: Cancelled here. What the step had shown is kept.]")
        return
    hint = state.hint or "Change a param, then run from this step."
    show_problem(FlightdeckError(state.cause or f"{step.title} stopped.", hint), border=False)


def _draw_preview(step: Step) -> None:
    """What the step will do, from its notebook as it is written."""
    st.markdown(":gray[Not run here yet. This is what the notebook will do; its outputs appear as it runs.]")
    try:
        cells = read_cells(NOTEBOOKS / step.notebook)
    except FlightdeckError:
        return
    for number, cell in enumerate(cells):
        with st.container(gap="xxsmall"):
            if not cell.source:
                _draw_words(cell, step)
            else:
                _draw_head(cell, "")
                _draw_body(cell, number)


def _timing(state: StepState | None, cell: Cell, began: float | None) -> str:
    """How long the cell took, or has taken; which cell failed."""
    if began is not None:
        return f":blue[:material/hourglass_top: {max(0.0, time.time() - began):.0f} s]"
    if state is not None and state.status == "failed" and state.cell == cell.place:
        return ":red[:material/error: failed here]"
    took: Any = state.cell_seconds.get(cell.place) if state is not None else None
    return f":gray[{seconds(took)}]" if took is not None and took >= LEAST_SHOWN_S else ""

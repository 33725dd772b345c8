"""The notebook of a run that goes on, drawn cell by cell as it is executed."""

from __future__ import annotations

from collections.abc import Mapping

from pages.parts import notebook, runs
from pages.parts.cells import Cell
from pages.parts.pulse import Pulse
from pages.parts.record import Record, read_record
from pipelines.errors import FlightdeckError
from pipelines.step import Step
from pipelines.workspace import Workspace


class Following:
    """One run as a tab sees it: read again at every beat, drawn again where it has changed."""

    def __init__(self, workspace: Workspace, record: Record, step: Step) -> None:
        self._workspace, self._record, self._step = workspace, record, step
        self._cells: tuple[Cell, ...] | None = None  # while they can't be read
        self._status = record.state.status
        self._pulse = Pulse(self._look)

    def draw_steps(self) -> None:
        self._pulse.part("steps", lambda: runs.draw_steps(self._record, self._step))

    def draw_title(self) -> None:
        self._pulse.part("title", lambda: runs.draw_title(self._record, self._step))

    def draw_notebook(self) -> None:
        # The cells that were looked at: read again now there may be more, which no beat knows of yet.
        draw = self._draw_cell if self._cells is not None else None
        notebook.draw_notebook(self._record, self._step, draw, self._cells)

    def start(self) -> None:
        """Follow it from here on; called once everything is drawn."""
        self._pulse.start()

    def _draw_cell(self, _: Cell, number: int) -> None:
        self._pulse.part(_name(number), self._draw_newest, number)

    def _draw_newest(self, number: int) -> None:
        assert self._cells is not None  # a part is a cell that was read
        cell = self._cells[number]
        notebook.draw_cell(cell, number, self._step, notebook.standing(self._record, self._step, cell))

    def _look(self) -> Mapping[str, object] | None:
        """What each part has to show; None when another step runs now, or the run's status is another."""
        try:
            record = read_record(self._workspace, self._record.run_id)
            cells = notebook.cells_of(record, self._step)
        except FlightdeckError:
            return None
        self._record, self._cells = record, cells
        if record.state.status != self._status or runs.shown_step(record) is not self._step:
            return None
        found: dict[str, object] = {
            "steps": runs.nodes_of(record),
            "title": runs.title_of(record, self._step),
        }
        for number, cell in enumerate(cells):
            found[_name(number)] = (cell, notebook.standing(record, self._step, cell))
        return found


def _name(number: int) -> str:
    return f"cell:{number}"

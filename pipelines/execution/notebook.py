"""Execute one notebook with papermill, and tell each moment of it as it happens.

Comes in: a step, its params, the attempt's folder. Goes out: the executed notebook, saved after every
cell, and the events of the run. One process executes one notebook, never two: papermill changes the
working folder of its whole process.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from pipelines.errors import Damaged, FlightdeckError, StepFailed
from pipelines.execution import kernels
from pipelines.settings import NOTEBOOKS, REPOSITORY
from pipelines.step import Step

KERNEL_START_S = 60
_COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")

Tell = Callable[..., None]


class Narrator:
    """Tells cells as they start, print and end.

    Attributes
    ----------
    cells : int
        Number of code cells.
    current : int
        Index of the code cell that runs or ran last.
    """

    def __init__(self, step: str, cells: int, tell: Tell) -> None:
        self.cells = cells
        self.current = 0
        self._step = step
        self._tell = tell
        self._number = 0
        self._started = 0.0

    def cell_started(self, cell: Any, cell_index: int, **_: Any) -> None:
        if cell.cell_type == "code" and cell.source.strip():
            self._number += 1
            self.current, self._started = cell_index, time.monotonic()
            self._tell("cell_started", step=self._step, cell=cell_index, number=self._number)

    def cell_executed(self, cell_index: int, **_: Any) -> None:
        self._tell(
            "cell_finished",
            step=self._step,
            cell=cell_index,
            number=self._number,
            seconds=round(time.monotonic() - self._started, 3),
        )

    # papermill writes a running cell's output to this object as to a file.
    def write(self, text: str) -> None:
        self._tell("printed", step=self._step, cell=self.current, text=text)

    def flush(self) -> None:
        """Nothing is held back."""


def execute(
    step: Step,
    values: Mapping[str, Any],
    attempt: Path,
    tell: Tell,
    kernel: kernels.ForkedKernel | None = None,
) -> Path:
    """Execute the notebook of `step` in the folder `attempt`.

    Parameters
    ----------
    values : mapping
        The step's params, all of them, checked.
    tell : callable
        Takes a kind of event and its fields.
    kernel : ForkedKernel, optional
        The kernel to use; by default one is started the ordinary way.

    Returns
    -------
    Path
        The notebook as executed.

    Raises
    ------
    StepFailed
        A cell raised an error or the kernel died. The notebook is kept as far as it came.
    Damaged
        The notebook can't be read.
    """
    source = NOTEBOOKS / step.notebook
    executed = attempt / "notebook.ipynb"
    # One cell more than in the file: papermill puts the given params into a cell of their own.
    narrator = Narrator(step.name, count_code_cells(source) + (1 if values else 0), tell)
    tell("step_started", step=step.name, attempt=int(attempt.name.split("-")[1]), cells=narrator.cells)
    os.environ["PYTHONPATH"] = str(REPOSITORY)
    sockets = kernels.make_sockets_folder()
    try:
        papermill.execute_notebook(
            source,
            executed,
            parameters=dict(values),
            cwd=attempt,
            progress_bar=False,
            start_timeout=KERNEL_START_S,
            stdout_file=narrator,
            on_cell_start=narrator.cell_started,
            on_cell_executed=narrator.cell_executed,
            shutdown_kernel="immediate",
            **({"kernel_manager_class": kernels.manager_for(kernel, sockets)} if kernel else {}),
        )
    except PapermillExecutionError as error:
        raise _failure(step, narrator.current, error.ename, error.evalue) from error
    except DeadKernelError as error:
        raise StepFailed(
            step.name,
            narrator.current,
            "the kernel was ended from outside.",
            "Often memory ran out: run again, with fewer rows or trees.",
        ) from error
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    return executed


def count_code_cells(source: Path) -> int:
    """Number of code cells in the notebook at `source`.

    Raises
    ------
    Damaged
        It is not a notebook.
    """
    try:
        cells = nbformat.read(source, as_version=4).cells
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise Damaged(
            f"The notebook {source.name} can't be read: {str(error).splitlines()[0]}",
            f"Restore it: git checkout notebooks/{source.name}",
        ) from error
    return sum(1 for cell in cells if cell.cell_type == "code" and cell.source.strip())


def _failure(step: Step, cell: int, name: str, text: str) -> StepFailed:
    """The failing cell's error; one of ours already says what to do."""
    plain = _COLOUR_CODES.sub("", text).strip()
    ours = {error.__name__ for error in FlightdeckError.__subclasses__()}
    if name in ours:
        return StepFailed(step.name, cell, plain)
    first = plain.splitlines()[0] if plain else ""
    return StepFailed(
        step.name,
        cell,
        f"{name}: {first}",
        "Read the failing cell and its traceback; change a param, or the notebook, and run from this step.",
    )

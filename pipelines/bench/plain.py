"""One plain script: the code of the steps' notebooks, one after another, in one process.

    python -m pipelines.bench.plain DIR

does for the run in DIR the same work as its steps do: the same cells, the same artifacts, the same
calls to MLflow, with no kernel, no queue and no saved notebook. Prints the seconds spent in cells.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from pathlib import Path

import nbformat

from pipelines import tracking
from pipelines.lifecycle import LIFECYCLE
from pipelines.run import read_params, read_run
from pipelines.settings import NOTEBOOKS
from pipelines.step import Step


def main(root: Path) -> float:
    """Do every step of the run in `root`; returns the seconds spent in cells."""
    run, params, spent = read_run(root), read_params(root), 0.0
    for step in map(LIFECYCLE.step, LIFECYCLE.road):
        attempt = root / "steps" / step.name / "attempt-1"
        attempt.mkdir(parents=True)
        mlflow_run = tracking.open_step(run, step.name, params[step.name], 1)
        (attempt / "mlflow_run").write_text(mlflow_run)
        os.chdir(attempt)
        began = time.perf_counter()
        _execute(step, params[step.name])
        spent += time.perf_counter() - began
        tracking.close_run(mlflow_run, "completed")
        for artifact in step.outputs:
            (root / artifact.path).parent.mkdir(parents=True, exist_ok=True)
            (attempt / artifact.path).rename(root / artifact.path)
    tracking.finish_run(run, "completed")
    return spent


def _execute(step: Step, values: dict[str, object]) -> None:
    names: dict[str, object] = {"display": lambda *_: None}
    for cell in nbformat.read(NOTEBOOKS / step.notebook, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        with contextlib.redirect_stdout(io.StringIO()):
            exec(cell.source, names)
        if "parameters" in cell.metadata.get("tags", []):
            names |= values


if __name__ == "__main__":
    sys.stdout.write(f"{main(Path(sys.argv[1]))}\n")

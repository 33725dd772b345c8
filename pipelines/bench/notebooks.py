"""Bench: one notebook that imports pandas, scikit-learn, MLflow and Plotly, start to saved.

Ours is a runner and a kernel forked from the nursery, fresh processes each time. The peer is the
papermill command. The floor is the same cells run by a plain process that has everything imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat

from pipelines.execution.launch import launcher
from pipelines.settings import REPOSITORY

CELLS = (
    "rows = 500  # Rows of the example.",
    "import mlflow\nimport pandas as pd\nimport plotly.graph_objects as go\n"
    "from sklearn.datasets import make_classification\nfrom sklearn.linear_model import LogisticRegression",
    "X, y = make_classification(rows, 8, random_state=1)\nframe = pd.DataFrame(X)",
    "model = LogisticRegression().fit(frame, y)\nscores = model.predict_proba(frame)[:, 1]",
    "signature = mlflow.models.infer_signature(frame, scores)\nfigure = go.Figure(go.Histogram(x=scores))",
    "print(len(figure.to_json()), len(signature.inputs.inputs), round(float(scores.sum()), 6))",
)
ROWS = 2000


def measure(rounds: int) -> dict[str, Any]:
    """Medians over `rounds` of each side, after one unmeasured round."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "example.ipynb"
        write_example(source)
        ours, ours_said = asyncio.run(_time_ours(source, folder, rounds))
        peer, peer_said = _time_papermill(source, folder, rounds)
        floor, floor_said = _time_plain(rounds)
    equal = ours_said == peer_said == floor_said
    row = {"what": "one notebook, whole", "ours": ours, "peer": peer, "floor": floor}
    return {
        "rows": [row | {"unit": "s", "equal": equal}],
        "ratio_to_peer": peer / ours,
        "ratio_to_floor": ours / floor,
    }


async def _time_ours(source: Path, folder: Path, rounds: int) -> tuple[float, str]:
    runners, seconds, said = launcher(), [], ""
    runners.start()
    try:
        for number in range(rounds + 1):
            attempt = folder / f"attempt-{number + 1}"
            attempt.mkdir()
            request = {"task": "notebook", "root": str(attempt), "source": str(source), "rows": str(ROWS)}
            began = time.perf_counter()
            await runners.run(request)
            seconds.append(time.perf_counter() - began)
            said = _last_output(attempt / "notebook.ipynb")
    finally:
        runners.stop()
    return statistics.median(seconds[1:]), said


def _time_papermill(source: Path, folder: Path, rounds: int) -> tuple[float, str]:
    seconds = []
    executed = folder / "peer.ipynb"
    command = [sys.executable, "-m", "papermill", str(source), str(executed), "-p", "rows", str(ROWS)]
    for _ in range(rounds + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=REPOSITORY)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:]), _last_output(executed)


def _time_plain(rounds: int) -> tuple[float, str]:
    seconds, said = [], io.StringIO()
    for _ in range(rounds + 1):
        said = io.StringIO()
        names: dict[str, Any] = {}
        began = time.perf_counter()
        with contextlib.redirect_stdout(said):
            for cell in (*CELLS[:1], f"rows = {ROWS}", *CELLS[1:]):
                exec(cell, names)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:]), said.getvalue()


def write_example(path: Path) -> None:
    """Write the notebook that is measured."""
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    cells[0].metadata.tags = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


def _last_output(executed: Path) -> str:
    return str(nbformat.read(executed, as_version=4).cells[-1].outputs[0].text)

"""Bench: the whole lifecycle of the fraud world, with tracking, against one plain script.

The plain script runs the same cells, writes the same artifacts and makes the same MLflow calls in one
process. The floor is the time that script spends inside cells, its imports already paid.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

from pipelines import services
from pipelines.artifacts import digest
from pipelines.engines import local
from pipelines.errors import Unavailable
from pipelines.execution.history import summarise
from pipelines.lifecycle import LIFECYCLE
from pipelines.run import create_run
from pipelines.settings import REPOSITORY, settings
from pipelines.workspace import Workspace, open_home, open_workspace

SCENARIO = "fraud"
POLL_S = 0.02


def measure(rounds: int) -> dict[str, Any]:
    """Medians over `rounds` of each side, in workspaces of their own, after one unmeasured round.

    Raises
    ------
    Unavailable
        A run on either side failed.
    """
    ours, peer, floor, steps, equal = [], [], [], [], True
    with services.ensure(settings(), needed=("mlflow", "worker")):
        home = open_home()
        for _ in range(rounds + 1):
            # A workspace each, so that no side registers on top of the other's versions.
            left, right = (open_workspace(f"bench-{side}", home) for side in ("ours", "plain"))
            run_id, seconds = _time_ours(left)
            ours.append(seconds)
            steps.append([step["seconds"] for step in summarise(left, run_id)["steps"]])
            plain_id, seconds, inside = _time_plain(right)
            peer.append(seconds)
            floor.append(inside)
            equal = equal and _digests(left, run_id) == _digests(right, plain_id)
    rows = [_row("whole lifecycle", ours, peer, floor, equal)]
    rows += [
        _row(f"step {name}, runner's own time", [each[number] for each in steps], None, None, None)
        for number, name in enumerate(LIFECYCLE.road)
    ]
    whole = rows[0]
    return {
        "rows": rows,
        "ratio_to_peer": whole["peer"] / whole["ours"],
        "ratio_to_floor": whole["ours"] / whole["floor"],
    }


def _time_ours(workspace: Workspace) -> tuple[str, float]:
    began = time.perf_counter()
    run = local.submit(workspace, SCENARIO)
    state = local.follow(workspace, run.run_id, lambda _: None, POLL_S)
    if state.status != "completed":
        raise Unavailable(f"Run {run.run_id} is {state.status}: {state.cause}", state.hint)
    return run.run_id, time.perf_counter() - began


def _time_plain(workspace: Workspace) -> tuple[str, float, float]:
    run = create_run(workspace, SCENARIO)
    folder = workspace.run_folder(run.run_id)
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.bench.plain", str(folder)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise Unavailable(
            f"The plain script failed: {done.stderr[-400:]}", "Run the lifecycle once and look."
        )
    return run.run_id, seconds, float(done.stdout)


def _digests(workspace: Workspace, run_id: str) -> dict[str, str]:
    folder = workspace.run_folder(run_id)
    return {
        artifact.name: digest(artifact, folder / artifact.path)
        for step in LIFECYCLE
        if not step.on_demand
        for artifact in step.outputs
    }


def _row(
    what: str, ours: list[float], peer: list[float] | None, floor: list[float] | None, equal: bool | None
) -> dict[str, Any]:
    middle = {
        side: statistics.median(values[1:]) if values else None
        for side, values in (("ours", ours), ("peer", peer), ("floor", floor))
    }
    return {"what": what} | middle | {"unit": "s", "equal": equal}

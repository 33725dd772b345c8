"""Kill -9 at seeded random moments of a run, again and again: every run still ends well."""

from __future__ import annotations

import random
import time

import pytest
from real_worker import Worker, wait_for

from pipelines.artifacts import digest
from pipelines.execution import queue
from pipelines.lifecycle import LIFECYCLE
from pipelines.registry import versions
from pipelines.workspace import Workspace

pytestmark = pytest.mark.deep

SEEDS = range(4)
LATEST_KILL_S = 8.0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_worker_killed_at_any_moment_loses_nothing(worker: Worker, workspace: Workspace, seed: int) -> None:
    # given a run, and a moment of it
    run = queue.submit(workspace, "biopsies", {"ingest": {"size": "small"}})
    time.sleep(random.Random(seed).uniform(0, LATEST_KILL_S))
    # when the worker is killed there and another starts
    worker.kill()
    worker.start()
    # then the run ends well, every output is whole, and it made one version
    assert wait_for(workspace, run.run_id, lambda state: state.finished).status == "completed"
    folder = workspace.run_folder(run.run_id)
    for step in map(LIFECYCLE.step, LIFECYCLE.road):
        for artifact in step.outputs:
            assert digest(artifact, folder / artifact.path)
    assert len(versions(workspace.name, "biopsies")) == 1

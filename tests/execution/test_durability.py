"""Runs end well whatever is killed in between; what was completed stays, whole and once."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import psutil
import pytest
from real_worker import Worker, wait_for, wait_gone

from pipelines import events
from pipelines.artifacts import digest
from pipelines.errors import Refused
from pipelines.execution import queue
from pipelines.execution.history import list_runs, summarise
from pipelines.lifecycle import LIFECYCLE
from pipelines.registry import versions
from pipelines.run import new_run_id
from pipelines.workspace import Workspace, open_workspace

pytestmark = pytest.mark.road

SMALL = {"ingest": {"size": "small"}}
# Training takes a second or two: long enough to be killed in, on a busy machine too.
SLOW = SMALL | {"train": {"model": "forest", "trees": 500}}


def assert_whole(workspace: Workspace, run_id: str) -> None:
    """Every output is in place, readable, and what its step said it wrote; nothing else is left."""
    folder = workspace.run_folder(run_id)
    for step in map(LIFECYCLE.step, LIFECYCLE.road):
        done = json.loads((folder / "steps" / step.name / "done.json").read_text())
        for artifact in step.outputs:
            assert digest(artifact, folder / artifact.path) == done["outputs"][artifact.name]
    names = {path.name for path in folder.iterdir()}
    assert names <= {
        "run.json",
        "params.json",
        "events.jsonl",
        "steps",
        *(Path(artifact.path).parts[0] for step in LIFECYCLE for artifact in step.outputs),
    }


def test_a_run_goes_the_whole_road(worker: Worker, workspace: Workspace) -> None:
    run = queue.submit(workspace, "fraud", SMALL)
    state = wait_for(workspace, run.run_id, lambda state: state.finished)
    assert (state.status, state.cause) == ("completed", "")
    assert_whole(workspace, run.run_id)
    summary = summarise(workspace, run.run_id)
    assert 0.5 < summary["metrics"]["auc"] <= 1
    assert summary["model"] == {"name": "fraud", "version": 1, "alias": "champion"}
    assert all(Path(step["notebook"]).is_file() for step in summary["steps"])
    assert list_runs(workspace)[0]["status"] == "completed"


def test_killing_the_worker_in_the_middle_resumes_at_the_interrupted_step(
    worker: Worker, workspace: Workspace
) -> None:
    # given a run in its training step
    run = queue.submit(workspace, "biopsies", SMALL)
    wait_for(workspace, run.run_id, lambda state: state.steps["train"].cells_done >= 1)
    # when the worker is killed, its runner and kernel go with it
    family = worker.kill()
    assert wait_gone(family) == []
    before = events.read_state(workspace.run_folder(run.run_id), run.steps)
    # then the next worker executes train again, and nothing before it
    worker.start()
    state = wait_for(workspace, run.run_id, lambda state: state.finished)
    assert state.status == "completed"
    assert state.steps["train"].attempt == 2
    assert {state.steps[name].attempt for name in ("ingest", "features", "evaluate", "register")} == {1}
    assert before.steps["features"].status == "completed"
    assert_whole(workspace, run.run_id)
    assert [version.number for version in versions(workspace.name, "biopsies")] == [1]


def test_killing_everything_at_once_loses_no_run(worker: Worker, workspace: Workspace) -> None:
    run_ids = [queue.submit(workspace, "biopsies", SMALL, seed=seed).run_id for seed in (1, 2)]
    wait_for(workspace, run_ids[0], lambda state: state.steps["features"].status != "waiting")
    for process in worker.family():
        process.kill()
    assert worker.process is not None
    worker.process.wait()
    worker.start()
    for run_id in run_ids:
        assert wait_for(workspace, run_id, lambda state: state.finished).status == "completed"
        assert_whole(workspace, run_id)


def test_a_killed_kernel_fails_the_run_with_its_cause(worker: Worker, workspace: Workspace) -> None:
    run = queue.submit(workspace, "biopsies", SLOW)
    wait_for(workspace, run.run_id, lambda state: state.steps["train"].cells_done >= 1)
    runner = next(p for p in psutil.Process(worker.family()[1].pid).children() if p.children())
    runner.children()[0].kill()
    state = wait_for(workspace, run.run_id, lambda state: state.finished)
    assert state.status == "failed"
    assert "ended from outside" in state.cause
    assert "memory" in state.hint
    # and retrying starts at the failed step
    again = queue.retry(workspace, run.run_id)
    assert again.steps[0] == "train"
    assert wait_for(workspace, again.run_id, lambda state: state.finished).status == "completed"


def test_a_killed_runner_fails_the_run_with_its_cause(worker: Worker, workspace: Workspace) -> None:
    run = queue.submit(workspace, "biopsies", SLOW)
    wait_for(workspace, run.run_id, lambda state: state.steps["train"].cells_done >= 1)
    runner = next(p for p in psutil.Process(worker.family()[1].pid).children() if p.children())
    family = [runner, *runner.children()]
    runner.kill()
    state = wait_for(workspace, run.run_id, lambda state: state.finished)
    assert (state.status, state.cause) == ("failed", "the process of this step was killed from outside.")
    assert wait_gone(family) == []


def test_cancel_ends_a_running_notebook_at_once_and_keeps_it(worker: Worker, workspace: Workspace) -> None:
    run = queue.submit(workspace, "biopsies", SLOW)
    wait_for(workspace, run.run_id, lambda state: state.steps["train"].cells_done >= 1)
    runners = psutil.Process(worker.family()[1].pid).children(recursive=True)
    queue.cancel(workspace, run.run_id)
    state = wait_for(workspace, run.run_id, lambda state: state.finished, seconds=5)
    assert state.status == "cancelled"
    assert state.steps["train"].status == "cancelled"
    assert wait_gone(runners, 2) == []
    half = workspace.run_folder(run.run_id) / "steps" / "train" / "attempt-1" / "notebook.ipynb"
    assert half.is_file()
    assert (workspace.run_folder(run.run_id) / "data" / "features.parquet").is_file()
    with pytest.raises(Refused, match="cancelled already"):
        queue.cancel(workspace, run.run_id)


def test_a_waiting_run_can_be_cancelled_and_never_starts(worker: Worker, workspace: Workspace) -> None:
    running = [queue.submit(workspace, "biopsies", SMALL, seed=seed).run_id for seed in range(queue.AT_ONCE)]
    waiting = queue.submit(workspace, "biopsies", SMALL, seed=99).run_id
    queue.cancel(workspace, waiting)
    assert wait_for(workspace, waiting, lambda state: state.finished, seconds=5).status == "cancelled"
    for run_id in running:
        queue.cancel(workspace, run_id)
        wait_for(workspace, run_id, lambda state: state.finished, seconds=10)
    assert "step_started" not in [event["kind"] for event in events.read(workspace.run_folder(waiting))]


def test_a_double_click_is_one_run(worker: Worker, workspace: Workspace) -> None:
    run_id = new_run_id()
    for _ in range(3):
        queue.submit(workspace, "biopsies", SMALL, steps=["ingest"], run_id=run_id)
    wait_for(workspace, run_id, lambda state: state.finished)
    kinds = [event["kind"] for event in events.read(workspace.run_folder(run_id))]
    assert kinds.count("run_queued") == kinds.count("run_started") == kinds.count("run_finished") == 1


def test_a_run_accepted_while_no_worker_lives_is_executed_by_the_next(
    worker: Worker, workspace: Workspace
) -> None:
    worker.kill()
    run = queue.submit(workspace, "biopsies", SMALL, steps=["ingest"])
    assert queue.place(workspace, run.run_id) is not None
    worker.start()
    assert wait_for(workspace, run.run_id, lambda state: state.finished).status == "completed"


def test_a_run_the_queue_never_heard_of_is_taken_up(worker: Worker, workspace: Workspace) -> None:
    # given a run whose folder is there, but whose place in the queue was never written
    worker.kill()
    run = queue.submit(workspace, "biopsies", SMALL, steps=["ingest"])
    with sqlite3.connect(workspace.home.queue_db) as connection:
        connection.execute("DELETE FROM workflow_status WHERE workflow_uuid = ?", [run.run_id])
    # when a worker starts
    worker.start()
    # then it is executed
    assert wait_for(workspace, run.run_id, lambda state: state.finished).status == "completed"


def test_first_runs_of_all_come_before_anyones_second(worker: Worker, workspace: Workspace) -> None:
    worker.kill()
    other = open_workspace(workspace.name + "b", workspace.home)
    mine = [queue.submit(workspace, "biopsies", SMALL, steps=["ingest"]).run_id for _ in range(2)]
    theirs = queue.submit(other, "biopsies", SMALL, steps=["ingest"]).run_id
    places = [queue.place(workspace, mine[0]), queue.place(other, theirs), queue.place(workspace, mine[1])]
    assert places == sorted(places, key=lambda place: -1 if place is None else place)
    assert len(set(places)) == 3
    worker.start()
    for owner, run_id in ((workspace, mine[0]), (workspace, mine[1]), (other, theirs)):
        wait_for(owner, run_id, lambda state: state.finished)


def test_a_second_worker_is_refused(worker: Worker, workspace: Workspace) -> None:
    run = queue.submit(workspace, "biopsies", SMALL, steps=["ingest"])
    wait_for(workspace, run.run_id, lambda state: state.finished)
    with pytest.raises(Refused, match="Another worker"):
        queue.serve(workspace.home)


def test_no_kernel_socket_is_left_behind(worker: Worker, workspace: Workspace) -> None:
    run = queue.submit(workspace, "biopsies", SMALL, steps=["ingest"])
    wait_for(workspace, run.run_id, lambda state: state.finished)
    nursery = worker.family()[1].pid
    deadline = time.monotonic() + 5
    while psutil.Process(nursery).children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert psutil.Process(nursery).children() == []
    os.kill(nursery, signal.SIGKILL)
    # a nursery that died is started again by the next run
    again = queue.submit(workspace, "biopsies", SMALL, steps=["ingest"], seed=2)
    assert wait_for(workspace, again.run_id, lambda state: state.finished).status == "completed"


def test_a_damaged_run_stops_nobody_elses(worker: Worker, workspace: Workspace) -> None:
    # given a folder whose run.json was cut short
    broken = workspace.run_folder(queue.submit(workspace, "biopsies", SMALL, steps=["ingest"]).run_id)
    wait_for(workspace, broken.name, lambda state: state.finished)
    (broken / "run.json").write_text('{"run_id": ')
    # when the worker starts again and another run is accepted
    worker.kill()
    worker.start()
    run = queue.submit(workspace, "biopsies", SMALL, steps=["ingest"])
    # then that one is executed
    assert wait_for(workspace, run.run_id, lambda state: state.finished).status == "completed"

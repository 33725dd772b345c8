"""The durable queue: a run that was accepted is executed, whatever dies in between.

Comes in: a run's folder and its place in line. Goes out: every step executed once, in order. A run is a
workflow with the run's id, each step a step in it, kept in SQLite by DBOS: a worker killed in the middle
resumes at the interrupted step when it is started again.

    python -m pipelines.execution.queue     is the worker
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from pipelines import events
from pipelines.errors import BadInput, Damaged, Refused
from pipelines.execution import catalogue
from pipelines.execution.kernels import sweep_sockets_folders
from pipelines.execution.launch import launcher
from pipelines.ingestion import check_day
from pipelines.lifecycle import LIFECYCLE, Ingest
from pipelines.run import Run, create_run, read_params, read_run
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import read_happened
from pipelines.workspace import Home, Workspace, connect, open_home

if TYPE_CHECKING:
    from dbos import DBOSClient

log = logging.getLogger(__name__)

QUEUE = "runs"
WORKFLOW = "run"
# Fixed: an automatic version would strand running workflows whenever a comment in the code changes.
VERSION = "1"
EXECUTOR = "worker-1"
POLL_S = 0.1
# First runs of all come before anyone's second: a learner's each outstanding run adds one.
FIRST_PRIORITY = 100
AT_ONCE = max(1, os.cpu_count() or 1)
CANCEL_POLL_S = 0.1
HEARTBEAT_S = 1.0


def submit(
    workspace: Workspace,
    scenario: str,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    seed: int = 1,
    steps: Sequence[str] | None = None,
    base: str | None = None,
    run_id: str | None = None,
) -> Run:
    """Accept a run: when this returns it is on disk and will be executed.

    Parameters are those of `create_run`; the same `run_id` twice is one run.

    Raises
    ------
    BadInput
        As `create_run`, or there is no such scenario or episode, or its world does not last until the day
        asked for.
    """
    chosen = LIFECYCLE.check(params or {})["ingest"]
    assert isinstance(chosen, Ingest)
    check_day(find_scenario(scenario), chosen.size, chosen.until_day)
    read_happened(find_scenario(scenario), chosen.episodes)
    run = create_run(workspace, scenario, params, seed=seed, steps=steps, base=base, run_id=run_id)
    folder = workspace.run_folder(run.run_id)
    if not events.read(folder):
        events.append(folder, "run_queued")
    if _tables_exist(workspace.home):
        _enqueue(_client(str(workspace.home.queue_db)), workspace, run)
    # Else no worker has ever started here: the first one will find the run's folder and take it up.
    return run


def cancel(workspace: Workspace, run_id: str) -> None:
    """End a run, waiting or executing; what it has completed is kept.

    Raises
    ------
    Missing
        There is no such run.
    Refused
        It has ended already.
    """
    folder = workspace.run_folder(run_id)
    state = events.read_state(folder, read_run(folder).steps)
    if state.finished:
        raise Refused(f"Run '{run_id}' is {state.status} already.", "Start a new run to run it again.")
    (folder / "cancel").touch()
    if state.status == "queued":
        if _tables_exist(workspace.home):
            _client(str(workspace.home.queue_db)).cancel_workflow(run_id)
        events.append(folder, "run_finished", status="cancelled")


def retry(workspace: Workspace, run_id: str, from_step: str | None = None) -> Run:
    """Run again with the same params: from the first step that is not done, or from `from_step`.

    Raises
    ------
    Missing, BadInput
        There is no such run or step.
    Refused
        The run has not ended, or a step before `from_step` was never completed.
    """
    folder = workspace.run_folder(run_id)
    run = read_run(folder)
    state = events.read_state(folder, run.steps)
    if not state.finished:
        raise Refused(
            f"Run '{run_id}' has not ended.", f"Cancel it first: python -m pipelines cancel {run_id}"
        )
    if from_step is not None and from_step not in run.steps:
        raise BadInput(f"Run '{run_id}' has no step '{from_step}'.", f"It has: {', '.join(run.steps)}.")
    ended = [name for name in run.steps if state.steps[name].status in ("completed", "reused")]
    first = from_step or next((name for name in run.steps if name not in ended), run.steps[0])
    steps = run.steps[run.steps.index(first) :]
    params = read_params(folder)
    return submit(workspace, run.scenario, params, seed=run.seed, steps=steps, base=run_id)


def place(workspace: Workspace, run_id: str) -> int | None:
    """How many runs are before this one in the queue; None when it is not waiting."""
    if not _tables_exist(workspace.home):
        return None
    waiting = _client(str(workspace.home.queue_db)).list_queued_workflows(
        queue_name=QUEUE, status="ENQUEUED", load_input=False, load_output=False
    )
    order = sorted(waiting, key=lambda each: (each.priority or 0, each.created_at or 0))
    ids = [each.workflow_id for each in order]
    return ids.index(run_id) if run_id in ids else None


def serve(home: Home) -> None:
    """Be the worker of this home until SIGTERM or SIGINT.

    Raises
    ------
    Refused
        Another worker serves this home: two would execute one run twice.
    """
    try:
        with FileLock(home.root / "worker.lock", timeout=0):
            _serve_alone(home)
    except Timeout as error:
        raise Refused(f"Another worker is serving {home.root}.", "End that one first.") from error


def _serve_alone(home: Home) -> None:
    from dbos import DBOS

    _teach_old_sqlite()
    with connect(home.queue_db):
        pass  # DBOS does not set WAL itself; once set, the file keeps it
    sweep_sockets_folders()
    runners = launcher()
    runners.start()
    DBOS(
        config={
            "name": "flightdeck",
            "system_database_url": _url(home.queue_db),
            "application_version": VERSION,
            "executor_id": EXECUTOR,
            "log_level": "WARNING",
            "notification_listener_polling_interval_sec": POLL_S,
        }
    )

    @DBOS.step(name="execute_step")
    async def execute_step(workspace_name: str, run_id: str, step: str) -> str:
        folder = Workspace(home, workspace_name).run_folder(run_id)
        return await _execute(runners, folder, step)

    @DBOS.step(name="finish")
    async def finish(workspace_name: str, run_id: str, status: str) -> None:
        folder = Workspace(home, workspace_name).run_folder(run_id)
        await runners.run({"task": "close", "root": str(folder), "status": status})
        events.append(folder, "run_finished", status=status)

    @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=1000)
    async def execute_run(workspace_name: str, run_id: str, steps: list[str]) -> str:
        status = "completed"
        for step in steps:
            status = await execute_step(workspace_name, run_id, step)
            if status != "completed":
                break
        await finish(workspace_name, run_id, status)
        return status

    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=AT_ONCE, polling_interval_sec=POLL_S)
    _adopt(home)
    try:
        _wait_for_signal(home.root / "worker.heartbeat")
    finally:
        runners.stop()
        os._exit(0)  # runs in progress stay pending in the queue: the next worker resumes them


async def _execute(runners: Any, folder: Path, step: str) -> str:
    """Execute one step and return its status: completed, failed or cancelled."""
    if (folder / "cancel").exists():
        return "cancelled"
    run = read_run(folder)
    if step == run.steps[0] and events.read_state(folder, run.steps).started_at is None:
        events.append(folder, "run_started")
    working = asyncio.ensure_future(runners.run({"task": "step", "root": str(folder), "step": step}))
    try:
        while not working.done():
            await asyncio.wait({working}, timeout=CANCEL_POLL_S)
            if (folder / "cancel").exists():
                return "cancelled"
        outcome = working.result()
    finally:
        if not working.done():
            working.cancel()  # leaves the lifeline, which kills the runner's group
            await asyncio.wait({working})
    if outcome is None:
        cause = "the process of this step was killed from outside."
        hint = "Often memory ran out: run again, with fewer rows or trees."
        events.append(folder, "step_failed", step=step, cell=None, cause=cause, hint=hint)
        return "failed"
    return "failed" if outcome["status"] == "failed" else "completed"


def _adopt(home: Home) -> None:
    """Enqueue accepted runs that are not in the queue: it was not there yet, or was cut short."""
    client = _client(str(home.queue_db))
    for workspace in home.workspaces():
        for run_id in workspace.run_ids():
            folder = workspace.run_folder(run_id)
            try:
                run = read_run(folder)
            except Damaged as error:
                log.warning("run %s is passed over: %s", run_id, error)
                continue
            if events.read_state(folder, run.steps).status == "queued":
                _enqueue(client, workspace, run)


def _enqueue(client: DBOSClient, workspace: Workspace, run: Run) -> None:
    outstanding = sum(not each.finished for each in catalogue.look(workspace) if each.run_id != run.run_id)
    client.enqueue(
        {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": run.run_id,
            "app_version": VERSION,
            "priority": FIRST_PRIORITY + outstanding,
        },
        workspace.name,
        run.run_id,
        list(run.steps),
    )


def _teach_old_sqlite() -> None:
    """Give SQLite before 3.42, as Debian 12 has it, the fractions of a second that DBOS asks it for.

    DBOS takes it for granted that Python 3.12 and later come with a newer one; without the fractions
    SQLite answers NULL, and nothing can be queued.
    """
    if sqlite3.sqlite_version_info >= (3, 42):
        return
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def add_function(connection: sqlite3.Connection, _record: object) -> None:
        connection.create_function("unixepoch", 1, lambda unit: time.time() if unit == "subsec" else None)

    event.listen(Engine, "connect", add_function)


@cache
def _client(queue_db: str) -> DBOSClient:
    from dbos import DBOSClient

    _teach_old_sqlite()
    return DBOSClient(system_database_url=_url(Path(queue_db)), application_name="flightdeck")


def _url(queue_db: Path) -> str:
    return f"sqlite:///{queue_db}"


def _tables_exist(home: Home) -> bool:
    if not home.queue_db.is_file():
        return False
    connection = sqlite3.connect(home.queue_db, timeout=10)
    try:
        found = connection.execute(
            "SELECT count(*) FROM sqlite_master WHERE name IN ('workflow_status', 'queues')"
        ).fetchone()[0]
    finally:
        connection.close()
    return bool(found)


def _wait_for_signal(heartbeat: Path) -> None:
    """Touch `heartbeat` every second until SIGTERM or SIGINT."""
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    while not ending.wait(HEARTBEAT_S):
        heartbeat.touch()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    serve(open_home())

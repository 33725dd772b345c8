"""A real worker process for tests, and waiting for a run to come somewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from pipelines import events
from pipelines.run import read_run
from pipelines.settings import REPOSITORY
from pipelines.workspace import Home, Workspace

WAIT_S = 120
LOOK_S = 0.02


@dataclass
class Worker:
    """The worker process of a home, which a test may kill and start again."""

    home: Home
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: list[int] = field(default_factory=list)

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipelines.execution.queue"],
                cwd=REPOSITORY,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"FLIGHTDECK_HOME": str(self.home.root)},
            )
        self.started.append(self.process.pid)

    def family(self) -> list[psutil.Process]:
        """The worker and everything it has started, runners and kernels included."""
        assert self.process is not None
        worker = psutil.Process(self.process.pid)
        return [worker, *worker.children(recursive=True)]

    def kill(self) -> list[psutil.Process]:
        """Kill -9 the worker alone; returns the family it leaves behind."""
        assert self.process is not None
        family = self.family()
        self.process.kill()
        self.process.wait()
        return family

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)


def wait_for(
    workspace: Workspace, run_id: str, reached: Callable[[events.RunState], bool], seconds: float = WAIT_S
) -> events.RunState:
    """The run's state once it is as asked; fails with its events when it never is."""
    folder = workspace.run_folder(run_id)
    steps = read_run(folder).steps
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = events.read_state(folder, steps)
        if reached(state):
            return state
        if state.finished:
            break
        time.sleep(LOOK_S)
    pytest.fail(f"run {run_id} never got there: {events.read(folder)[-3:]}")


def wait_gone(processes: list[psutil.Process], seconds: float = 5) -> list[psutil.Process]:
    """Those of `processes` that are still alive after `seconds`."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]

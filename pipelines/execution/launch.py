"""Start runners and wait for them: forked from the nursery where there is fork, else spawned.

Comes in: a task and a run's folder. Goes out: the runner's outcome, or None when it was killed. Whoever
waits holds the runner's lifeline: leaving the wait, by cancel or by death, kills the runner's group.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from typing import Any

import psutil

from pipelines.errors import Unavailable
from pipelines.execution.kernels import CAN_FORK
from pipelines.settings import REPOSITORY

log = logging.getLogger(__name__)

# Loading the libraries on a slow, busy machine without bytecode has been seen to take a minute.
NURSERY_START_S = 180


class Nursery:
    """The worker's end of the nursery process: started at once, ready a few seconds later."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None
        self._ready = False
        self._turn = asyncio.Lock()

    def start(self) -> None:
        """Start the nursery process; it loads the libraries while others go on."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        # macOS kills a forked process that touches some system libraries, unless told not to.
        environment = {**os.environ, "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.execution.nursery", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            cwd=REPOSITORY,
            env=environment,
        )
        theirs.close()
        ours.setblocking(False)
        self._requests = ours
        self._ready = False

    @property
    def pid(self) -> int:
        """The process id of the nursery."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End the nursery. Runners are not touched: their own lifelines end them."""
        if self._requests is not None:
            self._requests.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    async def run(self, request: dict[str, str]) -> dict[str, Any] | None:
        """Fork a runner for `request` and wait for its outcome; None when it was killed."""
        reading, report = os.pipe()
        lifeline, holding = os.pipe()
        pid = None
        try:
            try:
                pid = await self._fork(request, report, lifeline)
            finally:
                os.close(report)
                os.close(lifeline)
            return await _read_report(reading)
        finally:
            os.close(holding)
            os.close(reading)
            if pid is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)

    async def _fork(self, request: dict[str, str], report: int, lifeline: int) -> int:
        async with self._turn:
            loop = asyncio.get_running_loop()
            for attempt in (1, 2):
                if self._process is None or self._process.poll() is not None:
                    self.start()
                assert self._requests is not None
                try:
                    async with asyncio.timeout(NURSERY_START_S):
                        if not self._ready:
                            self._ready = await loop.sock_recv(self._requests, 64) == b"ready\n"
                        socket.send_fds(self._requests, [json.dumps(request).encode()], [report, lifeline])
                        answer = await loop.sock_recv(self._requests, 64)
                    return int(answer)
                except (OSError, ValueError) as error:
                    log.warning("the nursery is gone (%s), attempt %d", error, attempt)
                    self.stop()
                    self._process = None
        raise Unavailable(
            "Notebooks can't be started: the process that loads them ends at once.", "See logs/worker.log."
        )


class Spawner:
    """Runners started as ordinary processes, where a process can't be forked."""

    def start(self) -> None:
        """Nothing to prepare."""

    def stop(self) -> None:
        """Nothing to end."""

    async def run(self, request: dict[str, str]) -> dict[str, Any] | None:
        """Spawn a runner for `request` and wait for its outcome; None when it was killed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pipelines.execution.spawned",
            json.dumps(request),
            stdin=asyncio.subprocess.PIPE,  # the lifeline
            stdout=asyncio.subprocess.PIPE,
            cwd=REPOSITORY,
            start_new_session=CAN_FORK,
        )
        assert process.stdout is not None
        try:
            lines = (await process.stdout.read()).splitlines()
            await process.wait()
            return json.loads(lines[-1]) if lines else None
        finally:
            if process.returncode is None:
                _kill_tree(process.pid)


def launcher() -> Nursery | Spawner:
    """What starts runners on this machine."""
    return Nursery() if CAN_FORK and not os.environ.get("FLIGHTDECK_NO_FORK") else Spawner()


async def _read_report(reading: int) -> dict[str, Any] | None:
    loop = asyncio.get_running_loop()
    os.set_blocking(reading, False)
    received = b""
    while True:
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(reading, _resolve, ready)
        try:
            await ready
        finally:
            loop.remove_reader(reading)
        part = os.read(reading, 65536)
        if not part:
            break
        received += part
    return json.loads(received) if received.endswith(b"\n") else None


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _kill_tree(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()

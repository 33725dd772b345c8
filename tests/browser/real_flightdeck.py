"""Flightdeck as a user starts it, on a home of its own: every service, on free ports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pipelines.services.ports import free_port
from pipelines.settings import REPOSITORY, Settings

START_S = 120


@contextmanager
def started(home: Path) -> Iterator[Settings]:
    """`up` on an empty home, until Ctrl-C, which leaves nothing behind."""
    chosen = Settings(home, *(free_port() for _ in range(3)), empty=True)
    log = chosen.home / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines", "up", "--no-browser"],
            cwd=REPOSITORY,
            env=os.environ | chosen.environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + START_S
    while b"Ready after" not in log.read_bytes():
        if time.monotonic() > deadline or process.poll() is not None:
            process.kill()
            pytest.fail(f"Flightdeck did not start: {log.read_text()}")
        time.sleep(0.1)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    yield chosen
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0, log.read_text()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == [], "Ctrl-C left processes behind"

"""Fixtures of tests that execute runs: a real worker on a real MLflow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from real_worker import Worker

from pipelines.workspace import Home


@pytest.fixture(scope="session")
def session_worker(home: Home, mlflow: str) -> Iterator[Worker]:
    """One worker for all tests of this process that do not kill it for good."""
    worker = Worker(home, home.root / "worker.log")
    worker.start()
    yield worker
    worker.stop()


@pytest.fixture
def worker(session_worker: Worker) -> Worker:
    """The worker, running: started again if an earlier test killed it."""
    if session_worker.process is None or session_worker.process.poll() is not None:
        session_worker.start()
    return session_worker

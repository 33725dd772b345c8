"""What tests share: a home of their own, a real MLflow server, fresh workspaces."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from pipelines.services.programs import services_of, shared_environment
from pipelines.settings import LOOPBACK, NO_TELEMETRY, REPOSITORY, SINGLE_THREAD, Settings, settings
from pipelines.workspace import Home, Workspace, open_home, open_workspace

if TYPE_CHECKING:
    from real_gateway import Gateway

# Set before any test imports a library that reads it.
os.environ.update(SINGLE_THREAD | NO_TELEMETRY)

MLFLOW_START_S = 90


@pytest.fixture(scope="session", autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of this test process: its own home and free ports, also for the processes it starts."""
    ports = free_ports(3)
    chosen = Settings(tmp_path_factory.mktemp("home"), *ports, empty=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in chosen.environment().items():
            patch.setenv(name, value)
        settings.cache_clear()
        yield settings()
    settings.cache_clear()


@pytest.fixture(scope="session")
def home(own_settings: Settings) -> Home:
    """The home that all tests of this process share."""
    return open_home(own_settings)


@pytest.fixture
def workspace(home: Home) -> Workspace:
    """A workspace that no other test knows."""
    return open_workspace(f"t-{uuid4().hex[:12]}", home)


@pytest.fixture
def page_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """The workspace that pages open, in a home of this test's own; neither MLflow nor gateway answer."""
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    for name, port in zip(("FLIGHTDECK_MLFLOW_PORT", "FLIGHTDECK_GATEWAY_PORT"), free_ports(2), strict=True):
        monkeypatch.setenv(name, str(port))
    settings.cache_clear()
    yield open_workspace()
    settings.cache_clear()


@pytest.fixture(scope="session")
def mlflow(own_settings: Settings) -> Iterator[str]:
    """The address of a real MLflow server, one for each test process."""
    process = start_mlflow(own_settings)
    try:
        yield own_settings.mlflow_url
    finally:
        stop(process)


@pytest.fixture(scope="session")
def gateway(home: Home, mlflow: str) -> Iterator[Gateway]:
    """A gateway over the home that all tests share, on the port that settings name."""
    from real_gateway import Gateway  # here, because it imports what the variables above are for

    running = Gateway(home, settings().gateway_port)
    yield running
    running.stop()


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def start_mlflow(chosen: Settings) -> subprocess.Popen[bytes]:
    """Start MLflow for that home as `make run` does, and wait until it answers."""
    service = next(service for service in services_of(chosen) if service.name == "mlflow")
    log = chosen.home / "mlflow.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *service.command],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**shared_environment(chosen, os.environ), **service.environment},
            cwd=REPOSITORY,
        )
    deadline = time.monotonic() + MLFLOW_START_S
    while time.monotonic() < deadline and process.poll() is None:
        if service.ready():
            return process
        time.sleep(0.05)
    stop(process)
    raise RuntimeError("MLflow did not start:\n" + log.read_text("utf-8", "replace")[-2000:])


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and the processes it started, and wait until it is gone."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

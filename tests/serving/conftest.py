"""Fixtures of tests of serving: real gateways on a real MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from real_gateway import Gateway, make_version, produce

from pipelines.workspace import Home, Workspace, open_workspace


@pytest.fixture
def own_gateway(home: Home, mlflow: str, free_port: int) -> Iterator[Gateway]:
    """A gateway that a test may end, or starve of disk."""
    running = Gateway(home, free_port)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def served(home: Home, mlflow: str) -> Workspace:
    """A workspace with version 1 in production, for tests that leave it so."""
    place = open_workspace(f"t-{uuid4().hex[:12]}", home)
    produce(place, make_version(place))
    return place


@pytest.fixture
def fresh(workspace: Workspace, mlflow: str) -> Workspace:
    """A workspace with version 1 in production, that no other test knows."""
    produce(workspace, make_version(workspace))
    return workspace

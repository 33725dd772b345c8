"""Fixtures of tests of production: a real gateway on a real MLflow, and workspaces with a deployed run."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from real_gateway import Gateway, make_version, produce

from pipelines.settings import settings
from pipelines.workspace import Home, Workspace, open_workspace


@pytest.fixture(scope="session")
def gateway(home: Home, mlflow: str) -> Iterator[Gateway]:
    """A gateway over the home that all tests share, on the port that settings name."""
    running = Gateway(home, settings().gateway_port)
    yield running
    running.stop()


def new_deployed(home: Home) -> Workspace:
    """A workspace of its own with version 1, made on day 45 of a small fraud world, in production."""
    workspace = open_workspace(f"t-{uuid4().hex[:12]}", home)
    produce(workspace, make_version(workspace))
    return workspace


@pytest.fixture
def deployed(home: Home, mlflow: str) -> Workspace:
    """A workspace with a model in production that no other test knows."""
    return new_deployed(home)


@pytest.fixture
def second(home: Home, mlflow: str) -> Workspace:
    """Another one like `deployed`."""
    return new_deployed(home)

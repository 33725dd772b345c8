"""Fixtures of tests of production: a real gateway on a real MLflow, and workspaces with a deployed run."""

from __future__ import annotations

from uuid import uuid4

import pytest
from real_gateway import make_version, produce

from pipelines.workspace import Home, Workspace, open_workspace


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

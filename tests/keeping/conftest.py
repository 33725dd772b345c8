"""A workspace with something of everything in it: runs, versions, a ledger, predictions."""

from __future__ import annotations

import page_samples as samples
import pytest
import small_model

from pipelines import events, promotion
from pipelines.workspace import Workspace


@pytest.fixture
def used(workspace: Workspace, mlflow: str) -> Workspace:
    """A workspace with registered versions, a ledger, and predictions, all acknowledged."""
    small_model.register(workspace, 2)
    for run_id in workspace.run_ids():
        events.append(workspace.run_folder(run_id), "run_finished", status="completed")
    for version in (1, 2):
        promotion.promote(workspace, small_model.SCENARIO, version, stage="production", reason="to be kept")
    samples.predicted(workspace, 3)
    return workspace

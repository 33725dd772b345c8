"""Commands about a workspace as a whole: reset."""

from __future__ import annotations

import shutil
import time
from typing import Annotated

import typer

from pipelines.commands.answer import AsJson, InWorkspace, say, speaking
from pipelines.errors import Refused
from pipelines.settings import settings
from pipelines.workspace import DEFAULT_WORKSPACE, open_workspace


def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Empty a workspace: its runs, versions and ledger. What it held is moved aside, not deleted."""
    from pipelines import services, tracking
    from pipelines.execution.history import list_runs

    with speaking(as_json):
        place = open_workspace(workspace)
        active = [each["run_id"] for each in list_runs(place) if each["status"] in ("queued", "running")]
        if active:
            raise Refused(
                f"Workspace '{workspace}' has runs that have not ended: {', '.join(active)}.",
                "Cancel them first: python -m pipelines cancel RUN_ID",
            )
        if not yes and not typer.confirm(f"Empty workspace '{workspace}'?", err=True):
            raise typer.Exit(1)
        with services.ensure(settings(), needed=("mlflow",)):
            tracking.forget(workspace)
        aside = place.home.root / "removed" / f"{workspace}-{time.strftime('%Y%m%d-%H%M%S')}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(place.root, aside)
        say(
            {"workspace": workspace, "moved_to": str(aside)},
            [f"Workspace '{workspace}' is empty. What it held is in {aside}."],
            as_json,
        )

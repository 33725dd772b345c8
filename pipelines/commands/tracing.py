"""The command that follows a prediction back: lineage."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer

from pipelines.commands.answer import AsJson, InWorkspace, say, speaking
from pipelines.settings import settings
from pipelines.workspace import DEFAULT_WORKSPACE, open_workspace


def lineage(
    prediction_id: Annotated[
        str, typer.Argument(metavar="PREDICTION_ID", help="As an answer of the gateway carries it.")
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Also score the logged row again by the registered model.")
    ] = False,
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Follow a prediction back: version, approval, run, notebooks, params, data; and on to its label."""
    from pipelines import services
    from pipelines.lineage import follow, telling

    with speaking(as_json), ExitStack() as needed:
        place = open_workspace(workspace)
        if verify:
            follow(place, prediction_id)  # who asks for nothing that is there need not wait for MLflow
            needed.enter_context(services.ensure(settings(), needed=("mlflow",)))
        found = follow(place, prediction_id, verify=verify)
        say(found.as_json(), telling.lines(found), as_json)

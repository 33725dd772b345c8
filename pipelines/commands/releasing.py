"""The commands that change who answers: deploy, rollback, freeze."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipelines.commands.answer import AsJson, InWorkspace, ScenarioName, say, speaking
from pipelines.settings import settings
from pipelines.workspace import DEFAULT_WORKSPACE, open_workspace

if TYPE_CHECKING:
    from pipelines.promotion import Promotion
    from pipelines.serving.staging import Checked

Stage = Literal["staging", "shadow", "canary", "production"]


def deploy(
    scenario: ScenarioName,
    version: Annotated[int, typer.Option(help="The registered version.", min=1)],
    stage: Annotated[Stage, typer.Option(help="What the version does from now on.")] = "production",
    share: Annotated[float | None, typer.Option(help="Part of the traffic a canary answers.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for whoever reads the ledger.")] = "by hand",
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Bring a registered version to a stage; the gateway changes over without losing a request."""
    from pipelines import promotion, services
    from pipelines.branches import today
    from pipelines.scenarios import find_scenario
    from pipelines.serving import staging

    with speaking(as_json), services.ensure(settings(), needed=("mlflow", "gateway")):
        find_scenario(scenario)
        place = open_workspace(workspace)
        if stage == "staging":
            checked: staging.Checked | None = staging.check(place, scenario, version)
        else:
            checked = staging.admit(place, scenario, version)
        made = promotion.promote(
            place, scenario, version, stage=stage, share=share, reason=reason, day=today(place, scenario)
        )
        _say_promotion(made, as_json, checked)


def freeze(
    scenario: ScenarioName,
    reason: Annotated[str, typer.Option(help="Why, for whoever wants to promote meanwhile.")] = "",
    lift: Annotated[bool, typer.Option("--lift", help="Let versions be promoted again.")] = False,
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Let nothing be promoted in a scenario until it is lifted; rolling back stays allowed."""
    from pipelines import freezing
    from pipelines.branches import today
    from pipelines.scenarios import find_scenario

    with speaking(as_json):
        find_scenario(scenario)
        place = open_workspace(workspace)
        day = today(place, scenario)
        if lift:
            made = freezing.lift(place, scenario, day)
            line = f"'{scenario}' is no longer frozen. It was {made.in_words()}."
        else:
            made = freezing.freeze(place, scenario, reason, day)
            line = f"'{scenario}' is {made.in_words()}. Rolling back stays allowed."
        say({"scenario": scenario, "frozen": not lift, **vars(made)}, [line], as_json)


def rollback(
    scenario: ScenarioName,
    reason: Annotated[str, typer.Option(help="Why, for whoever reads the ledger.")] = "by hand",
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Go back to the version that served before."""
    from pipelines import promotion, services
    from pipelines.branches import today
    from pipelines.scenarios import find_scenario

    with speaking(as_json), services.ensure(settings(), needed=("mlflow",)):
        find_scenario(scenario)
        place = open_workspace(workspace)
        day = today(place, scenario)
        _say_promotion(promotion.rollback(place, scenario, reason=reason, day=day), as_json)


def _say_promotion(made: Promotion, as_json: bool, checked: Checked | None = None) -> None:
    """Print a row of the ledger, once the gateway, if it runs, acts by it."""
    from dataclasses import asdict

    from pipelines import services
    from pipelines.serving import client, staging

    serving = made.version is not None and "gateway" in services.running(settings())
    if serving:
        client.wait_until_serving(made.workspace, made.scenario, made.version or 0)
    said = "the gateway serves it" if serving else "it serves as soon as the gateway runs"
    lines = [f"Version {made.version} of {made.scenario} is in {made.stage}; {said}."]
    answer = asdict(made) | {"serving": serving}
    if checked is not None:
        answer["checks"] = staging.as_json(checked)["checks"]
        lines += staging.lines(checked.checks)
    say(answer, lines, as_json)

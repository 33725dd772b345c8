"""The command that plays a world: simulate."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.commands.answer import AsJson, InWorkspace, ScenarioName, ignore, say, speaking, tell
from pipelines.lifecycle import LIFECYCLE
from pipelines.settings import settings
from pipelines.workspace import DEFAULT_WORKSPACE, open_workspace

NEEDED = ("mlflow", "worker", "gateway", "world")


def simulate(
    scenario: ScenarioName,
    days: Annotated[int, typer.Option(help="How many days to play.", min=1)],
    policy: Annotated[
        str, typer.Option(help="When to retrain: never, scheduled, drift or performance.")
    ] = "never",
    incident: Annotated[
        list[str] | None,
        typer.Option("--incident", metavar="NAME@DAY", help="What happens to the world; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the world and of the training.")] = 1,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="STEP.PARAM=VALUE", help="A param of the first model's run."),
    ] = None,
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Play days of a world over HTTP, with late labels, monitoring and money. Makes a model if needed."""
    from pipelines import services
    from pipelines.production import ledger, simulation
    from pipelines.scenarios import find_scenario

    with speaking(as_json):
        place, world = open_workspace(workspace), find_scenario(scenario)
        params = LIFECYCLE.read_settings(values or [])
        LIFECYCLE.check(params)
        simulation.check_asked(scenario, policy, incident or ())
        with services.ensure(settings(), needed=NEEDED):
            found = simulation.simulate(
                place,
                scenario,
                days,
                seed=seed,
                policy=policy,
                episodes=incident or (),
                params=params,
                tell=ignore if as_json else tell,
            )
            answer = simulation.as_json(place, found)
        money = ledger.total(world, found.days)
        lines = [
            f"Day {found.clock.day}: {len(found.days)} days in {found.seconds:.1f} s.",
            f"  {sum(day.requests for day in found.days):,} {world.events} answered, "
            f"{sum(day.errors for day in found.days):,} in vain, "
            f"{sum(day.flagged for day in found.days):,} flagged",
            f"  saved against no model: {money['saved']:,.2f} {money['unit']} on {money['priced_days']} "
            f"days; "
            f"of {money['unknown_days']} it is not known yet",
            f"  log {answer['log_hash'][:16]}",
        ]
        say(answer, lines, as_json)

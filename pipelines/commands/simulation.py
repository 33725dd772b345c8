"""The commands that move a world in time: simulate, rewind, branches."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipelines.branches import Branch
from pipelines.commands.answer import AsJson, InWorkspace, ScenarioName, ignore, say, speaking, tell
from pipelines.lifecycle import LIFECYCLE
from pipelines.settings import settings
from pipelines.workspace import DEFAULT_WORKSPACE, open_workspace

NEEDED = ("mlflow", "worker", "gateway", "world")


def simulate(
    scenario: ScenarioName,
    days: Annotated[int, typer.Option(help="How many days to play.", min=1)],
    policy: Annotated[
        str | None,
        typer.Option(help="When to retrain: never, scheduled, drift or performance; else as before."),
    ] = None,
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


def rewind(
    scenario: ScenarioName,
    day: Annotated[int, typer.Option(help="The day on whose morning to begin again.")],
    title: Annotated[str, typer.Option(help="What is to be tried this time.")] = "",
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Go back to the morning of a past day, on a branch of its own; what was left stays as it was."""
    from pipelines.production import ledger, rewinding

    with speaking(as_json):
        place = open_workspace(workspace)
        made = rewinding.rewind(place, scenario, day, title)
        prefix = ledger.log_hash(place, scenario, made.name)
        line = f"It is the morning of day {day} on {made.name}; {made.parent} stays as it was."
        say(_branch_as_json(made) | {"log_hash": prefix}, [line, f"  log {prefix[:16]}"], as_json)


def branches(
    scenario: ScenarioName,
    switch: Annotated[str | None, typer.Option(metavar="NAME", help="Live in this branch again.")] = None,
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """List a world's branches: where each left another, and how far it is; or live in another."""
    from pipelines import branches as there
    from pipelines.production import ledger, rewinding
    from pipelines.scenarios import find_scenario

    with speaking(as_json):
        place = open_workspace(workspace)
        find_scenario(scenario)
        if switch is not None:
            rewinding.switch(place, scenario, switch)
        live, known = there.live(place, scenario), there.known(place, scenario)
        rows = [
            _branch_as_json(each)
            | {
                "day": there.today(place, scenario, each.name),
                "live": each.name == live,
                "log_hash": ledger.log_hash(place, scenario, each.name),
            }
            for each in known
        ]
        lines = [
            f"{'*' if row['live'] else ' '} {row['name']:12} day {row['day']}"
            + (f", left {row['parent']} on day {row['fork_day']}: {row['title']}" if row["parent"] else "")
            for row in rows
        ]
        say({"branches": rows}, lines, as_json)


def labelling(
    scenario: ScenarioName,
    mode: Annotated[
        str | None, typer.Option("--set", metavar="MODE", help="all, investigated or blocked.")
    ] = None,
    share: Annotated[float, typer.Option(help="Of those without a label, the part that gets one.")] = 0.1,
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Say of which events anybody finds out what they were; or choose that, from today on."""
    from pipelines.production import clock as clocks
    from pipelines.scenarios import find_scenario
    from pipelines.serving import labelling as rules

    with speaking(as_json):
        place = open_workspace(workspace)
        find_scenario(scenario)
        if mode is not None:
            day = clocks.must_read(place, scenario).day
            rules.choose(place, scenario, day, mode, 1.0 if mode == "all" else share)
        there = rules.rules(place, scenario) or (rules.Rule(),)
        lines = [
            f"from day {rule.since_day} on: {rule.mode}"
            + (f", and {rule.share:.0%} of the others" if rule.mode != "all" else "")
            for rule in there
        ]
        say({"scenario": scenario, "rules": [vars(rule) for rule in there]}, lines, as_json)


def _branch_as_json(branch: Branch) -> dict[str, Any]:
    named = ("name", "parent", "fork_day", "title")
    return {"scenario": branch.scenario} | {name: getattr(branch, name) for name in named}

"""The command line: `python -m pipelines COMMAND`.

Every command takes --json and then prints one JSON object on stdout; logs go to stderr. Exit codes:
0 good, 1 failed, 2 bad usage. A command uses the services that run, else starts its own and stops them.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pipelines.errors import FlightdeckError, Refused, Unavailable
from pipelines.lifecycle import LIFECYCLE
from pipelines.settings import settings
from pipelines.workspace import DEFAULT_WORKSPACE, Workspace, open_workspace

if TYPE_CHECKING:
    from pipelines.promotion import Promotion

cli = typer.Typer(
    name="python -m pipelines",
    help="Flightdeck: a flight simulator for production machine learning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
InWorkspace = Annotated[str, typer.Option("--workspace", help="Whose workspace.")]
ScenarioName = Annotated[str, typer.Argument(metavar="SCENARIO", help="fraud or biopsies.")]
RunId = Annotated[str, typer.Argument(metavar="RUN_ID", help="As printed by run, and by run --list.")]
StepName = Annotated[str | None, typer.Option("--from", metavar="STEP", help="First step to run again.")]

Stage = Literal["staging", "shadow", "canary", "production"]

FOLLOW_S = 0.2


@cli.command()
def up(
    port: Annotated[int | None, typer.Option(help="Port of the app.", min=1, max=65535)] = None,
    browser: Annotated[bool, typer.Option(help="Open the browser where there is one.")] = True,
    as_json: AsJson = False,
) -> None:
    """Start everything, print the addresses, and wait; Ctrl-C ends it."""
    from dataclasses import replace

    from pipelines import services

    with _speaking(as_json):
        chosen = settings() if port is None else replace(settings(), app_port=port)
        if as_json:
            code = services.start(
                chosen,
                open_browser=browser,
                say=_tell,
                when_ready=lambda addresses: _print(dict(addresses), [], as_json),
            )
        else:
            code = services.start(chosen, open_browser=browser)
        raise typer.Exit(code)


@cli.command()
def serve(
    name: Annotated[str, typer.Argument(metavar="NAME", help="mlflow, worker, gateway or app.")],
    as_json: AsJson = False,
) -> None:
    """Be one service, in the foreground and without a supervisor: what a container runs."""
    from pipelines import services

    with _speaking(as_json):
        services.become(settings(), name)


@cli.command()
def doctor(as_json: AsJson = False) -> None:
    """Check this machine, its ports and the installed versions; say what to do."""
    from dataclasses import asdict

    from pipelines import doctor as examination

    with _speaking(as_json):
        findings = examination.examine(settings())
        sound = all(finding.ok for finding in findings)
        lines = [
            f"{'good' if finding.ok else 'BAD '}  {finding.name}: {finding.found}"
            + ("" if finding.ok else f"\n      expected {finding.expected}. {finding.remedy}")
            for finding in findings
        ]
        _print({"sound": sound, "findings": [asdict(finding) for finding in findings]}, lines, as_json)
        raise typer.Exit(0 if sound else 1)


@cli.command()
def run(
    scenario: Annotated[str | None, typer.Argument(metavar="[SCENARIO]", help="fraud or biopsies.")] = None,
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="STEP.PARAM=VALUE", help="A param; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the world and of the training.")] = 1,
    first: StepName = None,
    only: Annotated[str | None, typer.Option(metavar="STEP", help="Run this step alone.")] = None,
    base: Annotated[
        str | None, typer.Option(metavar="RUN_ID", help="Run whose outputs to start from.")
    ] = None,
    engine: Annotated[str, typer.Option(help="local is the only engine yet.")] = "local",
    detach: Annotated[bool, typer.Option("--detach", help="Queue the run and return.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="List all runs instead.")] = False,
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Run the steps of the lifecycle for a scenario, and say how it went."""
    from pipelines.engines import local
    from pipelines.errors import BadInput

    with _speaking(as_json):
        place = open_workspace(workspace)
        if listing:
            _list_runs(place, as_json)
            return
        if scenario is None:
            raise BadInput("No scenario is named.", "For example: python -m pipelines run fraud")
        if engine != "local":
            raise BadInput(f"There is no engine '{engine[:40]}'.", "The engines are: local.")
        params = LIFECYCLE.read_settings(values or [])
        steps = local.choose_steps(first, only)
        if steps != LIFECYCLE.road and base is None:
            base = local.newest_base(place, scenario, steps)
        accepted = local.submit(place, scenario, params, seed=seed, steps=steps, base=base)
        _follow(place, accepted.run_id, detach, as_json)


@cli.command()
def cancel(run_id: RunId, workspace: InWorkspace = DEFAULT_WORKSPACE, as_json: AsJson = False) -> None:
    """End a run, waiting or executing; completed steps are kept."""
    from pipelines.execution import queue

    with _speaking(as_json):
        queue.cancel(open_workspace(workspace), run_id)
        _print({"run_id": run_id, "status": "cancelled"}, [f"Run {run_id} is cancelled."], as_json)


@cli.command()
def retry(
    run_id: RunId,
    first: StepName = None,
    detach: Annotated[bool, typer.Option("--detach", help="Queue the run and return.")] = False,
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Run again with the same params, from the first step that is not done."""
    from pipelines.execution import queue

    with _speaking(as_json):
        place = open_workspace(workspace)
        _follow(place, queue.retry(place, run_id, first).run_id, detach, as_json)


@cli.command()
def step(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the step.")],
    root: Annotated[Path, typer.Option(help="The run's folder.")],
    as_json: AsJson = False,
) -> None:
    """Execute one step of the run in a folder: what every engine calls."""
    from dataclasses import asdict

    from pipelines import services
    from pipelines.execution import runner

    with _speaking(as_json), services.ensure(settings(), needed=("mlflow",)):
        outcome = runner.run_step(root.resolve(), name)
        lines = [f"{name}: {outcome.status} in {outcome.seconds:.1f} s"]
        if outcome.cause:
            lines += [outcome.cause, outcome.hint]
        _print(asdict(outcome), lines, as_json)
        raise typer.Exit(1 if outcome.status == "failed" else 0)


@cli.command()
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
    from pipelines.scenarios import find_scenario

    with _speaking(as_json), services.ensure(settings(), needed=("mlflow",)):
        find_scenario(scenario)
        made = promotion.promote(
            open_workspace(workspace), scenario, version, stage=stage, share=share, reason=reason
        )
        _print_promotion(made, as_json)


@cli.command()
def rollback(
    scenario: ScenarioName,
    reason: Annotated[str, typer.Option(help="Why, for whoever reads the ledger.")] = "by hand",
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Go back to the version that served before."""
    from pipelines import promotion, services
    from pipelines.scenarios import find_scenario

    with _speaking(as_json), services.ensure(settings(), needed=("mlflow",)):
        find_scenario(scenario)
        _print_promotion(promotion.rollback(open_workspace(workspace), scenario, reason=reason), as_json)


@cli.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Empty a workspace: its runs, versions and ledger. What it held is moved aside, not deleted."""
    from pipelines import services, tracking
    from pipelines.execution.history import list_runs

    with _speaking(as_json):
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
        _print(
            {"workspace": workspace, "moved_to": str(aside)},
            [f"Workspace '{workspace}' is empty. What it held is in {aside}."],
            as_json,
        )


@cli.command()
def bench(
    name: Annotated[str, typer.Argument(help="notebooks or lifecycle.")],
    rounds: Annotated[int, typer.Option(help="Measured rounds.", min=1, max=20)] = 3,
    as_json: AsJson = False,
) -> None:
    """Measure against a peer and a floor, side by side in one run."""
    from pipelines import bench as benches

    with _speaking(as_json):
        result = benches.measure(name, rounds)
        _print(result, benches.lines(result), as_json)


@contextmanager
def _speaking(as_json: bool) -> Iterator[None]:
    """Turn an error of ours into its two sentences and its exit code."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    try:
        yield
    except FlightdeckError as error:
        _complain(error, as_json)
        raise typer.Exit(error.exit_code) from error
    except ModuleNotFoundError as error:
        lacking = Unavailable(f"The package '{error.name}' is not installed.", "Install it: make install")
        _complain(lacking, as_json)
        raise typer.Exit(lacking.exit_code) from error


def _complain(error: FlightdeckError, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"error": error.message, "hint": error.hint}) + "\n")
    else:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")


def _follow(place: Workspace, run_id: str, detach: bool, as_json: bool) -> None:
    """Wait for a run, telling its steps on stderr, then print how it went."""
    from pipelines import services
    from pipelines.engines import local
    from pipelines.execution.history import summarise

    if detach:
        _print(
            {"run_id": run_id, "engine": "local", "status": "queued"}, [f"Run {run_id} is queued."], as_json
        )
        return
    with services.ensure(settings(), needed=("mlflow", "worker")):
        local.follow(place, run_id, _ignore if as_json else _tell, FOLLOW_S)
    summary = summarise(place, run_id)
    lines = [f"Run {run_id}: {summary['status']} in {summary['seconds']} s"]
    lines += [f"  {name}: {value:.3f}" for name, value in summary["metrics"].items()]
    if summary["model"]:
        lines.append(f"  model: {summary['model']['name']} version {summary['model']['version']}")
    if summary["status"] == "failed":
        lines += [f"  {summary.get('cause', '')}", f"  {summary.get('hint', '')}"]
    _print(summary, lines, as_json)
    raise typer.Exit(0 if summary["status"] == "completed" else 1)


def _list_runs(place: Workspace, as_json: bool) -> None:
    from pipelines.execution.history import list_runs

    runs = list_runs(place)
    lines = [
        f"{each['run_id']}  {each.get('scenario', '?'):10} {each['status']:10} {each.get('step') or ''}"
        for each in runs
    ]
    _print({"runs": runs}, lines or ["No runs yet. Start one: python -m pipelines run fraud"], as_json)


def _print_promotion(made: Promotion, as_json: bool) -> None:
    """Print a row of the ledger, once the gateway, if it runs, acts by it."""
    from dataclasses import asdict

    from pipelines import services
    from pipelines.serving import client

    serving = made.version is not None and "gateway" in services.running(settings())
    if serving:
        client.wait_until_serving(made.workspace, made.scenario, made.version or 0)
    said = "the gateway serves it" if serving else "it serves as soon as the gateway runs"
    _print(
        asdict(made) | {"serving": serving},
        [f"Version {made.version} of {made.scenario} is in {made.stage}; {said}."],
        as_json,
    )


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _ignore(_line: str) -> None:
    """With --json nothing is told on the way."""


def _print(value: dict[str, Any], lines: Sequence[str], as_json: bool) -> None:
    sys.stdout.write((json.dumps(value) if as_json else "\n".join(lines)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    cli()

"""The command line: `python -m pipelines COMMAND`.

Every command takes --json and then prints one JSON object on stdout; logs go to stderr. Exit codes:
0 good, 1 failed, 2 bad usage. A command uses the services that run, else starts its own and stops them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands import incidents, keeping, releasing, simulation, tracing
from pipelines.commands.answer import AsJson, InWorkspace, RunId
from pipelines.commands.answer import ignore as _ignore
from pipelines.commands.answer import say as _print
from pipelines.commands.answer import speaking as _speaking
from pipelines.commands.answer import tell as _tell
from pipelines.lifecycle import LIFECYCLE
from pipelines.settings import settings
from pipelines.workspace import DEFAULT_WORKSPACE, Workspace, open_workspace

cli = typer.Typer(
    name="python -m pipelines",
    help="Flightdeck: a flight simulator for production machine learning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

StepName = Annotated[str | None, typer.Option("--from", metavar="STEP", help="First step to run again.")]

FOLLOW_S = 0.2


@cli.command()
def up(
    port: Annotated[int | None, typer.Option(help="Port of the app.", min=1, max=65535)] = None,
    browser: Annotated[bool, typer.Option(help="Open the browser where there is one.")] = True,
    empty: Annotated[
        bool, typer.Option("--empty", help="Leave a new home without its ready-made world.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start everything, print the addresses, and wait; Ctrl-C ends it."""
    from dataclasses import replace

    from pipelines import services

    with _speaking(as_json):
        keeping.recover()
        chosen = settings() if port is None else replace(settings(), app_port=port)
        chosen = replace(chosen, empty=chosen.empty or empty)
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
    scenario: Annotated[
        str | None, typer.Argument(metavar="[SCENARIO]", help="fraud, biopsies or maintenance.")
    ] = None,
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
def drift(
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="CSV or Parquet: as it was.")],
    current: Annotated[Path, typer.Argument(metavar="CURRENT", help="CSV or Parquet: as it is now.")],
    method: Annotated[
        str | None,
        typer.Option(
            help="psi, ks, wasserstein, jensenshannon, chisquare or z; chosen by column when left out."
        ),
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="In place of the methods' own.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say which columns of two files of any size are distributed differently."""
    from pipelines.monitoring.drift import compare_files
    from pipelines.monitoring.drift import lines as drift_lines

    with _speaking(as_json):
        found = compare_files(reference, current, method=method, threshold=threshold)
        _print(found.as_json(), drift_lines(found), as_json)


@cli.command()
def bench(
    name: Annotated[str, typer.Argument(help="notebooks, lifecycle, drift or simulate.")],
    rounds: Annotated[int, typer.Option(help="Measured rounds.", min=1, max=20)] = 3,
    as_json: AsJson = False,
) -> None:
    """Measure against a peer and a floor, side by side in one run."""
    from pipelines import bench as benches

    with _speaking(as_json):
        result = benches.measure(name, rounds)
        _print(result, benches.lines(result), as_json)


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


# Commands that have a module of their own, by noun.
for _command in (
    releasing.deploy,
    releasing.rollback,
    releasing.freeze,
    keeping.backup,
    keeping.restore,
    keeping.reset,
    keeping.undo,
    simulation.simulate,
    simulation.rewind,
    simulation.branches,
    simulation.labelling,
):
    cli.command()(_command)
cli.add_typer(incidents.incident, name="incident")
cli.command()(tracing.lineage)


if __name__ == "__main__":
    cli()

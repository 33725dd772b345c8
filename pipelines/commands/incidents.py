"""The command `incident`: let something go wrong, notice it, end it, understand it, and write it down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.commands.answer import AsJson, InWorkspace, ScenarioName, say, speaking
from pipelines.errors import Missing, Unavailable
from pipelines.workspace import DEFAULT_WORKSPACE, Workspace, open_workspace

if TYPE_CHECKING:
    from pipelines.production.incidents.solving import Case

incident = typer.Typer(
    help="Let something go wrong in production, and solve it.", no_args_is_help=True, add_completion=False
)


@incident.command("list")
def listing(
    scenario: ScenarioName,
    library: Annotated[bool, typer.Option("--library", help="List what can happen, for a teacher.")] = False,
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """List the cases of a world, the newest first."""
    from pipelines.production.incidents import solving
    from pipelines.production.incidents.library import possible_in
    from pipelines.scenarios import find_scenario

    with speaking(as_json):
        place, world = open_workspace(workspace), find_scenario(scenario)
        found = [_as_json(place, case) for case in solving.cases(place, scenario)]
        answer: dict[str, Any] = {"scenario": scenario, "cases": found}
        lines = [_line(case) for case in found] or ["No incident was declared yet."]
        if library:
            possible = possible_in(world)
            names = ("name", "title", "area", "cause", "look", "fixes")
            answer["library"] = [{name: getattr(each, name) for name in names} for each in possible]
            lines = [f"{each.name:18} {each.title}" for each in possible]
        say(answer, lines, as_json)


@incident.command()
def inject(
    scenario: ScenarioName,
    name: Annotated[str, typer.Argument(metavar="NAME", help="See: incident list SCENARIO --library.")],
    day: Annotated[int | None, typer.Option(help="On whose morning it begins; the next one if left out.")] = (
        None
    ),
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Let an incident begin, by its name."""
    from pipelines.production.incidents import solving

    with speaking(as_json):
        made = solving.inject(open_workspace(workspace), scenario, name, day)
        answer = {"incident_id": made.incident_id, "name": made.name, "begins": made.begins}
        say(answer, [f"{made.name} begins on the morning of day {made.begins}."], as_json)


@incident.command()
def drill(
    scenario: ScenarioName,
    seed: Annotated[int, typer.Option(help="Chooses which incident it is, and when it begins.")],
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Let an incident begin within some days; which one, and when, is not told."""
    from pipelines.production.incidents import solving

    with speaking(as_json):
        made = solving.drill(open_workspace(workspace), scenario, seed)
        words = f"Within {solving.DRILL_DAYS} days something will go wrong. Play on, and watch."
        say({"incident_id": made.incident_id, "within_days": solving.DRILL_DAYS}, [words], as_json)


@incident.command()
def declare(
    scenario: ScenarioName, workspace: InWorkspace = DEFAULT_WORKSPACE, as_json: AsJson = False
) -> None:
    """Say that something is wrong."""
    from pipelines.production.incidents import solving

    with speaking(as_json):
        place = open_workspace(workspace)
        case = solving.declare(place, scenario)
        if case is None:
            say({"case": None}, ["A false alarm: nothing is wrong that was not there before."], as_json)
        else:
            line = f"An incident is declared on day {case.declared}. End it first; then find its cause."
            say({"case": _as_json(place, case)}, [line], as_json)


@incident.command()
def pull(
    scenario: ScenarioName,
    lever: Annotated[
        str | None, typer.Argument(metavar="LEVER", help="What to do; listed when left out.")
    ] = (None),
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Do something about it; whether it helped, the next days show."""
    from pipelines import services
    from pipelines.production.incidents import solving
    from pipelines.production.incidents.levers import usable_in
    from pipelines.scenarios import find_scenario
    from pipelines.settings import settings

    with speaking(as_json):
        if lever is None:
            there = usable_in(find_scenario(scenario))
            rows = [{name: getattr(each, name) for name in ("name", "group", "title")} for each in there]
            say({"levers": rows}, [f"{each.name:18} {each.title}" for each in there], as_json)
            return
        place = open_workspace(workspace)
        if lever == "retrain":
            with services.ensure(settings(), needed=("mlflow", "worker")):
                done = solving.pull(place, scenario, lever)
        else:
            done = solving.pull(place, scenario, lever)
        say({"lever": lever, "done": done}, [done], as_json)


@incident.command()
def diagnose(
    scenario: ScenarioName,
    hypothesis: Annotated[
        str | None, typer.Option(help="What you think has happened, and what shows it: a sentence.")
    ] = None,
    cause: Annotated[str | None, typer.Option(help="Name of the cause, once a hypothesis is there.")] = None,
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Write down a hypothesis, and name the cause."""
    from pipelines.production.incidents import solving

    with speaking(as_json):
        place, case = open_workspace(workspace), None
        if hypothesis is not None:
            case = solving.suppose(place, scenario, hypothesis)
        if cause is not None:
            case = solving.name_cause(place, scenario, cause)
        if case is None:
            raise Missing("Neither a hypothesis nor a cause was given.", "Use --hypothesis, then --cause.")
        line = "The hypothesis is kept."
        if cause is not None:
            line = "That is the cause." if case.solved else "That is not what happened."
        say({"case": _as_json(place, case)}, [line], as_json)


@incident.command()
def close(
    scenario: ScenarioName,
    give_up: Annotated[bool, typer.Option("--give-up", help="Have all told; the cause does not count.")] = (
        False
    ),
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Confirm that it is over: after three healthy days, with its cause named."""
    from pipelines.production.incidents import solving

    with speaking(as_json):
        place = open_workspace(workspace)
        found = _as_json(place, solving.close(place, scenario, give_up=give_up))
        say({"case": found}, [_line(found), "Read it: python -m pipelines incident report"], as_json)


@incident.command()
def report(
    scenario: ScenarioName,
    out: Annotated[Path | None, typer.Option(help="File to write it to, in Markdown.")] = None,
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Write the post-mortem of the newest closed case."""
    from pipelines.production.incidents import post_mortem, solving

    with speaking(as_json):
        place = open_workspace(workspace)
        closed = [case for case in solving.cases(place, scenario) if case.closed is not None]
        if not closed:
            raise Missing("No case is closed yet, so there is nothing to report.", "Close one first.")
        text = post_mortem.write(place, closed[0])
        if out is not None:
            _write(out, text)
        line = text if out is None else f"Written to {out}."
        say({"case": _as_json(place, closed[0]), "report": text}, [line], as_json)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise Unavailable(f"{path} can't be written: {error.strerror}.", "Choose another place.") from error


def _as_json(workspace: Workspace, case: Case) -> dict[str, Any]:
    """A case; while it is open, nothing that would give it away."""
    from pipelines.production.incidents import scoring, solving

    closed = case.closed is not None
    parts = solving.score(workspace, case) if closed else []
    return {
        "declared": case.declared,
        "closed": case.closed,
        "moves": [{"day": made.day, "move": made.move, "what": made.what} for made in case.moves],
        "hypothesis": case.hypothesis,
        "cause_named": case.cause,
        "solved": case.solved,
        "name": case.incident.name if closed else None,
        "begins": case.incident.begins if closed else None,
        "ended": case.incident.until_day if closed else None,
        "practice": case.incident.again,
        "score": scoring.total(parts) if closed else None,
        "parts": [vars(part) for part in parts],
    }


def _line(case: dict[str, Any]) -> str:
    if case["closed"] is None:
        return f"Declared on day {case['declared']}, and open."
    return f"{case['name']}: declared on day {case['declared']}, closed on day {case['closed']}; " + (
        f"{case['score']} of 100"
    )

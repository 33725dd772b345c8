"""A simulation: a number of days of a world, played to their end, and what became of them.

Comes in: a scenario, a seed, episodes and a number of days. Goes out: days, retrainings, deployments and
the hash of all that was predicted and learned: the same seed and actions give the same one. Where nothing
serves yet, the road is run first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines import promotion
from pipelines.engines import local
from pipelines.errors import BadInput, Refused, Unavailable
from pipelines.lifecycle import LIFECYCLE, Ingest
from pipelines.production import clock as clocks
from pipelines.production import ledger, policies, pricing, retraining
from pipelines.production.champion import champion_of_run
from pipelines.production.clock import Clock
from pipelines.production.incidents import library, records, solving
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import Begun, read_happened
from pipelines.workspace import Workspace

LOOK_S = 0.1
# A day that can't be played this long will not be: whoever waits is told why. One that is being played
# may take as long as a busy machine needs.
PATIENCE_S, LONGEST_DAY_S = 90.0, 900.0


@dataclass(frozen=True)
class Simulated:
    """What became of the days that were played.

    Attributes
    ----------
    clock : Clock
        As it stands at the end.
    days : list of Day
        The days played now; `ledger.days` has those before.
    seconds : float
        How long playing took, without the run before it.
    """

    clock: Clock
    days: list[ledger.Day]
    seconds: float


def simulate(
    workspace: Workspace,
    scenario: str,
    days: int,
    *,
    seed: int = 1,
    policy: str | None = None,
    episodes: Sequence[str] = (),
    params: Mapping[str, Mapping[str, Any]] | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> Simulated:
    """Play that many days on from where the workspace's world is, or from its beginning.

    The services must be running.

    Parameters
    ----------
    policy : str, optional
        When to retrain, from now on; as it was chosen before when left out.
    params : mapping, optional
        Of the run that makes the first model; only where there is none.
    tell : callable
        Told of every step and of the days, line by line.

    Raises
    ------
    BadInput
        There is no such scenario, policy or episode, or a param is not as its definition says.
    Refused
        The workspace plays another world, the first model did not pass its gate, or the world ends before.
    Unavailable
        A day could not be played.
    """
    asked = check_asked(scenario, policy, episodes)
    begun = clocks.read(workspace, scenario)
    clock = begun or _make(workspace, scenario, days, seed, asked.episodes, params, tell)
    if clock.seed != seed or (begun is not None and asked.episodes and clock.episodes != asked.episodes):
        raise Refused(
            f"Workspace '{workspace.name}' plays the {clocks.describe(clock)} of {scenario}, "
            "and another was asked for.",
            "Simulate in a workspace of its own: --workspace NAME",
        )
    for each in asked.incidents:
        _inject(workspace, clock, each)
    if policy is not None:
        policies.choose(workspace, clock, policy)
    first_day = clock.day
    began = time.monotonic()
    clock = _play(workspace, clocks.advance(workspace, scenario, days), tell)
    seconds = time.monotonic() - began
    played = [each for each in ledger.days(workspace, scenario) if each.day >= first_day]
    return Simulated(clock, played, seconds)


@dataclass(frozen=True)
class Asked:
    """What is to happen to the world.

    Attributes
    ----------
    episodes : str
        As a clock keeps them.
    incidents : tuple of Begun
        The other incidents, each with its day.
    """

    episodes: str
    incidents: tuple[Begun, ...]


def check_asked(scenario: str, policy: str | None, happens: Sequence[str]) -> Asked:
    """Refuse what can't be simulated; cheap, so that it is said before anything starts.

    Parameters
    ----------
    happens : sequence of str
        Incidents, episodes of the world among them, as NAME@DAY.

    Raises
    ------
    BadInput
        There is no such scenario, policy or incident.
    """
    if policy is not None:
        policies.find_policy(policy)
    world = find_scenario(scenario)
    known = {each.name for each in world.episodes}
    parts = [part.strip() for text in happens for part in text.split(",")]
    broken = [part for part in parts if part and part.partition("@")[0] not in known]
    episodes = ",".join(part for part in parts if part not in broken)
    incidents = []
    for part in broken:
        name, _, day = part.partition("@")
        definition = library.find(world, name)
        if not (day.isascii() and day.isdigit() and len(day) < 5):
            raise BadInput(f"'{part[:40]}' names no day.", "Write NAME@DAY: on whose morning it begins.")
        incidents.append(Begun(definition.name, int(day)))
    return Asked(",".join(map(str, read_happened(world, episodes))), tuple(incidents))


def _inject(workspace: Workspace, clock: Clock, asked: Begun) -> None:
    """Let it begin on its day; asked for again, it is the same."""
    there = records.of_branch(workspace, clock.scenario, clock.branch)
    if not any((each.name, each.begins) == (asked.name, asked.day) for each in there):
        solving.check_day(clock, asked.day, asked.name)
        records.add(workspace, clock.scenario, clock.branch, asked.name, asked.day)


def as_json(workspace: Workspace, simulated: Simulated) -> dict[str, Any]:
    """The simulation as the command line prints it."""
    clock = simulated.clock
    rows = promotion.history(workspace, clock.scenario, clock.branch)
    all_days = ledger.days(workspace, clock.scenario, clock.branch)
    scenario = find_scenario(clock.scenario)
    price = pricing.prices_of(workspace, scenario).retraining
    trained = price * len(retraining.paid_days(workspace, clock))
    return {
        "scenario": clock.scenario,
        "world": {"size": clock.size, "seed": clock.seed, "episodes": clock.episodes},
        "day": clock.day,
        "log_hash": ledger.log_hash(workspace, clock.scenario, clock.branch),
        "days": [day_as_json(day) for day in simulated.days],
        "retrainings": [vars(each) for each in policies.retrainings(workspace, clock.scenario, clock.branch)],
        "deployments": [
            {"day": row.day, "action": row.action, "stage": row.stage, "version": row.version} for row in rows
        ],
        "ledger": ledger.total(scenario, all_days) | {"training": round(trained, 2)},
        "seconds": round(simulated.seconds, 3),
    }


def day_as_json(day: ledger.Day) -> dict[str, Any]:
    """One day as the command line prints it; money is null until every outcome is known."""
    return {
        "day": day.day,
        "requests": day.requests,
        "errors": day.errors,
        "latency_ms": {"p50": day.p50_ms, "p95": day.p95_ms},
        "flagged": day.flagged,
        "right": day.right,
        "labels": day.labels,
        "drifted": day.drifted,
        "alerts": day.alerts,
        "metric": day.metric,
        "money": None if day.bill is None else vars(day.bill) | {"saved": day.bill.saved},
    }


def _make(
    workspace: Workspace,
    scenario: str,
    days: int,
    seed: int,
    episodes: str,
    params: Mapping[str, Mapping[str, Any]] | None,
    tell: Callable[[str], object],
) -> Clock:
    """Run the road and begin the world behind what it deployed; or behind what serves already."""
    if promotion.serving(workspace, scenario).champion is not None:
        return clocks.begin(workspace, scenario, episodes=episodes or None)
    ingest = LIFECYCLE.check(params or {})["ingest"]
    assert isinstance(ingest, Ingest)
    left = find_scenario(scenario).length(ingest.size) - ingest.until_day
    if not 1 <= days <= left:
        raise BadInput(
            f"{days} days can't be played from day {ingest.until_day} on.", f"Ask for 1 to {max(left, 0)}."
        )
    run = local.submit(workspace, scenario, params or {}, seed=seed)
    state = local.follow(workspace, run.run_id, tell, LOOK_S)
    if state.status != "completed":
        raise Refused(
            f"Run {run.run_id}, which was to make the first model, is {state.status}: {state.cause}",
            f"See it: python -m pipelines run --list --workspace {workspace.name}",
        )
    champion = champion_of_run(workspace, run.run_id)
    return clocks.begin(workspace, scenario, champion, episodes=episodes or None)


def _play(workspace: Workspace, clock: Clock, tell: Callable[[str], object]) -> Clock:
    """Wait until the clock has reached its target."""
    told, moved_at = clock.day, time.monotonic()
    while clock.day < clock.target_day:
        time.sleep(LOOK_S)
        now = clocks.read(workspace, clock.scenario, clock.branch)
        assert now is not None  # clocks are never taken away
        if now.day != clock.day:
            moved_at = time.monotonic()
        if now.day >= told + 10 or (now.day != told and now.day == now.target_day):
            told = now.day
            tell(f"day {now.day} of {now.target_day}")
        waited_s = time.monotonic() - moved_at
        if now.problem and waited_s > PATIENCE_S:
            raise Unavailable(f"Day {now.day} can't be played: {now.problem}", now.hint)
        if waited_s > LONGEST_DAY_S:
            raise Unavailable(f"Day {now.day} is not played.", "See world.log in the home's folder logs.")
        clock = now
    return clock

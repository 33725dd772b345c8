"""The policy lab: the same days of the same world under each policy, one branch each.

Comes in: a day to begin on, a number of days, and policies. Goes out: branches that the world plays one
after the other, and what each policy was worth, its retrainings paid for. What is lived in meanwhile
changes; at the end it is the branch from which the lab was begun.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines import branches
from pipelines.errors import BadInput, FlightdeckError, Refused
from pipelines.production import clock as clocks
from pipelines.workspace import Tables, Workspace

LEAST_DAYS = 7

_TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS policy_lab (
    scenario TEXT PRIMARY KEY,
    base TEXT NOT NULL,
    from_day INTEGER NOT NULL,
    days INTEGER NOT NULL,
    policies TEXT NOT NULL,
    state TEXT NOT NULL,
    problem TEXT NOT NULL,
    begun_at REAL NOT NULL
);
""",
    "policy_lab",
)


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes
    ----------
    base : str
        The branch from which all go out.
    state : str
        "running", or "done", also when it was ended early.
    problem : str
        Why it does not go on.
    """

    scenario: str
    base: str
    from_day: int
    days: int
    policies: tuple[str, ...]
    state: str
    problem: str
    begun_at: float

    @property
    def until_day(self) -> int:
        return self.from_day + self.days

    def title(self, policy: str) -> str:
        """What the branch of a policy is called: by this it is found again."""
        return f"lab, day {self.from_day} on: {policy}"


@dataclass(frozen=True)
class Outcome:
    """What one policy came to, as far as it was played.

    Attributes
    ----------
    branch : str or None
        None before it was begun.
    day : int
        The day that its branch has reached.
    saved : list of (int, float)
        Day, and what all days from the first on had saved against no model, retrainings paid for; only days
        whose outcomes are known.
    retrained : list of int
        Days on whose morning it retrained.
    cost : float
        Of those retrainings.
    """

    policy: str
    branch: str | None
    day: int
    saved: list[tuple[int, float]]
    retrained: list[int]
    cost: float

    @property
    def net(self) -> float:
        return self.saved[-1][1] if self.saved else 0.0


def begin(workspace: Workspace, scenario: str, from_day: int, days: int, names: Sequence[str]) -> Plan:
    """Let the world compare these policies, from the morning of `from_day` on.

    Raises
    ------
    BadInput
        There is no such policy or day, fewer than two policies, or too few days.
    Refused
        A comparison goes on, or days are being played.
    Missing
        No world was begun.
    """
    from pipelines.production import policies, rewinding

    chosen = tuple(policies.find_policy(name).name for name in dict.fromkeys(names))
    if len(chosen) < 2:
        raise BadInput(
            "One policy can't be compared.", f"Choose two or more of: {', '.join(policies.POLICIES)}."
        )
    if (going_on := read(workspace, scenario)) is not None and going_on.state == "running":
        raise Refused("A comparison goes on.", "Wait for its end, or end it.")
    clock = rewinding.resting_clock(workspace, scenario)
    rewinding.check_day(clock, from_day)
    if not LEAST_DAYS <= days <= clock.last_day - from_day:
        raise BadInput(
            f"{days} days can't be compared from day {from_day} on.",
            f"Choose {LEAST_DAYS} to {clock.last_day - from_day}: the world lasts {clock.last_day} days.",
        )
    rewinding.check_room(workspace, scenario, len(chosen))
    with _TABLES.writing(workspace) as connection:
        connection.execute(
            "INSERT OR REPLACE INTO policy_lab VALUES (?, ?, ?, ?, ?, 'running', '', ?)",
            (scenario, clock.branch, from_day, days, ",".join(chosen), time.time()),
        )
    plan = read(workspace, scenario)
    assert plan is not None
    return plan


def end(workspace: Workspace, scenario: str) -> None:
    """Stop comparing; what was played is kept, and the branch it began from is lived in again."""
    plan = read(workspace, scenario)
    if plan is not None and plan.state == "running":
        _mark(workspace, plan, "done", "")
        if (clock := clocks.read(workspace, scenario)) is not None and clock.state != "idle":
            clocks.pause(workspace, scenario)


def read(workspace: Workspace, scenario: str) -> Plan | None:
    """The newest comparison; None when there was none."""
    return next((plan for plan in plans(workspace) if plan.scenario == scenario), None)


def plans(workspace: Workspace) -> list[Plan]:
    """The newest comparison of each scenario; looking makes no file."""
    with _TABLES.reading(workspace) as connection:
        if connection is None:
            return []
        rows = [dict(row) for row in connection.execute("SELECT * FROM policy_lab ORDER BY scenario")]
    return [Plan(**row | {"policies": tuple(row["policies"].split(","))}) for row in rows]


def go_on(workspace: Workspace) -> bool:
    """Take the next step of each comparison whose live branch rests; whether there is more to play.

    Called between days by whoever plays the world. Repeated after a crash it finds where it was.
    """
    more = False
    for plan in plans(workspace):
        if plan.state == "running":
            try:
                more |= _take_step(workspace, plan)
            except (FlightdeckError, sqlite3.Error, OSError) as error:
                _mark(workspace, plan, "done", str(error))
    return more


def outcomes(workspace: Workspace, plan: Plan) -> list[Outcome]:
    """What each policy has come to."""
    from pipelines.production import ledger, policies, pricing
    from pipelines.scenarios import find_scenario

    price = pricing.prices_of(workspace, find_scenario(plan.scenario)).retraining
    found = []
    for policy in plan.policies:
        branch = _branch_of(workspace, plan, policy)
        if branch is None:
            found.append(Outcome(policy, None, plan.from_day, [], [], 0.0))
            continue
        clock = clocks.read(workspace, plan.scenario, branch)
        retrained = [
            each.day
            for each in policies.retrainings(workspace, plan.scenario, branch)
            if plan.from_day <= each.day < plan.until_day
        ]
        total, saved = 0.0, []
        for day in ledger.days(workspace, plan.scenario, branch):
            if plan.from_day <= day.day < plan.until_day and day.bill is not None:
                total += day.bill.saved - price * retrained.count(day.day)
                saved.append((day.day, round(total, 2)))
        day_reached = clock.day if clock is not None else plan.from_day
        found.append(Outcome(policy, branch, day_reached, saved, retrained, price * len(retrained)))
    return found


def _take_step(workspace: Workspace, plan: Plan) -> bool:
    from pipelines.production import policies, rewinding

    live = clocks.read(workspace, plan.scenario)
    if live is None or live.state != "idle":
        return live is not None
    for policy in plan.policies:
        branch = _branch_of(workspace, plan, policy)
        if branch is None:
            rewinding.switch(workspace, plan.scenario, plan.base)
            branch = rewinding.rewind(workspace, plan.scenario, plan.from_day, plan.title(policy)).name
        clock = clocks.read(workspace, plan.scenario, branch)
        if clock is not None and clock.day < plan.until_day:
            if branches.live(workspace, plan.scenario) != branch:
                rewinding.switch(workspace, plan.scenario, branch)
            if (
                policies.holding(workspace, plan.scenario, branch).name != policy
                or clock.day == plan.from_day
            ):
                policies.choose(workspace, clock, policy)
            clocks.advance(workspace, plan.scenario, plan.until_day - clock.day)
            return True
    rewinding.switch(workspace, plan.scenario, plan.base)
    _mark(workspace, plan, "done", "")
    return False


def _branch_of(workspace: Workspace, plan: Plan, policy: str) -> str | None:
    for branch in branches.known(workspace, plan.scenario):
        same = (branch.parent, branch.fork_day, branch.title) == (
            plan.base,
            plan.from_day,
            plan.title(policy),
        )
        if same and branch.created_at >= plan.begun_at:
            return branch.name
    return None


def _mark(workspace: Workspace, plan: Plan, state: str, problem: str) -> None:
    with workspace.connect() as connection:
        connection.execute(
            "UPDATE policy_lab SET state = ?, problem = ? WHERE scenario = ?", (state, problem, plan.scenario)
        )

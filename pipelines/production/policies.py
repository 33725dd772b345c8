"""Policies: when a model is retrained without anybody asking for it.

Comes in: a clock in the morning, and what the evening before has found. Goes out: a run of the same notebooks
through the same gate. Retraining takes a night: the day waits for the run, so that who answers it does not
depend on how fast the machine is.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from pipelines import branches, events, freezing
from pipelines.errors import BadInput, FlightdeckError, Unavailable
from pipelines.monitoring import alerts
from pipelines.production import retraining
from pipelines.production.clock import Clock
from pipelines.run import new_run_id, read_run
from pipelines.workspace import Tables, Workspace

SCHEDULE_DAYS = 28
# An alert that stays open is no reason to retrain each night: so long a new model is given.
REST_DAYS = 14

_TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS policies (
    scenario TEXT NOT NULL,
    branch TEXT NOT NULL,
    name TEXT NOT NULL,
    since_day INTEGER NOT NULL,
    PRIMARY KEY (scenario, branch)
);
CREATE TABLE IF NOT EXISTS retrainings (
    scenario TEXT NOT NULL,
    branch TEXT NOT NULL,
    day INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (scenario, branch, day)
);
""",
    "retrainings",
)


@dataclass(frozen=True)
class Policy:
    """A rule that says when to retrain.

    Attributes
    ----------
    rules : tuple of str
        Alerts that are a reason.
    every_days : int or None
        Retrain this often, whatever is found.
    """

    name: str
    title: str
    meaning: str
    rules: tuple[str, ...] = ()
    every_days: int | None = None


POLICIES: dict[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy("never", "Never", "Nobody retrains, unless you do."),
        Policy(
            "scheduled",
            "On a schedule",
            f"Every {SCHEDULE_DAYS} days, whether anything has changed or not.",
            every_days=SCHEDULE_DAYS,
        ),
        Policy(
            "drift",
            "On drift",
            f"When inputs or scores have drifted; then at most every {REST_DAYS} days.",
            rules=("input_drift", "score_drift"),
        ),
        Policy(
            "performance",
            "On performance",
            f"When labels show that it is less right; then at most every {REST_DAYS} days.",
            rules=("performance",),
        ),
    )
}


@dataclass(frozen=True)
class Retraining:
    """One retraining that a policy has begun, on the morning of `day`."""

    day: int
    run_id: str
    reason: str


class Waiting(Unavailable):
    """The day can't begin yet: a model is being retrained."""


def choose(workspace: Workspace, clock: Clock, name: str) -> Policy:
    """Let this policy hold from the day that the clock shows on.

    Raises
    ------
    BadInput
        There is no such policy.
    """
    policy = find_policy(name)
    with _TABLES.writing(workspace) as connection:
        connection.execute(
            "INSERT OR REPLACE INTO policies VALUES (?, ?, ?, ?)",
            (clock.scenario, clock.branch, policy.name, clock.day),
        )
    return policy


def find_policy(name: str) -> Policy:
    """The policy of that name.

    Raises
    ------
    BadInput
        There is none.
    """
    if name not in POLICIES:
        raise BadInput(f"There is no policy '{name[:40]}'.", f"The policies are: {', '.join(POLICIES)}.")
    return POLICIES[name]


def holding(workspace: Workspace, scenario: str, branch: str | None = None) -> Policy:
    """The policy that holds; never, before one was chosen."""
    return _chosen(workspace, scenario, branch)[0]


def retrainings(workspace: Workspace, scenario: str, branch: str | None = None) -> list[Retraining]:
    """What policies have begun, by day."""
    query = "SELECT day, run_id, reason FROM retrainings WHERE scenario = ? AND branch = ? ORDER BY day"
    return [Retraining(**dict(row)) for row in _select(workspace, scenario, branch, query)]


def morning(workspace: Workspace, clock: Clock) -> None:
    """Do what the policy asks for on the morning of the day that the clock shows.

    Asked again, it is the same retraining; a killed world finds it.

    Raises
    ------
    Waiting
        A model is being retrained.
    FlightdeckError
        As `retraining.retrain`.
    """
    today = _of_today(workspace, clock)
    if today is None:
        if freezing.holding(workspace, clock.scenario, clock.branch) is not None:
            return  # what it would make could not be promoted
        reason = reason_to_retrain(workspace, clock)
        if reason is None:
            return
        today = Retraining(clock.day, new_run_id(), reason)
        with _TABLES.writing(workspace) as connection:
            values = (clock.scenario, clock.branch, today.day, today.run_id, today.reason)
            connection.execute("INSERT INTO retrainings VALUES (?, ?, ?, ?, ?)", values)
    if not _is_over(workspace, clock, today):
        raise Waiting(
            f"Retraining on the morning of day {clock.day}: {today.reason}.",
            "The day begins once it is done.",
        )


def reason_to_retrain(workspace: Workspace, clock: Clock) -> str | None:
    """Why the policy retrains this morning, in words; None when it does not."""
    policy, since_day = _chosen(workspace, clock.scenario, clock.branch)
    if policy.every_days is None and not policy.rules:
        return None
    done = retrainings(workspace, clock.scenario, clock.branch)
    rested = clock.day - (done[-1].day if done else -REST_DAYS)
    if policy.every_days is not None:
        since = done[-1].day if done else since_day
        due = clock.day - since >= policy.every_days
        return f"{policy.every_days} days have passed" if due else None
    if rested < REST_DAYS:
        return None
    for alert in alerts.open_alerts(workspace, clock.scenario, clock.branch):
        if alert.rule in policy.rules:
            return f"{alert.title[0].lower()}{alert.title[1:]} ({alert.found})"
    return None


def copy_branch(
    connection: sqlite3.Connection, scenario: str, source: str, target: str, before_day: int
) -> None:
    """Let branch `target` have the policy of `source`, and what it began before that day."""
    if not _TABLES.are_in(connection):
        return
    of_branch, named = (scenario, source, target), {"before_day": before_day}
    since = {"since_day": "min(since_day, :before_day)"}
    branches.copy_rows(connection, "policies", *of_branch, "1", named, changed=since)
    branches.copy_rows(connection, "retrainings", *of_branch, "day < :before_day", named)


def _chosen(workspace: Workspace, scenario: str, branch: str | None) -> tuple[Policy, int]:
    """The policy that holds, and since which day."""
    query = "SELECT name, since_day FROM policies WHERE scenario = ? AND branch = ?"
    found = _select(workspace, scenario, branch, query)
    if not found or found[0]["name"] not in POLICIES:
        return POLICIES["never"], 0
    return POLICIES[found[0]["name"]], int(found[0]["since_day"])


def _of_today(workspace: Workspace, clock: Clock) -> Retraining | None:
    done = retrainings(workspace, clock.scenario, clock.branch)
    return done[-1] if done and done[-1].day == clock.day else None


def _is_over(workspace: Workspace, clock: Clock, today: Retraining) -> bool:
    """Whether its run has come to its end; a run that was never handed to the queue is, now."""
    folder = workspace.run_folder(today.run_id, exists=False)
    if not (folder / "run.json").is_file():
        retraining.retrain(workspace, clock.scenario, today.reason, clock.branch, run_id=today.run_id)
        return False
    try:
        return events.read_state(folder, read_run(folder).steps).finished
    except FlightdeckError:
        return True  # Damaged: it will never end, and time must not wait for it.


def _select(workspace: Workspace, scenario: str, branch: str | None, query: str) -> list[sqlite3.Row]:
    with _TABLES.reading(workspace) as connection:
        if connection is None:
            return []
        branch = branch or branches.live_in(connection, scenario)
        return connection.execute(query, (scenario, branch)).fetchall()

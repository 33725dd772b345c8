"""Faults: what an incident breaks on the route from a request to its answer, in one workspace alone.

Comes in: faults, with the span of simulated time in which they act. Goes out: how the gateway answers then.
What is broken hangs on an event's time and nothing else, so a replay breaks the same. A class shares one
gateway: nothing here stops it for anybody else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipelines import branches
from pipelines.errors import Unavailable
from pipelines.scenarios.scenario import DAY_S, LabelledCount, LabelRate, Mean, Scenario
from pipelines.workspace import Tables, Workspace

Kind = Literal["down", "artifact", "overload", "slow", "means_empty", "labels_unseen", "percent"]

NEVER_S = 10**12  # A time that no world reaches.
# What an answer of a slow route is said to take, in milliseconds: it is simulated. So long the client really
# waits, for half a minute a day would teach nothing more.
SLOW_MS, SLOW_WAIT_S = 6_000.0, 0.15
PERCENT = 100.0
# A route that is overloaded refuses this part of the requests that come from this second of the day on.
REFUSED_SHARE, BUSY_FROM_S = 0.7, 6 * 3600

TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS route_faults (
    fault_id INTEGER PRIMARY KEY AUTOINCREMENT,
    scenario TEXT NOT NULL,
    branch TEXT NOT NULL,
    kind TEXT NOT NULL,
    from_s INTEGER NOT NULL,
    until_s INTEGER NOT NULL,
    number INTEGER
);
CREATE INDEX IF NOT EXISTS route_faults_of ON route_faults (scenario, branch);
""",
    "route_faults_of",
)


class Broken(Unavailable):
    """An incident, which is simulated, keeps this route from answering."""


@dataclass(frozen=True)
class Fault:
    """One fault of a route.

    Attributes
    ----------
    kind : str
        "down": nothing is answered. "artifact": version `number` can't be loaded. "overload": by day most
        requests are refused. "slow": each answer takes `SLOW_MS`. "means_empty": means of
        earlier events are 0. "labels_unseen": counts and rates of labels are 0. "percent": version `number`
        takes its threshold for a percentage.
    from_s, until_s : int
        It acts on events that happen from the one up to the other, in seconds since day 0.
    """

    kind: Kind
    from_s: int
    until_s: int = NEVER_S
    number: int | None = None

    def acts_on(self, time_s: int) -> bool:
        """Whether it acts on what happens at that time."""
        return self.from_s <= time_s < self.until_s


def begin(
    connection: sqlite3.Connection,
    scenario: str,
    branch: str,
    fault: Fault,
) -> None:
    """Let it act, within whoever's transaction."""
    connection.execute(
        "INSERT INTO route_faults (scenario, branch, kind, from_s, until_s, number) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (scenario, branch, fault.kind, fault.from_s, fault.until_s, fault.number),
    )


def end(connection: sqlite3.Connection, scenario: str, branch: str, kinds: Sequence[str], at_s: int) -> int:
    """Let faults of these kinds end at that time; how many did."""
    marks = ", ".join("?" * len(kinds))
    return connection.execute(
        f"UPDATE route_faults SET until_s = ? WHERE scenario = ? AND branch = ? AND until_s > ? "
        f"AND from_s <= ? AND kind IN ({marks})",
        (at_s, scenario, branch, at_s, at_s, *kinds),
    ).rowcount


def read(workspace: Workspace, scenario: str, branch: str) -> tuple[Fault, ...]:
    """The faults of a branch, in order; looking makes no file."""
    with TABLES.reading(workspace) as connection:
        if connection is None:
            return ()
        rows = connection.execute(
            "SELECT kind, from_s, until_s, number FROM route_faults WHERE scenario = ? AND branch = ? "
            "ORDER BY fault_id",
            (scenario, branch),
        ).fetchall()
    return tuple(Fault(**dict(row)) for row in rows)


def copy_branch(connection: sqlite3.Connection, scenario: str, source: str, target: str, at_s: int) -> None:
    """Let branch `target` have the faults of `source` that began before `at_s`; not ended later, they act."""
    if TABLES.are_in(connection):
        # What is ended at that moment was ended on that morning, which is to be lived again.
        ends = {"until_s": f"CASE WHEN until_s >= :at_s THEN {NEVER_S} ELSE until_s END"}
        branches.copy_rows(
            connection,
            "route_faults",
            *(scenario, source, target),
            "from_s < :at_s",
            {"at_s": at_s},
            changed=ends,
            without="fault_id",
        )


def check_route(faults: Sequence[Fault], time_s: int, draw: float, events: int, champion: int | None) -> None:
    """Refuse what the route can't answer at that time.

    Parameters
    ----------
    time_s : int
        When the first event of the request happens.
    draw : float
        Where that event lies between 0 and 1, always the same.
    events : int
        How many events the request has.
    champion : int or None
        The version in production.

    Raises
    ------
    Broken
        Says what an operator would find in the log.
    """
    for fault in faults:
        if not fault.acts_on(time_s):
            continue
        if fault.kind == "down":
            raise Broken(
                "The process behind this route was ended by the system: out of memory (signal 9).",
                "It does not come back by itself.",
            )
        if fault.kind == "artifact" and champion == fault.number:
            raise Broken(
                f"Version {champion} can't be loaded: its file model.skops was removed, 30 days of "
                "retention have passed.",
                "What is deleted can only come back from somewhere else.",
            )
        if fault.kind == "overload" and time_s % DAY_S >= BUSY_FROM_S and draw < REFUSED_SHARE:
            raise Broken(
                f"The queue of this route is full: a request with {events:,} events was not taken.",
                "More than usual is being sent.",
            )


def waits_ms(faults: Sequence[Fault], time_s: int) -> float:
    """How much longer an answer is said to take, in simulated milliseconds."""
    return SLOW_MS if any(fault.kind == "slow" and fault.acts_on(time_s) for fault in faults) else 0.0


def change_features(
    faults: Sequence[Fault], scenario: Scenario, features: NDArray[np.float64], time_s: int
) -> NDArray[np.float64]:
    """The features as a broken feature code computes them: shape (n_features,), a new array if changed."""
    for fault in faults:
        lost: tuple[type, ...] = ()
        if fault.kind == "means_empty":
            lost = (Mean,)
        elif fault.kind == "labels_unseen":
            lost = (LabelledCount, LabelRate)
        if lost and fault.acts_on(time_s):
            kept = [not isinstance(each, lost) for each in scenario.features]
            features = np.where(kept, features, 0.0)
    return features


def threshold_of(faults: Sequence[Fault], version: int, threshold: float, time_s: int) -> float:
    """From which score on that version raises an alert, as it understands its threshold."""
    for fault in faults:
        if fault.kind == "percent" and fault.number == version and fault.acts_on(time_s):
            return threshold / PERCENT
    return threshold

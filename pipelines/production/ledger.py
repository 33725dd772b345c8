"""The ledger: what each day of production was and cost, against having no model.

Comes in: a day that was played, and what monitoring said of it. Goes out: one row a day. These are the books:
a day is priced once its outcomes have come to light, by what is true, whoever was told of it meanwhile; until
then its cost is unknown, and is not guessed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd

from pipelines import branches
from pipelines.production import pricing
from pipelines.production.clock import Clock
from pipelines.production.traffic import Sent
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S, Scenario
from pipelines.serving.open_inference import FIRST_COPIED_ID, FIRST_GIVEN_ID
from pipelines.serving.rollout import ANSWERING
from pipelines.tasks.money import Bill, price
from pipelines.workspace import Tables, Workspace

NEVER = 10**9  # A day that no world reaches.

_TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS ledger (
    scenario TEXT NOT NULL,
    branch TEXT NOT NULL,
    world TEXT NOT NULL,
    day INTEGER NOT NULL,
    first_event INTEGER NOT NULL,
    last_event INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    p50_ms REAL,
    p95_ms REAL,
    flagged INTEGER NOT NULL,
    labels INTEGER NOT NULL,
    versions TEXT NOT NULL,
    drifted INTEGER,
    alerts INTEGER,
    metric TEXT,
    missed REAL,
    reviews REAL,
    false_alarms REAL,
    without REAL,
    right INTEGER,
    lost INTEGER NOT NULL DEFAULT 0,
    downtime REAL,
    PRIMARY KEY (scenario, branch, world, day)
);
""",
    "ledger",
    added=(("ledger", "lost", "INTEGER NOT NULL DEFAULT 0"), ("ledger", "downtime", "REAL")),
)

# What is true of a day's events: event_id, label and stake of each.
Outcomes = Callable[[int], pd.DataFrame]


@dataclass(frozen=True)
class Day:
    """One day of production.

    Attributes
    ----------
    requests, errors : int
        Events that were answered, and events that were sent in vain; one may be sent in vain many times.
    p50_ms, p95_ms : float or None
        How long an event waited for its answer: median and 95th percentile, by the wall clock.
    flagged : int
        Events on which the model raised an alert.
    labels : int
        Labels that became known on this day, of whichever day's events.
    versions : tuple of int
        Which versions answered.
    drifted, alerts : int or None
        Columns that monitoring found drifted, and alerts that it raised; None where nothing was monitored.
    metric : mapping or None
        How good the model is by the labels that had arrived: name, value, low, high, as monitoring has it.
    right : int or None
        Of the flagged events, those that turned out to be positive; None until every outcome is known.
    bill : Bill or None
        What the day's decisions cost; None until every outcome is known.
    lost : int
        Events that never got an answer.
    """

    day: int
    requests: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None
    flagged: int
    labels: int
    versions: tuple[int, ...]
    drifted: int | None
    alerts: int | None
    metric: Mapping[str, Any] | None
    right: int | None
    bill: Bill | None
    lost: int = 0


def days(workspace: Workspace, scenario: str, branch: str | None = None) -> list[Day]:
    """All days that were played, in order, at the learner's prices; looking makes no file."""
    kept = find_scenario(scenario)
    wanted = pricing.prices_of(workspace, kept)
    with _TABLES.reading(workspace) as connection:
        if connection is None:
            return []
        branch = branch or branches.live_in(connection, scenario)
        query = "SELECT * FROM ledger WHERE scenario = ? AND branch = ? ORDER BY day"
        found = [_day(row) for row in connection.execute(query, (scenario, branch))]
    if wanted == kept.prices:
        return found
    return [
        day if day.bill is None else replace(day, bill=pricing.at_prices(day.bill, kept.prices, wanted))
        for day in found
    ]


def enter(
    workspace: Workspace,
    clock: Clock,
    sent: Sent,
    watched: Mapping[str, Any] | None = None,
    outcomes: Outcomes | None = None,
) -> Day:
    """Write the row of the day that the clock shows, and price the days whose outcomes are known now.

    Entered again, the row is the same.

    Parameters
    ----------
    sent : Sent
        Which events were the day's; what was sent by hand is not in the ledger.
    watched : mapping, optional
        What monitoring said: drifted, alerts, metric.
    outcomes : callable, optional
        What is true of the events that were sent on a day; without it nothing is priced.
    """
    named = _named(clock) | {"day": clock.day, "first": sent.first_event, "last": sent.last_event}
    with _TABLES.writing(workspace) as connection:
        answered = _answered(connection, named)
        waited = np.array([row["latency_ms"] for row in answered])
        p50, p95 = np.percentile(waited, [50, 95]).round(3).tolist() if len(waited) else (None, None)
        watched = watched or {}
        metric = watched.get("metric")
        named |= {
            "requests": len(answered),
            "errors": clock.errors,
            "p50_ms": p50,
            "p95_ms": p95,
            "flagged": sum(row["decision"] for row in answered),
            "labels": sent.labels,
            "lost": sent.lost,
            "versions": ",".join(map(str, sorted({row["version"] for row in answered}))),
            "drifted": watched.get("drifted"),
            "alerts": watched.get("alerts"),
            "metric": json.dumps(metric) if metric is not None else None,
        }
        connection.execute(
            "INSERT OR REPLACE INTO ledger (scenario, branch, world, day, first_event, last_event, requests, "
            "errors, p50_ms, p95_ms, flagged, labels, versions, drifted, alerts, metric, lost) VALUES "
            "(:scenario, "
            ":branch, :world, :day, :first, :last, :requests, :errors, :p50_ms, :p95_ms, :flagged, :labels, "
            ":versions, :drifted, :alerts, :metric, :lost)",
            named,
        )
        if outcomes is not None:
            _price_days(connection, clock, outcomes)
        query = f"SELECT * FROM ledger WHERE {_OF_WORLD} AND day = :day"
        return _day(connection.execute(query, _named(clock) | {"day": clock.day}).fetchone())


def copy_branch(
    connection: sqlite3.Connection, scenario: Scenario, source: str, target: str, before_day: int
) -> None:
    """Let branch `target` begin with the days of `source` before that one, priced as they were then."""
    if not _TABLES.are_in(connection):
        return
    # In the evening of the day before, the outcomes of days as old as this were known.
    named = {"before_day": before_day, "known": before_day - 1 - scenario.label_delay_days}
    priced = {name: f"CASE WHEN day <= :known THEN {name} END" for name in _PRICED}
    branches.copy_rows(
        connection, "ledger", scenario.name, source, target, "day < :before_day", named, changed=priced
    )


def total(scenario: Scenario, days: Sequence[Day]) -> dict[str, Any]:
    """All days together: what they cost where that is known, and how many are not known yet.

    Returns
    -------
    dict
        unit, priced_days, unknown_days, and missed, reviews, false_alarms, downtime, without, total, saved
        of the priced days, in the scenario's unit.
    """
    bills = [day.bill for day in days if day.bill is not None]
    parts = {
        name: round(sum(getattr(bill, name) for bill in bills), 2)
        for name in ("missed", "reviews", "false_alarms", "downtime", "without", "total", "saved")
    }
    return {
        "unit": scenario.prices.unit,
        "priced_days": len(bills),
        "unknown_days": len(days) - len(bills),
        **parts,
    }


def log_hash(
    workspace: Workspace, scenario: str, branch: str | None = None, until_day: int | None = None
) -> str:
    """What production was: equal for equal seeds and actions, on any day and in any workspace.

    It covers every prediction and label, or those before the morning of `until_day`; when they were made,
    how long that took, and the workspace's name do not count. Scores count to 9 decimals.
    """
    found = sha256()
    if not workspace.database.is_file():
        return found.hexdigest()
    with workspace.connect() as connection:
        if not _has_log(connection):
            return found.hexdigest()
        branch = branch or branches.live_in(connection, scenario)
        queries = (
            "SELECT world, event_id, event_time, event, version, route, round(score, 9), decision, "
            "cold_start, hex(features) FROM predictions WHERE scenario = :scenario AND branch = :branch "
            "AND day < :until_day ORDER BY world, event_id, version, route",
            "SELECT world, event_id, label, label_time FROM feedback "
            "WHERE scenario = :scenario AND branch = :branch AND label_time <= :known_by "
            "ORDER BY world, event_id",
        )
        until = NEVER if until_day is None else until_day
        named = {"scenario": scenario, "branch": branch, "until_day": until, "known_by": until * DAY_S}
        for query in queries:
            for row in connection.execute(query, named):
                found.update(json.dumps(tuple(row)).encode())
    return found.hexdigest()


def _answered(connection: sqlite3.Connection, named: Mapping[str, Any]) -> list[sqlite3.Row]:
    """Decision, wait and version of the day's answers; the log may have no answer at all yet."""
    if not _has_log(connection):
        return []
    query = f"SELECT event_id, decision, latency_ms, version FROM predictions WHERE {_OF_EVENTS}"
    return connection.execute(query, named).fetchall()


def _price_days(connection: sqlite3.Connection, clock: Clock, outcomes: Outcomes) -> None:
    """Price the days of which every outcome has come to light by now."""
    scenario = find_scenario(clock.scenario)
    query = (
        f"SELECT day, first_event, last_event FROM ledger WHERE {_OF_WORLD} AND without IS NULL "
        "AND day <= :newest ORDER BY day"
    )
    newest = clock.day - scenario.label_delay_days
    for row in connection.execute(query, _named(clock) | {"newest": newest}).fetchall():
        named = _named(clock) | {"day": row["day"], "first": row["first_event"], "last": row["last_event"]}
        answered = {each["event_id"]: each["decision"] for each in _answered(connection, named)}
        true = outcomes(row["day"])
        decided = true["event_id"].map(answered)
        flagged, labels = decided.fillna(0).to_numpy(np.int64), true["label"].to_numpy(np.int64)
        unanswered = int(decided.isna().sum())
        bill = price(scenario.prices, labels, flagged, true["stake"].to_numpy(np.float64), unanswered)
        connection.execute(
            "UPDATE ledger SET missed = :missed, reviews = :reviews, false_alarms = :false_alarms, "
            f"without = :without, downtime = :downtime, right = :right WHERE {_OF_WORLD} AND day = :day",
            named | vars(bill) | {"right": int((flagged & labels).sum())},
        )


def _day(row: sqlite3.Row) -> Day:
    bill = None
    if row["without"] is not None:
        parts = (row[name] or 0.0 for name in ("missed", "reviews", "false_alarms", "without", "downtime"))
        bill = Bill(*parts)
    return Day(
        **{name: row[name] for name in _PLAIN},
        versions=tuple(int(each) for each in row["versions"].split(",") if each),
        metric=json.loads(row["metric"]) if row["metric"] is not None else None,
        bill=bill,
    )


def _named(clock: Clock) -> dict[str, Any]:
    return {"scenario": clock.scenario, "branch": clock.branch, "world": clock.world}


_PRICED = ("missed", "reviews", "false_alarms", "without", "downtime", "right")
_PLAIN = (
    *("day", "requests", "errors", "p50_ms", "p95_ms", "flagged", "labels", "drifted", "alerts", "right"),
    "lost",
)
_OF_WORLD = "scenario = :scenario AND branch = :branch AND world = :world"
# The world's own events and what a source sent besides; the day leaves out what was sent by hand under an id
# among them.
_OF_EVENTS = (
    f"{_OF_WORLD} AND day = :day AND (event_id BETWEEN :first AND :last "
    f"OR event_id BETWEEN {FIRST_COPIED_ID} AND {FIRST_GIVEN_ID - 1}) "
    f"AND route IN ({', '.join(repr(route) for route in sorted(ANSWERING))})"
)


def _has_log(connection: sqlite3.Connection) -> bool:
    """Whether anything was ever answered."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'feedback'").fetchone() is not None

"""Alerts: what somebody should look at, from the day it was found until it is over.

Comes in: each day's report. Goes out: rows of the table alerts in the workspace's app.db. An alert is open
until somebody acknowledges it, and resolved once its rule has been quiet for some days, or another version
serves. A rule has at most one alert that is not resolved, and after one is resolved it rests.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from pipelines import branches
from pipelines.errors import Damaged, Missing, Refused
from pipelines.monitoring import diary
from pipelines.monitoring.rules import LASTING_DAYS, RULES, Rule, Severity, findings
from pipelines.workspace import Tables, Workspace

State = Literal["open", "acknowledged", "resolved"]

QUIET_DAYS = 3  # So many days in a row without a finding, and an alert is over.
COOLDOWN_DAYS = 7  # So long a rule rests after its alert was resolved: the same day's flicker is one alert.

_TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS alerts (
    alert_id INTEGER PRIMARY KEY AUTOINCREMENT,
    scenario TEXT NOT NULL,
    branch TEXT NOT NULL,
    rule TEXT NOT NULL,
    severity TEXT NOT NULL,
    owner TEXT NOT NULL,
    version INTEGER,
    state TEXT NOT NULL,
    opened INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    acknowledged INTEGER,
    resolved INTEGER,
    found TEXT NOT NULL,
    expected TEXT NOT NULL,
    meaning TEXT NOT NULL,
    hint TEXT NOT NULL,
    ended TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS alerts_of ON alerts (scenario, branch, state);
""",
    "alerts_of",
)


@dataclass(frozen=True)
class Alert:
    """One alert.

    Attributes
    ----------
    opened, last_seen, acknowledged, resolved : int or None
        Days of the world.
    version : int or None
        The champion it was found of.
    ended : str
        Why it was resolved.
    """

    alert_id: int
    scenario: str
    branch: str
    rule: str
    severity: Severity
    owner: str
    version: int | None
    state: State
    opened: int
    last_seen: int
    acknowledged: int | None
    resolved: int | None
    found: str
    expected: str
    meaning: str
    hint: str
    ended: str

    @property
    def title(self) -> str:
        return RULES[self.rule].title if self.rule in RULES else self.rule


def update(workspace: Workspace, scenario: str, branch: str, report: Mapping[str, Any]) -> list[Alert]:
    """Take a day's report into account; the alerts that it opened.

    The same report again changes nothing.
    """
    day, version = int(report["day"]), report.get("version")
    earlier = diary.read(workspace, scenario, branch, from_day=day - LASTING_DAYS, until_day=day)
    found = findings(report, earlier)
    opened = []
    with _writing(workspace) as connection:
        living = {each.rule: each for each in _rows(connection, scenario, branch) if each.state != "resolved"}
        for rule, alert in living.items():
            if alert.version != version:
                _end(connection, alert, day, f"version {version} serves now")
            elif rule in found:
                connection.execute(
                    "UPDATE alerts SET last_seen = ?, found = ?, expected = ? WHERE alert_id = ?",
                    (max(day, alert.last_seen), *found[rule], alert.alert_id),
                )
            elif day - alert.last_seen >= QUIET_DAYS:
                _end(connection, alert, day, f"not found any more for {QUIET_DAYS} days")
        for rule, (what, expected) in found.items():
            same = [each for each in _rows(connection, scenario, branch) if each.rule == rule]
            if any(each.state != "resolved" or each.opened == day for each in same):
                continue
            if any(
                each.version == version and each.resolved is not None and day - each.resolved < COOLDOWN_DAYS
                for each in same
            ):
                continue
            opened.append(_open(connection, RULES[rule], scenario, branch, version, day, what, expected))
    return opened


def open_alerts(workspace: Workspace, scenario: str, branch: str | None = None) -> list[Alert]:
    """Alerts that are not resolved: the worst first, then the newest, then in the order of the rules."""
    living = [each for each in all_alerts(workspace, scenario, branch) if each.state != "resolved"]
    order = {rule: place for place, rule in enumerate(RULES)}
    return sorted(
        living,
        key=lambda each: (
            each.state != "open",
            each.severity != "bad",
            -each.opened,
            order.get(each.rule, len(order)),
        ),
    )


def all_alerts(workspace: Workspace, scenario: str, branch: str | None = None) -> list[Alert]:
    """All alerts, oldest first.

    Raises
    ------
    Damaged
        The database can't be read.
    """
    with _reading(workspace) as connection:
        if connection is None:
            return []
        return _rows(connection, scenario, branch or branches.live_in(connection, scenario))


def copy_branch(
    connection: sqlite3.Connection, workspace: Workspace, scenario: str, source: str, target: str, day: int
) -> None:
    """Let branch `target` begin with the alerts of `source` as they stood on that day's morning."""
    if not _TABLES.are_in(connection):
        return
    for alert in _rows(connection, scenario, source):
        if alert.opened <= day:
            then = _as_of(workspace, alert, day)
            values = vars(then) | {"branch": target}
            del values["alert_id"]
            _insert(connection, values)


def _as_of(workspace: Workspace, alert: Alert, day: int) -> Alert:
    """The alert as it stood on that day, with the words of the last report that had found it by then."""
    if alert.resolved is not None and alert.resolved <= day:
        return alert
    seen = alert.acknowledged is not None and alert.acknowledged <= day
    then = replace(
        alert,
        state="acknowledged" if seen else "open",
        acknowledged=alert.acknowledged if seen else None,
        resolved=None,
        ended="",
    )
    if alert.last_seen <= day:
        return then
    first = alert.opened - LASTING_DAYS
    reports = diary.read(workspace, alert.scenario, alert.branch, from_day=first, until_day=day + 1)
    for place in range(len(reports) - 1, -1, -1):
        found = findings(reports[place], reports[:place])
        if alert.rule in found and reports[place]["day"] >= alert.opened:
            what, expected = found[alert.rule]
            return replace(then, last_seen=int(reports[place]["day"]), found=what, expected=expected)
    return replace(then, last_seen=alert.opened)


def acknowledge(workspace: Workspace, alert_id: int, day: int | None = None) -> Alert:
    """Say that somebody looks at it: it stays until its cause is gone, but asks for nobody any more.

    Parameters
    ----------
    day : int, optional
        The world's day; that on which it was last seen when left out.

    Raises
    ------
    Missing
        There is no such alert.
    Refused
        It is over.
    """
    with _writing(workspace) as connection:
        alert = _find(connection, alert_id)
        if alert.state == "resolved":
            raise Refused(
                f"Alert {alert_id} was resolved on day {alert.resolved}.", "There is nothing to do."
            )
        if alert.state == "open":
            connection.execute(
                "UPDATE alerts SET state = 'acknowledged', acknowledged = ? WHERE alert_id = ?",
                (alert.last_seen if day is None else day, alert_id),
            )
        return _find(connection, alert_id)


def _open(
    connection: sqlite3.Connection,
    rule: Rule,
    scenario: str,
    branch: str,
    version: int | None,
    day: int,
    found: str,
    expected: str,
) -> Alert:
    values = {
        "scenario": scenario,
        "branch": branch,
        "rule": rule.name,
        "severity": rule.severity,
        "owner": rule.owner,
        "version": version,
        "state": "open",
        "opened": day,
        "last_seen": day,
        "found": found,
        "expected": expected,
        "meaning": rule.meaning,
        "hint": rule.hint,
        "ended": "",
    }
    return _insert(connection, values)


def _insert(connection: sqlite3.Connection, values: Mapping[str, object]) -> Alert:
    names, places = ", ".join(values), ", ".join(f":{name}" for name in values)
    row = connection.execute(f"INSERT INTO alerts ({names}) VALUES ({places}) RETURNING *", values).fetchone()
    return Alert(**dict(row))


def _end(connection: sqlite3.Connection, alert: Alert, day: int, why: str) -> None:
    connection.execute(
        "UPDATE alerts SET state = 'resolved', resolved = ?, ended = ? WHERE alert_id = ?",
        (day, why, alert.alert_id),
    )


def _find(connection: sqlite3.Connection, alert_id: int) -> Alert:
    row = connection.execute("SELECT * FROM alerts WHERE alert_id = ?", (alert_id,)).fetchone()
    if row is None:
        raise Missing(f"There is no alert {alert_id}.", "Look at those there are, in the room Monitor.")
    return Alert(**dict(row))


def _rows(connection: sqlite3.Connection, scenario: str, branch: str) -> list[Alert]:
    rows = connection.execute(
        "SELECT * FROM alerts WHERE scenario = ? AND branch = ? ORDER BY alert_id", (scenario, branch)
    )
    return [Alert(**dict(row)) for row in rows]


@contextmanager
def _writing(workspace: Workspace) -> Iterator[sqlite3.Connection]:
    with _TABLES.writing(workspace) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


@contextmanager
def _reading(workspace: Workspace) -> Iterator[sqlite3.Connection | None]:
    """A connection where there is a table of alerts; looking makes none."""
    try:
        with _TABLES.reading(workspace) as connection:
            yield connection
    except sqlite3.Error as error:
        raise Damaged(
            f"The alerts of workspace '{workspace.name}' can't be read: {error}.",
            "Your runs are kept. To begin afresh: python -m pipelines reset",
        ) from error

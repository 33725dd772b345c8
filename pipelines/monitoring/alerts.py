"""Alerts: what somebody should look at, from the day it was found until it is over.

Comes in: each day's report. Goes out: rows of the table alerts in the workspace's app.db. An alert is open
until somebody acknowledges it, and resolved once its rule has been quiet for some days, or another version
serves. A rule has at most one alert that is not resolved, and after one is resolved it rests.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.errors import Damaged, Missing, Refused
from pipelines.monitoring import diary
from pipelines.workspace import Workspace

State = Literal["open", "acknowledged", "resolved"]
Severity = Literal["bad", "attention"]

QUIET_DAYS = 3  # So many days in a row without a finding, and an alert is over.
COOLDOWN_DAYS = 7  # So long a rule rests after its alert was resolved: the same day's flicker is one alert.

# A week of bad luck among the stolen cards looks like decay for some days: of such weeks there is one in
# twenty. So a loss counts at once when more than half is lost, and else when a week of reports shows it.
MUCH = 0.5
LASTING_DAYS = 7

_TABLE = """
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
"""


@dataclass(frozen=True)
class Rule:
    """Something that is held against every report.

    Attributes
    ----------
    name, title : str
    severity : {"bad", "attention"}
        "bad" costs money now; "attention" may.
    owner : str
        Whose it is to act.
    meaning, hint : str
        Why it matters and what to do.
    """

    name: str
    title: str
    severity: Severity
    owner: str
    meaning: str
    hint: str


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


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "performance",
            "The model is less right than it was",
            "bad",
            "data scientist",
            "The whole interval lies below the one that the evaluation promised: it is not bad luck.",
            "Look at what drifted, then retrain: the new model learns from what is true now.",
        ),
        Rule(
            "input_drift",
            "What comes in has changed",
            "attention",
            "data scientist",
            "The model meets values it has not learnt from. Whether that harms, only labels will show.",
            "Look at the columns named; ask whoever sends them before you retrain.",
        ),
        Rule(
            "score_drift",
            "The scores have changed",
            "attention",
            "data scientist",
            "More, or fewer, alerts are raised than the threshold was set for.",
            "Compare the scores before and now; if their inputs drifted too, begin there.",
        ),
        Rule(
            "quality",
            "The data are not as expected",
            "bad",
            "data engineer",
            "A model can't be better than what it is given.",
            "Mend the source first; a retrained model would learn the fault.",
        ),
        Rule(
            "labels",
            "Labels do not arrive",
            "attention",
            "data engineer",
            "Without labels nobody sees the model decay.",
            "Find out where the labels are held up.",
        ),
    )
}


def findings(
    report: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]] = ()
) -> dict[str, tuple[str, str]]:
    """Which rules a report meets, each with what was found and what was expected.

    Parameters
    ----------
    earlier : sequence of mapping
        The reports of the days before: a loss that is not large counts once it lasts.
    """
    found: dict[str, tuple[str, str]] = {}
    performance, drift = report.get("performance") or {}, report.get("drift") or {}
    decayed = [
        name
        for name in ("average_precision", "alert_precision")
        if is_below(performance, name)
        and (_has_lost_much(performance, name) or _has_lasted(report, earlier, name))
    ]
    if decayed:
        shown = "alert_precision" if "alert_precision" in decayed else decayed[0]
        found["performance"] = _measured(performance, shown)
    alarmed = [each for each in drift.get("columns", []) if each["alarm"]]
    inputs = [each for each in alarmed if each["name"] != "score"]
    for rule, columns in (("input_drift", inputs), ("score_drift", [c for c in alarmed if c not in inputs])):
        if columns:
            worst = columns[0]
            more = f" and {len(columns) - 1} more" if len(columns) > 1 else ""
            found[rule] = (
                f"{worst['name']}{more}: {worst['method']} {worst['score']:.2f}",
                f"below {worst['alarm_from']:.2f}, which weeks do not reach by themselves",
            )
    failed = [each for each in report.get("quality", []) if not each["passed"]]
    for rule, names in (("labels", {"Labels arrive"}), ("quality", None)):
        broken = [each for each in failed if (each["name"] == "Labels arrive") == (names is not None)]
        if broken:
            found[rule] = (f"{broken[0]['name']}: {broken[0]['found']}", broken[0]["expected"])
    return found


def is_below(performance: Mapping[str, Any], name: str) -> bool:
    """Whether the figure's whole interval lies below the one that was promised."""
    if performance.get("status") != "measured":
        return False
    high = performance["intervals"][name][1]
    low = performance["promised"]["intervals"][name][0]
    return high is not None and low is not None and high < low


def _has_lost_much(performance: Mapping[str, Any], name: str) -> bool:
    """Whether more than half is lost even at the upper end of the interval."""
    return bool(performance["intervals"][name][1] < MUCH * performance["promised"]["metrics"][name])


def _has_lasted(report: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Whether the figure was below on each of the last `LASTING_DAYS`, today included."""
    days = {
        int(each["day"])
        for each in earlier
        if each.get("version") == report.get("version") and is_below(each["performance"], name)
    }
    today = int(report["day"])
    return all(day in days for day in range(today - LASTING_DAYS + 1, today))


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


def open_alerts(workspace: Workspace, scenario: str, branch: str = "main") -> list[Alert]:
    """Alerts that are not resolved: the worst first, then the newest."""
    living = [each for each in all_alerts(workspace, scenario, branch) if each.state != "resolved"]
    return sorted(living, key=lambda each: (each.state != "open", each.severity != "bad", -each.opened))


def all_alerts(workspace: Workspace, scenario: str, branch: str = "main") -> list[Alert]:
    """All alerts, oldest first.

    Raises
    ------
    Damaged
        The database can't be read.
    """
    with _reading(workspace) as connection:
        return _rows(connection, scenario, branch) if connection is not None else []


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


def _measured(performance: Mapping[str, Any], name: str) -> tuple[str, str]:
    value, (low, high) = performance["metrics"][name], performance["intervals"][name]
    promised = performance["promised"]
    what = {"alert_precision": "Of 100 alerts {} are right", "average_precision": "Average precision {}"}[
        name
    ]
    if name == "alert_precision":
        words = f"{what.format(round(100 * value))} (95% interval {100 * low:.0f} to {100 * high:.0f})"
        first, last = (100 * end for end in promised["intervals"][name])
        return (
            words,
            f"{100 * promised['metrics'][name]:.0f} ({first:.0f} to {last:.0f}), as in the evaluation",
        )
    words = f"{what.format(f'{value:.2f}')} (95% interval {low:.2f} to {high:.2f})"
    first, last = promised["intervals"][name]
    return words, f"{promised['metrics'][name]:.2f} ({first:.2f} to {last:.2f}), as in the evaluation"


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
    with workspace.connect() as connection:
        connection.executescript(_TABLE)
        connection.execute("BEGIN IMMEDIATE")
        yield connection


@contextmanager
def _reading(workspace: Workspace) -> Iterator[sqlite3.Connection | None]:
    """A connection where there is a table of alerts; looking makes none."""
    if not workspace.database.is_file():
        yield None
        return
    try:
        with workspace.connect() as connection:
            there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alerts'").fetchone()
            yield connection if there else None
    except sqlite3.Error as error:
        raise Damaged(
            f"The alerts of workspace '{workspace.name}' can't be read: {error}.",
            "Your runs are kept. To begin afresh: python -m pipelines reset",
        ) from error

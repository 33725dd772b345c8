"""Records: the incidents of a workspace, and what was done about each, by day.

Comes in: an incident that is to happen, and what a learner does. Goes out: rows of the tables incidents and
incident_moves in the workspace's app.db. Which incident it is stays hidden until it is closed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipelines import branches
from pipelines.errors import Missing
from pipelines.production.incidents.definition import Definition
from pipelines.production.incidents.library import LIBRARY
from pipelines.workspace import Tables, Workspace

Move = Literal["declared", "lever", "hypothesis", "cause", "closed", "false alarm"]

TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS incidents (
    incident_id INTEGER PRIMARY KEY AUTOINCREMENT,
    scenario TEXT NOT NULL,
    branch TEXT NOT NULL,
    name TEXT NOT NULL,
    begins INTEGER NOT NULL,
    begun INTEGER NOT NULL,
    until_day INTEGER,
    hidden INTEGER NOT NULL,
    again INTEGER NOT NULL,
    found TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS incident_moves (
    move_id INTEGER PRIMARY KEY AUTOINCREMENT,
    scenario TEXT NOT NULL,
    branch TEXT NOT NULL,
    incident TEXT NOT NULL,
    day INTEGER NOT NULL,
    move TEXT NOT NULL,
    what TEXT NOT NULL,
    said TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS incident_moves_of ON incident_moves (scenario, branch, day);
""",
    "incident_moves_of",
)


@dataclass(frozen=True)
class Incident:
    """One incident of a branch.

    Attributes
    ----------
    begins : int
        On the morning of this day it begins.
    begun : bool
        Whether it has.
    until_day : int or None
        From the morning of this day on it has no effect any more; None while it has.
    hidden : bool
        Whether it was chosen by a seed: then its name is told to nobody before it is closed.
    again : bool
        Whether the learner had met it on another line of time: then it is practice, and counts for nothing.
    found : mapping
        What the world gave it when it began: the version of a canary, for example.
    """

    incident_id: int
    scenario: str
    branch: str
    name: str
    begins: int
    begun: bool
    until_day: int | None
    hidden: bool
    again: bool
    found: Mapping[str, Any]

    @property
    def definition(self) -> Definition:
        return LIBRARY[self.name]

    @property
    def key(self) -> str:
        """Names it on every line of time."""
        return f"{self.name}@{self.begins}"

    def acts_on(self, day: int) -> bool:
        """Whether it has an effect on that day."""
        return self.begun and self.begins <= day and (self.until_day is None or day < self.until_day)


@dataclass(frozen=True)
class Made:
    """Something that a learner did, on the morning of `day`.

    Attributes
    ----------
    incident : str
        Key of the incident that it is about; empty when it was about none.
    move : str
        "declared", "lever" (pulled), "hypothesis" (written), "cause" (named), "closed", "false alarm".
    what : str
        Which lever or cause.
    said : str
        In the learner's words.
    """

    move_id: int
    incident: str
    day: int
    move: Move
    what: str
    said: str


def of_branch(workspace: Workspace, scenario: str, branch: str | None = None) -> list[Incident]:
    """All incidents of a branch, in the order in which they begin; looking makes no file."""
    with TABLES.reading(workspace) as connection:
        if connection is None:
            return []
        branch = branch or branches.live_in(connection, scenario)
        query = "SELECT * FROM incidents WHERE scenario = ? AND branch = ? ORDER BY begins, incident_id"
        return [_incident(row) for row in connection.execute(query, (scenario, branch))]


def find(workspace: Workspace, incident_id: int) -> Incident:
    """The incident of that number.

    Raises
    ------
    Missing
        There is none.
    """
    with TABLES.reading(workspace) as connection:
        query = "SELECT * FROM incidents WHERE incident_id = ?"
        row = connection.execute(query, (incident_id,)).fetchone() if connection is not None else None
    if row is None:
        raise Missing(
            f"There is no incident {incident_id} in workspace '{workspace.name}'.",
            "See: python -m pipelines incident list SCENARIO",
        )
    return _incident(row)


def add(
    workspace: Workspace, scenario: str, branch: str, name: str, begins: int, hidden: bool = False
) -> Incident:
    """Let that incident begin on the morning of a day; asked for twice, it is one."""
    with TABLES.writing(workspace) as connection:
        connection.execute("BEGIN IMMEDIATE")
        query = "SELECT * FROM incidents WHERE scenario = ? AND branch = ? AND name = ? AND begins = ?"
        row = connection.execute(query, (scenario, branch, name, begins)).fetchone()
        if row is None:
            row = connection.execute(
                "INSERT INTO incidents (scenario, branch, name, begins, begun, hidden, again, found) "
                "VALUES (?, ?, ?, ?, 0, ?, 0, '{}') RETURNING *",
                (scenario, branch, name, begins, int(hidden)),
            ).fetchone()
        return _incident(row)


def mark_begun(
    connection: sqlite3.Connection, incident: Incident, day: int, found: Mapping[str, Any]
) -> None:
    """Note that it has begun on that day, and what the world gave it, within whoever's transaction."""
    until_day = None if incident.definition.lasts_days is None else day + incident.definition.lasts_days
    connection.execute(
        "UPDATE incidents SET begun = 1, begins = ?, found = ?, until_day = ? WHERE incident_id = ?",
        (day, json.dumps(found), until_day, incident.incident_id),
    )


def end(connection: sqlite3.Connection, incident: Incident, day: int) -> None:
    """From that day on it has no effect any more, within whoever's transaction."""
    connection.execute(
        "UPDATE incidents SET until_day = ? WHERE incident_id = ? AND (until_day IS NULL OR until_day > ?)",
        (day, incident.incident_id, day),
    )


def note(
    connection: sqlite3.Connection,
    scenario: str,
    branch: str,
    day: int,
    move: Move,
    what: str = "",
    said: str = "",
    incident: str = "",
) -> None:
    """Keep what a learner did, within whoever's transaction."""
    connection.execute(
        "INSERT INTO incident_moves (scenario, branch, incident, day, move, what, said) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (scenario, branch, incident, day, move, what, said),
    )


def moves(workspace: Workspace, scenario: str, branch: str | None = None) -> list[Made]:
    """What was done on a branch, in order."""
    with TABLES.reading(workspace) as connection:
        if connection is None:
            return []
        branch = branch or branches.live_in(connection, scenario)
        query = (
            "SELECT move_id, incident, day, move, what, said FROM incident_moves WHERE scenario = ? AND "
            "branch = ? "
            "ORDER BY move_id"
        )
        return [Made(**dict(row)) for row in connection.execute(query, (scenario, branch))]


def copy_branch(
    connection: sqlite3.Connection, scenario: str, source: str, target: str, before_day: int
) -> None:
    """Let branch `target` have the world's incidents, and what was done about them before that day.

    What breaks belongs to the world, and breaks on every line of time; ending it is a decision. An incident
    that is met a second time is practice.
    """
    if not TABLES.are_in(connection):
        return
    of = (scenario, source, target)
    named = {"before_day": before_day}
    changed = {
        "begun": "CASE WHEN begins < :before_day THEN begun ELSE 0 END",
        "until_day": "CASE WHEN begins < :before_day AND until_day < :before_day THEN until_day END",
        "again": "CASE WHEN begun = 1 THEN 1 ELSE again END",
    }
    branches.copy_rows(connection, "incidents", *of, "1", named, changed=changed, without="incident_id")
    branches.copy_rows(connection, "incident_moves", *of, "day < :before_day", named, without="move_id")


def _incident(row: sqlite3.Row) -> Incident:
    values = dict(row)
    for name in ("begun", "hidden", "again"):
        values[name] = bool(values[name])
    return Incident(**values | {"found": json.loads(values["found"])})

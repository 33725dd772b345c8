"""Freezes: from a day on nothing new is promoted in a scenario, until somebody lifts it.

Comes in: a reason. Goes out: whether promotions are refused, since when and why. Rolling back and withdrawing
stay allowed: they are the way out of trouble, and a freeze must not keep anybody in it.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from pipelines import branches
from pipelines.errors import BadInput, Refused
from pipelines.workspace import Tables, Workspace

REASON_CHARS = 200

_TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS freezes (
    freeze_id INTEGER PRIMARY KEY AUTOINCREMENT,
    scenario TEXT NOT NULL,
    branch TEXT NOT NULL,
    since_day INTEGER,
    until_day INTEGER,
    lifted INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS freezes_of ON freezes (scenario, branch);
""",
    "freezes_of",
)


@dataclass(frozen=True)
class Freeze:
    """One freeze.

    Attributes
    ----------
    since_day, until_day : int or None
        Days of the world, None before it was begun; `until_day` is None while it holds.
    """

    since_day: int | None
    until_day: int | None
    reason: str

    def in_words(self) -> str:
        """Since when and why, as the end of a sentence."""
        since = f" since day {self.since_day}" if self.since_day is not None else ""
        return f"frozen{since}: {self.reason}"


def freeze(workspace: Workspace, scenario: str, reason: str, day: int | None = None) -> Freeze:
    """Let nothing be promoted from now on.

    Raises
    ------
    BadInput
        No reason is given: whoever is refused must know why.
    Refused
        It is frozen already.
    """
    words = " ".join(reason.split())[:REASON_CHARS]
    if not words:
        raise BadInput("A freeze needs a reason.", "Say why, for whoever wants to promote meanwhile.")
    if (there := holding(workspace, scenario)) is not None:
        raise Refused(f"'{scenario}' is {there.in_words()}.", "Lift that freeze first.")
    with _TABLES.writing(workspace) as connection:
        branch = branches.live_in(connection, scenario)
        connection.execute(
            "INSERT INTO freezes (scenario, branch, since_day, reason, at) VALUES (?, ?, ?, ?, ?)",
            (scenario, branch, day, words, time.time()),
        )
    return Freeze(day, None, words)


def lift(workspace: Workspace, scenario: str, day: int | None = None) -> Freeze:
    """Let versions be promoted again; the freeze that held.

    Raises
    ------
    Refused
        Nothing is frozen.
    """
    there = holding(workspace, scenario)
    if there is None:
        raise Refused(f"'{scenario}' is not frozen.", "There is nothing to lift.")
    with _TABLES.writing(workspace) as connection:
        connection.execute(
            "UPDATE freezes SET lifted = 1, until_day = ? WHERE scenario = ? AND branch = ? AND lifted = 0",
            (day, scenario, branches.live_in(connection, scenario)),
        )
    return Freeze(there.since_day, day, there.reason)


def holding(workspace: Workspace, scenario: str, branch: str | None = None) -> Freeze | None:
    """The freeze that holds; looking makes no file."""
    with _TABLES.reading(workspace) as connection:
        if connection is None:
            return None
        branch = branch or branches.live_in(connection, scenario)
        row = connection.execute(
            "SELECT since_day, until_day, reason FROM freezes WHERE scenario = ? AND branch = ? "
            "AND lifted = 0 ORDER BY freeze_id DESC LIMIT 1",
            (scenario, branch),
        ).fetchone()
    return Freeze(**dict(row)) if row is not None else None


def check(workspace: Workspace, scenario: str, branch: str) -> None:
    """Refuse while it is frozen.

    Raises
    ------
    Refused
        Says since when and why.
    """
    there = holding(workspace, scenario, branch)
    if there is not None:
        raise Refused(
            f"Nothing is promoted in '{scenario}' now: it is {there.in_words()}.",
            f"Ask whoever froze it, then lift it: python -m pipelines freeze {scenario} --lift. "
            "Rolling back is allowed.",
        )


def copy_branch(
    connection: sqlite3.Connection, scenario: str, source: str, target: str, before_day: int
) -> None:
    """Let branch `target` have the freezes of `source` as they stood on that day's morning."""
    if not _TABLES.are_in(connection):
        return
    undone = "until_day IS NOT NULL AND until_day >= :before_day"
    branches.copy_rows(
        connection,
        "freezes",
        *(scenario, source, target),
        "since_day IS NULL OR since_day < :before_day",
        {"before_day": before_day},
        changed={
            "lifted": f"CASE WHEN {undone} THEN 0 ELSE lifted END",
            "until_day": f"CASE WHEN {undone} THEN NULL ELSE until_day END",
        },
        without="freeze_id",
    )

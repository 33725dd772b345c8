"""Corrections: what a source sends again, as it should have been.

Comes in: events that were answered as they came, and their true values. Goes out: rows of a table.
The log keeps what was answered; what serving remembers of earlier events is built from what is true.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from pipelines import branches
from pipelines.serving.predictions import Stream
from pipelines.workspace import Tables, Workspace

TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS corrections (
    scenario TEXT NOT NULL,
    branch TEXT NOT NULL,
    world TEXT NOT NULL,
    event_id INTEGER NOT NULL,
    event TEXT,
    day INTEGER NOT NULL,
    PRIMARY KEY (scenario, branch, world, event_id)
);
""",
    "corrections",
)


def correct(
    connection: sqlite3.Connection,
    stream: Stream,
    day: int,
    events: Mapping[int, Mapping[str, Any] | None],
) -> None:
    """Keep what comes again, within whoever's transaction.

    Parameters
    ----------
    day : int
        On whose morning it comes.
    events : mapping
        By event id the raw columns as they should have been, or None for what should never have come.
    """
    of_stream = (stream.scenario, stream.branch, stream.world)
    connection.executemany(
        "INSERT OR REPLACE INTO corrections VALUES (?, ?, ?, ?, ?, ?)",
        [
            (*of_stream, event_id, json.dumps(event) if event else None, day)
            for event_id, event in events.items()
        ],
    )


def count(workspace: Workspace, scenario: str, branch: str) -> int:
    """How many events of a branch were corrected."""
    with TABLES.reading(workspace) as connection:
        if connection is None:
            return 0
        query = "SELECT count(*) FROM corrections WHERE scenario = ? AND branch = ?"
        return int(connection.execute(query, (scenario, branch)).fetchone()[0])


def are_there(workspace: Workspace) -> bool:
    """Whether anything was ever corrected in this workspace."""
    with TABLES.reading(workspace) as connection:
        return connection is not None


def copy_branch(
    connection: sqlite3.Connection, scenario: str, source: str, target: str, before_day: int
) -> None:
    """Let branch `target` have what was corrected on `source` before that day."""
    if TABLES.are_in(connection):
        named = {"before_day": before_day}
        branches.copy_rows(connection, "corrections", scenario, source, target, "day < :before_day", named)

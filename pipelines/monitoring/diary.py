"""The diary: each simulated day's monitoring report, as it was written when the day ended.

Comes in: reports. Goes out: the same reports by day, from the table monitor_days in the workspace's app.db.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from pipelines import branches
from pipelines.errors import Damaged
from pipelines.workspace import Tables, Workspace

_TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS monitor_days (
    scenario TEXT NOT NULL,
    branch TEXT NOT NULL,
    day INTEGER NOT NULL,
    report TEXT NOT NULL,
    PRIMARY KEY (scenario, branch, day)
);
""",
    "monitor_days",
)


def keep(workspace: Workspace, scenario: str, branch: str, report: Mapping[str, Any]) -> None:
    """Write a day's report down; a day that is written again has the newer one."""
    with _TABLES.writing(workspace) as connection:
        connection.execute(
            "INSERT OR REPLACE INTO monitor_days VALUES (?, ?, ?, ?)",
            (scenario, branch, int(report["day"]), json.dumps(report)),
        )


def copy_branch(
    connection: sqlite3.Connection, scenario: str, source: str, target: str, until_day: int
) -> None:
    """Let branch `target` begin with the reports of `source` up to that day's morning."""
    if _TABLES.are_in(connection):
        named = {"until_day": until_day}
        branches.copy_rows(connection, "monitor_days", scenario, source, target, "day <= :until_day", named)


def read(
    workspace: Workspace,
    scenario: str,
    branch: str | None = None,
    *,
    from_day: int = 0,
    until_day: int = 10**9,
) -> list[dict[str, Any]]:
    """The reports of these days, the last not included, by day; none before the first day has ended.

    Raises
    ------
    Damaged
        The database can't be read.
    """
    try:
        with _TABLES.reading(workspace) as connection:
            if connection is None:
                return []
            rows = connection.execute(
                "SELECT report FROM monitor_days WHERE scenario = ? AND branch = ? AND day >= ? AND day < ? "
                "ORDER BY day",
                (scenario, branch or branches.live_in(connection, scenario), from_day, until_day),
            ).fetchall()
        return [json.loads(row["report"]) for row in rows]
    except (sqlite3.Error, ValueError) as error:
        raise Damaged(
            f"The monitoring diary of workspace '{workspace.name}' can't be read: {error}.",
            "Your runs are kept. To begin afresh: python -m pipelines reset",
        ) from error

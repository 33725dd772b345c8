"""The rows of the promotion ledger: the one table that says what serves, and what each row means.

Comes in: rows to add, none ever to change. Goes out: the rows in order, and the state that they lead to.
Who may add which row, `promotion` decides.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

from pipelines import branches
from pipelines.workspace import Tables, Workspace

Stage = Literal["staging", "shadow", "canary", "production"]
Action = Literal["promote", "withdraw", "rollback"]

REASON_CHARS = 500

TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS promotions (
    promotion_id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    branch TEXT NOT NULL,
    day INTEGER,
    scenario TEXT NOT NULL,
    action TEXT NOT NULL,
    stage TEXT NOT NULL,
    version INTEGER,
    share REAL,
    reason TEXT NOT NULL,
    source TEXT
);
CREATE INDEX IF NOT EXISTS promotions_of ON promotions (branch, scenario);
CREATE TRIGGER IF NOT EXISTS promotions_never_change BEFORE UPDATE ON promotions
    BEGIN SELECT RAISE(ABORT, 'the promotion ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS promotions_never_vanish BEFORE DELETE ON promotions
    BEGIN SELECT RAISE(ABORT, 'the promotion ledger is append-only'); END;
""",
    "promotions_never_vanish",
)


@dataclass(frozen=True)
class Promotion:
    """One row of the ledger.

    Attributes
    ----------
    workspace, promotion_id : str, int
        Whose ledger it is in; later rows have higher ids.
    at : float
        Seconds since the epoch.
    branch, day : str, int or None
        The simulated world it happened in, and that world's day.
    action : {"promote", "withdraw", "rollback"}
    stage : {"staging", "shadow", "canary", "production"}
    version : int or None
        What holds the stage from now on; None after a withdrawal.
    share : float or None
        For a canary: the part of the traffic it answers, between 0 and 1.
    reason, source : str, str or None
        Why, in words; and what decided it, such as "run:<id>/deploy".
    """

    workspace: str
    promotion_id: int
    at: float
    branch: str
    day: int | None
    scenario: str
    action: Action
    stage: Stage
    version: int | None
    share: float | None
    reason: str
    source: str | None


@dataclass(frozen=True)
class Serving:
    """Which versions hold the stages now. `promotion_id` is 0 before the first promotion."""

    champion: int | None = None
    canary: int | None = None
    share: float = 0.0
    shadow: int | None = None
    staging: int | None = None
    promotion_id: int = 0


def fold(rows: Iterable[Promotion]) -> Serving:
    """The state that `rows` of one scenario and branch lead to."""
    holds: dict[Stage, int | None] = dict.fromkeys(get_args(Stage))
    share, newest = 0.0, 0
    for row in rows:
        newest = row.promotion_id
        for stage, version in holds.items():
            if version == row.version:
                holds[stage] = None
        holds[row.stage] = row.version
        if row.stage == "canary":
            share = row.share or 0.0
    return Serving(
        champion=holds["production"],
        canary=holds["canary"],
        share=share if holds["canary"] is not None else 0.0,
        shadow=holds["shadow"],
        staging=holds["staging"],
        promotion_id=newest,
    )


def successive_champions(rows: Iterable[Promotion]) -> list[int]:
    """Champions that can be gone back to, the present one last: a rollback takes the last one away."""
    champions: list[int] = []
    for row in rows:
        if row.action == "rollback":
            champions.pop()
        elif row.stage == "production" and row.version is not None and champions[-1:] != [row.version]:
            champions.append(row.version)
    return champions


def rows_of(
    connection: sqlite3.Connection, workspace: Workspace, scenario: str | None, branch: str | None
) -> Iterator[Promotion]:
    """Rows in order; of all scenarios or branches where None is given."""
    found = connection.execute(
        "SELECT * FROM promotions WHERE (:scenario IS NULL OR scenario = :scenario) "
        "AND (:branch IS NULL OR branch = :branch) ORDER BY promotion_id",
        {"scenario": scenario, "branch": branch},
    )
    return (Promotion(workspace=workspace.name, **dict(row)) for row in found)


@dataclass(frozen=True)
class Page:
    """The rows of one scenario on one branch, while nobody else can write."""

    connection: sqlite3.Connection
    workspace: Workspace
    scenario: str
    branch: str

    def rows(self) -> Iterator[Promotion]:
        return rows_of(self.connection, self.workspace, self.scenario, self.branch)

    def repeated(self, stage: str, version: int, share: float | None, source: str) -> Promotion | None:
        """The row of this very decision, when its source has made it before."""
        decision = ("promote", stage, version, share, source)
        for row in self.rows():
            if (row.action, row.stage, row.version, row.share, row.source) == decision:
                return row
        return None

    def append(
        self,
        action: Action,
        stage: Stage,
        version: int | None,
        reason: str,
        day: int | None,
        *,
        share: float | None = None,
        source: str | None = None,
    ) -> Promotion:
        values = (time.time(), self.branch, day, self.scenario, action, stage, version, share)
        added = self.connection.execute(
            "INSERT INTO promotions "
            "(at, branch, day, scenario, action, stage, version, share, reason, source) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
            (*values, reason.strip()[:REASON_CHARS], source),
        ).fetchone()
        return Promotion(workspace=self.workspace.name, **dict(added))


@contextmanager
def writing(workspace: Workspace, scenario: str, branch: str) -> Iterator[Page]:
    """A transaction that no other writer is beside: what is read in it still holds when it commits."""
    with TABLES.writing(workspace) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield Page(connection, workspace, scenario, branch)


def copy_branch(
    connection: sqlite3.Connection, scenario: str, source: str, target: str, before_day: int
) -> None:
    """Let branch `target` begin with what was decided on `source` before that day."""
    if TABLES.are_in(connection):
        branches.copy_rows(
            connection,
            "promotions",
            *(scenario, source, target),
            "day IS NULL OR day < :before_day",
            {"before_day": before_day},
            without="promotion_id",
        )

"""The promotion ledger: which version serves, since when and why.

In: a decision to promote, withdraw or roll back. Out: who serves now, and everything that ever did.
Each decision is one row that is never changed, so the ledger can answer what was in production when;
MLflow's aliases can't, and are only projected from here.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

from filelock import FileLock

from pipelines import registry
from pipelines.errors import BadInput, Missing, Refused, Unavailable
from pipelines.workspace import Workspace

log = logging.getLogger(__name__)

Stage = Literal["staging", "shadow", "canary", "production"]
Action = Literal["promote", "withdraw", "rollback"]

LIVE_BRANCH = "main"
DEFAULT_SHARE = 0.1
REASON_CHARS = 500

# MLflow's name for whoever holds a stage; staging has none, as it answers nobody.
ALIASES: dict[str, str] = {"production": "champion", "canary": "challenger", "shadow": "shadow"}

_TABLE = """
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
"""


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


def promote(
    workspace: Workspace,
    scenario: str,
    version: int,
    *,
    stage: Stage,
    share: float | None = None,
    reason: str,
    day: int | None = None,
    source: str | None = None,
    branch: str = LIVE_BRANCH,
) -> Promotion:
    """Let a registered version hold a stage; in production it answers every request.

    A version holds one stage at a time: promoted, it leaves the one it had. A version whose gate failed
    may be tried in staging, where it answers nobody, and nowhere else.

    Parameters
    ----------
    share : float, optional
        For a canary: the part of the traffic it answers, above 0 and below 1; 0.1 when left out.
    source : str, optional
        What decided this. The same decision repeated (a step run again after a crash) is one row.

    Raises
    ------
    BadInput
        The stage or share is not one there is.
    Missing
        The version is not registered.
    Refused
        Its gate failed, or it serves production and is asked to leave it.
    Unavailable
        MLflow, which keeps the versions, is not answering. Nothing was changed.
    """
    share = _check(stage, share)
    _check_gate(registry.version(workspace.name, scenario, version), stage)
    with _writing(workspace, scenario, branch) as page:
        row = page.repeated(stage, version, share, source) if source else None
        if row is None:
            if stage != "production" and _fold(page.rows()).champion == version:
                raise Refused(
                    f"Version {version} of '{scenario}' answers every request; it can't leave production "
                    f"for {stage}.",
                    "Promote another version to production first, or roll back.",
                )
            row = page.append("promote", stage, version, reason, day, share=share, source=source)
    _project_if_live(workspace, scenario, branch)
    return row


def withdraw(
    workspace: Workspace,
    scenario: str,
    *,
    stage: Stage,
    reason: str,
    day: int | None = None,
    branch: str = LIVE_BRANCH,
) -> Promotion:
    """End a canary, a shadow or a stay in staging; the champion answers alone again.

    Raises
    ------
    BadInput
        The stage is production, which is never left empty, or not one there is.
    Refused
        No version holds that stage.
    """
    _check(stage, None)
    if stage == "production":
        raise BadInput("Production can't be left empty.", "Roll back, or promote another version.")
    with _writing(workspace, scenario, branch) as page:
        if getattr(_fold(page.rows()), stage) is None:
            raise Refused(f"No version of '{scenario}' is in {stage}.", "There is nothing to withdraw.")
        row = page.append("withdraw", stage, None, reason, day)
    _project_if_live(workspace, scenario, branch)
    return row


def rollback(
    workspace: Workspace,
    scenario: str,
    *,
    reason: str,
    day: int | None = None,
    branch: str = LIVE_BRANCH,
) -> Promotion:
    """Give production back to the champion before the current one.

    Rolling back twice goes back twice. It asks nobody but the ledger, so it works while MLflow is down.

    Raises
    ------
    Refused
        There was no champion before.
    """
    with _writing(workspace, scenario, branch) as page:
        champions = _champions(page.rows())
        if len(champions) < 2:
            only = f"version {champions[0]} is the first" if champions else "nothing was ever promoted"
            raise Refused(
                f"There is no earlier champion of '{scenario}' to go back to: {only}.",
                f"Promote a version: python -m pipelines deploy {scenario}",
            )
        row = page.append("rollback", "production", champions[-2], reason, day)
    _project_if_live(workspace, scenario, branch)
    return row


def serving(workspace: Workspace, scenario: str, branch: str = LIVE_BRANCH) -> Serving:
    """Which versions hold the stages now."""
    with _reading(workspace) as connection:
        return _fold(_rows(connection, workspace, scenario, branch)) if connection else Serving()


def history(workspace: Workspace, scenario: str | None = None) -> list[Promotion]:
    """All rows on all branches, oldest first; of one scenario when it is named."""
    with _reading(workspace) as connection:
        return list(_rows(connection, workspace, scenario, None)) if connection else []


def champions(workspace: Workspace, scenario: str, branch: str = LIVE_BRANCH) -> list[int]:
    """The champions that a rollback goes back through, the present one last."""
    with _reading(workspace) as connection:
        return _champions(_rows(connection, workspace, scenario, branch)) if connection else []


def change_mark(workspace: Workspace) -> int:
    """The newest row's id, 0 when there is none: whoever saw this number has seen everything."""
    with _reading(workspace) as connection:
        if connection is None:
            return 0
        return int(connection.execute("SELECT coalesce(max(promotion_id), 0) FROM promotions").fetchone()[0])


def project(workspace: Workspace, scenario: str) -> None:
    """Make MLflow's aliases show what the ledger says, whatever they show now.

    Raises
    ------
    Unavailable
        MLflow is not answering; the ledger holds all the same.
    """
    # The ledger is read inside the lock: of two that project, the later writes the newer state.
    with FileLock(workspace.root / "projection.lock"):
        now = serving(workspace, scenario)
        for stage, number in (("production", now.champion), ("canary", now.canary), ("shadow", now.shadow)):
            registry.project_alias(workspace.name, scenario, ALIASES[stage], number)


def _project_if_live(workspace: Workspace, scenario: str, branch: str) -> None:
    """Project after the commit. When that can't be done, the next projection shows this state too."""
    if branch != LIVE_BRANCH:
        return
    try:
        project(workspace, scenario)
    except (Unavailable, Missing) as error:
        log.warning("aliases of '%s' in '%s' are not projected: %s", scenario, workspace.name, error)


def _check(stage: str, share: float | None) -> float | None:
    """The share as it is kept: of a canary only."""
    if stage not in get_args(Stage):
        raise BadInput(f"There is no stage '{stage[:40]}'.", f"The stages are: {', '.join(get_args(Stage))}.")
    if stage != "canary":
        return None
    share = DEFAULT_SHARE if share is None else share
    if not 0 < share < 1:
        raise BadInput(f"The share of a canary is {share}, but must lie between 0 and 1.", "Try 0.1.")
    return share


def _check_gate(version: registry.Version, stage: Stage) -> None:
    if version.gate == "passed" or stage == "staging":
        return
    rules = "; ".join(version.reasons) or "its evaluation was not kept with it"
    raise Refused(
        f"Version {version.number} of '{version.model}' can't go to {stage}: its gate failed ({rules}).",
        "Train a better model, or put it into staging, where it answers nobody.",
    )


def _fold(rows: Iterable[Promotion]) -> Serving:
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


def _champions(rows: Iterable[Promotion]) -> list[int]:
    """Champions that can be gone back to, the present one last: a rollback takes the last one away."""
    champions: list[int] = []
    for row in rows:
        if row.action == "rollback":
            champions.pop()
        elif row.stage == "production" and row.version is not None and champions[-1:] != [row.version]:
            champions.append(row.version)
    return champions


def _rows(
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
class _Page:
    """The rows of one scenario on one branch, while nobody else can write."""

    connection: sqlite3.Connection
    workspace: Workspace
    scenario: str
    branch: str

    def rows(self) -> Iterator[Promotion]:
        return _rows(self.connection, self.workspace, self.scenario, self.branch)

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
def _writing(workspace: Workspace, scenario: str, branch: str) -> Iterator[_Page]:
    """A transaction that no other writer is beside: what is read in it still holds when it commits."""
    with workspace.connect() as connection:
        if not _is_there(connection):
            connection.executescript(_TABLE)
        connection.execute("BEGIN IMMEDIATE")
        yield _Page(connection, workspace, scenario, branch)


@contextmanager
def _reading(workspace: Workspace) -> Iterator[sqlite3.Connection | None]:
    """A connection to a ledger with rows, or None: looking makes no file."""
    if not workspace.database.is_file():
        yield None
        return
    with workspace.connect() as connection:
        yield connection if _is_there(connection) else None


def _is_there(connection: sqlite3.Connection) -> bool:
    return (
        connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'promotions_never_vanish'").fetchone()
        is not None
    )

"""Branches: the lines of time of a workspace's world, and which of them is lived in.

Comes in: a scenario, and a day to go back to. Goes out: the branch that is live, and how it came from others.
Going back never loses anything: it makes a branch that begins with the days before, and the line that was
left stays as it was. What the days consist of is copied by whoever owns it; here is only which branches
there are.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.errors import Missing
from pipelines.workspace import Tables, Workspace

# The branch that a world begins on.
MAIN = "main"
TITLE_CHARS = 60

TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS branches (
    scenario TEXT NOT NULL,
    name TEXT NOT NULL,
    parent TEXT NOT NULL,
    fork_day INTEGER NOT NULL,
    title TEXT NOT NULL,
    created_at REAL NOT NULL,
    PRIMARY KEY (scenario, name)
);
CREATE TABLE IF NOT EXISTS live_branches (
    scenario TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    switches INTEGER NOT NULL
);
""",
    "live_branches",
)


@dataclass(frozen=True)
class Branch:
    """One line of time.

    Attributes
    ----------
    parent : str or None
        The branch that it left; None for the first.
    fork_day : int
        The first day that is its own: it shares those before with its parent.
    title : str
        What is tried on it, in the learner's words.
    """

    scenario: str
    name: str
    parent: str | None = None
    fork_day: int = 0
    title: str = ""
    created_at: float = 0.0


def live(workspace: Workspace, scenario: str) -> str:
    """The branch that is lived in: its days are played, and its versions answer."""
    if not workspace.database.is_file():
        return MAIN
    with workspace.connect() as connection:
        return live_in(connection, scenario)


def live_in(connection: sqlite3.Connection, scenario: str) -> str:
    """As `live`, for whoever has the workspace's database open."""
    if not TABLES.are_in(connection):
        return MAIN
    row = connection.execute("SELECT name FROM live_branches WHERE scenario = ?", (scenario,)).fetchone()
    return MAIN if row is None else str(row[0])


def today(workspace: Workspace, scenario: str, branch: str | None = None) -> int | None:
    """Which day it is on a branch, the one that is lived in by default; None before a world was begun.

    The clock lets days pass; whoever writes down what was decided, and when, asks here.
    """
    if not workspace.database.is_file():
        return None
    with workspace.connect() as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'clocks'").fetchone():
            return None
        branch = branch or live_in(connection, scenario)
        query = "SELECT day FROM clocks WHERE scenario = ? AND branch = ?"
        row = connection.execute(query, (scenario, branch)).fetchone()
    return None if row is None else int(row[0])


def known(workspace: Workspace, scenario: str) -> list[Branch]:
    """All branches, the first and then by age; looking makes no file."""
    found = [Branch(scenario, MAIN)]
    with TABLES.reading(workspace) as connection:
        if connection is not None:
            query = "SELECT * FROM branches WHERE scenario = ? ORDER BY created_at, name"
            found += [Branch(**dict(row)) for row in connection.execute(query, (scenario,))]
    return found


def find(workspace: Workspace, scenario: str, name: str) -> Branch:
    """The branch of that name.

    Raises
    ------
    Missing
        There is none.
    """
    there = known(workspace, scenario)
    for branch in there:
        if branch.name == name:
            return branch
    raise Missing(
        f"There is no branch '{name[:40]}' of '{scenario}'.",
        f"There are: {', '.join(branch.name for branch in there)}.",
    )


def lineage(there: Sequence[Branch], name: str) -> list[tuple[str, int | None]]:
    """The branches whose days `name` consists of, the newest first, each with the day at which it was left.

    Examples
    --------
    >>> there = [Branch("fraud", "main"), Branch("fraud", "b1", "main", 41), Branch("fraud", "b2", "b1", 60)]
    >>> lineage(there, "b2")
    [('b2', None), ('b1', 60), ('main', 41)]
    """
    by_name = {branch.name: branch for branch in there}
    found: list[tuple[str, int | None]] = [(name, None)]
    until = None
    while (parent := by_name[name].parent) is not None:
        until = by_name[name].fork_day if until is None else min(until, by_name[name].fork_day)
        found.append((parent, until))
        name = parent
    return found


def sees(there: Sequence[Branch], name: str, made_on: str, day: int | None) -> bool:
    """Whether branch `name` knows what was made on branch `made_on` on that day.

    It was made on the branch itself, or on one that it came from, before they parted. Without a day it was
    made before the world began.
    """
    return any(
        branch == made_on and (until is None or day is None or day < until)
        for branch, until in lineage(there, name)
    )


def add(connection: sqlite3.Connection, scenario: str, parent: str, fork_day: int, title: str) -> Branch:
    """Write a new branch down, under the next free name, and live in it."""
    count = connection.execute("SELECT count(*) FROM branches WHERE scenario = ?", (scenario,)).fetchone()[0]
    branch = Branch(
        scenario, f"branch-{count + 1}", parent, fork_day, title.strip()[:TITLE_CHARS], time.time()
    )
    connection.execute(
        "INSERT INTO branches VALUES (:scenario, :name, :parent, :fork_day, :title, :created_at)",
        vars(branch),
    )
    live_from_now_on(connection, scenario, branch.name)
    return branch


def live_from_now_on(connection: sqlite3.Connection, scenario: str, name: str) -> None:
    """Let this branch be the one that is lived in."""
    connection.execute(
        "INSERT INTO live_branches VALUES (?, ?, 1) "
        "ON CONFLICT (scenario) DO UPDATE SET name = excluded.name, switches = switches + 1",
        (scenario, name),
    )


def copy_rows(
    connection: sqlite3.Connection,
    table: str,
    scenario: str,
    source: str,
    target: str,
    where: str,
    values: Mapping[str, object],
    *,
    changed: Mapping[str, str] | None = None,
    without: str = "",
) -> None:
    """Let branch `target` have the rows of `source` that `where` names, every column of them.

    Which columns there are is asked of the database: one that is added to a table later is copied too.

    Parameters
    ----------
    where : str
        SQL, with `values` for its names.
    changed : mapping, optional
        By column, the SQL of what a copy has in place of it.
    without : str, optional
        A column that numbers the rows: the copies are numbered anew, in the same order.
    """
    columns = [row["name"] for row in connection.execute(f"PRAGMA table_info({table})")]
    columns = [name for name in columns if name != without]
    taken = {"branch": ":target"} | dict(changed or {})
    connection.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) "
        f"SELECT {', '.join(taken.get(name, name) for name in columns)} FROM {table} "
        f"WHERE scenario = :scenario AND branch = :source AND ({where})"
        + (f" ORDER BY {without}" if without else ""),
        {"scenario": scenario, "source": source, "target": target, **values},
    )


def switches(connection: sqlite3.Connection) -> int:
    """How often a branch was left for another, over all scenarios."""
    if not TABLES.are_in(connection):
        return 0
    return int(connection.execute("SELECT coalesce(sum(switches), 0) FROM live_branches").fetchone()[0])

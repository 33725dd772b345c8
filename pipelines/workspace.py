"""Every path and connection of one learner's workspace, and of the home that holds them all."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import BadInput, Damaged, Missing, Refused
from pipelines.settings import Settings, settings

DEFAULT_WORKSPACE = "me"
BUSY_TIMEOUT_MS = 10_000
# Of the tables in app.db: raised by whoever changes what an earlier Flightdeck would misread.
APP_SCHEMA = 1

# What MLflow allows for its workspaces, which are named like ours; it keeps four names for itself.
_NAME = re.compile(r"(?!(?:api|workspaces|ajax-api|static-files)\Z)[a-z0-9][a-z0-9-]{0,30}[a-z0-9]\Z")
_RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{5,63}\Z")


@dataclass(frozen=True)
class Home:
    """The folder that holds MLflow's store, the queue and all workspaces."""

    root: Path

    @property
    def mlflow_db(self) -> Path:
        return self.root / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        return self.root / "mlartifacts"

    @property
    def queue_db(self) -> Path:
        return self.root / "queue.db"

    @property
    def services_file(self) -> Path:
        return self.root / "services.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def workspaces(self) -> list[Workspace]:
        """All workspaces there are, by name."""
        learners = self.root / "learners"
        names = sorted(path.name for path in learners.iterdir()) if learners.is_dir() else []
        return [Workspace(self, name) for name in names if _NAME.match(name)]


@dataclass(frozen=True)
class Workspace:
    """One learner's data, runs, exports and tables. Its name also names their MLflow workspace.

    Raises
    ------
    BadInput
        The name is not 2 to 32 lower-case letters, digits or hyphens, beginning and ending with no hyphen.
    """

    home: Home
    name: str = DEFAULT_WORKSPACE

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise BadInput(
                f"'{self.name[:40]}' can't be the name of a workspace.",
                "Use 2 to 32 lower-case letters, digits and hyphens; begin and end with a letter or digit.",
            )

    @property
    def root(self) -> Path:
        return self.home.root / "learners" / self.name

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def database(self) -> Path:
        """The SQLite file of this workspace's own tables; each table has one owning module."""
        return self.root / "app.db"

    def run_folder(self, run_id: str, *, exists: bool = True) -> Path:
        """The folder of one run.

        Raises
        ------
        BadInput
            `run_id` does not have the form of a run id.
        Missing
            `exists` is asked for and there is no such run.
        """
        if not _RUN_ID.match(run_id):
            raise BadInput(f"'{run_id[:40]}' is not a run id.", "See: python -m pipelines run --list")
        folder = self.runs / run_id
        if exists and not (folder / "run.json").is_file():
            raise Missing(
                f"There is no run '{run_id}' in workspace '{self.name}'.",
                "See: python -m pipelines run --list",
            )
        return folder

    def run_ids(self) -> list[str]:
        """Ids of all runs, newest first (ids begin with their time)."""
        try:
            found = [entry.name for entry in os.scandir(self.runs) if _RUN_ID.match(entry.name)]
        except FileNotFoundError:
            return []
        # Of ten thousand runs each: a Path would cost more than the look itself.
        there = (name for name in found if os.path.isfile(f"{self.runs}/{name}/run.json"))  # noqa: PTH113
        return sorted(there, reverse=True)

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """A connection to this workspace's tables; commits at the end, rolls back on an error."""
        connection = self.open_database()
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def open_database(self) -> sqlite3.Connection:
        """A connection to this workspace's tables, for whoever keeps it open.

        Raises
        ------
        Refused
            A newer Flightdeck has written the database.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        connection = connect(self.database)
        try:
            found = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if found > APP_SCHEMA:
                raise newer_schema(f"The database of workspace '{self.name}'", found)
            if found < APP_SCHEMA:
                connection.execute(f"PRAGMA user_version = {APP_SCHEMA}")
        except BaseException:
            connection.close()
            raise
        return connection


@dataclass(frozen=True)
class Tables:
    """The tables that one module owns in a workspace's database.

    Attributes
    ----------
    sql : str
        What makes them, where they are not there.
    last : str
        Name of what it makes last: where that is, all are.
    added : tuple of (str, str, str)
        Columns that came later, as table, name and declaration: tables of an older Flightdeck get them.
    """

    sql: str
    last: str
    added: tuple[tuple[str, str, str], ...] = ()

    def are_in(self, connection: sqlite3.Connection) -> bool:
        """Whether they have been made."""
        query = "SELECT 1 FROM sqlite_master WHERE name = ?"
        return connection.execute(query, (self.last,)).fetchone() is not None

    def make(self, connection: sqlite3.Connection) -> None:
        """Make them where they are not there; before a transaction, which this would end."""
        if not self.are_in(connection):
            connection.executescript(self.sql)
        for table, column, declared in self.added:
            there = connection.execute(f"PRAGMA table_info({table})").fetchall()
            if all(row["name"] != column for row in there):
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {declared}")

    @contextmanager
    def writing(self, workspace: Workspace) -> Iterator[sqlite3.Connection]:
        """A connection with these tables, made at need; commits at the end, rolls back on an error."""
        with workspace.connect() as connection:
            self.make(connection)
            yield connection

    @contextmanager
    def reading(self, workspace: Workspace) -> Iterator[sqlite3.Connection | None]:
        """A connection where these tables are there, or None: looking makes no file."""
        if not workspace.database.is_file():
            yield None
            return
        with workspace.connect() as connection:
            there = self.are_in(connection)
            if there and self.added:
                self.make(connection)
            yield connection if there else None


def newer_schema(what: str, found: int) -> Refused:
    """The error for tables that only a newer Flightdeck can read."""
    return Refused(
        f"{what} has schema {found}, but this Flightdeck knows up to {APP_SCHEMA}: a newer one wrote it.",
        "Use that newer Flightdeck. Nothing was changed.",
    )


def unreadable_database(workspace: Workspace, error: Exception) -> Damaged:
    """The error for a workspace whose tables can't be read."""
    return Damaged(
        f"The database of workspace '{workspace.name}' can't be read: {error}.",
        "Your runs are kept. To begin afresh: python -m pipelines reset",
    )


def connect(database: Path, *, journal: str | None = "WAL") -> sqlite3.Connection:
    """A SQLite connection that waits for other writers instead of failing; in WAL mode by default."""
    connection = sqlite3.connect(database, timeout=BUSY_TIMEOUT_MS / 1000)
    connection.row_factory = sqlite3.Row
    if journal is not None:
        connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def open_home(chosen: Settings | None = None) -> Home:
    """The home named by the settings; the folder is made when it is not there."""
    root = (chosen or settings()).home
    root.mkdir(parents=True, exist_ok=True)
    return Home(root)


def open_workspace(name: str = DEFAULT_WORKSPACE, home: Home | None = None) -> Workspace:
    """The workspace of that name; its folder is made when it is not there."""
    workspace = Workspace(home or open_home(), name)
    workspace.runs.mkdir(parents=True, exist_ok=True)
    return workspace

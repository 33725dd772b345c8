"""MLflow's part of one workspace: its rows of the store that all learners share, and its artifacts' folder.

In: a workspace. Out: a store of its own that holds this workspace's experiments, runs, models, versions
and aliases, and nobody else's; or such a store's rows put back in place of what is there. Ids stay as
they are, because events, receipts and the ledger name them; the REST interface would give new ones.

Rows are read and written by SQL, in one transaction, so it works whether the server runs or not.
What MLflow keeps besides (traces, prompts' evaluations, endpoints) Flightdeck does not use, and is left.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import BadInput, Damaged, Refused, Unavailable
from pipelines.workspace import Workspace, connect

_EXPERIMENTS = "SELECT experiment_id FROM {store}.experiments WHERE workspace = :workspace"
_RUNS = f"SELECT run_uuid FROM {{store}}.runs WHERE experiment_id IN ({_EXPERIMENTS})"
_MODELS = f"SELECT model_id FROM {{store}}.logged_models WHERE experiment_id IN ({_EXPERIMENTS})"
_INPUTS = f"(destination_id IN ({_RUNS}) OR source_id IN ({_RUNS}) OR destination_id IN ({_MODELS}))"

# Which rows of each table are a workspace's; parents before their children.
_OURS = {
    "workspaces": "name = :workspace",
    "experiments": "workspace = :workspace",
    "experiment_tags": f"experiment_id IN ({_EXPERIMENTS})",
    "datasets": f"experiment_id IN ({_EXPERIMENTS})",
    "runs": f"experiment_id IN ({_EXPERIMENTS})",
    "params": f"run_uuid IN ({_RUNS})",
    "tags": f"run_uuid IN ({_RUNS})",
    "metrics": f"run_uuid IN ({_RUNS})",
    "latest_metrics": f"run_uuid IN ({_RUNS})",
    "inputs": _INPUTS,
    "input_tags": f"input_uuid IN (SELECT input_uuid FROM {{store}}.inputs WHERE {_INPUTS})",
    "logged_models": f"experiment_id IN ({_EXPERIMENTS})",
    "logged_model_params": f"experiment_id IN ({_EXPERIMENTS})",
    "logged_model_tags": f"experiment_id IN ({_EXPERIMENTS})",
    "logged_model_metrics": f"experiment_id IN ({_EXPERIMENTS})",
    "registered_models": "workspace = :workspace",
    "registered_model_tags": "workspace = :workspace",
    "registered_model_aliases": "workspace = :workspace",
    "model_versions": "workspace = :workspace",
    "model_version_tags": "workspace = :workspace",
}


def artifacts_of(workspace: Workspace) -> Path:
    """The folder of this workspace's artifacts, which MLflow's server writes."""
    return workspace.home.mlflow_artifacts / "workspaces" / workspace.name


def schema_of(store: Path) -> str:
    """Which of MLflow's schemas the store has.

    Raises
    ------
    Damaged
        It is no store of MLflow's.
    """
    try:
        with _opened(store) as connection:
            return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    except (sqlite3.Error, TypeError) as error:
        raise Damaged(f"{store.name} is no store of MLflow's: {error}.", "Use a whole backup.") from error


def examine(store: Path, workspace: str) -> None:
    """Refuse a store that would bring more than rows of `workspace`: it may come from anywhere.

    Raises
    ------
    BadInput
        It holds another workspace's rows, something that acts by itself, or artifacts elsewhere.
    Damaged
        It is no store of MLflow's.
    """
    place = f"mlflow-artifacts:/workspaces/{workspace}/"
    addresses = (
        ("experiments", "artifact_location"),
        ("runs", "artifact_uri"),
        ("logged_models", "artifact_location"),
        ("model_versions", "storage_location"),
    )
    checks = ["SELECT name FROM sqlite_master WHERE type NOT IN ('table', 'index')"]
    checks += [
        f"SELECT workspace FROM {table} WHERE workspace != :workspace"
        for table in ("experiments", "registered_models", "model_versions")
    ]
    checks += [
        f"SELECT {column} FROM {table} WHERE {column} || '/' NOT LIKE :place || '%' OR {column} LIKE '%..%'"
        for table, column in addresses
    ]
    try:
        with _opened(store) as connection:
            for check in checks:
                odd = connection.execute(check, {"workspace": workspace, "place": place}).fetchone()
                if odd is not None:
                    raise BadInput(
                        f"MLflow's part holds what is not of workspace '{workspace}': {str(odd[0])[:80]}.",
                        "Use a backup that nobody has changed. Nothing was written.",
                    )
    except sqlite3.Error as error:
        raise Damaged(f"MLflow's part is no store of MLflow's: {error}.", "Use a whole backup.") from error


def take_out(workspace: Workspace, target: Path) -> bool:
    """Copy the rows of `workspace` into a store of its own at `target`; False when MLflow has no store yet.

    Readers and writers go on meanwhile: the copy sees one state of the store.
    """
    source = workspace.home.mlflow_db
    if not source.is_file():
        return False
    making = target.with_name(f".{target.name}.making")
    making.unlink(missing_ok=True)
    try:
        with _opened(making, journal="DELETE") as connection:
            connection.execute("ATTACH ? AS shared", (str(source),))
            connection.execute("BEGIN")
            tables = "SELECT sql FROM shared.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            for (statement,) in connection.execute(tables).fetchall():
                connection.execute(statement)
            connection.execute("INSERT INTO alembic_version SELECT * FROM shared.alembic_version")
            for table, ours in _OURS.items():
                query = f"INSERT INTO main.{table} SELECT * FROM shared.{table} WHERE {ours}"
                connection.execute(query.format(store="shared"), {"workspace": workspace.name})
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        making.unlink(missing_ok=True)
        raise Damaged(
            f"MLflow's store can't be copied: {error}.", "Check the disk; then try again."
        ) from error
    making.replace(target)
    return True


def put_in(workspace: Workspace, source: Path | None) -> None:
    """Let the rows in `source` be all that MLflow holds of `workspace`; without a source, nothing.

    One transaction: the store holds the old rows or the new ones.

    Raises
    ------
    Refused
        `source` has another schema than the store here, or names something that another workspace has.
    Unavailable
        There is no store here yet.
    Damaged
        `source` is not whole.
    """
    store = workspace.home.mlflow_db
    if not store.is_file():
        if source is not None:
            raise no_store()
        return
    if source is not None and (theirs := schema_of(source)) != (ours := schema_of(store)):
        raise Refused(
            f"MLflow's part has schema {theirs[:40]}, but the store of this home has {ours}.",
            "Restore it with the Flightdeck that made it.",
        )
    try:
        with _opened(store) as connection:
            if source is not None:
                connection.execute("ATTACH ? AS kept", (str(source),))
            connection.execute("BEGIN IMMEDIATE")
            for table, rows in reversed(_OURS.items()):
                query = f"DELETE FROM main.{table} WHERE {rows}"
                connection.execute(query.format(store="main"), {"workspace": workspace.name})
            if source is not None:
                _insert(connection, workspace.name)
            connection.execute("COMMIT")
    except sqlite3.IntegrityError as error:
        raise Refused(
            f"MLflow's part names something that another workspace here has: {error}.",
            "Restore it into an empty home.",
        ) from error
    except sqlite3.Error as error:
        raise Damaged(f"MLflow's part can't be put in place: {error}.", "Use a whole backup.") from error


def no_store() -> Unavailable:
    """The error for a home whose MLflow was never started: only MLflow itself makes its tables."""
    return Unavailable(
        "MLflow has no store in this home yet, so its part can't be put in place.",
        "Start everything once: make run. Then restore.",
    )


def counts(store: Path, workspace: str) -> dict[str, int]:
    """How many runs and versions of `workspace` the store holds."""
    if not store.is_file():
        return {"mlflow_runs": 0, "versions": 0}
    with _opened(store) as connection:
        versions = "SELECT count(*) FROM model_versions WHERE workspace = :workspace"
        runs = f"SELECT count(*) FROM ({_RUNS.format(store='main')})"
        return {
            "mlflow_runs": int(connection.execute(runs, {"workspace": workspace}).fetchone()[0]),
            "versions": int(connection.execute(versions, {"workspace": workspace}).fetchone()[0]),
        }


def _insert(connection: sqlite3.Connection, workspace: str) -> None:
    """Copy the rows in; an experiment whose number another workspace has got meanwhile gets a new one."""
    numbers = connection.execute(
        "SELECT experiment_id FROM kept.experiments WHERE workspace = ?", [workspace]
    )
    for (number,) in numbers.fetchall():
        if connection.execute("SELECT 1 FROM main.experiments WHERE experiment_id = ?", [number]).fetchone():
            free = "SELECT max(n) + 1 FROM (SELECT max(experiment_id) AS n FROM main.experiments UNION ALL "
            free += "SELECT max(experiment_id) FROM kept.experiments)"
            _renumber(connection, number, connection.execute(free).fetchone()[0])
    for table, rows in _OURS.items():
        columns = ", ".join(f'"{row[1]}"' for row in connection.execute(f"PRAGMA main.table_info({table})"))
        query = f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM kept.{table} WHERE {rows}"
        connection.execute(query.format(store="kept"), {"workspace": workspace})


def _renumber(connection: sqlite3.Connection, old: int, new: int) -> None:
    for table in _OURS:
        columns = [row[1] for row in connection.execute(f"PRAGMA kept.table_info({table})")]
        if "experiment_id" in columns:
            update = f"UPDATE kept.{table} SET experiment_id = ? WHERE experiment_id = ?"
            connection.execute(update, (new, old))


@contextmanager
def _opened(store: Path, journal: str | None = None) -> Iterator[sqlite3.Connection]:
    """A connection that leaves transactions to its user and does not check keys between tables."""
    connection = connect(store, journal=journal)
    connection.isolation_level = None
    connection.row_factory = None
    try:
        yield connection
    finally:
        connection.close()

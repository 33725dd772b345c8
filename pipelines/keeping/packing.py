"""Making a backup: one file that holds a workspace, which may be in use.

In: a workspace. Out: a zip file with its folder, its tables as SQLite's online backup sees them, and
MLflow's part of it. `manifest` says what is in it; `unpacking` is the way back.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sqlite3
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pipelines import mlflow_store, versioning
from pipelines.errors import BadInput, Damaged, Unavailable
from pipelines.keeping import manifest as manifests
from pipelines.keeping.manifest import MLFLOW_ARTIFACTS, MLFLOW_DB, SNAPSHOTS, WORKSPACE, Entry, Manifest
from pipelines.run import code_version
from pipelines.scenarios import SCENARIOS
from pipelines.workspace import APP_SCHEMA, Workspace, connect

# These are compressed already, or hold numbers that do not shrink.
AS_IT_IS = {".parquet", ".skops", ".onnx", ".png", ".zip", ".gz"}


def back_up(workspace: Workspace, file: Path, tell: manifests.Tell | None = None) -> Manifest:
    """Write a backup of `workspace` to `file`, whole or not at all; it may be in use meanwhile.

    Everything acknowledged before the call is in it. A run that goes on is kept as far as it came.

    Parameters
    ----------
    tell : callable, optional
        Called with the bytes done and the bytes there are.

    Raises
    ------
    BadInput
        `file` is there already, or its folder is not.
    Damaged
        The workspace's database can't be read.
    Unavailable
        The disk does not take it.
    """
    if file.exists():
        raise BadInput(f"'{file.name}' is there already.", "Name a file that is not there yet.")
    if not file.parent.is_dir():
        raise BadInput(f"There is no folder '{file.parent}'.", "Make it, or name another.")
    making = file.with_name(f".{file.name}.{secrets.token_hex(3)}")
    try:
        with _scratch(workspace) as scratch:
            sources = _Sources(workspace, scratch)
            with zipfile.ZipFile(making, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                written = _write(archive, sources, tell)
        with making.open("rb+") as whole:
            os.fsync(whole.fileno())
        making.rename(file)
    except OSError as error:
        raise Unavailable(
            f"The backup can't be written: {error.strerror or error}.",
            "Free some space, or name another disk.",
        ) from error
    finally:
        making.unlink(missing_ok=True)
    return written


@dataclass
class _Sources:
    """What goes into a backup: paths in the archive and on disk."""

    workspace: Workspace
    scratch: Path
    folders: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[str, Path]]:
        """Files first, then the tables: what the tables name has been read by then or was being made."""
        yield from self._below(self.workspace.root, WORKSPACE)
        artifacts = mlflow_store.artifacts_of(self.workspace)
        yield from self._below(artifacts, MLFLOW_ARTIFACTS)
        for path in snapshots(self.workspace):
            yield f"{SNAPSHOTS}/{path.relative_to(self.workspace.home.root / SNAPSHOTS).as_posix()}", path
        if self.workspace.database.is_file():
            copy = self.scratch / "app.db"
            _copy_database(self.workspace, copy)
            yield f"{WORKSPACE}/app.db", copy
        if mlflow_store.take_out(self.workspace, self.scratch / MLFLOW_DB):
            yield MLFLOW_DB, self.scratch / MLFLOW_DB

    def _below(self, root: Path, name: str) -> Iterator[tuple[str, Path]]:
        for place, folders, files in os.walk(root):
            folders[:] = sorted(each for each in folders if not each.startswith(".making-"))
            inside = Path(place).relative_to(root).as_posix()
            prefix = name if inside == "." else f"{name}/{inside}"
            if not folders and not files:
                self.folders.append(prefix)
            for each in sorted(files):
                path = Path(place, each)
                if not _is_passing(each, top=inside == ".") and not path.is_symlink():
                    manifests.check_path(f"{prefix}/{each}")
                    yield f"{prefix}/{each}", path


def _is_passing(name: str, *, top: bool) -> bool:
    """Whether a file is no part of what is kept: locks, derived files, tables that are copied otherwise."""
    derived = (
        "app.db",
        "app.db-wal",
        "app.db-shm",
        "app.db-journal",
        "history.db",
        "history.db-wal",
        "history.db-shm",
    )
    return name.endswith(".lock") or (top and name in derived)


def _copy_database(workspace: Workspace, target: Path) -> None:
    """One state of the workspace's tables, while others read and write."""
    try:
        source = workspace.open_database()
        made = sqlite3.connect(target)
        try:
            source.backup(made)
        finally:
            made.close()
            source.close()
    except sqlite3.Error as error:
        raise Damaged(
            f"The database of workspace '{workspace.name}' can't be read: {error}.",
            "A backup of it would be none. Reset moves it aside: python -m pipelines reset",
        ) from error


def _write(archive: zipfile.ZipFile, sources: _Sources, tell: manifests.Tell | None) -> Manifest:
    files: dict[str, Entry] = {}
    links: dict[str, str] = {}
    known: dict[tuple[int, int], str] = {}
    done, total = 0, _bytes_of(sources.workspace) if tell else 0
    for name, path in sources:
        try:
            found = path.stat()
            same = known.get((found.st_dev, found.st_ino)) if found.st_nlink > 1 else None
            if same is not None:
                links[name] = same
                continue
            with path.open("rb") as source:
                files[name] = _add(archive, name, source)
        except FileNotFoundError:
            continue  # a temporary file of a run that goes on
        known[(found.st_dev, found.st_ino)] = name
        done += files[name].size
        if tell:
            tell(done, max(done, total))
    made = Manifest(
        format=manifests.FORMAT,
        schema=manifests.SCHEMA,
        workspace=sources.workspace.name,
        made_at=time.time(),
        code=code_version(),
        app_schema=APP_SCHEMA if f"{WORKSPACE}/app.db" in files else 0,
        mlflow_schema=mlflow_store.schema_of(sources.scratch / MLFLOW_DB) if MLFLOW_DB in files else "",
        contents=count(sources.workspace, sources.scratch),
        files=files,
        links=links,
        folders=sources.folders,
    )
    archive.writestr(manifests.NAME, made.model_dump_json(by_alias=True))
    return made


def count(workspace: Workspace, store_folder: Path) -> dict[str, int]:
    """For people: how much of everything there is."""
    counted = {"runs": len(workspace.run_ids())} | mlflow_store.counts(
        store_folder / MLFLOW_DB, workspace.name
    )
    if workspace.database.is_file():
        connection = connect(workspace.database, journal=None)
        try:
            for table in ("predictions", "promotions"):
                with suppress(sqlite3.Error):
                    counted[table] = int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        finally:
            connection.close()
    return counted


def _add(archive: zipfile.ZipFile, name: str, source: IO[bytes]) -> Entry:
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_STORED if Path(name).suffix in AS_IT_IS else zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    content, size = hashlib.sha256(), 0
    with archive.open(info, "w", force_zip64=True) as target:
        while part := source.read(manifests.CHUNK):
            content.update(part)
            size += len(part)
            target.write(part)
    return Entry(size=size, sha256=content.hexdigest())


@contextmanager
def _scratch(workspace: Workspace) -> Iterator[Path]:
    folder = workspace.home.root / f".backing-up-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def snapshots(workspace: Workspace) -> list[Path]:
    """The files that hold the rows of this workspace's versions of data, each content once."""
    folder = workspace.home.root / SNAPSHOTS / "files" / "md5"
    kept = {version.md5 for name in SCENARIOS for version in versioning.versions(workspace, name)}
    paths = (folder / md5[:2] / md5[2:] for md5 in sorted(kept))  # as DVC lays them out
    return [path for path in paths if path.is_file()]


def _bytes_of(workspace: Workspace) -> int:
    total = 0
    for root in (workspace.root, mlflow_store.artifacts_of(workspace)):
        for place, _, files in os.walk(root):
            for name in files:
                with suppress(OSError):
                    total += Path(place, name).stat().st_size
    return total

"""What takes the disk: the parts of a workspace and of the home it lies in, in bytes.

In: a workspace. Out: its parts, largest first. A file that several names share is counted once, with the
part that is looked at first: what a run starts from costs nothing again.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from pipelines import mlflow_store
from pipelines.keeping.manifest import SNAPSHOTS
from pipelines.workspace import Workspace


@dataclass(frozen=True)
class Part:
    """One taker of disk: `shared` when all workspaces of the home have it together."""

    name: str
    title: str
    bytes: int
    files: int
    shared: bool = False


@dataclass(frozen=True)
class Usage:
    """All parts, largest first, and how much of the disk is free."""

    parts: tuple[Part, ...]
    free: int

    @property
    def total(self) -> int:
        return sum(part.bytes for part in self.parts)


def measure(workspace: Workspace) -> Usage:
    """Look at every file once. It takes some seconds where there are many: ask from a thread of its own."""
    home, root = workspace.home, workspace.root
    seen: set[tuple[int, int]] = set()
    places = (
        ("runs", "Runs", [workspace.runs], False),
        ("snapshots", "Versions of data", [root / "data-repo", home.root / SNAPSHOTS], True),
        ("tables", "Ledger, predictions", _database(workspace.database), False),
        ("models", "Models in MLflow", [mlflow_store.artifacts_of(workspace)], False),
        ("store", "MLflow's database", _database(home.mlflow_db), True),
        ("removed", "Moved aside", _removed(workspace), False),
        ("backups", "Backups", [backups_of(workspace)], False),
        ("worlds", "Worlds that are played", [home.root / "worlds"], True),
        ("logs", "Logs and queue", [home.logs, *_database(home.queue_db)], True),
    )
    parts = [Part(name, title, *_count(paths, seen), shared) for name, title, paths, shared in places]
    rest = _count([root], seen)
    parts.append(Part("rest", "Else", *rest))
    kept = sorted((part for part in parts if part.files), key=lambda part: part.bytes, reverse=True)
    return Usage(tuple(kept), shutil.disk_usage(home.root).free)


def backups_of(workspace: Workspace) -> Path:
    """Where backups lie that are made on a page."""
    return workspace.home.root / "backups" / workspace.name


def _database(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]


def _removed(workspace: Workspace) -> list[Path]:
    return sorted((workspace.home.root / "removed").glob(f"{workspace.name}-*"))


def _count(paths: list[Path], seen: set[tuple[int, int]]) -> tuple[int, int]:
    """Bytes and number of the files below `paths` that are not in `seen` yet; links are not followed."""
    size, files = 0, 0
    waiting = [str(path) for path in paths]
    while waiting:
        place = waiting.pop()
        try:
            found = os.lstat(place)
            if stat.S_ISDIR(found.st_mode):
                waiting += [entry.path for entry in os.scandir(place)]
                continue
        except OSError:
            continue  # gone since it was listed
        if (found.st_dev, found.st_ino) not in seen:
            seen.add((found.st_dev, found.st_ino))
            size, files = size + found.st_size, files + 1
    return size, files

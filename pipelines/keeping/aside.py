"""Reset, restore and undo: what a workspace holds is moved aside, never deleted, and can be put back.

In: what shall be in a workspace from now on: nothing, a backup's content, or what was moved aside before.
Out: exactly that, and beside it, in the home's folder `removed`, what was there until now.

    removed/<workspace>-<time>-<digits>/
      about.json      whose, when, and what moved it
      workspace/      the workspace's folder        mlflow.db, mlartifacts/     its part of MLflow

An exchange is written down before it begins, and each of its steps may be repeated. Killed in the middle,
it is carried to its end by whoever comes next.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from pipelines import events, mlflow_store
from pipelines.errors import BadInput, Damaged, Missing, Refused
from pipelines.execution import catalogue
from pipelines.keeping import unpacking
from pipelines.keeping.manifest import MLFLOW_ARTIFACTS, MLFLOW_DB, SNAPSHOTS, WORKSPACE, Manifest, Tell
from pipelines.run import read_run, write_json
from pipelines.workspace import Home, Workspace

Why = Literal["reset", "restore", "undo"]

ABOUT = "about.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,80}\Z")
WAIT_S = 30.0


@dataclass(frozen=True)
class Removed:
    """What was moved aside: its folder's name, whose it was, when and by what, and how many runs it holds."""

    name: str
    workspace: str
    at: float
    why: Why
    runs: int


@dataclass(frozen=True)
class _Exchange:
    """What is being exchanged for what. `parts` are those that are there to be moved aside."""

    workspace: str
    aside: str
    why: Why
    runs: int
    at: float
    parts: tuple[str, ...]
    source: str | None


def reset(workspace: Workspace) -> Removed:
    """Empty a workspace; what it held is moved aside.

    Raises
    ------
    Refused
        A run has not ended, or somebody else exchanges the workspace just now.
    """
    with _alone(workspace.home):
        _check_still(workspace)
        return _exchange(workspace, None, "reset")


def restore(workspace: Workspace, file: Path, tell: Tell | None = None) -> tuple[Manifest, Removed | None]:
    """Let a backup's content be what `workspace` holds; what it held is moved aside.

    Runs that were going on when the backup was made are cancelled in it: nobody executes them any more.

    Raises
    ------
    Missing, BadInput, Damaged, Refused, Unavailable
        As `unpacking.unpack`, or the backup is another workspace's, or a run has not ended here. Nothing
        was changed.
    """
    with _alone(workspace.home):
        _check_still(workspace)
        found = unpacking.inspect(file)
        if found.workspace != workspace.name:
            raise Refused(
                f"This is a backup of workspace '{found.workspace[:40]}', not of '{workspace.name}'.",
                "A backup goes back into the workspace that it was made of.",
            )
        folder = workspace.home.root / f".restoring-{secrets.token_hex(4)}"
        try:
            unpacking.unpack(file, folder, tell)
            (folder / WORKSPACE / "runs").mkdir(parents=True, exist_ok=True)
            _end_runs(workspace, folder / WORKSPACE / "runs")
            _check_store(workspace, folder)
            _check_snapshots(folder / SNAPSHOTS)
            was_there = workspace.run_ids() or workspace.database.is_file()
            removed = _exchange(workspace, folder, "restore")
        finally:
            if not _journal(workspace.home).exists():
                shutil.rmtree(folder, ignore_errors=True)
        return found, removed if was_there else None


def undo(workspace: Workspace, name: str | None = None) -> Removed:
    """Put back what was moved aside, the newest unless one is named; what is there is moved aside instead.

    Returns
    -------
    Removed
        What is aside from now on: undo it, and everything is as before.

    Raises
    ------
    Missing
        Nothing of that name was moved aside from this workspace.
    Refused
        A run has not ended, or MLflow's store has changed its schema since.
    """
    with _alone(workspace.home):
        _check_still(workspace)
        kept = {each.name: each for each in removed(workspace)}
        chosen = kept.get(name) if name else next(iter(kept.values()), None)
        if chosen is None:
            there = ", ".join(kept) or "none"
            raise Missing(
                f"Nothing called '{name[:60]}' was moved aside." if name else "Nothing was moved aside.",
                f"There are: {there}. See: python -m pipelines undo --list",
            )
        folder = workspace.home.root / "removed" / chosen.name
        _check_store(workspace, folder)
        return _exchange(workspace, folder, "undo")


def removed(workspace: Workspace) -> list[Removed]:
    """What was moved aside from this workspace and is still there, newest first."""
    found = []
    for path in (workspace.home.root / "removed").glob(f"*/{ABOUT}"):
        try:
            about = Removed(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            continue
        place = path.parent / WORKSPACE
        whole = about.name == path.parent.name and _NAME.match(about.name)
        holds = place.is_dir() and (about.runs or (place / "app.db").is_file())
        if whole and holds and about.workspace == workspace.name:
            found.append(about)
    return sorted(found, key=lambda each: each.at, reverse=True)


def is_cut_short(home: Home) -> bool:
    """Whether an exchange was begun and not ended: it goes on, or was killed."""
    return _journal(home).exists()


def recover(home: Home) -> None:
    """Carry an exchange that was killed to its end, and sweep up what unpacking left behind.

    Raises
    ------
    Refused
        It is not killed, but goes on.
    """
    with _alone(home):
        for pattern in (".restoring-*", ".backing-up-*"):
            for folder in home.root.glob(pattern):
                if time.time() - folder.stat().st_mtime > 3600:
                    shutil.rmtree(folder, ignore_errors=True)


def _exchange(workspace: Workspace, source: Path | None, why: Why) -> Removed:
    home, token = workspace.home, secrets.token_hex(2)
    present = {WORKSPACE: workspace.root, MLFLOW_ARTIFACTS: mlflow_store.artifacts_of(workspace)}
    exchange = _Exchange(
        workspace=workspace.name,
        aside=f"{workspace.name}-{time.strftime('%Y%m%d-%H%M%S')}-{token}",
        why=why,
        runs=len(workspace.run_ids()),
        at=time.time(),
        parts=tuple(name for name, path in present.items() if path.is_dir()),
        source=str(source.relative_to(home.root)) if source else None,
    )
    write_json(_journal(home), asdict(exchange))
    return _carry_out(home, exchange)


def _carry_out(home: Home, exchange: _Exchange) -> Removed:
    """Move aside, then move in; each step is skipped when it has been done."""
    workspace = Workspace(home, exchange.workspace)
    present = {WORKSPACE: workspace.root, MLFLOW_ARTIFACTS: mlflow_store.artifacts_of(workspace)}
    aside = home.root / "removed" / exchange.aside
    aside.mkdir(parents=True, exist_ok=True)
    if not (aside / MLFLOW_DB).exists():
        mlflow_store.take_out(workspace, aside / MLFLOW_DB)
    about = Removed(exchange.aside, exchange.workspace, exchange.at, exchange.why, exchange.runs)
    write_json(aside / ABOUT, asdict(about))
    for name in exchange.parts:
        if not (aside / name).exists():
            present[name].rename(aside / name)
    source = home.root / exchange.source if exchange.source else None
    store = source / MLFLOW_DB if source else None
    mlflow_store.put_in(workspace, store if store is not None and store.is_file() else None)
    if source is not None:
        _add_snapshots(home, source / SNAPSHOTS)
        # The workspace's folder comes last: who finds it finds what its ledger names.
        for name in (MLFLOW_ARTIFACTS, WORKSPACE):
            if (source / name).is_dir():
                present[name].parent.mkdir(parents=True, exist_ok=True)
                (source / name).rename(present[name])
    workspace.runs.mkdir(parents=True, exist_ok=True)
    _journal(home).unlink()
    if source is not None:
        shutil.rmtree(source, ignore_errors=True)
    return about


def _add_snapshots(home: Home, folder: Path) -> None:
    """Add the rows of data versions to those there are: a content that is there already stays."""
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        target = home.root / SNAPSHOTS / path.relative_to(folder)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)


def _journal(home: Home) -> Path:
    return home.root / "exchange.json"


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Hold the home's lock; an exchange that was killed is carried out first."""
    try:
        with FileLock(home.root / "exchange.lock", timeout=WAIT_S):
            if _journal(home).exists():
                stored = json.loads(_journal(home).read_text("utf-8"))
                _carry_out(home, _Exchange(**{**stored, "parts": tuple(stored["parts"])}))
            yield
    except Timeout as error:
        raise Refused("Another reset, restore or undo goes on.", "Wait until it has ended.") from error


def _check_still(workspace: Workspace) -> None:
    active = [each.run_id for each in catalogue.look(workspace) if each.status in ("queued", "running")]
    if active:
        shown = ", ".join(active[:3]) + (f" and {len(active) - 3} more" if len(active) > 3 else "")
        raise Refused(
            f"Workspace '{workspace.name}' has runs that have not ended: {shown}.",
            "Cancel them first: python -m pipelines cancel RUN_ID",
        )


def _check_store(workspace: Workspace, folder: Path) -> None:
    """Find out before anything moves whether MLflow's part fits."""
    theirs, ours = folder / MLFLOW_DB, workspace.home.mlflow_db
    if not theirs.is_file():
        return
    mlflow_store.examine(theirs, workspace.name)
    if not ours.is_file():
        raise mlflow_store.no_store()
    if mlflow_store.schema_of(theirs) != mlflow_store.schema_of(ours):
        raise Refused(
            "MLflow's part was written by another version of MLflow than this home's store.",
            "Restore it with the Flightdeck that made it.",
        )


def _check_snapshots(folder: Path) -> None:
    """Others may come to share these rows, so each file must be what its name says."""
    for path in (each for each in folder.rglob("*") if each.is_file()):
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if path.relative_to(folder).as_posix() != f"files/md5/{found[:2]}/{found[2:]}":
            raise BadInput(
                f"The rows '{path.name[:40]}' in this backup are not what their name says.",
                "Use a backup that nobody has changed. Nothing was changed here.",
            )


def _end_runs(workspace: Workspace, runs: Path) -> None:
    """Cancel what was going on when the backup was made; refuse a run that says it is another's."""
    for path in sorted(runs.glob("*/run.json")):
        try:
            run = read_run(path.parent)
        except Damaged:
            continue
        if run.workspace != workspace.name:
            raise BadInput(
                f"Run '{path.parent.name[:60]}' in this backup is of workspace '{str(run.workspace)[:40]}'.",
                "Use a backup that nobody has changed. Nothing was changed here.",
            )
        if not events.read_state(path.parent, run.steps).finished:
            events.append(path.parent, "run_finished", status="cancelled")

"""All runs of a workspace at a glance: one entry a run, found and searched quickly however many there are.

In: the runs' folders. Out: entries with what people look for: scenario, status, params that differ from
their defaults, note, metrics. A run that has ended never changes, so its entry is read once and kept in
`history.db` beside the workspace's tables; that file may be deleted at any time, and is made again.

A folder's files are looked at by time and size at each look, so damage is seen and said.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from pipelines import events
from pipelines.errors import Damaged
from pipelines.lifecycle import EVALUATION, LIFECYCLE, REGISTRATION
from pipelines.run import read_json, read_run
from pipelines.workspace import Workspace, connect

log = logging.getLogger(__name__)

_VERSION = re.compile(r"\bversion (\d+)")
# Raised whenever an entry is made in another way: what an earlier one kept is thrown away.
FORM = 1


@dataclass(frozen=True)
class Entry:
    """One run, as it is found.

    Attributes
    ----------
    run_id, scenario, status : str
        `status` as events tell it; "damaged" when the run's facts can't be read.
    steps : tuple of str
        Those that it executes.
    step : str or None
        Where it is, failed or ended.
    created_at : float
        Seconds since the epoch.
    seconds : float or None
        From start to end.
    day : int or None
        The world's day until which events were collected.
    changed : dict
        Params of its steps that differ from their defaults, as "step.param".
    metrics, intervals : dict
        Of its test, when it was tested in this run or one it starts from.
    gate, version : bool or None, int or None
        What the gate said, and the version it registered.
    note, cause : str
        Why its version exists; why it failed or can't be read.
    """

    run_id: str
    scenario: str = ""
    status: str = "damaged"
    steps: tuple[str, ...] = ()
    step: str | None = None
    seed: int = 1
    base: str | None = None
    created_at: float = 0.0
    seconds: float | None = None
    day: int | None = None
    changed: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    intervals: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    gate: bool | None = None
    version: int | None = None
    note: str = ""
    cause: str = ""

    @property
    def finished(self) -> bool:
        return self.status in events.FINAL or self.status == "damaged"

    @property
    def text(self) -> str:
        """Everything that a search looks through."""
        values = " ".join(f"{name}={value}" for name, value in self.changed.items())
        version = f"version={self.version}" if self.version is not None else ""
        parts = (
            self.run_id,
            self.scenario,
            self.status,
            version,
            values,
            f"seed={self.seed}",
            self.note,
            self.cause,
        )
        return " ".join(parts).casefold()


@dataclass(frozen=True)
class Wish:
    """What somebody looks for; an empty field asks for nothing.

    Attributes
    ----------
    text : str
        Words that must all occur, each anywhere; one like trees=200, or "version 3", exactly so.
    step : str
        A step that the run executed.
    from_day, until_day : int or None
        The world's days, both included.
    """

    text: str = ""
    scenario: str = ""
    status: str = ""
    step: str = ""
    from_day: int | None = None
    until_day: int | None = None


def look(workspace: Workspace) -> list[Entry]:
    """All runs, newest first; a damaged one is among them and says why."""
    return _shelf(workspace).look()


def find(entries: Iterable[Entry], wish: Wish) -> list[Entry]:
    """Those of `entries` that meet every part of the wish, in their order."""
    words = _VERSION.sub(r"version=\1", wish.text.casefold()).split()
    return [
        entry
        for entry in entries
        if (not wish.scenario or entry.scenario == wish.scenario)
        and (not wish.status or entry.status == wish.status)
        and (not wish.step or wish.step in entry.steps)
        and (wish.from_day is None or (entry.day is not None and entry.day >= wish.from_day))
        and (wish.until_day is None or (entry.day is not None and entry.day <= wish.until_day))
        and (not words or _has_all(entry.text, words))
    ]


def _has_all(text: str, words: Sequence[str]) -> bool:
    tokens = text.split()
    return all(
        any(token == word or token.endswith(f".{word}") for token in tokens) if "=" in word else word in text
        for word in words
    )


def read(folder: Path) -> Entry:
    """The entry of the run in `folder`, read from its files."""
    try:
        run = read_run(folder)
    except Damaged as error:
        return Entry(folder.name, created_at=_made_at(folder), cause=error.message)
    state = events.fold(events.read(folder, cells=False), run.steps)
    current = state.current
    params = read_json(folder / "params.json") or {}
    report, receipt = (read_json(folder / each.path) or {} for each in (EVALUATION, REGISTRATION))
    began, ended = state.started_at, state.finished_at
    day = params.get("ingest", {}).get("until_day")
    return Entry(
        run_id=folder.name,
        scenario=run.scenario,
        status=state.status,
        steps=run.steps,
        step=current.name if current else None,
        seed=run.seed,
        base=run.base,
        created_at=run.created_at,
        seconds=round(ended - began, 3) if began and ended else None,
        day=day if isinstance(day, int) else None,
        changed=_changed(params, run.steps),
        metrics=report.get("metrics") or {},
        intervals=report.get("intervals") or {},
        gate=(report.get("gate") or {}).get("passed"),
        version=receipt.get("version") if "register" in run.steps else None,
        note=str((params.get("register") or {}).get("note") or ""),
        cause=state.cause,
    )


class _Shelf:
    """The entries of one workspace, kept in this process and on disk. Safe for several threads."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = Lock()
        self._kept: dict[str, tuple[str, Entry]] = {}
        self._loaded = False

    def look(self) -> list[Entry]:
        with self._lock:
            marks = _marks(self._workspace.runs)
            if not self._loaded:
                self._kept, self._loaded = _load(self._workspace), True
            fresh: list[tuple[str, str, Entry]] = []
            for run_id, mark in marks.items():
                known = self._kept.get(run_id)
                if known is None or known[0] != mark:
                    entry = read(self._workspace.runs / run_id)
                    self._kept[run_id] = (mark, entry)
                    if entry.finished:
                        fresh.append((run_id, mark, entry))
            gone = self._kept.keys() - marks.keys()
            for run_id in gone:
                del self._kept[run_id]
            if fresh or gone:
                _keep(self._workspace, fresh, gone)
            entries = [entry for _, entry in self._kept.values()]
        # Ids tell the second; of two runs made within one, the later is the newer.
        return sorted(entries, key=lambda each: (each.created_at, each.run_id), reverse=True)


@cache
def _defaults() -> dict[str, dict[str, Any]]:
    """A change of the steps' definitions changes which params differ from their defaults."""
    return {step.name: step.check({}).model_dump() for step in LIFECYCLE}


@cache
def _shelf(workspace: Workspace) -> _Shelf:
    return _Shelf(workspace)


def _marks(runs: Path) -> dict[str, str]:
    """For each run what changes when its facts, its events or its reports do."""
    found: dict[str, str] = {}
    try:
        names = [entry.name for entry in os.scandir(runs) if not entry.name.startswith(".")]
    except FileNotFoundError:
        return found
    for name in names:
        folder = f"{runs}/{name}"
        try:
            facts = os.stat(f"{folder}/run.json")  # noqa: PTH116 - a Path each costs more than the stat
        except OSError:
            continue  # no run: a file of somebody's
        try:
            told = os.stat(f"{folder}/events.jsonl")  # noqa: PTH116
            mark = f"{facts.st_mtime_ns}.{facts.st_size}.{told.st_mtime_ns}.{told.st_size}"
        except OSError:
            mark = f"{facts.st_mtime_ns}.{facts.st_size}"
        found[name] = mark
    return found


def _load(workspace: Workspace) -> dict[str, tuple[str, Entry]]:
    """What was kept on disk; nothing when it is of another form or can't be read."""
    try:
        connection = _open(workspace)
        try:
            rows = connection.execute("SELECT run_id, mark, entry FROM entries").fetchall()
        finally:
            connection.close()
        return {row["run_id"]: (row["mark"], _entry(row["entry"])) for row in rows}
    except (sqlite3.Error, OSError, ValueError, TypeError) as error:
        log.warning("the kept history of '%s' is made again: %s", workspace.name, error)
        for suffix in ("", "-wal", "-shm"):
            (workspace.root / f"history.db{suffix}").unlink(missing_ok=True)
        return {}


def _keep(workspace: Workspace, fresh: Sequence[tuple[str, str, Entry]], gone: Iterable[str]) -> None:
    """Keep new entries for the next process; without a disk that takes them, they are read again then."""
    try:
        connection = _open(workspace)
        try:
            with connection:
                rows = [(run_id, mark, json.dumps(asdict(entry))) for run_id, mark, entry in fresh]
                connection.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", rows)
                connection.executemany("DELETE FROM entries WHERE run_id = ?", [(run_id,) for run_id in gone])
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        log.warning("the history of '%s' can't be kept: %s", workspace.name, error)


def _open(workspace: Workspace) -> sqlite3.Connection:
    connection = connect(workspace.root / "history.db")
    connection.execute("PRAGMA synchronous = OFF")  # It can be made again.
    form = f"{FORM}:{json.dumps(_defaults(), sort_keys=True)}"
    connection.execute("CREATE TABLE IF NOT EXISTS form (is_ TEXT)")
    connection.execute("CREATE TABLE IF NOT EXISTS entries (run_id TEXT PRIMARY KEY, mark TEXT, entry TEXT)")
    found = connection.execute("SELECT is_ FROM form").fetchone()
    if found is None or found[0] != form:
        with connection:
            connection.execute("DELETE FROM form")
            connection.execute("DELETE FROM entries")
            connection.execute("INSERT INTO form VALUES (?)", [form])
    return connection


def _entry(text: str) -> Entry:
    values = json.loads(text)
    return Entry(**{**values, "steps": tuple(values["steps"])})


def _changed(params: Mapping[str, Any], steps: Sequence[str]) -> dict[str, Any]:
    """Params of the executed steps that are not as by default."""
    return {
        f"{step}.{name}": value
        for step in steps
        if isinstance(params.get(step), dict)
        for name, value in params[step].items()
        if value != _defaults().get(step, {}).get(name)
    }


def _made_at(folder: Path) -> float:
    try:
        return (folder / "run.json").stat().st_mtime
    except OSError:
        return 0.0

"""What was started for a home: written down while it runs, so that nothing is left over or started twice.

services.json names the process that watches over the services (the supervisor) and each service's
process, by pid and start time, because a pid alone is given again to strangers. A file lock says
whether a supervisor lives; a mark in the environment finds whatever a killed one left behind, kernels
in sessions of their own included. Commands that borrow services leave a file each in commands/.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil
from filelock import FileLock, Timeout

from pipelines.errors import Refused, Unavailable
from pipelines.settings import Settings
from pipelines.workspace import Home, open_home

# Every process of one start carries this variable with that start's own value.
MARK = "FLIGHTDECK_STARTED_BY"

# A start time is computed from the machine's boot time, which clock corrections move a little.
SAME_START_S = 2.0
END_TIMEOUT_S = 3.0

State = Literal["starting", "running", "failed"]


@dataclass(frozen=True)
class Process:
    """A process that can be told from a later one with the same pid; `created` in seconds since the epoch."""

    pid: int
    created: float

    def alive(self) -> psutil.Process | None:
        """The process, unless it has ended (or ended and waits to be collected)."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.created) < SAME_START_S
        except psutil.Error:
            return None
        return found if same and not has_ended(found) else None


@dataclass
class Entry:
    """One service of a start: its process (None before its first), port (None without) and state."""

    port: int | None
    state: State = "starting"
    process: Process | None = None


@dataclass
class Record:
    """What services.json says.

    Attributes
    ----------
    supervisor : Process
        The process that watches over the services.
    mark : str
        Value of the environment variable MARK in all processes of this start.
    purpose : {"up", "command"}
        Started to stay, or for commands that needed services and found none.
    stopping : bool
        The supervisor has begun to end: wait, then start anew.
    services : dict of str to Entry
        By the service's name.
    """

    supervisor: Process
    mark: str
    purpose: Literal["up", "command"]
    stopping: bool = False
    services: dict[str, Entry] = field(default_factory=dict)


def new_record(purpose: Literal["up", "command"]) -> Record:
    """A record of a start by this process."""
    return Record(this_process(), secrets.token_hex(8), purpose)


def this_process() -> Process:
    """The process that asks."""
    return Process(os.getpid(), psutil.Process().create_time())


def read(home: Home) -> Record | None:
    """The record of the last start that was not ended in order; None without one or when unreadable."""
    try:
        stored = json.loads(home.services_file.read_text("utf-8"))
        services = {
            name: Entry(entry["port"], entry["state"], _process(entry["process"]))
            for name, entry in stored["services"].items()
        }
        supervisor = Process(**stored["supervisor"])
        return Record(supervisor, stored["mark"], stored["purpose"], stored["stopping"], services)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def read_live(home: Home) -> Record | None:
    """The record, if its supervisor lives."""
    record = read(home)
    return record if record is not None and record.supervisor.alive() else None


def write(home: Home, record: Record) -> None:
    """Store `record`; a reader finds the old content or the new, never half."""
    temporary = home.services_file.with_name(f".{home.services_file.name}.{os.getpid()}")
    temporary.write_text(json.dumps(asdict(record), indent=1) + "\n", "utf-8")
    temporary.replace(home.services_file)


def forget(home: Home) -> None:
    """Remove the record: everything it names has ended."""
    home.services_file.unlink(missing_ok=True)


def open_for_writing(settings: Settings) -> Home:
    """The home of these settings, made if need be.

    Raises
    ------
    Unavailable
        It can't be made or read.
    """
    try:
        return open_home(settings)
    except OSError as error:
        raise Unavailable(
            f"The folder {settings.home} can't be made ({error.strerror}).",
            "Free space or change rights there, or set FLIGHTDECK_HOME to another folder.",
        ) from error


@contextlib.contextmanager
def claim(home: Home) -> Iterator[None]:
    """Be the one supervisor of this home; the lock falls with the process, however it ends.

    Raises
    ------
    Refused
        Another supervisor lives; says which and what to do.
    Unavailable
        The home can't be written to.
    """
    lock = FileLock(home.root / "services.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise _refusal(home) from error
    except OSError as error:
        raise Unavailable(
            f"{home.root} can't be written to ({error.strerror}).",
            "Free space or change its rights, or set FLIGHTDECK_HOME to another folder.",
        ) from error
    try:
        yield
    finally:
        lock.release()


def end_leftovers(home: Home) -> list[str]:
    """End what the last start left behind when it was killed; returns descriptions of what was ended.

    Only processes that are certainly ours: pid and start time as recorded, or the start's own mark.
    Call it under `claim`.
    """
    record = read(home)
    if record is None:
        return []
    recorded = [entry.process.alive() for entry in record.services.values() if entry.process]
    ended = end_processes([each for each in recorded if each is not None], record.mark)
    forget(home)
    return ended


def clean_up(home: Home, say: Callable[[str], None]) -> None:
    """End what the last start left behind, and say so."""
    ended = end_leftovers(home)
    if ended:
        say(f"Ended what an earlier start had left behind: {', '.join(ended)}.")


def end_processes(processes: Iterable[psutil.Process], mark: str) -> list[str]:
    """End processes, then what is left of their descendants and of all that carry `mark`.

    In that order: a worker that saw its runner die first would call the run failed, while one that is
    ended first leaves it to be resumed.

    Returns
    -------
    list of str
        "812 (python3.11)" for each that had to be ended.
    """
    first = list(processes)
    family = [each for process in first for each in descendants(process)]
    ended = _end(first)
    rest = {each.pid: each for each in [*family, *marked(mark)] if each.pid != os.getpid()}
    return ended + _end(each for each in rest.values() if not has_ended(each))


def has_ended(process: psutil.Process) -> bool:
    """Whether it runs no more; one that only waits to be collected, which in containers may never
    happen, has ended too.
    """
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:  # it is there, and not ours to ask
        return False


def descendants(process: psutil.Process) -> list[psutil.Process]:
    """All children of `process` and theirs; none when it has ended."""
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def marked(mark: str) -> list[psutil.Process]:
    """All living processes that carry `mark`, wherever they have gone: those of one start."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark and not has_ended(process):
                found.append(process)
    return found


@contextlib.contextmanager
def borrow(home: Home, names: Iterable[str]) -> Iterator[None]:
    """Say, as long as the block lasts or this process lives, that it needs these services."""
    process = this_process()
    path = _commands(home) / f"{process.pid}-{secrets.token_hex(3)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps({"process": asdict(process), "needed": sorted(names)}), "utf-8")
    temporary.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def borrowed(home: Home) -> frozenset[str]:
    """Names of the services that living commands need now; traces of dead ones are removed."""
    needed: set[str] = set()
    for path in _commands(home).glob("*.json"):
        try:
            stored = json.loads(path.read_text("utf-8"))
            alive = Process(**stored["process"]).alive()
            names = frozenset(stored["needed"])
        except (OSError, ValueError, TypeError, KeyError):
            alive, names = None, frozenset()
        if alive:
            needed |= names
        else:
            path.unlink(missing_ok=True)
    return frozenset(needed)


def _end(processes: Iterable[psutil.Process]) -> list[str]:
    """Ask processes to end, and kill those that have not after END_TIMEOUT_S."""
    ended, asked = [], []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            name = process.name()
            process.terminate()
            ended.append(f"{process.pid} ({name})")
            asked.append(process)
    for process in _await_end(asked):
        with contextlib.suppress(psutil.Error):
            process.kill()
    _await_end(asked)
    return ended


def _await_end(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Wait until all have ended, END_TIMEOUT_S at most; returns those that have not."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while True:
        remaining = [process for process in processes if not has_ended(process)]
        if not remaining or time.monotonic() > deadline:
            return remaining
        time.sleep(0.02)


def _process(stored: dict[str, Any] | None) -> Process | None:
    return Process(**stored) if stored else None


def _commands(home: Home) -> Path:
    return home.root / "commands"


def _refusal(home: Home) -> Refused:
    record = read_live(home)
    if record is None:
        return Refused(
            f"Flightdeck is just being started or ended for {home.root}.", "Try again in some seconds."
        )
    if record.purpose == "command":
        return Refused(
            f"A command is running with services of its own for {home.root} "
            f"(process {record.supervisor.pid}).",
            "Wait until it has ended, then start again.",
        )
    app = record.services.get("app")
    where = f" Its pages are at http://127.0.0.1:{app.port}." if app else ""
    return Refused(
        f"Flightdeck is running for {home.root} (process {record.supervisor.pid}).{where}",
        f"Use that one, or end it first (Ctrl-C there, or: kill {record.supervisor.pid}). "
        "For a second one beside it, set FLIGHTDECK_HOME and the three ports.",
    )

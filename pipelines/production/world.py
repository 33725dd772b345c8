"""The world: the process that plays every workspace's days towards the day that was asked for.

Comes in: clocks. Goes out: days, one at a time, fair between workspaces. What can't be played now stops its
own clock with a message, and is tried again.

    python -m pipelines.production.world     is the process
"""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from pipelines import branches
from pipelines.errors import FlightdeckError, Refused, Unavailable
from pipelines.production import clock as clocks
from pipelines.production import policy_lab
from pipelines.production.clock import Clock
from pipelines.production.opening import Opener
from pipelines.settings import SINGLE_THREAD, settings
from pipelines.workspace import Home, Workspace, open_home

log = logging.getLogger(__name__)

# How often clocks are looked at while none is to be played.
POLL_S = 0.2
HEARTBEAT_S = 1.0
# After a day that could not be played: soon enough to go on by itself, rare enough to cost nothing.
RETRY_S, LONGEST_RETRY_S = 1.0, 20.0
# So long one workspace's new version is waited for, while all others wait too; then it has its next turn.
TURN_S = 3.0

# A commit changes a database's files before it can be read, by as long as the disk takes: files that have
# just changed are therefore no proof that what was read is the newest.
SETTLED_S = 10.0

# When nothing is to be played for this long, the process begins anew: what a day needs in memory, 200 MB,
# would else stay until the end.
FORGET_S = 180.0

Key = tuple[str, str, str]  # Workspace, scenario, branch.
Mark = tuple[tuple[int, int] | None, ...]  # Time and size of a database's files.


@dataclass(frozen=True)
class Idle:
    """A workspace with nothing to play: since when its files are the same, and when it was last read."""

    mark: Mark
    since: float
    read_at: float

    @property
    def settled(self) -> bool:
        return self.read_at - self.since > SETTLED_S


@dataclass
class Player:
    """Plays the days of all workspaces of a home, in turn."""

    home: Home
    _turn: Key = ("", "", "")
    _idle: dict[str, Idle] = field(default_factory=dict)
    _failures: dict[Key, int] = field(default_factory=dict)
    _due_at: dict[Key, float] = field(default_factory=dict)

    def play_next(self) -> bool:
        """Play one day of the clock whose turn it is; False when there was none to play."""
        waiting = {_key(clock): clock for clock in self._playable()}
        if not waiting:
            return False
        # Whoever comes after the last one in order, and from the front again: one day each.
        self._turn = min((key for key in waiting if key > self._turn), default=min(waiting))
        self._play(self._turn, waiting[self._turn])
        return True

    def _playable(self) -> list[Clock]:
        found, now = [], time.monotonic()
        for workspace in self.home.workspaces():
            # A class has many workspaces, and most are idle: those that have not changed are not opened.
            mark, idle = _mark(workspace.database), self._idle.get(workspace.name)
            same = idle is not None and idle.mark == mark
            if idle is not None and same and idle.settled:
                continue
            try:
                of_workspace = clocks.clocks(workspace)
                if all(clock.state == "idle" for clock in of_workspace) and policy_lab.go_on(workspace):
                    of_workspace = clocks.clocks(workspace)
            except (sqlite3.Error, OSError, FlightdeckError) as error:
                log.debug("workspace %s can't be read: %s", workspace.name, error)
                continue
            # A branch that was left rests: the gateway answers for the one that is lived in.
            found += [each for each in of_workspace if each.branch == branches.live(workspace, each.scenario)]
            if all(clock.state == "idle" for clock in of_workspace):
                self._idle[workspace.name] = Idle(mark, idle.since if idle and same else now, now)
        return [
            clock
            for clock in found
            # Playing is also one that had stopped and was asked again to go on.
            if (clock.state == "playing" and _key(clock) in self._failures)
            or (clock.state != "idle" and now >= self._due_at.get(_key(clock), 0.0))
        ]

    def _play(self, key: Key, clock: Clock) -> None:
        # Here and not above: until the first day is played, this process stays small.
        from pipelines.production.day import play_day
        from pipelines.production.policies import Waiting

        workspace, began = Workspace(self.home, clock.workspace), time.monotonic()
        try:
            play_day(workspace, clock, loading_s=TURN_S)
        except Waiting:
            # Retraining is no problem: the day is looked at again soon.
            self._failures.pop(key, None)
            self._due_at[key] = time.monotonic() + POLL_S
        except FlightdeckError as error:
            self._stop(key, clock, error)
        except (sqlite3.Error, OSError) as error:
            self._stop(
                key, clock, Unavailable(f"The workspace's files can't be used: {error}.", "Check the disk.")
            )
        except Exception as error:  # one workspace's defect must not keep the others' worlds from going on
            log.exception("day %d of %s can't be played", clock.day, key)
            told = FlightdeckError(
                f"The world failed inside ({type(error).__name__}).",
                "See world.log in the home's folder logs.",
            )
            self._stop(key, clock, told)
        else:
            self._failures.pop(key, None)
            self._due_at[key] = began + clock.pace_s

    def _stop(self, key: Key, clock: Clock, error: FlightdeckError) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self._due_at[key] = time.monotonic() + min(RETRY_S * 2 ** (failures - 1), LONGEST_RETRY_S)
        if failures == 1:
            log.warning("day %d of %s can't be played: %s", clock.day, key, error)
        try:
            clocks.stop(Workspace(self.home, clock.workspace), clock, error.message, error.hint)
        except (sqlite3.Error, OSError) as failure:
            log.warning("clock of %s can't be stopped: %s", key, failure)


def _mark(database: Path) -> Mark:
    """Changes with every commit: in WAL mode that is at first written beside the database."""
    found: list[tuple[int, int] | None] = []
    for path in (database, database.with_name(f"{database.name}-wal")):
        try:
            about = path.stat()
            found.append((about.st_mtime_ns, about.st_size))
        except OSError:
            found.append(None)
    return tuple(found)


def _key(clock: Clock) -> Key:
    return clock.workspace, clock.scenario, clock.branch


def serve(home: Home, every: Callable[[], object] = lambda: None) -> None:
    """Play until SIGTERM or SIGINT.

    Parameters
    ----------
    every : callable
        Called between days: what else this process looks after.

    Raises
    ------
    Refused
        Another process plays this home: two would send everything twice.
    """
    try:
        with FileLock(home.root / "world.lock", timeout=0):
            _serve_alone(home, every)
    except Timeout as error:
        raise Refused(f"Another process plays the worlds of {home.root}.", "End that one first.") from error


def _serve_alone(home: Home, every: Callable[[], object]) -> None:
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    threading.Thread(target=_beat, args=(home.root / "world.heartbeat", ending), daemon=True).start()
    player, played_at = Player(home), time.monotonic()
    while not ending.is_set():
        every()
        if player.play_next():
            played_at = time.monotonic()
            continue
        ending.wait(POLL_S)
        if "pandas" in sys.modules and time.monotonic() - played_at > FORGET_S and not ending.is_set():
            _begin_anew()


def _begin_anew() -> None:
    """Become a fresh process, of the same id, so that whoever watches this one goes on watching."""
    if os.name == "posix":  # elsewhere it would be another process, which nobody watches
        os.execv(sys.executable, [sys.executable, "-m", "pipelines.production.world"])


def _beat(heartbeat: Path, ending: threading.Event) -> None:
    while not ending.wait(HEARTBEAT_S):
        heartbeat.touch()


def main() -> None:
    """Be the world of this home."""
    for name, value in SINGLE_THREAD.items():
        os.environ.setdefault(name, value)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    home = open_home()
    serve(home, Opener(home, allowed=not settings().empty))


if __name__ == "__main__":
    main()

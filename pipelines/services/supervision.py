"""Circus at work: starts services, starts again what dies, gives up what keeps dying, ends all.

Comes in: services. Goes out: their processes, each in a session of its own, with its output in the
home's folder logs and its state in services.json.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil

from pipelines.services import started
from pipelines.services.programs import SERVER_GRACE_S, Service
from pipelines.settings import REPOSITORY
from pipelines.workspace import Home

log = logging.getLogger(__name__)

Say = Callable[[str], None]

# How often circus looks for processes that have died.
CHECK_S = 0.5
# How often a starting service is asked whether it is ready.
POLL_S = 0.1
# A service that is told to end and has not after this long is killed.
GRACE_S = SERVER_GRACE_S + 3.0
# One that ends before it was ready, or sooner after than this, ended at once …
SHORT_LIFE_S = 10.0
# … and after so many such lives in a row it is not started again.
MOST_SHORT_LIVES = 5

LOG_BYTES = 5_000_000
OLD_LOGS = 3
TAIL_LINES = 12


@dataclass
class _Watched:
    """A service under watch, and how its processes have fared."""

    service: Service
    entry: started.Entry
    log_path: Path
    asked_at: float
    spawned_at: float = 0.0
    spawns: int = 0
    short_lives: int = 0
    exit_code: int | None = None
    starting: asyncio.Event = field(default_factory=asyncio.Event)
    follower: asyncio.Task[None] | None = None


class Supervision:
    """Services under circus, from `open` to `close`, on the running asyncio loop.

    Parameters
    ----------
    home : Home
        Whose services these are; the caller holds its claim.
    record : started.Record
        Kept up to date in services.json.
    environment : mapping of str to str
        What all services share.
    say : callable
        Told, in sentences for the user, what happens to the services.
    """

    def __init__(self, home: Home, record: started.Record, environment: Mapping[str, str], say: Say) -> None:
        self._home = home
        self._record = record
        self._environment = {**environment, started.MARK: record.mark}
        self._say = say
        self._watched: dict[str, _Watched] = {}
        self._arbiter: Any = None
        self._closing = False
        self._unwritable = False
        self.all_failed = asyncio.Event()

    async def open(self) -> None:
        """Begin to watch, with no services yet."""
        self._home.logs.mkdir(parents=True, exist_ok=True)
        self.store()
        self._arbiter = _new_arbiter()
        await self._arbiter.start()

    async def begin(self, service: Service) -> None:
        """Start a service and keep it running."""
        entry = self._record.services.setdefault(service.name, started.Entry(service.port))
        path = self._home.logs / f"{service.name}.log"
        each = self._watched[service.name] = _Watched(service, entry, path, time.monotonic())
        options = {
            "args": list(service.command),
            "env": {**self._environment, **service.environment},
            "working_dir": str(REPOSITORY),
            "singleton": True,
            "graceful_timeout": GRACE_S,
            # Only the service itself is told to end: it ends its own children in its own order.
            "stop_children": False,
            "hooks": {
                "before_spawn": (lambda **_: self._before_spawn(each), True),
                "after_spawn": (lambda pid, **_: self._after_spawn(each, pid), True),
                "after_reap": (lambda exit_code, **_: self._after_reap(each, exit_code), True),
                "after_stop": (lambda **_: self._after_stop(each), True),
            },
        }
        if os.name == "posix":  # circus can't redirect on Windows: there the output goes to the console
            stream = {"stream": _LogFile(path)}
            options |= {"stdout_stream": stream, "stderr_stream": stream}
        watcher = await self._exclusively(
            lambda: self._arbiter.add_watcher(service.name, _interpreter(), **options)
        )
        if os.name != "posix":
            watcher.executable = sys.executable
        await self._exclusively(watcher.start)
        each.follower = asyncio.create_task(self._follow(each))

    def states(self) -> dict[str, started.State]:
        """The state of each service."""
        return {name: each.entry.state for name, each in self._watched.items()}

    def log_path(self, name: str) -> Path:
        """Where the output of a service is."""
        return self._watched[name].log_path

    def store(self) -> None:
        """Write services.json; on a full disk the services go on without it."""
        try:
            started.write(self._home, self._record)
        except OSError as error:
            if not self._unwritable:
                self._say(f"{self._home.services_file} can't be written ({error.strerror}): free space.")
            self._unwritable = True

    async def close(self) -> None:
        """End all services and whatever they started; returns when nothing of it is left."""
        self._closing = True
        family = []
        for each in self._watched.values():
            if each.follower is not None:
                each.follower.cancel()
            process = each.entry.process.alive() if each.entry.process else None
            if process is not None:
                family += [process, *started.descendants(process)]
        try:
            async with asyncio.timeout(GRACE_S + 2):
                await self._end_circus()
        except Exception:  # whatever goes wrong in there, the services still end here
            log.exception("circus did not end in order")
        remaining = [process for process in family if not started.has_ended(process)]
        ended = await asyncio.to_thread(started.end_processes, remaining, self._record.mark)
        if ended:
            log.info("ended what services had left: %s", ", ".join(ended))
        with contextlib.suppress(OSError):
            started.forget(self._home)

    async def _end_circus(self) -> None:
        if self._arbiter is not None:
            self._arbiter.ctrl.caller.stop()  # its look every CHECK_S would collide with the ending
            await self._exclusively(self._arbiter.stop)
            await asyncio.sleep(0.05)  # it closes its sockets in the loop's next turn

    async def _follow(self, each: _Watched) -> None:
        """Say when the service is ready, after its start and after each new start."""
        while True:
            await each.starting.wait()
            spawns = each.spawns
            ready = await asyncio.to_thread(each.service.ready)
            if not ready or spawns != each.spawns or each.entry.state != "starting":
                await asyncio.sleep(POLL_S)
                continue
            each.starting.clear()
            each.entry.state = "running"
            with contextlib.suppress(OSError):
                each.service.started_well()
            self.store()
            seconds = time.monotonic() - each.asked_at
            if each.spawns == 1:
                self._say(
                    f"  {each.service.title:8} ready after {seconds:.1f} s  {each.service.url}".rstrip()
                )
            else:
                self._say(f"{each.service.title} is running again.")

    def _before_spawn(self, each: _Watched) -> bool:
        """Take note of the death before this start, if there was one; False gives the service up."""
        if each.entry.process is not None:
            self._note_death(each)
        if each.short_lives >= MOST_SHORT_LIVES:
            self._give_up(each)
            return False
        each.service.prepare()
        return True

    def _after_spawn(self, each: _Watched, pid: int) -> bool:
        try:
            created = psutil.Process(pid).create_time()
        except psutil.Error:  # it has died already: the next look sees that
            created = time.time()
        each.entry.process = started.Process(pid, created)
        each.entry.state = "starting"
        each.exit_code = None
        each.spawned_at = time.monotonic()
        each.spawns += 1
        each.starting.set()
        self.store()
        return True

    def _after_reap(self, each: _Watched, exit_code: int | None) -> bool:
        each.exit_code = exit_code
        return True

    def _after_stop(self, each: _Watched) -> bool:
        """Circus stops a service by itself when its program can't even be executed."""
        if not self._closing and each.entry.state != "failed":
            self._give_up(each)
        return True

    def _note_death(self, each: _Watched) -> None:
        process, each.entry.process = each.entry.process, None
        assert process is not None
        was_ready = each.entry.state == "running"
        life_s = time.monotonic() - each.spawned_at
        each.short_lives = 0 if was_ready and life_s >= SHORT_LIFE_S else each.short_lives + 1
        if hasattr(os, "killpg"):
            # Its children stay in its group; one of them may still hold the port.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        if not self._closing and each.short_lives < MOST_SHORT_LIVES:
            self._say(f"{each.service.title} ended ({_describe(each.exit_code)}); starting it again.")

    def _give_up(self, each: _Watched) -> None:
        each.starting.clear()
        each.entry.state = "failed"
        self.store()
        lines = "".join(f"    {line}\n" for line in tail(each.log_path))
        cause = f"can't be executed (is {sys.executable} still there?)"
        if each.short_lives >= MOST_SHORT_LIVES:
            cause = f"ended {each.short_lives} times right after its start ({_describe(each.exit_code)})"
        self._say(
            f"{each.service.title} {cause} and is not started again. Its log ends with:\n"
            f"{lines}  All of it: {each.log_path}\n"
            "  What to do: python -m pipelines doctor"
        )
        if all(entry.state == "failed" for entry in self._record.services.values()):
            self.all_failed.set()

    async def _exclusively(self, call: Callable[[], Any]) -> Any:
        """Do something with circus, which refuses to do two things at once, as soon as it can."""
        from circus.exc import ConflictError

        while True:
            try:
                answer = call()
            except ConflictError:
                await asyncio.sleep(0.02)
                continue
            return await answer if asyncio.isfuture(answer) else answer


class _LogFile(RotatingFileHandler):
    """A log file as circus wants it: called with what a process has written."""

    terminator = ""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=LOG_BYTES, backupCount=OLD_LOGS, encoding="utf-8", delay=True)

    def __call__(self, part: Mapping[str, Any]) -> None:
        text = part["data"].decode("utf-8", "replace")
        self.emit(logging.makeLogRecord({"msg": text}))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Lose the lines: on a full disk the services go on, and their log does not."""

    def close(self) -> None:
        """Close the file; what a full disk did not take is lost here too."""
        with contextlib.suppress(OSError):
            super().close()


@contextlib.contextmanager
def told_to_end(ending: asyncio.Event) -> Iterator[None]:
    """Every signal that asks this process to end sets `ending` instead."""
    loop = asyncio.get_running_loop()
    previous = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            continue  # nohup asks not to end when the terminal closes
        previous[number] = signal.signal(number, lambda *_: loop.call_soon_threadsafe(ending.set))
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def tail(path: Path, lines: int = TAIL_LINES) -> list[str]:
    """The last lines of a log; none when it can't be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            return file.read().decode("utf-8", "replace").splitlines()[-lines:]
    except OSError:
        return []


def _new_arbiter() -> Any:
    """Circus without open ports, plugins or signal handlers: this process has its own."""
    import circus.arbiter
    from tornado.ioloop import IOLoop

    logging.getLogger("circus").setLevel(logging.ERROR)
    # A look that finds circus busy fails loudly; the next one, CHECK_S later, does its work.
    logging.getLogger("tornado.application").addFilter(_is_no_conflict)
    # Circus asks for this machine's full name, which it does not need here: without a network, or on
    # macOS, that question takes seconds, and it may leave the machine.
    circus.arbiter.socket = SimpleNamespace(getfqdn=socket.gethostname, gethostname=socket.gethostname)
    arbiter = circus.arbiter.Arbiter(
        [],
        "inproc://flightdeck-control",
        "inproc://flightdeck-events",
        check_delay=CHECK_S,
        loop=IOLoop.current(),
    )
    arbiter.ctrl.sys_hdl.stop()
    return arbiter


def _is_no_conflict(record: logging.LogRecord) -> bool:
    from circus.exc import ConflictError

    return not (record.exc_info and isinstance(record.exc_info[1], ConflictError))


def _interpreter() -> str:
    """This Python as circus takes commands: split at spaces like in a shell, except on Windows."""
    return shlex.quote(sys.executable) if os.name == "posix" else "python"


def _describe(exit_code: int | None) -> str:
    if exit_code is None:
        return "the exit code is not known"
    if exit_code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-exit_code).name}"
    return f"exit code {exit_code}"

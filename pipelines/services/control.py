"""The processes of Flightdeck together: started for a person, or lent to a command that needs them.

Comes in: settings. Goes out: MLflow, the worker, the gateway and the app, each answering, and nothing left
of them afterwards. `start` is `python -m pipelines up`; `ensure` is what every other command stands on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
import webbrowser
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from pipelines.services import alone, lending, started
from pipelines.services.programs import (
    Service,
    recorded_settings,
    services_of,
    shared_environment,
)
from pipelines.services.supervision import Say, Supervision, told_to_end
from pipelines.settings import Settings
from pipelines.workspace import Home

# After this long a start is slow enough to say which log to look at.
SLOW_START_S = 45.0
_LOOK_S = 0.1


def say(text: str) -> None:
    """Write a line for the user; a terminal that is gone is no reason to stop."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def start(
    settings: Settings,
    open_browser: bool = True,
    only: Collection[str] | None = None,
    *,
    services: Sequence[Service] | None = None,
    say: Say = say,
    when_ready: Callable[[Mapping[str, str]], None] | None = None,
) -> int:
    """Start everything, say where it answers, and keep it running until Ctrl-C, SIGTERM or SIGHUP.

    Call it in the main thread.

    Parameters
    ----------
    open_browser : bool
        Open the app's page once it answers, where there is a screen.
    only : collection of str, optional
        Names of the services to start; all by default.
    services : sequence of Service, optional
        Other services than Flightdeck's own.
    say : callable
        Told what happens, line by line; writes to stdout by default.
    when_ready : callable, optional
        Called once, when all services answer, with their addresses by name.

    Returns
    -------
    int
        0 when it was told to end, 1 when every service kept dying and was given up.

    Raises
    ------
    BadInput
        `only` names a service there is not, or two ports are the same.
    Refused
        Flightdeck is running for this home already.
    Unavailable
        A port is taken, the disk is full, or the home can't be written to.
    """
    chosen = alone.choose(services_of(settings) if services is None else services, only)
    home = started.open_for_writing(settings)

    def show() -> None:
        page = next((service.url for service in chosen if service.name == "app"), "")
        if page and open_browser and _has_screen():
            webbrowser.open(page)

    def announce() -> None:
        if when_ready is not None:
            when_ready({service.name: service.url for service in chosen})

    with started.claim(home):
        started.clean_up(home, say)
        alone.check_space(home)
        alone.check_ports(chosen)
        say(f"Flightdeck's home is {home.root}.")
        if any(service.is_first_start for service in chosen):
            say("Preparing MLflow's database (once, about 5 s).")
        say(f"Starting {', '.join(service.title for service in chosen)}.")
        return asyncio.run(_stay_up(home, settings, chosen, say, show, announce))


def running(settings: Settings) -> frozenset[str]:
    """Names of this home's services that answer now."""
    if settings.elsewhere:
        return frozenset(service.name for service in services_of(settings) if service.ready())
    home = Home(settings.home)
    record = started.read_live(home)
    if record is None:
        return frozenset()
    services = {service.name: service for service in services_of(recorded_settings(settings, record))}
    return frozenset(
        name
        for name, entry in record.services.items()
        if name in services and entry.process and entry.process.alive() and services[name].ready()
    )


@contextlib.contextmanager
def ensure(
    settings: Settings, needed: Collection[str] = ("mlflow", "worker", "gateway")
) -> Iterator[Settings]:
    """Have services running as long as the block lasts: those that run, else some of its own.

    Commands at the same time share them; the last one to end ends them. Services of its own take
    another port where the usual one is taken.

    Yields
    ------
    Settings
        Where the services answer. While the block lasts `settings()` and this process's environment say
        the same.

    Raises
    ------
    Unavailable
        A service can't be started; the message ends with its log's last lines.
    """
    if settings.elsewhere:
        alone.await_others(settings, needed)
        with lending.handed_on(settings):
            yield settings
        return
    home = started.open_for_writing(settings)
    try:
        with started.borrow(home, needed):
            found = recorded_settings(settings, lending.await_services(home, settings, needed))
            with lending.handed_on(found):
                yield found
    finally:
        lending.await_end(home)


async def _stay_up(
    home: Home,
    settings: Settings,
    services: Sequence[Service],
    say: Say,
    show: Callable[[], None],
    announce: Callable[[], None],
) -> int:
    ending = asyncio.Event()
    record = started.new_record("up")
    record.services = {service.name: started.Entry(service.port) for service in services}
    supervision = Supervision(home, record, shared_environment(settings, os.environ), say)
    with told_to_end(ending):
        announcing = asyncio.create_task(_tell_when_ready(supervision, services, say, show, announce))
        try:
            await supervision.open()
            for service in services:
                await supervision.begin(service)
            waits = [asyncio.create_task(each.wait()) for each in (ending, supervision.all_failed)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        finally:
            announcing.cancel()
            say("Ending all services.")
            await supervision.close()
    say("Everything has ended.")
    return 0 if ending.is_set() else 1


async def _tell_when_ready(
    supervision: Supervision,
    services: Sequence[Service],
    say: Say,
    show: Callable[[], None],
    announce: Callable[[], None],
) -> None:
    """Show the app once it answers, say when all is ready, and which log to read when that takes long."""
    began = time.monotonic()
    shown = slow_said = False
    while True:
        states = supervision.states()
        seconds = time.monotonic() - began
        if states.get("app") == "running" and not shown:
            shown = True  # its pages are of use before MLflow, the slowest, is ready
            await asyncio.to_thread(show)
        if len(states) == len(services) and "starting" not in states.values():
            break
        if seconds > SLOW_START_S and not slow_said:
            slow_said = True
            for name in (name for name, state in states.items() if state == "starting"):
                say(f"{name} is still starting; its log: {supervision.log_path(name)}")
        await asyncio.sleep(_LOOK_S)
    if "failed" in states.values():
        return
    page = next((service.url for service in services if service.name == "app"), "")
    say(f"Ready after {seconds:.1f} s.{f' Open {page}' if page else ''}  (Ctrl-C ends everything.)")
    await asyncio.to_thread(announce)


def _has_screen() -> bool:
    """Whether a browser window could appear here."""
    if os.environ.get("CI"):
        return False
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))

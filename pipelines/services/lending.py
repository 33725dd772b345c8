"""Services for commands: borrowed from what runs, else from a process that lends them meanwhile.

Comes in: the names a command needs. Goes out: where they answer. The lender is a process of its own, so
that commands at the same time share its services, and a command that is killed leaves none behind.

    python -m pipelines.services.lending     is the lender
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import replace

from pipelines.errors import BadInput, Refused, Unavailable
from pipelines.services import ports, started
from pipelines.services.programs import services_of, shared_environment, with_free_ports
from pipelines.services.supervision import Supervision, tail, told_to_end
from pipelines.settings import REPOSITORY, Settings
from pipelines.settings import settings as current_settings
from pipelines.workspace import Home

log = logging.getLogger(__name__)

# A command waits so long for its services; a first start on a slow disk takes a minute.
READY_TIMEOUT_S = 180.0
# … and so long for them to end.
END_TIMEOUT_S = 20.0
LOOK_S = 0.1


def await_services(home: Home, settings: Settings, needed: Collection[str]) -> started.Record:
    """The record of a supervisor under which all `needed` services run; starts one if there is none.

    Raises
    ------
    BadInput
        There is no service of that name.
    Unavailable
        One can't be started.
    """
    unknown = set(needed) - {service.name for service in services_of(settings)}
    if unknown:
        raise BadInput(f"There is no service '{min(unknown)}'.", "Name one of Flightdeck's own.")
    deadline = time.monotonic() + READY_TIMEOUT_S
    lender: subprocess.Popen[bytes] | None = None
    while time.monotonic() < deadline:
        record = started.read_live(home)
        if record is None:
            if lender is None or lender.poll() == 0:
                lender = _start_lender(home, settings)
            elif lender.poll() is not None:
                raise _unavailable("The services", home, "supervisor")
        elif not record.stopping:
            states = {name: _state(record, name) for name in needed}
            failed = next((name for name, state in states.items() if state == "failed"), None)
            if failed is not None:
                raise _unavailable(f"The service '{failed}'", home, failed)
            if all(state == "running" for state in states.values()):
                return record
        time.sleep(LOOK_S)
    raise Unavailable(
        f"The services are not ready after {READY_TIMEOUT_S:.0f} s.", f"See the logs in {home.logs}."
    )


def await_end(home: Home) -> None:
    """Return when the lender has ended its services, or another command needs them, or it is not there."""
    record = started.read_live(home)
    if record is None or record.purpose != "command":
        return
    deadline = time.monotonic() + END_TIMEOUT_S
    while time.monotonic() < deadline and record.supervisor.alive() and not started.borrowed(home):
        time.sleep(LOOK_S)


@contextlib.contextmanager
def handed_on(found: Settings) -> Iterator[None]:
    """Let `settings()` and this process's environment say `found`, and afterwards what they said before.

    HTTP clients of this process are kept off a proxy that would catch 127.0.0.1, too.
    """
    values = found.environment() | ports.past_proxies(os.environ)
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    current_settings.cache_clear()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        current_settings.cache_clear()


def lend(settings: Settings) -> int:
    """Run the services that living commands need until none needs any: the process behind `ensure`."""
    home = started.open_for_writing(settings)
    with contextlib.suppress(Refused), started.claim(home):  # refused: another one lends already
        started.clean_up(home, log.info)
        # A home that only commands use gets no ready-made world: nobody is there to look at it.
        asyncio.run(_lend_while_needed(home, with_free_ports(replace(settings, empty=True))))
    return 0


async def _lend_while_needed(home: Home, settings: Settings) -> None:
    services = {service.name: service for service in services_of(settings)}
    ending = asyncio.Event()
    record = started.new_record("command")
    supervision = Supervision(home, record, shared_environment(settings, os.environ), log.info)
    with told_to_end(ending):
        try:
            await supervision.open()
            while not ending.is_set():
                needed = started.borrowed(home)
                for name in needed.intersection(services).difference(record.services):
                    await supervision.begin(services[name])
                record.stopping = not needed
                if not needed:
                    # Said before the last look: a command that came in between is seen by one of us.
                    supervision.store()
                    if not started.borrowed(home):
                        return
                    record.stopping = False
                    supervision.store()
                await asyncio.sleep(LOOK_S)
        finally:
            await supervision.close()


def _state(record: started.Record, name: str) -> started.State:
    entry = record.services.get(name)
    if entry is None and record.purpose == "up":
        raise Unavailable(
            f"The service '{name}' is not among those that were started (by process "
            f"{record.supervisor.pid}).",
            "End that and start all: make run",
        )
    if entry is None or (entry.state == "running" and not (entry.process and entry.process.alive())):
        return "starting"
    return entry.state


def _start_lender(home: Home, settings: Settings) -> subprocess.Popen[bytes]:
    home.logs.mkdir(parents=True, exist_ok=True)
    with (home.logs / "supervisor.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines.services.lending"],
            cwd=REPOSITORY,
            env=shared_environment(settings, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the command; this process sees the command end
        )


def _unavailable(what: str, home: Home, log_name: str) -> Unavailable:
    path = home.logs / f"{log_name}.log"
    last = next((line for line in reversed(tail(path)) if line.strip()), "nothing")
    return Unavailable(
        f"{what} can't be started; the log ends with: {last}",
        f"See {path}, and: python -m pipelines doctor",
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    sys.exit(lend(current_settings()))

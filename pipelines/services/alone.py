"""One service by itself, without a supervisor: what each container is, and whether it does its work.

Comes in: settings and a service's name. Goes out: this process, turned into that service; whoever started it
watches over it. With FLIGHTDECK_SERVICES=elsewhere commands use services that were started so.

    python -m pipelines.services.alone [NAME]     ends with 0 when the service, or all of them, are ready
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Collection, Sequence
from typing import NoReturn

from pipelines.errors import BadInput, FlightdeckError, Refused, Unavailable
from pipelines.services import ports, started
from pipelines.services.programs import Service, services_of, shared_environment
from pipelines.settings import REPOSITORY, Settings
from pipelines.settings import settings as current_settings
from pipelines.workspace import Home

# With less, MLflow's database or the first run would fail half-way.
LEAST_FREE_BYTES = 200_000_000
# How long a command waits for services that are not its own to start.
READY_TIMEOUT_S = 60.0
LOOK_S = 0.2


def become(settings: Settings, name: str) -> NoReturn:
    """Turn this process into one service; it ends as that service ends.

    Raises
    ------
    BadInput
        There is no service of that name.
    Refused
        A supervisor runs the services of this home.
    Unavailable
        Its port is taken, the disk is full, or the home can't be written to.
    """
    (service,) = choose(services_of(settings), [name])
    home = started.open_for_writing(settings)
    record = started.read_live(home)
    if record is not None:
        raise Refused(
            f"Flightdeck runs for {home.root} already, in process {record.supervisor.pid}.",
            "End that first, or set FLIGHTDECK_HOME to another folder.",
        )
    check_space(home)
    check_ports([service])
    service.prepare()
    os.chdir(REPOSITORY)
    environment = {**shared_environment(settings, os.environ), **service.environment}
    os.execve(sys.executable, [sys.executable, *service.command], environment)


def ready(settings: Settings, names: Collection[str] = ()) -> bool:
    """Whether these services do their work; all of them when none is named.

    Raises
    ------
    BadInput
        There is no service of that name.
    """
    for service in choose(services_of(settings), names or None):
        if not service.ready():
            return False
        with contextlib.suppress(OSError):
            service.started_well()
    return True


def await_others(settings: Settings, needed: Collection[str]) -> None:
    """Return once the services that somebody else has started are ready.

    Raises
    ------
    Unavailable
        One is not.
    """
    deadline = time.monotonic() + READY_TIMEOUT_S
    for service in choose(services_of(settings), needed):
        while not service.ready():
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{service.title} does not answer, and it is not this command's to start.",
                    "Start its container: docker compose up --detach",
                )
            time.sleep(LOOK_S)


def choose(services: Sequence[Service], only: Collection[str] | None) -> list[Service]:
    """The services of these names; all when None.

    Raises
    ------
    BadInput
        There is none of that name.
    """
    names = [service.name for service in services]
    for name in only or ():
        if name not in names:
            raise BadInput(f"There is no service '{name[:40]}'.", f"The services are: {', '.join(names)}.")
    return [service for service in services if only is None or service.name in only]


def check_space(home: Home) -> None:
    """Refuse to start on a disk that is about to be full."""
    free = shutil.disk_usage(home.root).free
    if free < LEAST_FREE_BYTES:
        raise Unavailable(
            f"Only {free / 1e6:.0f} MB are free on the disk of {home.root}; "
            f"Flightdeck needs {LEAST_FREE_BYTES / 1e6:.0f} MB to start.",
            "Free space, or set FLIGHTDECK_HOME to a folder on another disk.",
        )


def check_ports(services: Sequence[Service]) -> None:
    """Refuse to start where somebody else listens."""
    for service in services:
        if service.port is not None and not ports.is_free(service.port):
            holder, other = ports.holder(service.port), ports.free_port()
            raise Unavailable(
                f"Port {service.port}, which {service.title} needs, is taken by {holder}.",
                f"End that, or choose another port: {service.variable}={other} make run",
            )


if __name__ == "__main__":
    try:
        sys.exit(0 if ready(current_settings(), sys.argv[1:]) else 1)
    except FlightdeckError as error:
        sys.exit(str(error))

"""What is wrong with this machine, in plain words, and what to do about it.

Comes in: settings. Goes out: a finding for each thing Flightdeck needs. Nothing is changed on the
machine, and nothing outside it is asked.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.request import getproxies_environment

import psutil
from packaging.requirements import Requirement

from pipelines.errors import FlightdeckError
from pipelines.services import ports, running, started
from pipelines.services.programs import recorded_settings, services_of
from pipelines.settings import LOOPBACK, REPOSITORY, Settings
from pipelines.workspace import Home, connect

PYTHONS = ((3, 11), (3, 14))  # from, and below

# Room for an afternoon of runs with their data, models and executed notebooks, and for MLflow's store.
LEAST_DISK_BYTES = 2_000_000_000
# Idle, all services take 0.8 GB (measured, as PSS); a run adds its data and its model.
LEAST_MEMORY_BYTES = 2_000_000_000
# SQLite's first version with RETURNING, which the queue's SQL uses.
LEAST_SQLITE = (3, 35, 0)
# No release of what requirements.txt names is older than this: a clock before it is wrong.
EARLIEST_TIME_S = 1_790_000_000

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_MAC_BROWSERS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
        What was looked at, in two or three words.
    ok : bool
        Whether Flightdeck can live with what was found.
    found, expected : str
        In words, with figures.
    remedy : str
        What to do; empty when there is nothing to do.
    """

    name: str
    ok: bool
    found: str
    expected: str
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at everything Flightdeck needs of this machine; about a second.

    A check that itself fails is a finding, never an error.
    """
    checks: tuple[tuple[str, Callable[[Settings], Finding]], ...] = (
        ("Python", _python),
        ("packages", _packages),
        ("home folder", _home),
        ("disk space", _disk),
        ("memory", _memory),
        ("SQLite", _sqlite),
        ("loopback", _loopback),
        ("proxy", _proxy),
        ("clock", _clock),
        ("ports", _ports),
        ("services", _services),
        ("fork", _fork),
        ("browser", _browser),
    )
    findings = []
    for name, check in checks:
        try:
            findings.append(check(settings))
        except (OSError, ValueError, psutil.Error, sqlite3.Error, FlightdeckError) as error:
            remedy = getattr(error, "hint", "") or "Mend that, then look again: python -m pipelines doctor"
            findings.append(
                Finding(name, False, str(error) or type(error).__name__, "a check that works", remedy)
            )
    return findings


def find_browser(environment: Mapping[str, str] = os.environ) -> str | None:
    """Path of the Chromium or Chrome that the tests drive, or None; CHROMIUM names another one."""
    named = environment.get("CHROMIUM")
    if named:
        return shutil.which(named)
    found = (shutil.which(name) for name in BROWSERS)
    installed = (path for path in _MAC_BROWSERS if Path(path).is_file())
    return next((path for path in found if path), None) or next(installed, None)


def _python(_: Settings) -> Finding:
    version = sys.version_info[:2]
    least, below = PYTHONS
    return Finding(
        "Python",
        least <= version < below,
        f"{platform.python_version()} at {sys.executable}",
        "3.11, 3.12 or 3.13",
        "" if least <= version < below else "Install one of these, delete .venv, then: make install",
    )


def _packages(_: Settings) -> Finding:
    wrong = []
    pins = _pins((REPOSITORY / "requirements.txt").read_text("utf-8"))
    for name, wanted in pins.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "missing"
        if found != wanted:
            wrong.append(f"{name} {found} instead of {wanted}")
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return Finding(
        "packages",
        not wrong,
        "; ".join(wrong[:3]) + more if wrong else f"all {len(pins)} as pinned",
        "what requirements.txt names",
        "Run: make install  (Windows: .venv\\Scripts\\pip install -r requirements.txt)" if wrong else "",
    )


def _home(settings: Settings) -> Finding:
    expected = "a folder that can be written to"
    place = _existing(settings.home)
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")
    except OSError as error:
        remedy = "Change its rights or free space, or set FLIGHTDECK_HOME to another folder."
        return Finding("home folder", False, f"{place}: {error.strerror}", expected, remedy)
    found = "can be written to" if place == settings.home else "will be made at the first start"
    return Finding("home folder", True, f"{settings.home} {found}", expected)


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(_existing(settings.home)).free
    ok = free >= LEAST_DISK_BYTES
    return Finding(
        "disk space",
        ok,
        f"{free / 1e9:.1f} GB free",
        f"{LEAST_DISK_BYTES / 1e9:.0f} GB or more",
        "" if ok else "Free space, or set FLIGHTDECK_HOME to a folder on another disk.",
    )


def _memory(settings: Settings) -> Finding:
    available = psutil.virtual_memory().available
    # What runs already has its memory.
    ok = available >= LEAST_MEMORY_BYTES or bool(running(settings))
    return Finding(
        "memory",
        ok,
        f"{available / 1e9:.1f} GB available",
        f"{LEAST_MEMORY_BYTES / 1e9:.0f} GB or more before the start",
        "" if ok else "Close other programs; with little memory choose the size 'small' in the ingest step.",
    )


def _sqlite(settings: Settings) -> Finding:
    with tempfile.TemporaryDirectory(dir=_existing(settings.home), prefix=".doctor-") as folder:
        connection = connect(Path(folder) / "probe.db")
        try:
            mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        finally:
            connection.close()
    new_enough = sqlite3.sqlite_version_info >= LEAST_SQLITE
    remedy = ""
    if mode != "wal":
        remedy = "Its disk can't share a database (a network drive?): set FLIGHTDECK_HOME to a local folder."
    elif not new_enough:
        remedy = "Install a newer Python, which brings a newer SQLite; delete .venv, then: make install"
    return Finding(
        "SQLite",
        mode == "wal" and new_enough,
        f"{sqlite3.sqlite_version}, journal mode '{mode}' in the home",
        f"{'.'.join(map(str, LEAST_SQLITE))} or later, journal mode 'wal'",
        remedy,
    )


def _loopback(_: Settings) -> Finding:
    with socket.create_server((LOOPBACK, 0)) as server:
        server.settimeout(2)
        with socket.create_connection(server.getsockname(), timeout=2) as client:
            accepted, _address = server.accept()
            with accepted:
                client.sendall(b"x")
                accepted.settimeout(2)
                answered = accepted.recv(1) == b"x"
    return Finding(
        "loopback",
        answered,
        f"{LOOPBACK} {'answers' if answered else 'does not answer'}",
        f"connections to {LOOPBACK} work",
        "" if answered else "A firewall or sandbox stops them: allow connections within this machine.",
    )


def _proxy(_: Settings) -> Finding:
    proxies = [name for name in ("http", "https", "all") if getproxies_environment().get(name)]
    exempt = {host.strip() for host in getproxies_environment().get("no", "").split(",")}
    caught = bool(proxies) and not exempt & {LOOPBACK, "*"}
    found = f"a proxy is set for {', '.join(proxies)}" if proxies else "none is set"
    if caught:
        found += f", and {LOOPBACK} is not exempt"
    return Finding(
        "proxy",
        not caught,
        found,
        f"none, or one that NO_PROXY keeps from {LOOPBACK}",
        f"Set NO_PROXY={ports.past_proxies(os.environ)['NO_PROXY']}  (Flightdeck's own services do.)"
        if caught
        else "",
    )


def _clock(_: Settings) -> Finding:
    now = time.time()
    ok = now >= EARLIEST_TIME_S
    return Finding(
        "clock",
        ok,
        time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now)),
        "today's date",
        "" if ok else "Set the machine's clock: ids of runs begin with the time and would sort wrongly.",
    )


def _ports(settings: Settings) -> Finding:
    record = started.read_live(Home(settings.home))
    ours = {entry.port for entry in record.services.values()} if record else set()
    if settings.elsewhere:
        ours = {service.port for service in services_of(settings)}
    taken = [
        service
        for service in services_of(settings)
        if service.port and service.port not in ours and not ports.is_free(service.port)
    ]
    told = [
        f"{service.port} ({service.title}) is taken by {ports.holder(service.port or 0)}" for service in taken
    ]
    remedy = [f"{service.variable}={ports.free_port()}" for service in taken]
    listed = ", ".join(str(service.port) for service in services_of(settings) if service.port)
    return Finding(
        "ports",
        not taken,
        "; ".join(told) or f"{listed} are {'free or ours' if ours else 'free'}",
        "free, or held by this Flightdeck",
        f"End that program, or choose another port: {' '.join(remedy)} make run" if taken else "",
    )


def _services(settings: Settings) -> Finding:
    record = started.read_live(Home(settings.home))
    if record is None:
        left = started.read(Home(settings.home))
        found = "none run" + ("; an earlier start was cut short" if left else "")
        return Finding("services", True, found, "all answer once started", "Start them: make run")
    answering = running(settings)
    silent = [name for name in record.services if name not in answering]
    known = {service.name: service for service in services_of(recorded_settings(settings, record))}
    addresses = [f"{name} {known[name].url}".strip() for name in record.services if name in answering]
    logs = ", ".join(str(Home(settings.home).logs / f"{name}.log") for name in silent)
    return Finding(
        "services",
        not silent,
        f"{', '.join(silent)} do not answer" if silent else f"all answer: {', '.join(addresses)}",
        "all that were started answer",
        f"Wait a moment, else read {logs}" if silent else "",
    )


def _fork(_: Settings) -> Finding:
    can = hasattr(os, "fork")
    return Finding(
        "fork",
        True,
        "processes can be forked" if can else "processes can't be forked",
        "forking, which starts notebooks in under a second",
        "" if can else "Nothing: notebooks work too, and each takes some seconds longer to start.",
    )


def _browser(_: Settings) -> Finding:
    found = find_browser()
    return Finding(
        "browser",
        True,
        found or "no Chromium or Chrome",
        "Chromium or Chrome, for the tests only",
        "" if found else "For make test, on Debian or Ubuntu: apt-get install chromium; else set CHROMIUM.",
    )


def _pins(requirements: str) -> dict[str, str]:
    """Names and exact versions that a requirements file means on this machine."""
    pins = {}
    for line in requirements.splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).rstrip("\\ ")
        if not line or line.startswith((" ", "-")):
            continue
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            pins[requirement.name] = str(requirement.specifier).removeprefix("==")
    return pins


def _existing(path: Path) -> Path:
    """`path`, or the nearest above it that is there."""
    return next(place for place in (path, *path.parents) if place.exists())

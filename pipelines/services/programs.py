"""What the services are: each one's command, environment, port and how it shows that it is ready.

Comes in: settings. Goes out: the list from which services are started, checked and named.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.errors import BadInput
from pipelines.services import ports, started
from pipelines.settings import LOOPBACK, NO_TELEMETRY, SINGLE_THREAD, Settings
from pipelines.workspace import Home, connect

# A worker touches its file every second; this many without a touch mean that it hangs or is gone.
HEARTBEAT_FRESH_S = 10.0
# How long a server that is told to end waits for open connections, browsers' among them.
SERVER_GRACE_S = 2


@dataclass(frozen=True)
class Service:
    """One process that is kept running.

    Attributes
    ----------
    name, title : str
        What files and messages call it.
    command : tuple of str
        Arguments to this Python.
    environment : dict of str
        Variables of its own, over those that all services share.
    port : int or None
        Where it listens on 127.0.0.1; None for one that does not listen.
    variable : str
        The environment variable that sets the port.
    health, expected : str
        It is ready when GET `health` is answered with 200 and `expected` in the text.
    heartbeat : Path or None
        For one without a port: the file it touches every second once it is ready.
    store : Path or None
        A SQLite file that it fills with tables at its first start, which takes some seconds.
    """

    name: str
    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    variable: str = ""
    health: str = "/"
    expected: str = ""
    heartbeat: Path | None = None
    store: Path | None = None

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}" if self.port else ""

    @property
    def is_first_start(self) -> bool:
        """Whether its store is still to be made, or was being made when that was cut short."""
        return self.store is not None and (not self.store.exists() or _mark(self.store).exists())

    def prepare(self) -> None:
        """Do what has to be done before its process starts.

        MLflow's tables are made in many steps, not all of which can be repeated (tried: a kill among them
        leaves a store that no later start can open). So a store that was cut short is made anew.
        """
        if self.heartbeat is not None:
            self.heartbeat.unlink(missing_ok=True)  # the sign of life of the process before
        if self.store is None:
            return
        if _mark(self.store).exists() and not _holds_runs(self.store):
            for suffix in ("", "-wal", "-shm", "-journal"):
                self.store.with_name(self.store.name + suffix).unlink(missing_ok=True)
        if not self.store.exists():
            _mark(self.store).touch()
            connect(self.store).close()  # which makes it a store that readers and a writer can share

    def started_well(self) -> None:
        """Remember, once it is ready, that its store is whole."""
        if self.store is not None:
            _mark(self.store).unlink(missing_ok=True)

    def ready(self) -> bool:
        """Whether the service, whose process is known to live, does its work."""
        if self.port is not None:
            return ports.answers(self.port, self.health, self.expected)
        if self.heartbeat is None:
            return True
        try:
            return time.time() - self.heartbeat.stat().st_mtime < HEARTBEAT_FRESH_S
        except OSError:
            return False


def services_of(settings: Settings) -> tuple[Service, ...]:
    """All services as these settings start them.

    Raises
    ------
    BadInput
        Two of them are given the same port.
    """
    home = Home(settings.home)
    services = (
        Service(
            "mlflow",
            "MLflow",
            _mlflow_command(settings),
            _mlflow_environment(home),
            settings.mlflow_port,
            "FLIGHTDECK_MLFLOW_PORT",
            "/health",
            "OK",
            store=home.mlflow_db,
        ),
        Service(
            "worker",
            "worker",
            ("-m", "pipelines.execution.queue"),
            heartbeat=home.root / "worker.heartbeat",
        ),
        Service(
            "gateway",
            "gateway",
            ("-m", "pipelines.serving.gateway"),
            port=settings.gateway_port,
            variable="FLIGHTDECK_GATEWAY_PORT",
            health="/v2/health/live",
        ),
        Service(
            "app",
            "app",
            _app_command(settings.app_port),
            {"STREAMLIT_SERVER_ADDRESS": settings.listen},
            settings.app_port,
            "FLIGHTDECK_APP_PORT",
            "/_stcore/health",
            "ok",
        ),
    )
    _check_ports_differ(services)
    return services


def shared_environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of everything we start: settings, one thread, no telemetry, bytecode, no proxy.

    MLflow's variables are left out: one set for another server would lead ours, or its clients, astray.
    """
    kept = {
        name: value
        for name, value in inherited.items()
        if not name.startswith(("MLFLOW_", "_MLFLOW_")) and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {
        **kept,
        **ports.past_proxies(inherited),
        **SINGLE_THREAD,
        **NO_TELEMETRY,
        **settings.environment(),
        "PYTHONUNBUFFERED": "1",  # log lines appear when they are written
        "PYTHONUTF8": "1",
    }


def recorded_settings(settings: Settings, record: started.Record) -> Settings:
    """`settings` with the ports on which the services of `record` really listen."""

    def port(name: str, default: int) -> int:
        entry = record.services.get(name)
        return entry.port if entry and entry.port else default

    return replace(
        settings,
        app_port=port("app", settings.app_port),
        gateway_port=port("gateway", settings.gateway_port),
        mlflow_port=port("mlflow", settings.mlflow_port),
    )


def with_free_ports(settings: Settings) -> Settings:
    """`settings` with another port for each that is taken: for services nobody has to find."""

    def port(wanted: int) -> int:
        return wanted if ports.is_free(wanted) else ports.free_port()

    return replace(
        settings,
        app_port=port(settings.app_port),
        gateway_port=port(settings.gateway_port),
        mlflow_port=port(settings.mlflow_port),
    )


def _mlflow_command(settings: Settings) -> tuple[str, ...]:
    """The command that `mlflow server --workers 1` itself ends up running.

    That command line stays beside it as a parent that only waits: 200 MB and 2.5 s more (measured).
    """
    options = {
        "--host": settings.listen,
        "--port": str(settings.mlflow_port),
        "--workers": "1",
        "--timeout-graceful-shutdown": str(SERVER_GRACE_S),
    }
    words = [word for pair in options.items() for word in pair]
    return ("-m", "uvicorn", *words, "--no-access-log", "mlflow.server.fastapi_app:app")


def _mlflow_environment(home: Home) -> dict[str, str]:
    """What `mlflow server` hands on for --backend-store-uri, --artifacts-destination, --enable-workspaces.

    The names with a leading underscore are MLflow's own; a test compares them with the pinned version.
    """
    store = f"sqlite:///{home.mlflow_db.as_posix()}"
    return {
        "_MLFLOW_SERVER_FILE_STORE": store,
        "_MLFLOW_SERVER_REGISTRY_STORE": store,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": home.mlflow_artifacts.as_uri(),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "_MLFLOW_IN_JOB_EXECUTOR": "false",
        "MLFLOW_ENABLE_WORKSPACES": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def _app_command(port: int) -> tuple[str, ...]:
    options = ("--server.port", str(port), "--server.headless", "true")
    return ("-m", "pages.parts.server", "run", "app.py", *options)


def _mark(store: Path) -> Path:
    """The file that is there while `store` is being made."""
    return store.with_name(f"{store.name}.preparing")


def _holds_runs(store: Path) -> bool:
    """Whether somebody has used `store` already, so that it must not be made anew."""
    if not store.exists():
        return False
    connection = sqlite3.connect(store)
    try:
        return connection.execute("SELECT 1 FROM runs LIMIT 1").fetchone() is not None
    except sqlite3.Error:
        return False
    finally:
        connection.close()


def _check_ports_differ(services: tuple[Service, ...]) -> None:
    holders: dict[int, Service] = {}
    for service in services:
        if service.port is None:
            continue
        other = holders.setdefault(service.port, service)
        if other is not service:
            raise BadInput(
                f"{other.variable} and {service.variable} are both {service.port}.",
                "Give each its own port.",
            )

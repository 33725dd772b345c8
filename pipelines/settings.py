"""The environment, read once: where things are kept and on which ports they listen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipelines.errors import BadInput

REPOSITORY = Path(__file__).resolve().parent.parent
NOTEBOOKS = REPOSITORY / "notebooks"

LOOPBACK = "127.0.0.1"
EVERY_ADDRESS = "0.0.0.0"

# One BLAS and OpenMP thread in each kernel and server: nothing is lost at this size, and without it
# processes that share two cores slow each other down several times.
SINGLE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}

# Nothing that Flightdeck starts may call home.
NO_TELEMETRY = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "true",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
}


@dataclass(frozen=True)
class Settings:
    """Where this Flightdeck keeps its state and listens.

    Attributes
    ----------
    home : Path
        The one folder that holds everything: MLflow's store, the queue, every learner's workspace.
    app_port, gateway_port, mlflow_port : int
        1 to 65535. MLflow's is not 5000, which macOS gives to AirPlay.
    listen : str
        The address that services listen on: 127.0.0.1, or in a container all of its own, 0.0.0.0.
    elsewhere : bool
        Each service is somebody else's to start and watch, as in containers: none is started from here.
    """

    home: Path
    app_port: int = 8501
    gateway_port: int = 8600
    mlflow_port: int = 5600
    listen: str = LOOPBACK
    elsewhere: bool = False

    @property
    def mlflow_url(self) -> str:
        return f"http://{LOOPBACK}:{self.mlflow_port}"

    @property
    def gateway_url(self) -> str:
        return f"http://{LOOPBACK}:{self.gateway_port}"

    @property
    def app_url(self) -> str:
        return f"http://{LOOPBACK}:{self.app_port}"

    def environment(self) -> dict[str, str]:
        """Variables that hand these settings on to a process we start."""
        return {
            "FLIGHTDECK_HOME": str(self.home),
            "FLIGHTDECK_APP_PORT": str(self.app_port),
            "FLIGHTDECK_GATEWAY_PORT": str(self.gateway_port),
            "FLIGHTDECK_MLFLOW_PORT": str(self.mlflow_port),
            "FLIGHTDECK_LISTEN": self.listen,
            "FLIGHTDECK_SERVICES": "elsewhere" if self.elsewhere else "own",
        }


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from environment variables, each with a default.

    Raises
    ------
    BadInput
        A port is not a whole number from 1 to 65535, or another variable is none of its words.
    """
    home = Path(environment.get("FLIGHTDECK_HOME") or REPOSITORY / "workspace").expanduser()
    return Settings(
        home=home.resolve(),
        app_port=_port(environment, "FLIGHTDECK_APP_PORT", Settings.app_port),
        gateway_port=_port(environment, "FLIGHTDECK_GATEWAY_PORT", Settings.gateway_port),
        mlflow_port=_port(environment, "FLIGHTDECK_MLFLOW_PORT", Settings.mlflow_port),
        listen=_word(environment, "FLIGHTDECK_LISTEN", (LOOPBACK, EVERY_ADDRESS)),
        elsewhere=_word(environment, "FLIGHTDECK_SERVICES", ("own", "elsewhere")) == "elsewhere",
    )


@cache
def settings() -> Settings:
    """The settings of this process."""
    return read_settings(os.environ)


def _word(environment: Mapping[str, str], name: str, words: tuple[str, ...]) -> str:
    """One of `words`; the first when the variable is not set."""
    text = environment.get(name) or words[0]
    if text not in words:
        raise BadInput(f"{name} is '{text[:40]}'.", f"Set it to {' or '.join(words)}, or leave it unset.")
    return text


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise BadInput(
            f"{name} is '{text}', but a port is a whole number from 1 to 65535.",
            f"Set it to a free port, for example {name}={default}, or leave it unset.",
        )
    return int(text)

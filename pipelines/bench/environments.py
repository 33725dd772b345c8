"""Environments of peers: made when a bench first needs one, under the home, beside nothing of ours.

Comes in: the name of a file of pins, requirements/peers-<name>.txt. Goes out: the Python that has them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pipelines.errors import Unavailable
from pipelines.settings import REPOSITORY
from pipelines.workspace import Home

DONE = ".complete"


def ensure(home: Home, name: str, tell: Callable[[str], None]) -> Path:
    """The Python of the environment `name`; it is made when it is missing, half made or of other pins.

    Raises
    ------
    Unavailable
        It can't be made: there is no network, or no room. What is there is made anew next time.
    """
    pins = REPOSITORY / "requirements" / f"peers-{name}.txt"
    folder = home.root / "environments" / name
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    wanted = f"{sys.version}\n{pins.read_text('utf-8')}"
    done = folder / DONE
    if done.is_file() and done.read_text("utf-8") == wanted and python.exists():
        return python
    tell(f"Making an environment for {name} in {folder} (about a gigabyte, one to three minutes, once).")
    _run([sys.executable, "-m", "venv", "--clear", str(folder)], name)
    tell(f"Installing {sum('==' in line for line in pins.read_text('utf-8').splitlines())} packages.")
    _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(pins)], name)
    done.write_text(wanted, "utf-8")
    return python


def _run(command: list[str], name: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        last = (ended.stderr.strip() or ended.stdout.strip() or "no reason was given").splitlines()[-1][:300]
        raise Unavailable(
            f"The environment for {name} can't be made: {last}",
            "Check the network and the room on the disk, then the same command again.",
        )

"""The linter of Dockerfiles, as tests run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


def hadolint(path: Path) -> subprocess.CompletedProcess[str]:
    """What hadolint says about a Dockerfile; it comes with the packages of the tests."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("hadolint", path=places)
    assert program, "hadolint is missing: `make test` installs it"
    return subprocess.run(
        [program, "--no-color", "--failure-threshold", "info", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )

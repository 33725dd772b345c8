"""Images built and run without a Docker daemon: by root on Debian, with buildah in a change of root.

    debootstrap → a base that stands for python:3.11.14-slim-bookworm → buildah bud → buildah run

No registry of images is asked. Packages come from a folder of wheels that pip fills beforehand, by this
machine's own settings; the build is lent it as a volume and a secret, so neither is found in the image.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipelines.settings import REPOSITORY

SUITE = "bookworm"
BASE_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
# /mnt is in every base: a folder that is made for a mount would stay in the image.
PIP_CONF = "[global]\nno-index = true\nfind-links = /mnt\ndisable-pip-version-check = true\n"
END_S = 20


def why_not() -> str:
    """Why images can't be built here; empty when they can."""
    release = Path("/etc/os-release")
    if not release.is_file() or "debian" not in release.read_text():
        return "needs Debian"
    if os.geteuid() != 0:
        return "needs root"
    return "" if sys.version_info[:2] == (3, 11) else "needs Python 3.11, which Debian's bookworm has"


class Builder:
    """Buildah with a storage of its own, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheelhouse = folder / "wheelhouse"
        self._options = ["--root", str(folder / "storage"), "--runroot", str(folder / "runroot")]

    def command(self, *words: str) -> list[str]:
        """A command line of buildah."""
        return ["buildah", *self._options, *words]

    def do(self, *words: str, timeout: int = 900) -> str:
        """Run buildah to its end; what it prints."""
        done = subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()

    def prepare(self, requirements: Path) -> None:
        """Make the base image and the folder of wheels, both at the same time."""
        for package in ("buildah", "debootstrap"):
            subprocess.run(
                ["sh", ".ci/need", package, "builds images in the tests"], cwd=REPOSITORY, check=True
            )
        self._choose_driver()
        root = self.folder / "base"
        include = ["--variant=minbase", f"--include={BASE_PACKAGES}"]
        bootstrap = subprocess.Popen(
            ["debootstrap", *include, SUITE, str(root), *_mirror()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        download = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(self.wheelhouse),
        ]
        words = [*download, "--requirement", str(requirements)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr[-2000:]
        said = bootstrap.communicate(timeout=900)[1]
        assert bootstrap.returncode == 0, said[-2000:]
        (root / "usr/bin/python").symlink_to("python3")
        (self.folder / "pip.conf").write_text(PIP_CONF)
        made = self.do("from", "scratch")
        self.do("add", "--quiet", made, str(root), "/")
        self.do("commit", "--quiet", "--format", "docker", "--rm", made, f"localhost/{_base()}")
        shutil.rmtree(root)

    def _choose_driver(self) -> None:
        """Layers laid over each other where the file system can, else whole copies: slower, larger."""
        probe = ["--root", str(self.folder / "probe"), "--runroot", str(self.folder / "probe-run")]
        probe += ["--storage-driver", "overlay"]
        made = subprocess.run(["buildah", *probe, "from", "scratch"], capture_output=True, text=True)
        mounted = made.returncode == 0 and not any(
            subprocess.run(["buildah", *probe, *words], capture_output=True).returncode
            for words in (["mount", made.stdout.strip()], ["umount", "--all"], ["rm", "--all"])
        )
        self._options += ["--storage-driver", "overlay" if mounted else "vfs"]

    def build(self, context: Path, name: str) -> None:
        """Build the image of a folder with a Dockerfile."""
        lent = [
            "--secret",
            f"id=pip.conf,src={self.folder}/pip.conf",
            "-v",
            f"{self.wheelhouse}:/mnt:ro",
        ]
        how = ["--isolation", "chroot", "--pull-never", "--format", "docker"]
        self.do("bud", *how, *lent, "--tag", name, str(context))

    def container(self, image: str) -> str:
        """A container of that image, in which commands can be run."""
        return self.do("from", "--pull-never", f"localhost/{image}")

    def run(self, container: str, words: Sequence[str], options: Sequence[str] = ()) -> str:
        """Run a command in a container to its end; what it prints."""
        return self.do("run", "--isolation", "chroot", *options, container, "--", *words, timeout=300)

    @contextmanager
    def running(
        self, container: str, words: Sequence[str], options: Sequence[str], log: Path
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A command that goes on running in a container until the block ends; nothing of it is left then."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.command("run", "--isolation", "chroot", *options, container, "--", *words),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            _end_session(process)

    def clean(self) -> None:
        """Remove everything, and nothing that is only mounted there."""
        for words in (["rm", "--all"], ["rmi", "--all", "--force"]):
            subprocess.run(self.command(*words), capture_output=True)
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        assert not [place for place in mounted if place.startswith(f"{self.folder}/")]
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.folder)], check=True)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Ask until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """Tell the command to end as Docker does, then make sure that its whole session has."""
    members = _session(process.pid)
    for pid in members:
        _kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + END_S
    while _session(process.pid) and time.monotonic() < deadline:
        process.poll()
        time.sleep(0.1)
    for pid in _session(process.pid):
        _kill(pid, signal.SIGKILL)
    process.wait(END_S)


def _session(leader: int) -> list[int]:
    """Processes of the session that `leader` began."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if os.getsid(int(folder.name)) == leader:
                    found.append(int(folder.name))
            except (ProcessLookupError, PermissionError):
                continue
    return found


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _base() -> str:
    """The base that the platform's Dockerfile names."""
    found = re.search(r"^FROM (\S+)", (REPOSITORY / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert found
    return found.group(1)


def _mirror() -> list[str]:
    """Where this machine's apt gets Debian from, if it says so."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"]
    done = subprocess.run(asked, capture_output=True, text=True)
    found = [line.split()[0] for line in done.stdout.splitlines() if line.endswith(f" {SUITE}")]
    return found[:1]

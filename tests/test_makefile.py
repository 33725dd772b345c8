"""The Makefile and the installer as a person meets them: on real shells, with and without a fit Python."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.services import ports, started
from pipelines.settings import REPOSITORY, Settings
from pipelines.workspace import open_home

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not there (Windows)")

START_S = 180
# What the installer needs besides Python, found on every Debian.
TOOLS = ("sh", "dirname", "grep", "sed", "id", "env")


def make(*words: str) -> str:
    """What `make` says."""
    return subprocess.run(
        ["make", *words], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def targets() -> set[str]:
    text = (REPOSITORY / "Makefile").read_text("utf-8")
    return set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the installer reads, without a .venv."""
    folder = tmp_path / "a checkout"
    (folder / ".ci").mkdir(parents=True)
    (folder / "requirements").mkdir()
    for name in (".ci/need", "requirements/install.sh", "requirements/uv.txt"):
        shutil.copy(REPOSITORY / name, folder / name)
    return folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder to be the whole PATH: the shell's tools, and whatever Python a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (folder / tool).symlink_to(found)
    return folder


def put_program(path: Path, name: str, text: str) -> None:
    (path / name).write_text("#!/bin/sh\n" + text)
    (path / name).chmod(0o755)


def install(checkout: Path, path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "requirements/install.sh", "requirements.txt"],
        cwd=checkout,
        env={"PATH": str(path), **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_make_alone_lists_every_target():
    said = make()
    for target in targets():
        assert f"make {target} " in said
    assert make("help") == said


def test_every_target_is_in_the_readme_and_the_other_way_round():
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    assert set(re.findall(r"`make ([a-z-]+)`", readme)) == targets()


def test_the_readme_is_short_and_what_it_points_to_is_there():
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    assert readme.count("\n") <= 150
    for place in re.findall(r"\]\(([^)#]+)\)", readme):
        assert (REPOSITORY / place).exists(), place


def test_ci_runs_the_test_command_of_the_readme():
    assert re.search(r"\bmake test$", (REPOSITORY / ".ci/run").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("script", [".ci/run", ".ci/need", "requirements/install.sh"])
def test_scripts_can_be_parsed(script):
    shell = "bash" if script == ".ci/run" else "sh"
    subprocess.run([shell, "-n", str(REPOSITORY / script)], check=True)


def test_the_licence_is_apache_2_word_for_word():
    import hashlib

    digest = hashlib.sha256((REPOSITORY / "LICENSE").read_bytes()).hexdigest()
    # Of https://www.apache.org/licenses/LICENSE-2.0.txt
    assert digest == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def test_a_python_that_is_named_but_does_not_run_is_passed_over(checkout, path):
    # given version managers' stand-ins that only print an error, and a Python that is too old
    put_program(path, "python3.13", "echo 'not installed' >&2; exit 127")
    put_program(path, "python3", "exit 1")

    # when there is no other
    done = install(checkout, path)

    # then the message says what is wanted, what was tried and what to type
    assert done.returncode == 1
    assert "No Python 3.11, 3.12 or 3.13 runs here" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_is_told_with_the_package_to_install(checkout, path):
    # given a Python as Debian ships it without python3-venv, on a system without apt-get
    put_program(path, "python3.12", f'case "$*" in *ensurepip*) exit 1;; esac; exec "{sys.executable}" "$@"')

    # when
    done = install(checkout, path)

    # then
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert done.returncode == 1
    assert f"Missing: python{version}-venv" in done.stderr
    assert not (checkout / ".venv").exists()


def test_what_may_not_be_installed_is_said_with_what_to_type(checkout, path):
    # given apt-get, and a user who is neither root nor may become it without a password
    put_program(path, "apt-get", "echo installed > installed; exit 0")
    (path / "id").unlink()
    put_program(path, "id", "echo 1000")
    put_program(path, "sudo", "exit 1")

    # when a package is needed
    done = subprocess.run(
        ["sh", ".ci/need", "chromium", "the browser"],
        cwd=checkout,
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
    )

    # then nothing is installed
    assert done.returncode == 1
    assert "sudo apt-get install chromium" in done.stderr
    assert not (checkout / "installed").exists()


def test_root_gets_what_is_missing_after_the_lists_were_brought_up_to_date(checkout, path):
    # given an apt-get that knows no package before its first update
    put_program(path, "apt-get", 'echo "$1" >> calls; [ "$1" = update ] || grep -q update calls')
    (path / "id").unlink()
    put_program(path, "id", "echo 0")

    # when a package is needed
    done = subprocess.run(
        ["sh", ".ci/need", "chromium", "the browser"],
        cwd=checkout,
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
    )

    # then it is installed at the second try, and was said before
    assert done.returncode == 0, done.stderr
    assert "Installing Debian's chromium (the browser)." in done.stdout
    assert (checkout / "calls").read_text().split() == ["install", "update", "install"]


def test_skipped_tests_fail_under_ci_only(tmp_path):
    # given a test that skips itself
    (tmp_path / "test_it.py").write_text("import pytest\ndef test_it(): pytest.skip('no browser')\n")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words, str(tmp_path)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / ".ci")},
            capture_output=True,
            text=True,
        )

    # when it runs on a learner's machine, and under CI with and without parallel processes
    # then only CI fails, and says what was skipped
    assert run().returncode == 0
    for words in (("-p", "ci_rules"), ("-p", "ci_rules", "-n2")):
        done = run(*words)
        assert done.returncode == 1
        assert "skipped, which counts as failed here" in done.stdout
        assert "no browser" in done.stdout


def test_a_sample_is_drawn_by_the_commit(tmp_path):
    # given a hundred tests
    (tmp_path / "test_it.py").write_text(
        "import pytest\n@pytest.mark.parametrize('number', range(100))\ndef test_it(number): pass\n"
    )

    def drawn(commit: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "ci_rules", "-v", str(tmp_path)],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY / ".ci"),
                "FLIGHTDECK_TEST_SAMPLE": "5",
                "FLIGHTDECK_COMMIT": commit,
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return re.findall(r"test_it\[\d+\]", done.stdout)

    # when five are drawn for two commits, then each commit has its own five, always the same
    assert len(drawn("a")) == 5
    assert drawn("a") == drawn("a") != drawn("b")


def test_tests_of_one_group_run_in_one_process(tmp_path):
    # given two groups of tests, each of which needs what takes long to make
    for group in "ab":
        (tmp_path / f"test_{group}.py").write_text(
            f"import pytest\npytestmark = pytest.mark.xdist_group('{group}')\n"
            "@pytest.mark.parametrize('number', range(20))\ndef test_it(number): pass\n"
        )
    # when they are run as `make test` does
    options = ["-p", "no:cacheprovider", "--numprocesses", "2", "--dist", "loadgroup", "-v"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
    )
    # then each group has one process
    found = re.findall(r"^\[(gw\d)\].*test_([ab])\.py", done.stdout, re.MULTILINE)
    assert len(found) == 40, done.stdout
    assert len(set(found)) == 2


@pytest.mark.road
@pytest.mark.xdist_group("services")
def test_make_run_starts_everything_and_ending_make_ends_it(tmp_path):
    # given an empty home and free ports
    chosen = Settings(tmp_path / "home", *[ports.free_port() for _ in range(3)], empty=True)
    running = subprocess.Popen(
        ["make", "--assume-old", ".venv/.installed", "run"],
        cwd=REPOSITORY,
        env={**os.environ, **chosen.environment(), "CI": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert running.stdout is not None
    try:
        # when it says that it is ready
        said = ""
        deadline = time.monotonic() + START_S
        while "Ready after" not in said:
            line = running.stdout.readline()
            assert line and time.monotonic() < deadline, said
            said += line
        record = started.read(open_home(chosen))
        assert record is not None
        processes = started.marked(record.mark)

        # then all five run, and answer where it says
        for url in (chosen.app_url, chosen.gateway_url, chosen.mlflow_url):
            assert url in said
        assert {entry.state for entry in record.services.values()} == {"running"}
        assert len(record.services) == 5
    finally:
        running.send_signal(signal.SIGTERM)
        said, _ = running.communicate(timeout=60)

    # and when make is told to end, all have ended with it
    assert "Everything has ended." in said
    assert [process for process in processes if not started.has_ended(process)] == []

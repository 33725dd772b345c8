"""One service by itself: a process becomes it, commands use it, and nothing else is started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines import services
from pipelines.errors import BadInput, Unavailable
from pipelines.run import code_version
from pipelines.services import alone, started
from pipelines.services.ports import free_port
from pipelines.settings import REPOSITORY, Settings, read_settings
from pipelines.workspace import Home

START_S = 90


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    """Settings of containers: free ports, and services that somebody else starts."""
    return Settings(tmp_path / "home", free_port(), free_port(), free_port(), elsewhere=True)


def command(chosen: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=REPOSITORY,
        env=os.environ | chosen.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )


@contextmanager
def served(chosen: Settings, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is that service, once it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines", "serve", name],
        cwd=REPOSITORY,
        env=os.environ | chosen.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_S
        while not alone.ready(chosen, [name]):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(20)


def test_a_process_becomes_the_service_and_commands_use_it(chosen: Settings) -> None:
    # given the gateway, in a process that is nothing else
    with served(chosen, "gateway") as process:
        # when it is asked for, it is found, and its health can be told by a command
        assert services.running(chosen) == {"gateway"}
        assert command(chosen, "pipelines.services.alone", "gateway").returncode == 0
        assert command(chosen, "pipelines.services.alone").returncode == 1
        with services.ensure(chosen, needed=("gateway",)) as found:
            assert found == chosen
        # then no supervisor was started
        assert started.read(Home(chosen.home)) is None
    assert process.returncode == 0 or process.returncode == -15


def test_a_store_that_was_made_is_known_to_be_whole(chosen: Settings) -> None:
    with served(chosen, "mlflow"):
        home = Home(chosen.home)
        assert home.mlflow_db.exists()
        assert list(chosen.home.glob("*.preparing")) == []


def test_a_service_that_is_not_there_is_not_started(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "READY_TIMEOUT_S", 0.0)
    with pytest.raises(Unavailable, match="docker compose up"), services.ensure(chosen, needed=("gateway",)):
        pass
    assert started.read(Home(chosen.home)) is None


@pytest.mark.parametrize("name", ["nobody", "", "../app", "<script>"])
def test_an_unknown_service_is_refused(chosen: Settings, name: str) -> None:
    with pytest.raises(BadInput, match="There is no service"):
        alone.ready(chosen, [name])
    done = command(chosen, "pipelines", "serve", name, "--json")
    assert done.returncode == 2
    assert "There is no service" in json.loads(done.stdout)["error"]


def test_a_taken_port_is_said(chosen: Settings) -> None:
    with served(chosen, "gateway"):
        done = command(chosen, "pipelines", "serve", "gateway")
        assert done.returncode == 1
        assert f"Port {chosen.gateway_port}" in done.stderr


def test_a_supervised_home_is_refused(chosen: Settings) -> None:
    # given a supervisor, which is this process
    home = started.open_for_writing(chosen)
    started.write(home, started.new_record("up"))
    done = command(chosen, "pipelines", "serve", "gateway")
    assert done.returncode == 1
    assert "Flightdeck runs for" in done.stderr


def test_services_listen_where_the_settings_say(tmp_path: Path) -> None:
    chosen = replace(Settings(tmp_path), listen="0.0.0.0")
    found = {service.name: service for service in services.control.services_of(chosen)}
    assert "0.0.0.0" in found["mlflow"].command
    assert found["app"].environment["STREAMLIT_SERVER_ADDRESS"] == "0.0.0.0"
    assert found["mlflow"].url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    "variable", [{"FLIGHTDECK_LISTEN": "192.168.1.2"}, {"FLIGHTDECK_SERVICES": "somewhere"}]
)
def test_other_words_are_refused(variable: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="or leave it unset"):
        read_settings(variable)


def test_settings_are_handed_on_whole(chosen: Settings) -> None:
    assert read_settings(chosen.environment()) == chosen


def test_an_image_says_what_code_it_was_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHTDECK_CODE", "abc123")
    code_version.cache_clear()
    assert code_version() == "abc123"
    monkeypatch.undo()
    code_version.cache_clear()

"""The doctor on machines with something wrong: made so for real, by files, ports and variables."""

from __future__ import annotations

import json
import os
import socket
import stat
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from pipelines import doctor
from pipelines.doctor import Finding
from pipelines.services import ports, started
from pipelines.settings import Settings
from pipelines.workspace import open_home


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    """Settings with a home that is not there yet, and free ports."""
    return Settings(tmp_path / "home", *[ports.free_port() for _ in range(3)])


def finding(settings: Settings, name: str) -> Finding:
    return next(each for each in doctor.examine(settings) if each.name == name)


def test_a_machine_that_runs_these_tests_is_found_fit(chosen, monkeypatch):
    # given no proxy
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)

    # when it is examined
    findings = doctor.examine(chosen)

    # then all is well, each is told in words, JSON can carry it, and the home was not made
    assert [each for each in findings if not each.ok] == []
    assert len({each.name for each in findings}) == len(findings) >= 12
    assert all(each.found and each.expected for each in findings)
    assert json.loads(json.dumps([asdict(each) for each in findings]))
    assert not chosen.home.exists()


def test_a_taken_port_is_named_with_its_holder_and_another_port(chosen):
    with socket.create_server(("127.0.0.1", chosen.gateway_port)):
        found = finding(chosen, "ports")
    assert not found.ok
    assert f"{chosen.gateway_port} (gateway) is taken by process {os.getpid()}" in found.found
    assert "FLIGHTDECK_GATEWAY_PORT=" in found.remedy


def test_the_same_port_twice_is_a_finding(chosen):
    found = finding(replace(chosen, app_port=chosen.mlflow_port), "ports")
    assert not found.ok
    assert "FLIGHTDECK_APP_PORT" in found.found


def test_a_proxy_that_would_catch_this_machine_is_found(chosen, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "intranet")
    monkeypatch.delenv("NO_PROXY", raising=False)
    found = finding(chosen, "proxy")
    assert not found.ok
    assert "NO_PROXY=intranet,127.0.0.1,localhost" in found.remedy

    monkeypatch.setenv("no_proxy", "intranet, 127.0.0.1")
    assert finding(chosen, "proxy").ok


def test_a_home_that_is_a_file_or_read_only_is_found(chosen):
    if os.geteuid() == 0:
        chosen.home.parent.joinpath("file").touch()
        inside = replace(chosen, home=chosen.home.parent / "file" / "home")
        assert not finding(inside, "home folder").ok
    else:
        chosen.home.mkdir()
        chosen.home.chmod(stat.S_IRUSR | stat.S_IXUSR)
        assert not finding(chosen, "home folder").ok


def test_too_little_space_and_memory_are_found_with_what_to_do(chosen, monkeypatch):
    monkeypatch.setattr(doctor, "LEAST_DISK_BYTES", 10**18)
    monkeypatch.setattr(doctor, "LEAST_MEMORY_BYTES", 10**18)
    for name in ("disk space", "memory"):
        found = finding(chosen, name)
        assert not found.ok
        assert found.remedy


def test_other_versions_than_the_pinned_ones_are_found():
    pins = doctor._pins(
        "# a comment\n"
        "psutil==0.0.1\n    # via circus\n"
        "colorama==0.4.6 ; sys_platform == 'nowhere'\n"
        "no-such-package==1.0 ; python_full_version >= '3'  # why\n"
    )
    assert pins == {"psutil": "0.0.1", "no-such-package": "1.0"}


def test_wrong_packages_are_told_with_the_remedy(chosen, tmp_path, monkeypatch):
    # given a checkout whose pins are not what is installed
    (tmp_path / "requirements.txt").write_text("psutil==0.0.1\nno-such-package==1.0\n")
    monkeypatch.setattr(doctor, "REPOSITORY", tmp_path)

    # when
    found = finding(chosen, "packages")

    # then
    assert not found.ok
    assert f"psutil {psutil.__version__} instead of 0.0.1" in found.found
    assert "no-such-package missing instead of 1.0" in found.found
    assert "make install" in found.remedy


def test_services_that_run_but_do_not_answer_are_found_with_their_log(chosen):
    # given a record whose supervisor and service live, while nobody answers on the port
    home = open_home(chosen)
    record = started.new_record("up")
    record.services["mlflow"] = started.Entry(ports.free_port(), "running", started.this_process())
    started.write(home, record)

    # when
    found = finding(chosen, "services")

    # then
    assert not found.ok
    assert "mlflow do not answer" in found.found
    assert "mlflow.log" in found.remedy


def test_a_clock_that_was_never_set_is_found(chosen, monkeypatch):
    monkeypatch.setattr(doctor.time, "time", lambda: 0.0)
    assert not finding(chosen, "clock").ok


def test_the_browser_can_be_named(tmp_path, monkeypatch):
    # given a browser at a place of its own
    browser = tmp_path / "my-chrome"
    browser.touch(mode=0o755)

    # then it is found by name only, and one that is not there is not replaced by another
    assert doctor.find_browser({"CHROMIUM": str(browser)}) == str(browser)
    assert doctor.find_browser({"CHROMIUM": str(tmp_path / "gone")}) is None

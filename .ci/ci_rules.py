"""Pytest's rules under CI: what is required may not be skipped, and of the long tests a sample is run.

Loaded with `-p ci_rules` when CI is set (see the Makefile); on a learner's machine a skip stays a skip.
"""

from __future__ import annotations

import hashlib
import os

import pytest

# How many of the collected tests to run: a sample that each commit draws anew.
SAMPLE = "FLIGHTDECK_TEST_SAMPLE"
COMMIT = "FLIGHTDECK_COMMIT"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the sample, drawn by the commit's hash: the same on every machine, another next time."""
    size = int(os.environ.get(SAMPLE) or 0)
    if not size or len(items) <= size:
        return
    commit = os.environ.get(COMMIT, "")
    drawn = sorted(items, key=lambda item: hashlib.sha256(f"{commit} {item.nodeid}".encode()).digest())
    kept = set(drawn[:size])
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Make the run fail when anything was skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not reporter.stats.get("skipped"):
        return
    reporter.write_line("")
    for report in reporter.stats["skipped"]:
        reporter.write_line(f"skipped, which counts as failed here: {report.nodeid}: {report.longrepr[-1]}")
    session.exitstatus = pytest.ExitCode.TESTS_FAILED

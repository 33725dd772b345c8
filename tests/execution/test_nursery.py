"""The nursery stays what can be forked safely: one thread, whatever it has imported."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import psutil
import pytest

from pipelines.bench.notebooks import ROWS, write_example
from pipelines.execution.launch import Nursery, Spawner, launcher

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")


def request(folder: Path) -> dict[str, str]:
    source = folder / "example.ipynb"
    write_example(source)
    attempt = folder / "attempt-1"
    attempt.mkdir()
    return {"task": "notebook", "root": str(attempt), "source": str(source), "rows": str(ROWS)}


def test_a_loaded_nursery_has_one_thread_and_runs_a_notebook(tmp_path: Path) -> None:
    async def run() -> int:
        nursery = Nursery()
        nursery.start()
        try:
            assert await nursery.run(request(tmp_path)) == {}
            return psutil.Process(nursery.pid).num_threads()
        finally:
            nursery.stop()

    assert asyncio.run(run()) == 1
    assert (tmp_path / "attempt-1" / "notebook.ipynb").is_file()


def test_where_there_is_no_fork_the_same_notebook_runs_in_an_ordinary_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLIGHTDECK_NO_FORK", "1")
    runners = launcher()
    assert isinstance(runners, Spawner)
    assert asyncio.run(runners.run(request(tmp_path))) == {}
    assert (tmp_path / "attempt-1" / "notebook.ipynb").is_file()

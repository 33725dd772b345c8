"""Bench: drift of a million rows by 20 columns, against Evidently in an environment of its own.

Both get the same two tables, read from the same files beforehand, and take their default methods: normed
Wasserstein for the 16 columns of numbers, Jensen–Shannon for the 4 of categories. Evidently's report is
what its users call; its test functions alone are the least it could take. The floor is numpy's sort of
the 16 columns of numbers on both sides, which any sort-based way has to pay.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.bench import environments
from pipelines.errors import Unavailable
from pipelines.monitoring.drift import Drift, compare
from pipelines.settings import SINGLE_THREAD
from pipelines.workspace import open_home

ROWS = 1_000_000
TOLERANCE = 1e-9
QUIET = {"DO_NOT_TRACK": "true"} | SINGLE_THREAD


def measure(rounds: int) -> dict[str, Any]:
    """Medians over `rounds` of ours and the floor, after one unmeasured round; Evidently's time once.

    Raises
    ------
    Unavailable
        Evidently's environment can't be made, or it failed.
    """
    python = environments.ensure(open_home(), "evidently", _tell)
    with tempfile.TemporaryDirectory(prefix="flightdeck-bench-") as folder:
        paths = Path(folder, "reference.parquet"), Path(folder, "current.parquet")
        for number, path in enumerate(paths):
            table(ROWS, number).to_parquet(path, index=False)
        _tell("Evidently takes one to three minutes for its report.")
        peer = ask_evidently(python, *paths)
        reference, current = (pd.read_parquet(path) for path in paths)
    alone, ours, floor = [], [], []
    for _ in range(rounds + 1):
        found, seconds = _time(lambda: compare(reference, current))
        ours.append(seconds)
        alone.append(_time(lambda: compare(reference, current, threads=1))[1])
        floor.append(_time(lambda: _sort(reference, current))[1])
    equal = is_equal(found, peer["columns"])
    middle = {name: statistics.median(each[1:]) for name, each in (("ours", ours), ("alone", alone))}
    sort_s = statistics.median(floor[1:])
    rows = [
        _row("1,000,000 x 20 columns, Evidently's report", middle["ours"], peer["report_s"], sort_s, equal),
        _row("  its test functions alone", middle["ours"], peer["functions_s"], sort_s, equal),
        _row("  ours on one core, its report", middle["alone"], peer["report_s"], sort_s, equal),
    ]
    return {
        "rows": rows,
        "peer": f"evidently {peer['version']}",
        "ratio_to_peer": peer["report_s"] / middle["ours"],
        "ratio_to_floor": middle["ours"] / sort_s,
    }


def table(rows: int, number: int) -> pd.DataFrame:
    """16 columns of numbers and 4 of categories; in table 1 some of them have moved."""
    random = np.random.default_rng(number)
    columns: dict[str, Any] = {}
    for place in range(6):
        columns[f"normal_{place}"] = random.normal(0.1 * number * (place % 3), 1, rows)
    for place in range(4):
        columns[f"amount_{place}"] = random.lognormal(3, 1 + 0.1 * number * (place % 2), rows).round(2)
    for place in range(3):
        columns[f"count_{place}"] = random.poisson(12 + number * place, rows)
        columns[f"share_{place}"] = random.beta(2, 5 + number * place, rows)
    for place in range(4):
        likely = random.dirichlet(np.full(5 + 10 * place, 20.0)) if number * (place % 2) else None
        columns[f"city_{place}"] = random.choice(
            [f"c{each}" for each in range(5 + 10 * place)], rows, p=likely
        )
    return pd.DataFrame(columns)


def ask_evidently(python: Path, reference: Path, current: Path) -> dict[str, Any]:
    """What Evidently, in its own environment, finds in two files; see evidently_peer.py.

    Raises
    ------
    Unavailable
        It failed.
    """
    script = Path(__file__).with_name("evidently_peer.py")
    ended = subprocess.run(
        [str(python), str(script), str(reference), str(current)],
        capture_output=True,
        text=True,
        check=False,
        env=QUIET | {"HOME": str(reference.parent), "PATH": "/usr/bin:/bin"},
    )
    if ended.returncode:
        raise Unavailable(f"Evidently failed: {ended.stderr.strip()[-400:]}", "Run the bench again.")
    answer: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return answer


def is_equal(found: Drift, theirs: dict[str, Any]) -> bool:
    """Whether every column has their method, their score to 1e-9 and their verdict."""
    return {column.name for column in found.columns} == set(theirs) and all(
        column.method == theirs[column.name]["method"]
        and abs((column.score or 0.0) - theirs[column.name]["score"]) <= TOLERANCE
        and column.drifted == theirs[column.name]["drifted"]
        for column in found.columns
        if column.method is not None
    )


def _time(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def _sort(*tables: pd.DataFrame) -> None:
    for each in tables:
        for name in each.columns[:16]:
            np.sort(each[name].to_numpy())


def _row(what: str, ours: float, peer: float, floor: float, equal: bool) -> dict[str, Any]:
    return {"what": what, "ours": ours, "peer": peer, "floor": floor, "unit": "s", "equal": equal}


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()

"""Benches: ours, a peer and a floor side by side in one run, as ratios; equality is checked first."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Any

from pipelines.bench import drift, lifecycle, notebooks, simulate
from pipelines.errors import BadInput

BENCHES = {
    "notebooks": notebooks.measure,
    "lifecycle": lifecycle.measure,
    "drift": drift.measure,
    "simulate": simulate.measure,
}


def measure(name: str, rounds: int) -> dict[str, Any]:
    """Run the bench `name` and return its table.

    Returns
    -------
    dict
        bench, machine, versions, rows [{what, ours, peer, floor, unit, equal}] with medians,
        ratio_to_peer (how many times faster than the peer) and ratio_to_floor (how many times the
        floor's time).

    Raises
    ------
    BadInput
        There is no such bench.
    """
    if name not in BENCHES:
        raise BadInput(f"There is no bench '{name[:40]}'.", f"The benches are: {', '.join(BENCHES)}.")
    facts = {
        "bench": name,
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version()}
        | {each: version(each) for each in ("papermill", "ipykernel", "mlflow", "scikit-learn", "pandas")},
    }
    return facts | BENCHES[name](rounds)


def lines(result: dict[str, Any]) -> list[str]:
    """The table as text."""
    found = [f"{result['bench']} on {result['machine']}, Python {result['versions']['python']}"]
    for row in result["rows"]:
        cells = [
            f"{side} {row[side]:.3f}" if row[side] is not None else f"{side} –"
            for side in ("ours", "peer", "floor")
        ]
        equal = {True: "equal results", False: "RESULTS DIFFER", None: ""}[row["equal"]]
        found.append(f"  {row['what']:44} {'  '.join(cells)} {row['unit']}  {equal}")
    for name, text in (
        ("ratio_to_peer", "times faster than the peer"),
        ("ratio_to_floor", "times the floor"),
    ):
        if result[name] is not None:
            found.append(f"  {result[name]:.2f} {text}")
    return found

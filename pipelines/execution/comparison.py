"""Two runs side by side: in what they differ, and from which step on.

In: the folders of two runs of one workspace. Out: plain values for a page: params, metrics with their
intervals, what each step wrote by digest, the data, code and libraries, seconds per step. Nothing is drawn
here, and a part that can't be read is left out and named rather than guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines import events
from pipelines.artifacts import digest
from pipelines.errors import FlightdeckError
from pipelines.lifecycle import EVALUATION, EVENTS, LIFECYCLE
from pipelines.run import Run, read_json, read_run
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.step import Artifact

# A column's distribution needs no more rows than this to be seen.
SHOWN_ROWS = 200_000
SHOWN_COLUMNS = 3
BINS = 30
# The most extreme hundredth would leave no room for the rest.
TAIL = 0.01


@dataclass(frozen=True)
class Difference:
    """One named value in both runs; None where a run has none."""

    name: str
    a: Any
    b: Any

    @property
    def differs(self) -> bool:
        return bool(self.a != self.b)


@dataclass(frozen=True)
class Measured:
    """One metric in both runs, each with its 95% interval: (value, low, high), or None."""

    name: str
    a: tuple[float, float | None, float | None] | None
    b: tuple[float, float | None, float | None] | None

    @property
    def overlap(self) -> bool | None:
        """Whether the intervals have a value in common; None when one is missing."""
        if self.a is None or self.b is None or None in (*self.a, *self.b):
            return None
        return bool(self.a[1] <= self.b[2] and self.b[1] <= self.a[2])  # type: ignore[operator]


@dataclass(frozen=True)
class Output:
    """What one step wrote, by digest; None where it wrote nothing or can't be read."""

    step: str
    artifact: str
    a: str | None
    b: str | None

    @property
    def equal(self) -> bool | None:
        return None if self.a is None or self.b is None else self.a == self.b


@dataclass(frozen=True)
class Data:
    """The collected events of one run: rows, days, share of known labels that are positive, digest."""

    rows: int
    first_day: int
    last_day: int
    positive: float | None
    digest: str | None


@dataclass(frozen=True)
class Distribution:
    """How the values of one column are spread in both runs: middles of equal bins, and shares of rows."""

    column: str
    unit: str
    middles: NDArray[np.float64]
    width: float
    a: NDArray[np.float64]
    b: NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """All that is said about two runs. `parts_at` is the first step whose outputs differ."""

    facts: list[Difference]
    params: list[Difference]
    metrics: list[Measured]
    outputs: list[Output]
    parts_at: str | None
    data: tuple[Data | None, Data | None]
    distributions: list[Distribution]
    libraries: list[Difference]
    seconds: list[Difference]


def compare(a: Path, b: Path) -> Comparison:
    """Compare the runs in the folders `a` and `b`.

    Raises
    ------
    Damaged
        The facts of one of them can't be read.
    """
    first, second = read_run(a), read_run(b)
    outputs = _outputs(a, b)
    return Comparison(
        facts=[
            Difference(name, getattr(first, name), getattr(second, name))
            for name in ("scenario", "seed", "steps", "base", "code")
        ],
        params=_params(a, b),
        metrics=_metrics(a, b),
        outputs=outputs,
        parts_at=next((each.step for each in outputs if each.equal is False), None),
        data=(_data(a, outputs, "a"), _data(b, outputs, "b")),
        distributions=_distributions(a, b, first, second),
        libraries=_differences(first.libraries, second.libraries),
        seconds=_seconds(a, b, first, second),
    )


def _params(a: Path, b: Path) -> list[Difference]:
    """Params of all steps that either run has, in the road's order."""
    stored = [read_json(folder / "params.json") or {} for folder in (a, b)]
    found = []
    for step in LIFECYCLE.names:
        left, right = ({} if not isinstance(each.get(step), dict) else each[step] for each in stored)
        found += [Difference(f"{step}.{each.name}", each.a, each.b) for each in _differences(left, right)]
    return found


def _metrics(a: Path, b: Path) -> list[Measured]:
    reports = [read_json(folder / EVALUATION.path) or {} for folder in (a, b)]
    names = [name for report in reports for name in report.get("metrics") or {}]
    return [Measured(name, *(_measured(report, name) for report in reports)) for name in dict.fromkeys(names)]


def _measured(report: Mapping[str, Any], name: str) -> tuple[float, float | None, float | None] | None:
    value = (report.get("metrics") or {}).get(name)
    low, high = (report.get("intervals") or {}).get(name) or (None, None)
    return None if value is None else (float(value), low, high)


def _outputs(a: Path, b: Path) -> list[Output]:
    found = [
        Output(step.name, artifact.name, _digest(a, step.name, artifact), _digest(b, step.name, artifact))
        for step in LIFECYCLE
        for artifact in step.outputs
    ]
    # What is made on demand, and was asked for in neither, is no difference.
    return [each for each in found if each.a is not None or each.b is not None]


def _digest(folder: Path, step: str, artifact: Artifact) -> str | None:
    """As it was recorded when the step was done; computed where it was not."""
    done = read_json(folder / "steps" / step / "done.json") or {}
    recorded = (done.get("outputs") or {}).get(artifact.name)
    if recorded is not None:
        return str(recorded)
    try:
        return digest(artifact, folder / artifact.path) if (folder / artifact.path).exists() else None
    except (FlightdeckError, KeyError):
        return None


def _data(folder: Path, outputs: list[Output], side: str) -> Data | None:
    table = _columns(folder, ["event_time", "label"])
    if table is None or table.empty:
        return None
    known = table["label"].dropna() if "label" in table else pd.Series(dtype=float)
    found = next((getattr(each, side) for each in outputs if each.artifact == EVENTS.name), None)
    days = table["event_time"] // DAY_S
    share = float(known.astype(float).mean()) if len(known) else None
    return Data(len(table), int(days.min()), int(days.max()), share, found)


def _distributions(a: Path, b: Path, first: Run, second: Run) -> list[Distribution]:
    """Of the first numbers that both scenarios' events have, on bins that suit both."""
    try:
        scenario, other = find_scenario(first.scenario), find_scenario(second.scenario)
    except FlightdeckError:
        return []
    theirs = {column.name for column in other.columns}
    chosen = [column for column in scenario.columns if column.kind == "number" and column.name in theirs]
    names = [column.name for column in chosen[:SHOWN_COLUMNS]]
    left, right = _columns(a, names), _columns(b, names)
    if not names or left is None or right is None:
        return []
    found = []
    for column in chosen[:SHOWN_COLUMNS]:
        if column.name not in left or column.name not in right:
            continue
        values = [_finite(table[column.name]) for table in (left, right)]
        if min(len(each) for each in values) == 0:
            continue
        both = np.concatenate(values)
        low, high = float(both.min()), float(np.quantile(both, 1 - TAIL))
        edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
        shares = [np.histogram(np.clip(each, low, edges[-1]), edges)[0] / len(each) for each in values]
        middles = (edges[:-1] + edges[1:]) / 2
        width = float(edges[1] - edges[0])
        found.append(Distribution(column.name, column.unit, middles, width, shares[0], shares[1]))
    return found


def _seconds(a: Path, b: Path, first: Run, second: Run) -> list[Difference]:
    """How long each step took that either run executed; None for one that it took over."""
    states = [
        events.fold(events.read(folder, cells=False), run.steps) for folder, run in ((a, first), (b, second))
    ]
    took = [
        {name: step.seconds for name, step in state.steps.items() if step.status == "completed"}
        for state in states
    ]
    names = [name for name in LIFECYCLE.names if any(each.get(name) is not None for each in took)]
    return [Difference(name, *(each.get(name) for each in took)) for name in names]


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    return [Difference(name, a.get(name), b.get(name)) for name in dict.fromkeys([*a, *b])]


def _columns(folder: Path, names: list[str]) -> pd.DataFrame | None:
    """These columns of the collected events, as far as they are there."""
    path = folder / EVENTS.path
    try:
        there = set(pq.read_schema(path).names)
        return pd.read_parquet(path, columns=[name for name in names if name in there])
    except (OSError, ValueError, pa.ArrowException):
        return None


def _finite(values: pd.Series[Any]) -> NDArray[np.float64]:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    step = max(1, len(numbers) // SHOWN_ROWS)
    kept: NDArray[np.float64] = numbers[::step]
    return kept[np.isfinite(kept)]

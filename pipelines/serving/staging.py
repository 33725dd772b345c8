"""Staging: what a version must show before it answers anybody.

Comes in: a registered version, and a gateway that answers. Goes out: checks, each with what was found and
what was expected: its gate, the protocol, the time it takes, and that it scores its golden rows as its
notebook did. Nothing of it is logged, and no event is remembered: production does not notice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipelines import registry
from pipelines.errors import BadInput, FlightdeckError, Refused, Unavailable
from pipelines.registry import Version
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import Scenario
from pipelines.serving import client
from pipelines.serving.open_inference import datatype
from pipelines.tasks.metrics import Floats
from pipelines.workspace import Tables, Workspace

EQUAL = 1e-9
GATE = "Gate"
TIMES = 20
# A single row takes some milliseconds; on a machine that is busy, tens. Half a second nobody waits at a till.
SLOWEST_MS = 500.0

_TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS staging_checks (
    scenario TEXT NOT NULL,
    version INTEGER NOT NULL,
    at REAL NOT NULL,
    checks TEXT NOT NULL,
    PRIMARY KEY (scenario, version)
);
""",
    "staging_checks",
)


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes
    ----------
    name, found, expected, meaning : str
    passed : bool
    """

    name: str
    found: str
    expected: str
    passed: bool
    meaning: str


@dataclass(frozen=True)
class Checked:
    """The checks of a version, and when they were made, in seconds since the epoch."""

    version: int
    at: float
    checks: tuple[Check, ...]

    @property
    def failed(self) -> list[Check]:
        return [check for check in self.checks if not check.passed]


def check(workspace: Workspace, scenario: Scenario | str, number: int) -> Checked:
    """Check a version through the gateway, and keep what was found.

    Raises
    ------
    Missing
        There is no such version.
    Unavailable
        MLflow or the gateway is not answering: nothing was checked.
    """
    scenario = find_scenario(scenario) if isinstance(scenario, str) else scenario
    version = registry.version(workspace.name, scenario.name, number)
    client.describe(workspace.name, scenario.name)  # a gateway that does not answer is no version's fault
    found = (
        _gate(version),
        _made("Protocol", lambda: _protocol(workspace, scenario, number)),
        _made("Golden rows", lambda: _golden(workspace, version)),
        _made("Time", lambda: _time(workspace, version)),
    )
    checked = Checked(number, time.time(), found)
    with _TABLES.writing(workspace) as connection:
        connection.execute(
            "INSERT OR REPLACE INTO staging_checks VALUES (?, ?, ?, ?)",
            (scenario.name, number, checked.at, json.dumps([asdict(each) for each in found])),
        )
    return checked


def read(workspace: Workspace, scenario: str, number: int) -> Checked | None:
    """The newest checks of a version; None before any were made."""
    with _TABLES.reading(workspace) as connection:
        if connection is None:
            return None
        query = "SELECT at, checks FROM staging_checks WHERE scenario = ? AND version = ?"
        row = connection.execute(query, (scenario, number)).fetchone()
    if row is None:
        return None
    return Checked(number, row["at"], tuple(Check(**each) for each in json.loads(row["checks"])))


def admit(workspace: Workspace, scenario: str, number: int) -> Checked | None:
    """Refuse a version that is to answer or to look on, unless its checks pass; they are made at need.

    Returns
    -------
    Checked or None
        None where the gateway does not answer: then nobody is answered by a bad version either, and whoever
        promotes is told that nothing was checked.

    Raises
    ------
    Refused
        A check failed; says which, what was found and what was expected.
    Missing, Unavailable
        There is no such version, or MLflow is not answering.
    """
    checked = read(workspace, scenario, number)
    if checked is None or checked.failed:
        registry.version(workspace.name, scenario, number)
        try:
            checked = check(workspace, scenario, number)
        except Unavailable:
            return None
    if checked.failed:
        worst = checked.failed[0]
        why = f". {worst.name}: found {worst.found}, expected {worst.expected}."
        if worst.name == GATE:
            why = f": its gate failed ({worst.found})."
        raise Refused(
            f"Version {number} of '{scenario}' did not pass staging{why}",
            "Look at it in staging, where it answers nobody.",
        )
    return checked


def _made(name: str, make: Callable[[], Check]) -> Check:
    """A check that can't be made has failed, and says why."""
    try:
        return make()
    except FlightdeckError as error:
        return Check(name, error.message, "an answer", False, "What can't be checked can't be trusted.")


def _gate(version: Version) -> Check:
    found = "passed" if version.gate == "passed" else "; ".join(version.reasons) or "failed"
    return Check(
        GATE,
        found,
        "passed",
        version.gate == "passed",
        "Its own evaluation says that it is good enough.",
    )


def _protocol(workspace: Workspace, scenario: Scenario, number: int) -> Check:
    """Metadata, readiness and a refusal, as the Open Inference Protocol has them."""
    about = client.describe(workspace.name, scenario.name, number)
    inputs = {each["name"]: each["datatype"] for each in about.get("inputs", [])}
    wrong = [
        f"input {column.name} is {inputs.get(column.name)}, not {datatype(column)}"
        for column in scenario.columns
        if inputs.get(column.name) != datatype(column)
    ]
    if about.get("versions") != [str(number)] or about.get("name") != scenario.name:
        wrong.append("its metadata name another version")
    if not client.ready(workspace.name, scenario.name, number):
        wrong.append("it is not ready")
    try:
        client.try_features(workspace.name, scenario.name, number, {"no feature": [0.0]})
        wrong.append("it takes a request without its inputs")
    except BadInput:
        pass
    return Check(
        "Protocol",
        "; ".join(wrong) or f"{len(inputs)} inputs, ready, and refuses what it can't read",
        "Open Inference Protocol, version 2",
        not wrong,
        "Whoever speaks the protocol can use this version without being told anything.",
    )


def _golden(workspace: Workspace, version: Version) -> Check:
    rows, expected = _golden_rows(workspace, version)
    scores = np.array(client.try_features(workspace.name, version.model, version.number, rows))
    apart = float(np.abs(scores - expected).max())
    return Check(
        "Golden rows",
        f"{len(expected)} rows, at most {apart:.1e} apart",
        f"the notebook's scores, to {EQUAL:.0e}",
        apart <= EQUAL,
        "What serves is what was evaluated: same model, same features in the same order.",
    )


def _time(workspace: Workspace, version: Version) -> Check:
    rows, _ = _golden_rows(workspace, version)
    row = {name: values[:1] for name, values in rows.items()}
    taken = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        client.try_features(workspace.name, version.model, version.number, row)
        taken.append((time.perf_counter() - begun) * 1000)
    p95 = float(np.percentile(taken, 95))
    return Check(
        "Time",
        f"95 of 100 single rows within {p95:.0f} ms",
        f"at most {SLOWEST_MS:.0f} ms",
        p95 <= SLOWEST_MS,
        "An answer that comes too late is none.",
    )


def _golden_rows(workspace: Workspace, version: Version) -> tuple[dict[str, list[float]], Floats]:
    """Features of the rows that training kept, and what its notebook's model said of them."""
    rows, scores = registry.golden(workspace.name, version.model, version.number)
    return {str(name): rows[name].astype(float).tolist() for name in rows.columns}, np.array(scores)


def as_json(checked: Checked) -> dict[str, Any]:
    """The checks as the command line prints them."""
    return {"version": checked.version, "checks": [asdict(each) for each in checked.checks]}


def lines(checks: Sequence[Check]) -> list[str]:
    """The checks as lines of text."""
    return [
        f"  {'passed' if each.passed else 'FAILED'}  {each.name}: {each.found} (expected {each.expected})"
        for each in checks
    ]

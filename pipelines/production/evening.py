"""The evening: what is looked at when a day has been played.

Comes in: a workspace and a clock. Goes out: what monitoring found, in the few words that the ledger keeps.
The one place in which the world calls monitoring.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.monitoring import alerts, diary, operations, report
from pipelines.production.clock import Clock
from pipelines.production.traffic import Sent
from pipelines.scenarios import find_scenario
from pipelines.serving import window
from pipelines.serving.predictions import Stream
from pipelines.workspace import Workspace

METRIC = "average_precision"


def watch(workspace: Workspace, clock: Clock, sent: Sent) -> Mapping[str, Any]:
    """Hold the days up to the one that the clock shows against the reference, and keep what was found.

    Watched again, it is the same.

    Parameters
    ----------
    sent : Sent
        What the day sent.

    Returns
    -------
    mapping
        drifted (columns in alarm), alerts (opened on this evening), metric (name, value, low, high, or None
        before it can be measured).
    """
    # In the evening the next day is about to begin.
    day, scenario = clock.day + 1, find_scenario(clock.scenario)
    stream = Stream(workspace.name, clock.branch, clock.scenario, clock.world)
    log = window.follow(workspace, stream)
    found: dict[str, Any] = report.monitor(workspace, scenario, day, branch=clock.branch, log=log)
    waits = log.waits(clock.day)
    found["operations"] = operations.measure(waits, sent=sent.events, lost=sent.lost, refusals=sent.refusals)
    diary.keep(workspace, clock.scenario, clock.branch, found)
    alerts.update(workspace, clock.scenario, clock.branch, found)
    opened = [
        each for each in alerts.all_alerts(workspace, clock.scenario, clock.branch) if each.opened == day
    ]
    columns = (found["drift"] or {}).get("columns", [])
    return {
        "drifted": sum(bool(each["alarm"]) for each in columns),
        "alerts": len(opened),
        "metric": _metric(found["performance"]),
    }


def open_alerts(workspace: Workspace, scenario: str) -> list[Any]:
    """The alerts that are not resolved, the worst first.

    Raises
    ------
    Damaged
        They can't be read.
    """
    found: list[Any] = alerts.open_alerts(workspace, scenario)
    return found


def _metric(performance: Mapping[str, Any]) -> dict[str, Any] | None:
    if performance["status"] != "measured":
        return None
    low, high = performance["intervals"][METRIC]
    return {"name": METRIC, "value": performance["metrics"][METRIC], "low": low, "high": high}

"""The evening: what is looked at when a day has been played.

Comes in: a workspace and a clock. Goes out: what monitoring found, in the few words that the ledger keeps.
The one place in which the world calls monitoring.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pipelines.production.clock import Clock
from pipelines.workspace import Workspace


def watch(workspace: Workspace, clock: Clock) -> Mapping[str, Any] | None:
    """Compare the day that the clock shows with the reference, and keep what was found; None without
    monitoring."""
    if find_spec("pipelines.monitoring") is None:
        return None
    report, diary, alerts = (
        import_module(f"pipelines.monitoring.{name}") for name in ("report", "diary", "alerts")
    )
    found: dict[str, Any] = report.monitor(workspace, clock.scenario, clock.day, branch=clock.branch)
    diary.keep(workspace, clock.scenario, clock.branch, found)
    raised = alerts.update(workspace, clock.scenario, clock.branch, found)
    return {"drifted": None, "alerts": len(raised), "metric": None}

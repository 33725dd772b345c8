"""Starting runs from a page: one click is one run, whatever the mouse does."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pages.parts.form import edited, edited_seed
from pages.parts.record import Record, newest_records, params_of
from pipelines.execution import queue
from pipelines.lifecycle import LIFECYCLE
from pipelines.production import clock as clocks
from pipelines.run import Run, read_params
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace

# A second click within this time on the same button is the same wish.
ONE_CLICK_S = 2.0


def start(
    workspace: Workspace,
    scenario: Scenario,
    params: Mapping[str, Mapping[str, Any]],
    steps: tuple[str, ...],
    *,
    seed: int = 1,
    base: str | None = None,
) -> Run:
    """Hand a run to the queue, or return the one that the first half of a double click has made.

    Raises
    ------
    BadInput, Refused, Damaged
        As `queue.submit`: nothing was started.
    """
    for record in newest_records(workspace, scenario.name)[:1]:
        same = (record.run.steps, record.run.seed, record.run.base) == (steps, seed, base)
        if (
            same
            and time.time() - record.run.created_at < ONE_CLICK_S
            and read_params(record.folder) == params
        ):
            return record.run
    return queue.submit(workspace, scenario.name, params, seed=seed, steps=steps, base=base)


def start_all(workspace: Workspace, scenario: Scenario) -> Run:
    """A run of the whole road with the default params, on the world as it is today where one was begun."""
    params, clock = params_of(None), clocks.read(workspace, scenario.name)
    if clock is None:
        return start(workspace, scenario, params, LIFECYCLE.road)
    params["ingest"] |= clock.ingest()
    return start(workspace, scenario, params, LIFECYCLE.road, seed=clock.seed)


def start_edited(
    workspace: Workspace, scenario: Scenario, record: Record | None, steps: tuple[str, ...]
) -> Run:
    """A run of `steps` with the params on the page, starting from the run that is shown.

    Steps that are not run again keep the params they were run with.

    Raises
    ------
    BadInput, Refused, Damaged
        Nothing was started.
    """
    base = params_of(record)
    wanted = edited(base)
    params = {name: wanted[name] if name in steps else base[name] for name in base}
    seed = edited_seed(record.run.seed if record else 1)
    needs = any(LIFECYCLE.upstream(name) - set(steps) for name in steps)
    return start(
        workspace, scenario, params, steps, seed=seed, base=record.run_id if record and needs else None
    )

"""The local engine: runs go to the durable queue of this machine, and are followed by their events."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from pipelines import events
from pipelines.errors import Damaged, Missing
from pipelines.execution.queue import submit
from pipelines.lifecycle import LIFECYCLE
from pipelines.run import read_run
from pipelines.workspace import Workspace

__all__ = ["choose_steps", "follow", "newest_base", "submit"]


def choose_steps(first: str | None = None, only: str | None = None) -> tuple[str, ...]:
    """The steps to run: the road, what of it comes from `first` on, or `only` one.

    Raises
    ------
    BadInput
        There is no step of that name.
    """
    if only is not None:
        return (LIFECYCLE.step(only).name,)
    if first is not None:
        after = LIFECYCLE.downstream(LIFECYCLE.step(first).name)
        return tuple(
            name for name in LIFECYCLE.names if name == first or (name in after and name in LIFECYCLE.road)
        )
    return LIFECYCLE.road


def newest_base(workspace: Workspace, scenario: str, steps: tuple[str, ...]) -> str | None:
    """The newest run of `scenario` that has what `steps` need from others; None when they need nothing.

    Raises
    ------
    Missing
        No run has it.
    """
    needed = set().union(*(LIFECYCLE.upstream(name) for name in steps)) - set(steps)
    if not needed:
        return None
    for run_id in workspace.run_ids():
        folder = workspace.run_folder(run_id)
        whole = all((folder / "steps" / name / "done.json").is_file() for name in needed)
        with suppress(Damaged):
            if whole and read_run(folder).scenario == scenario:
                return run_id
    missing = ", ".join(name for name in LIFECYCLE.names if name in needed)
    raise Missing(
        f"No run of '{scenario}' has completed {missing}.",
        f"Run all steps first: python -m pipelines run {scenario}",
    )


def follow(
    workspace: Workspace, run_id: str, tell: Callable[[str], object], every_s: float
) -> events.RunState:
    """Wait until the run has ended, telling each step as it starts and ends."""
    folder = workspace.run_folder(run_id)
    steps, told = read_run(folder).steps, 0
    while True:
        happened = events.read(folder)
        for event in happened[told:]:
            if event["kind"] == "step_started":
                tell(f"{LIFECYCLE.step(event['step']).title} …")
            elif event["kind"] == "step_finished":
                tell(f"  {event['step']}: {event['status']} in {event['seconds']:.1f} s")
        told = len(happened)
        state = events.fold(happened, steps)
        if state.finished:
            return state
        time.sleep(every_s)

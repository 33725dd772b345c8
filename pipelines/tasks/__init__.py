"""What training, scores and metrics mean for each kind of task; stage modules dispatch here."""

from __future__ import annotations

from types import ModuleType

from pipelines.errors import BadInput
from pipelines.tasks import classification

TASKS: dict[str, ModuleType] = {"classification": classification}


def find_task(name: str) -> ModuleType:
    """The module of that task.

    Raises
    ------
    BadInput
        There is none; lists those there are.
    """
    try:
        return TASKS[name]
    except KeyError:
        raise BadInput(
            f"No model can be trained for the task '{name}'.", f"Known: {', '.join(TASKS)}."
        ) from None

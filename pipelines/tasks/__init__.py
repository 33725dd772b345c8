"""What training, scores and metrics mean for each kind of task; stage modules dispatch here."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from pipelines.errors import BadInput

# Names, not modules: figures and prices are also shown where nothing is trained, and scikit-learn takes a
# second and 80 MB to import.
TASKS: dict[str, str] = {"classification": "pipelines.tasks.classification"}


def find_task(name: str) -> ModuleType:
    """The module of that task.

    Raises
    ------
    BadInput
        There is none; lists those there are.
    """
    try:
        return import_module(TASKS[name])
    except KeyError:
        raise BadInput(
            f"No model can be trained for the task '{name}'.", f"Known: {', '.join(TASKS)}."
        ) from None

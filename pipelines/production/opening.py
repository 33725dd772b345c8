"""The opening: the world that a new learner finds, already losing money.

Comes in: an empty home. Goes out: a fraud model, made by its notebooks and deployed on day 60, and a world
in which prices doubled on day 70, played until day 98. Every part is found done or done again, so it may be
cut short anywhere; it is begun once in the life of a home, and never in one that has runs.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from dataclasses import dataclass
from typing import Any, Literal

from pipelines import events
from pipelines.errors import FlightdeckError
from pipelines.production import clock as clocks
from pipelines.workspace import DEFAULT_WORKSPACE, Home, Tables, Workspace

log = logging.getLogger(__name__)

SCENARIO, SEED, FIRST_DAY, LAST_DAY = "fraud", 1, 60, 98
# Not told to the run: it has not happened yet when the model is made.
EPISODES = "inflation@70"
PARAMS: dict[str, dict[str, Any]] = {
    "ingest": {"size": "teaching", "until_day": FIRST_DAY},
    "register": {"note": "The model you find when you begin."},
}

Part = Literal["making", "playing", "done", "failed"]

_TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS opening (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    part TEXT NOT NULL,
    run_id TEXT NOT NULL,
    changed_at REAL NOT NULL
);
""",
    "opening",
)


@dataclass(frozen=True)
class Opening:
    """How far the ready-made world is.

    Attributes
    ----------
    part : {"making", "playing", "done", "failed"}
        The model is being made; its world is being played; all is there; the run failed or was cancelled.
    run_id : str
        The run that makes the model.
    """

    part: Part
    run_id: str
    changed_at: float

    @property
    def going_on(self) -> bool:
        return self.part in ("making", "playing")


def read(workspace: Workspace) -> Opening | None:
    """How far it is; None in a workspace that has none."""
    with _TABLES.reading(workspace) as connection:
        if connection is None:
            return None
        row = connection.execute("SELECT part, run_id, changed_at FROM opening").fetchone()
    return Opening(**dict(row)) if row is not None else None


def go_on(home: Home, allowed: bool = True) -> Opening | None:
    """Do what is to be done next, if anything; call it now and then until it is done.

    Parameters
    ----------
    allowed : bool
        Whether an empty home is to be given one. What was begun goes on in any case.

    Raises
    ------
    FlightdeckError
        The next part can't be done now.
    """
    workspace = Workspace(home, DEFAULT_WORKSPACE)
    found = read(workspace)
    if found is None:
        if not (allowed and is_empty(home)):
            return None
        found = _begin(workspace)
    if found.part == "making":
        return _make(workspace, found)
    if found.part == "playing":
        return _play(workspace, found)
    return found


def is_empty(home: Home) -> bool:
    """Whether nobody has ever done anything here."""
    if (home.root / "removed").exists():
        return False
    return not any(workspace.run_ids() or workspace.database.exists() for workspace in home.workspaces())


def _begin(workspace: Workspace) -> Opening:
    """Decide once and for all which run it is: whoever is cut short finds the same one again."""
    # Here and not above: a home that needs no opening must not hold all that runs need in memory.
    from pipelines.run import new_run_id

    with _TABLES.writing(workspace) as connection:
        connection.execute(
            "INSERT OR IGNORE INTO opening (one, part, run_id, changed_at) VALUES (1, 'making', ?, ?)",
            (new_run_id(), time.time()),
        )
    found = read(workspace)
    assert found is not None  # just made
    return found


def _make(workspace: Workspace, opening: Opening) -> Opening:
    from pipelines.execution import queue
    from pipelines.run import read_run

    folder = workspace.run_folder(opening.run_id, exists=False)
    if not (folder / "run.json").is_file() or not events.read(folder):
        queue.submit(workspace, SCENARIO, PARAMS, seed=SEED, run_id=opening.run_id)
    status = events.read_state(folder, read_run(folder).steps).status
    if status in ("queued", "running"):
        return opening
    return _turn(workspace, "playing" if status == "completed" else "failed")


def _play(workspace: Workspace, opening: Opening) -> Opening:
    clock = clocks.read(workspace, SCENARIO)
    if clock is None:
        from pipelines.production.champion import champion_of_run

        clock = clocks.begin(
            workspace, SCENARIO, champion_of_run(workspace, opening.run_id), episodes=EPISODES
        )
    if clock.day == clock.target_day == FIRST_DAY:
        clocks.advance(workspace, SCENARIO, LAST_DAY - FIRST_DAY)
        return opening
    # Whoever pauses it meanwhile has taken over.
    return _turn(workspace, "done") if clock.state == "idle" else opening


def _turn(workspace: Workspace, part: Part) -> Opening:
    with _TABLES.writing(workspace) as connection:
        connection.execute("UPDATE opening SET part = ?, changed_at = ?", (part, time.time()))
    found = read(workspace)
    assert found is not None  # a row that is there stays
    return found


class Opener:
    """Goes on with the opening, now and then, and says once what keeps it from going on."""

    EVERY_S = 0.5

    def __init__(self, home: Home, allowed: bool) -> None:
        self._home, self._allowed = home, allowed
        self._next_at, self._over, self._said = 0.0, False, ""

    def __call__(self) -> None:
        """Do what is to be done next, unless that was just looked at."""
        if self._over or time.monotonic() < self._next_at:
            return
        try:
            found = go_on(self._home, self._allowed)
            self._over = found is None or not found.going_on
        except (FlightdeckError, sqlite3.Error, OSError) as error:
            if str(error) != self._said:
                log.warning("the ready-made world waits: %s", error)
            self._said = str(error)
        self._next_at = time.monotonic() + self.EVERY_S

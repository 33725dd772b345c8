"""The clock: which day it is in a workspace's world of a scenario, and up to which day it is to be played.

Comes in: the run behind the champion, and wishes to go on or to pause. Goes out: a row that pages and the
service of the world read and write; nothing is played here. Day 98 means that days 0 to 97 have passed.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pipelines import branches
from pipelines.errors import BadInput, Missing, Refused
from pipelines.workspace import Tables, Workspace

# Whoever only looks at clocks, five times a second, must not hold pandas and the registry in memory for
# it: they are imported by what needs them.
if TYPE_CHECKING:
    from pipelines.production.champion import ChampionRun
    from pipelines.scenarios.scenario import Scenario

Size = Literal["small", "teaching", "full"]
State = Literal["idle", "playing", "stopped"]

_TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS clocks (
    scenario TEXT NOT NULL,
    branch TEXT NOT NULL,
    size TEXT NOT NULL,
    seed INTEGER NOT NULL,
    episodes TEXT NOT NULL,
    run_id TEXT NOT NULL,
    first_day INTEGER NOT NULL,
    from_day INTEGER NOT NULL,
    day INTEGER NOT NULL,
    target_day INTEGER NOT NULL,
    errors INTEGER NOT NULL DEFAULT 0,
    problem TEXT NOT NULL DEFAULT '',
    hint TEXT NOT NULL DEFAULT '',
    changed_at REAL NOT NULL,
    PRIMARY KEY (scenario, branch)
);
""",
    "clocks",
    added=(("clocks", "pace_s", "REAL NOT NULL DEFAULT 0"),),
)


@dataclass(frozen=True)
class Clock:
    """One world's clock.

    Attributes
    ----------
    size, seed, episodes : str, int, str
        Which world it is: the params and the seed that the run collected it with, and what happens to it.
    run_id : str
        The run behind which it was begun.
    first_day : int
        The first day that was played: where that run's events end.
    from_day, day, target_day : int
        Where the playing that goes on began, which day it is, and up to which it goes.
    errors : int
        Events of today that were sent in vain so far.
    problem, hint : str
        Why it does not go on, and what to do; empty while it does.
    changed_at : float
        Seconds since the epoch.
    pace_s : float
        So many seconds a day takes at least; 0 is as fast as it goes.
    """

    workspace: str
    scenario: str
    branch: str
    size: Size
    seed: int
    episodes: str
    run_id: str
    first_day: int
    from_day: int
    day: int
    target_day: int
    errors: int
    problem: str
    hint: str
    changed_at: float
    pace_s: float = 0.0

    @property
    def state(self) -> State:
        """Idle at its target; on the way there it plays, or has stopped with a problem."""
        if self.day >= self.target_day:
            return "idle"
        return "stopped" if self.problem else "playing"

    @property
    def world(self) -> str:
        """Name of the world, as serving has it: size and seed."""
        return f"{self.size}-{self.seed}"

    @property
    def last_day(self) -> int:
        """How many days the world lasts."""
        from pipelines.scenarios import find_scenario

        return find_scenario(self.scenario).length(self.size)

    def ingest(self) -> dict[str, Any]:
        """The ingest params that collect this world as it has come to."""
        return {"size": self.size, "until_day": self.day, "episodes": self.episodes}


def date_of(scenario: Scenario, day: int) -> date:
    """The calendar date of a day of the world."""
    return date.fromisoformat(scenario.start_date) + timedelta(days=day)


def read(workspace: Workspace, scenario: str, branch: str | None = None) -> Clock | None:
    """The clock, or None before a world was begun."""
    branch = branch or branches.live(workspace, scenario)
    found = [clock for clock in clocks(workspace) if (clock.scenario, clock.branch) == (scenario, branch)]
    return found[0] if found else None


def must_read(workspace: Workspace, scenario: str, branch: str | None = None) -> Clock:
    """The clock.

    Raises
    ------
    Missing
        No world was begun.
    """
    clock = read(workspace, scenario, branch)
    if clock is None:
        raise Missing(
            f"No world of '{scenario}' has been begun in workspace '{workspace.name}'.",
            "Deploy a version, then let a day pass.",
        )
    return clock


def clocks(workspace: Workspace) -> list[Clock]:
    """All clocks of a workspace; looking makes no file."""
    with _TABLES.reading(workspace) as connection:
        if connection is None:
            return []
        rows = connection.execute("SELECT * FROM clocks ORDER BY scenario, branch").fetchall()
    return [Clock(workspace=workspace.name, **dict(row)) for row in rows]


def begin(
    workspace: Workspace,
    scenario: str,
    run: ChampionRun | None = None,
    *,
    episodes: str | None = None,
    branch: str | None = None,
) -> Clock:
    """Start the world behind a deployed run: its first day is the one that the run was made on.

    Begun twice, it is begun once.

    Parameters
    ----------
    run : ChampionRun, optional
        The champion's by default.
    episodes : str, optional
        What happens to the world, over what the run says.

    Raises
    ------
    Missing
        No version serves.
    Refused
        Another world is played here already.
    BadInput
        The world does not know the episodes, or one of them began before the run was made, without it.
    """
    from pipelines.production.champion import champion_run
    from pipelines.scenarios import find_scenario
    from pipelines.scenarios.scenario import read_happened

    world, branch = find_scenario(scenario), branch or branches.live(workspace, scenario)
    run = run or champion_run(workspace, scenario, branch)
    until_day = int(run.ingest["until_day"])
    happened = read_happened(world, run.ingest["episodes"] if episodes is None else episodes)
    _check_same_past(world, run, until_day, ",".join(map(str, happened)))
    with _TABLES.writing(workspace) as connection:
        connection.execute(
            "INSERT OR IGNORE INTO clocks (scenario, branch, size, seed, episodes, run_id, first_day, "
            "from_day, day, target_day, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(scenario, branch, run.ingest["size"], run.seed, ",".join(map(str, happened))),
                *(run.run_id, *[until_day] * 4, time.time()),
            ),
        )
    clock = read(workspace, scenario, branch)
    assert clock is not None  # just made, or there before
    if clock.world != run.world or (episodes is not None and clock.episodes != ",".join(map(str, happened))):
        raise Refused(
            f"Workspace '{workspace.name}' plays the {describe(clock)} of {scenario}; another can't be "
            "begun beside it.",
            f"Go on with that one, or empty the workspace: python -m pipelines reset --workspace "
            f"{workspace.name}",
        )
    return clock


def describe(clock: Clock) -> str:
    """Which world it is, in words."""
    return f"{clock.size} world with seed {clock.seed}" + (f" and {clock.episodes}" if clock.episodes else "")


def advance(
    workspace: Workspace, scenario: str, days: int, branch: str | None = None, *, pace_s: float = 0.0
) -> Clock:
    """Let that many more days pass; the service of the world plays them. Without a world, begin it first.

    Parameters
    ----------
    pace_s : float
        Seconds that each day takes at least; by default as few as can be.

    Raises
    ------
    BadInput
        `days` is not 1 or more.
    Refused
        The world ends before.
    Missing
        No version serves, so no world was begun.
    """
    if days < 1:
        raise BadInput(f"{days} days can't be played.", "Ask for 1 or more.")
    branch = branch or branches.live(workspace, scenario)
    clock = read(workspace, scenario, branch) or begin(workspace, scenario, branch=branch)
    left = clock.last_day - max(clock.day, clock.target_day)
    if days > left:
        what = f"The {clock.size} world of {scenario} lasts {clock.last_day} days"
        raise Refused(
            f"{what}, and day {max(clock.day, clock.target_day)} is reached: {days} more can't be played.",
            f"Ask for at most {left}." if left else "Begin again: python -m pipelines reset",
        )
    with _TABLES.writing(workspace) as connection:
        connection.execute(
            "UPDATE clocks SET from_day = CASE WHEN day < target_day THEN from_day ELSE day END, "
            "target_day = max(day, target_day) + :days, pace_s = :pace_s, problem = '', hint = '', "
            f"changed_at = :now WHERE {_OF} AND max(day, target_day) + :days <= :last",
            {"days": days, "pace_s": pace_s, "last": clock.last_day} | _named(scenario, branch),
        )
    return must_read(workspace, scenario, branch)


def pause(workspace: Workspace, scenario: str, branch: str | None = None) -> Clock:
    """Stop after the day that is being played.

    Raises
    ------
    Missing
        No world was begun.
    """
    branch = branch or branches.live(workspace, scenario)
    with _TABLES.writing(workspace) as connection:
        connection.execute(
            f"UPDATE clocks SET target_day = day, problem = '', hint = '', changed_at = :now WHERE {_OF}",
            _named(scenario, branch),
        )
    return must_read(workspace, scenario, branch)


def halt(connection: sqlite3.Connection, clock: Clock) -> None:
    """Let this branch's time stand still, as it is left for another: nothing is to be tried again on it."""
    connection.execute(
        f"UPDATE clocks SET target_day = day, problem = '', hint = '', changed_at = :now WHERE {_OF}",
        _named(clock.scenario, clock.branch),
    )


def pass_day(workspace: Workspace, clock: Clock) -> None:
    """The day that `clock` shows has passed. Said twice, it is one day; a world that was paused stays so."""
    with _TABLES.writing(workspace) as connection:
        connection.execute(
            "UPDATE clocks SET day = day + 1, target_day = max(target_day, day + 1), errors = 0, "
            f"problem = '', hint = '', changed_at = :now WHERE {_OF} AND day = :day",
            {"day": clock.day} | _named(clock.scenario, clock.branch),
        )


def stop(workspace: Workspace, clock: Clock, problem: str, hint: str) -> None:
    """Say why the day that `clock` shows can't be played now."""
    with _TABLES.writing(workspace) as connection:
        connection.execute(
            "UPDATE clocks SET problem = :problem, hint = :hint, changed_at = :now "
            f"WHERE {_OF} AND day = :day",
            {"problem": problem, "hint": hint, "day": clock.day} | _named(clock.scenario, clock.branch),
        )


def count_errors(workspace: Workspace, clock: Clock, events: int) -> None:
    """So many events of today were sent in vain."""
    with _TABLES.writing(workspace) as connection:
        connection.execute(
            f"UPDATE clocks SET errors = errors + :events WHERE {_OF} AND day = :day",
            {"events": events, "day": clock.day} | _named(clock.scenario, clock.branch),
        )


def add_episode(workspace: Workspace, clock: Clock, name: str) -> None:
    """Let an episode begin on the day that the clock shows; said twice, it is one."""
    begun = f"{name}@{clock.day}"
    known = [each for each in clock.episodes.split(",") if each]
    if begun not in known:
        # In order of their days: as they are read, so as they are written.
        episodes = ",".join(sorted([*known, begun], key=lambda each: (int(each.split("@")[1]), each)))
        with _TABLES.writing(workspace) as connection:
            connection.execute(
                f"UPDATE clocks SET episodes = :episodes WHERE {_OF}",
                {"episodes": episodes} | _named(clock.scenario, clock.branch),
            )


def copy_branch(connection: sqlite3.Connection, scenario: str, source: str, target: str, day: int) -> None:
    """Let branch `target` have the world of `source`, on the morning of that day."""
    begins = dict.fromkeys(("from_day", "day", "target_day"), ":day")
    begins |= {"errors": "0", "problem": "''", "hint": "''", "changed_at": ":now"}
    named = {"day": day, "now": time.time()}
    branches.copy_rows(connection, "clocks", scenario, source, target, "1", named, changed=begins)


def _check_same_past(scenario: Scenario, run: ChampionRun, until_day: int, episodes: str) -> None:
    """What happened before the run was made, the run must have seen."""
    from pipelines.scenarios.scenario import read_happened

    seen, happens = (
        {str(begun) for begun in read_happened(scenario, text) if begun.day < until_day}
        for text in (run.ingest["episodes"], episodes)
    )
    if seen != happens:
        raise BadInput(
            f"The run collected a world with {', '.join(sorted(seen)) or 'no episode'} before its day "
            f"{until_day}, but this world has {', '.join(sorted(happens)) or 'none'}.",
            f"Let episodes begin on day {until_day} or later.",
        )


def _named(scenario: str, branch: str) -> dict[str, Any]:
    return {"scenario": scenario, "branch": branch, "now": time.time()}


_OF = "scenario = :scenario AND branch = :branch"

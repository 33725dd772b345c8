"""Canaries: a version that answers a share of the traffic is tested, and the test decides.

Comes in: a clock in the morning. Goes out: looks, each with the difference in money and how sure it is; and,
where that was asked for, a promotion or an end. In words: every 7 labelled days, 4 times at most, what an
event was worth under the canary is held beside the champion's. A difference beyond 2.361 standard errors
decides; after the fourth look without one the canary ends: it was not shown to be better.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

from pipelines import branches, freezing, promotion
from pipelines.production import pricing
from pipelines.production.clock import Clock
from pipelines.promotion import Promotion
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving import labelling
from pipelines.serving.logged import read_logged
from pipelines.tasks.money import decisions
from pipelines.tasks.sequential import POCOCK, Difference, compare
from pipelines.workspace import Tables, Workspace

LOOKS, LOOK_DAYS = 4, 7
# With fewer events on a side a mean of money says nothing.
LEAST_EVENTS = 100

Verdict = Literal["better", "worse", "open", "not shown"]

_TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS canary_looks (
    scenario TEXT NOT NULL,
    branch TEXT NOT NULL,
    version INTEGER NOT NULL,
    since_day INTEGER NOT NULL,
    look INTEGER NOT NULL,
    day INTEGER NOT NULL,
    difference REAL NOT NULL,
    error REAL NOT NULL,
    canary_events INTEGER NOT NULL,
    champion_events INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    PRIMARY KEY (scenario, branch, version, since_day, look)
);
CREATE TABLE IF NOT EXISTS canary_rules (
    scenario TEXT NOT NULL,
    branch TEXT NOT NULL,
    automatic INTEGER NOT NULL,
    PRIMARY KEY (scenario, branch)
);
""",
    "canary_rules",
)


@dataclass(frozen=True)
class Look:
    """One look at a canary.

    Attributes
    ----------
    look, day : int
        Which of the looks it was, and on which morning.
    difference, error : float
        What an event was worth more under the canary, and the standard error of that, in money.
    """

    version: int
    since_day: int
    look: int
    day: int
    difference: float
    error: float
    canary_events: int
    champion_events: int
    verdict: Verdict

    @property
    def z(self) -> float:
        return Difference(self.difference, self.error, (0, 0)).z


def morning(workspace: Workspace, clock: Clock) -> Look | None:
    """Look at the canary, if it is the day for it; and act, where the test decides.

    The same morning again is the same look.
    """
    row = canary_row(workspace, clock)
    if row is None or row.version is None or row.day is None:
        return None
    delay = find_scenario(clock.scenario).label_delay_days
    number, rest = divmod(clock.day - row.day - delay, LOOK_DAYS)
    if rest or not 1 <= number <= LOOKS:
        return None
    found = next((each for each in looks(workspace, clock, row) if each.look == number), None)
    if found is None:
        found = _look(workspace, clock, row, number)
        with _TABLES.writing(workspace) as connection:
            connection.execute(
                f"INSERT OR REPLACE INTO canary_looks VALUES ({', '.join('?' * 11)})",
                (clock.scenario, clock.branch, *vars(found).values()),
            )
    # A freeze keeps the test from promoting; it looks all the same, and decides once it is lifted.
    frozen = freezing.holding(workspace, clock.scenario, clock.branch) is not None
    if is_automatic(workspace, clock.scenario, clock.branch) and not (frozen and found.verdict == "better"):
        _act(workspace, clock, found)
    return found


def canary_row(workspace: Workspace, clock: Clock) -> Promotion | None:
    """The ledger's row by which the canary holds its stage."""
    version = promotion.serving(workspace, clock.scenario, clock.branch).canary
    if version is None:
        return None
    rows = promotion.history(workspace, clock.scenario, clock.branch)
    return next(row for row in reversed(rows) if row.stage == "canary" and row.version == version)


def looks(workspace: Workspace, clock: Clock, row: Promotion) -> list[Look]:
    """What was seen of this canary so far."""
    query = (
        "SELECT * FROM canary_looks WHERE scenario = ? AND branch = ? AND version = ? AND since_day = ? "
        "ORDER BY look"
    )
    values = (clock.scenario, clock.branch, row.version, row.day)
    found = [dict(each) for each in _select(workspace, query, values)]
    names = Look.__dataclass_fields__
    return [Look(**{name: each[name] for name in names}) for each in found]


def is_automatic(workspace: Workspace, scenario: str, branch: str | None = None) -> bool:
    """Whether the test promotes and withdraws by itself; so it is unless somebody chose otherwise."""
    branch = branch or branches.live(workspace, scenario)
    query = "SELECT automatic FROM canary_rules WHERE scenario = ? AND branch = ?"
    found = _select(workspace, query, (scenario, branch))
    return bool(found[0][0]) if found else True


def decide_by_test(workspace: Workspace, scenario: str, automatic: bool) -> None:
    """Let the test decide about canaries, or a human."""
    with _TABLES.writing(workspace) as connection:
        connection.execute(
            "INSERT OR REPLACE INTO canary_rules VALUES (?, ?, ?)",
            (scenario, branches.live_in(connection, scenario), int(automatic)),
        )


def in_words(look: Look, unit: str) -> str:
    """What a look has shown."""
    more = "more" if look.difference >= 0 else "less"
    what = f"an event was worth {abs(look.difference):.2f} {unit} {more} under the canary"
    sure = f"{abs(look.z):.1f} standard errors; {POCOCK[LOOKS]} decide"
    return f"Look {look.look} of {LOOKS}, day {look.day}: {what} ({sure})."


def copy_branch(
    connection: sqlite3.Connection, scenario: str, source: str, target: str, before_day: int
) -> None:
    """Let branch `target` have the looks of `source` before that day, and who decides."""
    if not _TABLES.are_in(connection):
        return
    of_branch = (scenario, source, target)
    named = {"before_day": before_day}
    branches.copy_rows(connection, "canary_looks", *of_branch, "day < :before_day", named)
    branches.copy_rows(connection, "canary_rules", *of_branch, "1", {})


def _look(workspace: Workspace, clock: Clock, row: Promotion, number: int) -> Look:
    scenario = find_scenario(clock.scenario)
    assert row.day is not None and row.version is not None  # as `morning` asks
    until = row.day + number * LOOK_DAYS
    answered = read_logged(
        workspace, scenario, row.day, until, branch=clock.branch, at_s=clock.day * DAY_S, world=clock.world
    )
    answered = labelling.weigh(labelling.rules(workspace, clock.scenario, clock.branch), answered)
    known = labelling.repeated(answered[answered["label"].notna()])
    prices = pricing.prices_of(workspace, scenario)
    stake = known[prices.missed_column] if prices.missed_column else None
    gains = decisions(prices, known["label"].astype(float), stake).gains
    worth = gains * known["decision"].to_numpy()
    mine = (known["route"] == "canary").to_numpy() & (known["version"] == row.version).to_numpy()
    its = (known["route"] == "champion").to_numpy()
    whose = known[scenario.alert_entity].to_numpy()
    found = compare(worth[mine], whose[mine], worth[its], whose[its])
    return Look(
        row.version,
        row.day,
        number,
        clock.day,
        round(found.value, 6),
        round(found.error, 6),
        *found.events,
        verdict=_verdict(found, number),
    )


def _verdict(found: Difference, number: int) -> Verdict:
    if min(found.events) >= LEAST_EVENTS and abs(found.z) > POCOCK[LOOKS]:
        return "better" if found.z > 0 else "worse"
    return "not shown" if number == LOOKS else "open"


def _act(workspace: Workspace, clock: Clock, look: Look) -> None:
    """Promote what was shown to be better; end what was not."""
    reason = in_words(look, find_scenario(clock.scenario).prices.unit)
    if look.verdict == "better":
        promotion.promote(
            workspace,
            clock.scenario,
            look.version,
            stage="production",
            reason=f"canary test: {reason}",
            day=clock.day,
            source=f"canary:{look.version}/{look.since_day}/{look.look}",
            branch=clock.branch,
        )
    elif look.verdict in ("worse", "not shown"):
        promotion.withdraw(
            workspace,
            clock.scenario,
            stage="canary",
            reason=f"canary test: {reason}",
            day=clock.day,
            branch=clock.branch,
        )


def _select(workspace: Workspace, query: str, values: tuple[object, ...]) -> list[sqlite3.Row]:
    with _TABLES.reading(workspace) as connection:
        return connection.execute(query, values).fetchall() if connection is not None else []

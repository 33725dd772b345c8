"""What production is worth, for Home: the newest week that is known, its plot, what is open, what may follow.

Comes in: a workspace and a scenario. Goes out: words and a figure from the ledger; nothing is drawn here.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from pages.parts.words import money, plain
from pipelines import figures, promotion
from pipelines.errors import FlightdeckError
from pipelines.production import clock as clocks
from pipelines.production import evening, ledger, opening, retraining
from pipelines.production.clock import Clock
from pipelines.production.opening import Opening
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace, unreadable_database

WEEK_DAYS, SHOWN_DAYS = 7, 30


@dataclass(frozen=True)
class Week:
    """The newest days, a week at most, of which every outcome is known."""

    first_day: int
    last_day: int
    saved: float
    flagged: int
    right: int

    @property
    def loses(self) -> bool:
        return self.saved < 0


@dataclass(frozen=True)
class Production:
    """How the world of one scenario stands.

    Attributes
    ----------
    clock : Clock or None
        None before a world was begun.
    days : list of Day
        Those that were played.
    opening : Opening or None
        The ready-made world, while it is being made.
    alerts : list
        Those that are not resolved, the worst first.
    """

    clock: Clock | None
    days: list[ledger.Day]
    opening: Opening | None
    alerts: list[Any]

    @property
    def week(self) -> Week | None:
        known = [day for day in self.days if day.bill is not None][-WEEK_DAYS:]
        if not known:
            return None
        return Week(
            known[0].day,
            known[-1].day,
            sum(day.bill.saved for day in known if day.bill is not None),
            sum(day.flagged for day in known),
            sum(day.right or 0 for day in known),
        )

    @property
    def live(self) -> bool:
        """Whether it changes by itself."""
        playing = self.clock is not None and self.clock.state != "idle"
        return playing or (self.opening is not None and self.opening.going_on)

    @property
    def status(self) -> str:
        """Changes when the whole page has to be told anew."""
        part = self.opening.part if self.opening is not None else ""
        return f"{part} {self.clock.state if self.clock is not None else ''}"


def look(workspace: Workspace, scenario: Scenario) -> Production:
    """Read clock, ledger, alerts and opening.

    Raises
    ------
    Damaged
        The workspace's database can't be read.
    """
    try:
        begun = opening.read(workspace) if scenario.name == opening.SCENARIO else None
        return Production(
            clocks.read(workspace, scenario.name),
            ledger.days(workspace, scenario.name),
            begun,
            evening.open_alerts(workspace, scenario.name),
        )
    except sqlite3.Error as error:
        raise unreadable_database(workspace, error) from error


def title(found: Production, scenario: Scenario) -> str | None:
    """How the model stands, once that is known in money."""
    clock, week = found.clock, found.week
    if clock is None or clock.state == "playing" or week is None:
        return None
    verb = "lost" if week.loses else "saved"
    amount, length = money(week.saved, scenario.prices.unit), week.last_day - week.first_day + 1
    span = "in a week" if length == WEEK_DAYS else f"on {length} day{'s' if length > 1 else ''}"
    return f"Day {clock.day}: your model {verb} {amount} {span}"


def sentence(found: Production, scenario: Scenario) -> str:
    """What matters about it: against no model, for which days, and since when something is open."""
    week = found.week
    assert week is not None  # asked for where there is a title
    amount = money(week.saved, scenario.prices.unit)
    days = (
        f"days {week.first_day} to {week.last_day}"
        if week.last_day > week.first_day
        else f"day {week.first_day}"
    )
    which = f"On the newest days whose outcomes are known, {days}, "
    against = (
        f"having **no model at all would have cost {amount} less**."
        if week.loses
        else f"having no model would have cost **{amount} more**."
    )
    alert = (
        f" {plain(found.alerts[0].title)}: alert since day {found.alerts[0].opened}." if found.alerts else ""
    )
    return which + against + alert


def figure(found: Production, scenario: Scenario, releases: list[promotion.Promotion]) -> go.Figure | None:
    """Money a day against no model, for the newest 30 days; None before any is known."""
    if found.clock is None:
        return None
    today = found.clock.day
    first = max(found.clock.first_day, today - SHOWN_DAYS)
    known = [day for day in found.days if day.bill is not None and day.day >= first]
    if len(known) < 2:
        return None
    saved = [day.bill.saved for day in known if day.bill is not None]
    worse = sum(value < 0 for value in saved)
    unit = "EUR" if scenario.prices.unit == "EUR" else scenario.prices.unit
    title = (
        f"Worse than no model on {worse} of {len(known)} days"
        if worse
        else f"Better than no model on each of {len(known)} days"
    )
    shown = figures.new_figure(title, "Day", f"Saved a day, {unit}", height=280)
    figures.zone(shown, known[-1].day, today, "not known")
    figures.baseline(shown, 0, "no model")
    # At the right, where no line is yet.
    shown.update_annotations({"x": 1, "xanchor": "right"}, selector={"name": "baseline"})
    figures.line(shown, [day.day for day in known], saved, "champion")
    for day, word in _marks(found, releases, first, today):
        figures.event(shown, day, word)
    shown.update_xaxes(range=[first, today])
    shown.update_yaxes(tickformat=",.0f")
    figures.describe_as(
        shown,
        f"Each day from {known[0].day} to {known[-1].day} beside having no model: from {saved[0]:,.0f} to "
        f"{saved[-1]:,.0f} {unit}, lowest {min(saved):,.0f}, highest {max(saved):,.0f}. Later days are not "
        "known yet.",
    )
    return shown


def _marks(
    found: Production, releases: list[promotion.Promotion], first: int, today: int
) -> list[tuple[int, str]]:
    """What happened on which day, one word a day."""
    words: dict[int, str] = {}
    for alert in sorted(found.alerts, key=lambda each: each.opened):
        near = next((day for day in words if abs(day - alert.opened) < 3), None)
        if near is None:
            words[alert.opened] = "alert"
    for row in releases:
        if row.day is not None and row.stage == "production" and row.day > first:
            words[row.day] = f"version {row.version}"
    return [(day, word) for day, word in sorted(words.items()) if first <= day <= today]


def advice(found: Production, workspace: Workspace, scenario: Scenario) -> tuple[bool, str]:
    """Whether retraining today can learn from what the oldest open alert has found; and why."""
    if not found.alerts:
        return False, ""
    try:
        # An alert that was opened when a day began has seen the day before.
        since = min(alert.opened for alert in found.alerts) - 1
        return retraining.worth_retraining(workspace, scenario, since)
    except FlightdeckError as error:
        return False, error.message

"""The plots of Incidents: each answers one question about the newest days, from the ledger's rows.

Comes in: what is known. Goes out: figures; nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import plotly.graph_objects as go

from pages.parts import production, watch
from pages.parts.incident_room import Facts
from pages.parts.words import several
from pipelines import figures
from pipelines.monitoring import operations
from pipelines.production.incidents.scoring import Part
from pipelines.production.ledger import Day

SHOWN_DAYS = 21
HEIGHT = 270

VIEWS = {
    "requests": "Requests",
    "wait": "Waiting",
    "alerts": "Alerts",
    "inputs": "Inputs",
    "labels": "Labels",
    "right": "How right",
    "money": "Money",
}


def draw(view: str, facts: Facts) -> go.Figure | None:
    """The plot of that view; None where there is nothing to show yet."""
    days = facts.days[-SHOWN_DAYS:]
    if not days:
        return None
    return _DRAWN[view](facts, days)


def requests(facts: Facts, days: Sequence[Day]) -> go.Figure:
    """How many events were answered a day, and how many were not."""
    lost = [day for day in days if day.lost]
    title = "Every request got its answer"
    if lost:
        worst = max(lost, key=lambda day: day.lost)
        sent = worst.lost + worst.requests
        title = f"On day {worst.day}, {worst.lost:,} of {sent:,} {facts.scenario.events} got no answer"
    # Where there is a key it needs the place of the unit; the title says what is counted.
    unit = "" if lost else f"{facts.scenario.events.capitalize()} a day"
    figure = figures.new_figure(title, "Day", unit, HEIGHT)
    x = [day.day for day in days]
    figures.bars(figure, x, [day.requests for day in days], "champion", "answered")
    if lost:
        figures.bars(figure, x, [day.lost for day in days], "challenger", "without an answer")
        figure.update_layout(barmode="stack")
    return _with_usual(figure, facts.usual.requests if facts.usual else None)


def wait(_facts: Facts, days: Sequence[Day]) -> go.Figure:
    """How long answers took: of a hundred, five took longer."""
    known = [day for day in days if day.p95_ms is not None]
    slow = [day for day in known if (day.p95_ms or 0) > operations.SLOW_MS]
    title = "Answers come soon enough"
    if slow:
        taken_s = (slow[-1].p95_ms or 0) / 1000
        title = f"Since day {slow[0].day} one answer in twenty takes {taken_s:.1f} s or more"
    figure = figures.new_figure(title, "Day", "95th percentile, milliseconds", HEIGHT)
    figures.line(figure, [day.day for day in known], [day.p95_ms or 0 for day in known])
    figures.baseline(figure, operations.SLOW_MS, "limit")
    figure.update_yaxes(rangemode="tozero")
    return figure


def alerts(facts: Facts, days: Sequence[Day]) -> go.Figure:
    """How many alerts the model raised a day."""
    usual = facts.usual.flagged if facts.usual else None
    newest = days[-1].flagged
    title = f"{several(newest, 'alert', 'alerts')} on day {days[-1].day}"
    if usual:
        title += f"; {usual:.0f} a day are usual"
    figure = figures.new_figure(title, "Day", "Alerts raised a day", HEIGHT)
    figures.bars(figure, [day.day for day in days], [day.flagged for day in days])
    return _with_usual(figure, usual)


def labels(facts: Facts, days: Sequence[Day]) -> go.Figure:
    """How many labels came a day."""
    none = [day for day in days if not day.labels]
    title = f"{days[-1].labels:,} labels came on day {days[-1].day}"
    if none and none[-1].day == days[-1].day:
        since = next(day.day for day in reversed(days) if day.labels) if len(none) < len(days) else None
        title = "No label comes in" + (f" since day {since + 1}" if since is not None else "")
    figure = figures.new_figure(title, "Day", "Labels a day", HEIGHT)
    figures.bars(figure, [day.day for day in days], [day.labels for day in days], "labels")
    return _with_usual(figure, facts.usual.labels if facts.usual else None)


def inputs(facts: Facts, _days: Sequence[Day]) -> go.Figure | None:
    """What has drifted in the newest week."""
    return watch.drift_figure(facts.watched)


def right(facts: Facts, _days: Sequence[Day]) -> go.Figure | None:
    """How right the alerts were, as far as labels say."""
    return watch.performance_figure(facts.watched) if facts.watched.report is not None else None


def money(facts: Facts, _days: Sequence[Day]) -> go.Figure | None:
    """What each day was worth."""
    return production.figure(facts.production, facts.scenario, facts.watched.promotions)


def points(parts: Sequence[Part]) -> go.Figure:
    """What each part of a score came to, of what it could be."""
    least = min(parts, key=lambda part: part.points / part.of)
    title = "All points" if least.points == least.of else f"Most was lost on “{least.name}”: {least.why}"
    figure = figures.new_figure(title, "Points", height=220)
    names = [part.name for part in parts]
    figures.bars(figure, names, [part.points for part in parts], "champion", "reached", level=True)
    figures.bars(figure, names, [part.of - part.points for part in parts], "reference", "missed", level=True)
    figure.update_layout(barmode="stack", showlegend=False)
    told = " ".join(f"{part.name}: {part.points} of {part.of}. {part.why}" for part in parts)
    figures.describe_as(figure, told)
    return figure


def _with_usual(figure: go.Figure, usual: float | None) -> go.Figure:
    if usual is not None:
        figures.baseline(figure, usual, "usual")
    figure.update_yaxes(rangemode="tozero")
    return figure


_DRAWN: dict[str, Callable[[Facts, Sequence[Day]], go.Figure | None]] = {
    "requests": requests,
    "wait": wait,
    "alerts": alerts,
    "inputs": inputs,
    "labels": labels,
    "right": right,
    "money": money,
}

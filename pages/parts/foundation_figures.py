"""The pictures of Foundations that are drawn from the learner's own runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import plotly.graph_objects as go

from pipelines import figures
from pipelines.scenarios.scenario import Scenario


def line(stages: Sequence[tuple[str, str]]) -> go.Figure:
    """The trace of one model: a stage below the other, each with its fact."""
    drawn = figures.new_figure(
        "Every answer leads back to the data it came from", height=50 + 42 * len(stages)
    )
    places = list(range(len(stages), 0, -1))
    blue = figures.ROLES["champion"].light
    drawn.add_scatter(
        x=[0] * len(stages),
        y=places,
        mode="lines+markers",
        line={"color": figures.GRID.light, "width": 2.5},
        marker={"color": blue, "size": 12},
        hoverinfo="skip",
    )
    for place, (name, fact) in zip(places, stages, strict=True):
        drawn.add_annotation(
            x=0,
            y=place,
            text=f"<b>{name}</b>  {_short(fact)}",
            showarrow=False,
            xanchor="left",
            xshift=16,
            font={"size": 13, "color": figures.TEXT.light},
        )
    drawn.update_xaxes(visible=False, range=[-0.05, 1])
    drawn.update_yaxes(visible=False, range=[0.4, len(stages) + 0.6])
    figures.describe_as(drawn, " → ".join(f"{name}: {fact}" for name, fact in stages) + ".")
    return drawn


def traces(found: Mapping[str, int]) -> go.Figure:
    """How many of the newest runs hold each kind of trace."""
    total = found[""]
    names = [name for name in found if name]
    whole = sum(found[name] == total for name in names)
    runs = f"{total} newest runs" if total != 1 else "newest run"
    title = f"Your {runs}: {whole} of {len(names)} traces are complete"
    drawn = figures.new_figure(title, "Runs that hold it", height=230)
    figures.bars(drawn, names, [found[name] for name in names], level=True)
    drawn.update_xaxes(range=[0, total * 1.05], dtick=max(1, round(total / 6)))
    return drawn


def money(days: Sequence[Any], scenario: Scenario) -> go.Figure:
    """What was lost up to each day, with nobody deciding and with the model; whichever it was."""
    unit = getattr(scenario.prices, "unit", "")
    without = list(accumulate(day.bill.without for day in days))
    managed = list(accumulate(day.bill.total for day in days))
    saved = without[-1] - managed[-1]
    title = f"{'Saved' if saved >= 0 else 'Lost more'} until day {days[-1].day}: {abs(saved):,.0f} {unit}"
    drawn = figures.new_figure(title, "Day", f"Lost since the first day, {unit}", height=300)
    shown = [day.day for day in days]
    figures.line(drawn, shown, without, "reference", "no model")
    figures.line(drawn, shown, managed, "champion", "with yours")
    return drawn


def _short(text: str) -> str:
    """So that a phone shows the line whole."""
    return text if len(text) <= 44 else text[:43].rstrip(" ,") + "…"

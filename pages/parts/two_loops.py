"""DevOps beside MLOps as two rings, drawn from one list: what is added stands out by form and weight."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from pipelines import figures

# A station's name, and whether only models and data bring it.
STATIONS = (
    ("Plan", False),
    ("Collect data", True),
    ("Check data", True),
    ("Code", False),
    ("Train", True),
    ("Evaluate", True),
    ("Test", False),
    ("Release", False),
    ("Deploy", False),
    ("Operate", False),
    ("Monitor", False),
    ("Watch drift", True),
)
STEPS = 180


def devops() -> go.Figure:
    """The loop that all software goes round in."""
    return _ring("DevOps: one loop, around code", [name for name, added in STATIONS if not added], set())


def mlops() -> go.Figure:
    """The same loop with what data and a model add."""
    added = {name for name, new in STATIONS if new}
    return _ring("MLOps: the same loop, with data and a model in it", [name for name, _ in STATIONS], added)


def _ring(title: str, names: list[str], added: set[str]) -> go.Figure:
    drawn = figures.new_figure(title, height=340)
    turns = [2 * math.pi * step / STEPS for step in range(STEPS + 1)]
    grey, blue = figures.ROLES["reference"].light, figures.ROLES["champion"].light
    drawn.add_scatter(
        x=[math.sin(turn) for turn in turns],
        y=[math.cos(turn) for turn in turns],
        mode="lines",
        line={"color": figures.GRID.light, "width": 2.5},
        hoverinfo="skip",
    )
    for place, name in enumerate(names):
        turn = 2 * math.pi * place / len(names)
        x, y = math.sin(turn), math.cos(turn)
        new = name in added
        drawn.add_scatter(
            x=[x],
            y=[y],
            mode="markers",
            marker={
                "size": 15 if new else 11,
                "color": blue if new else grey,
                "symbol": "diamond" if new else "circle",
            },
            hovertemplate=f"{name}{': added by data and models' if new else ''}<extra></extra>",
        )
        middle = abs(x) < 0.2
        drawn.add_annotation(
            x=x * 1.14,
            y=y * (1.2 if middle else 1.14),
            text=f"<b>{name}</b>" if new else name,
            showarrow=False,
            xanchor="center" if middle else ("left" if x > 0 else "right"),
            yanchor="middle",
            font={"size": 13, "color": figures.TEXT.light if new else figures.MUTED.light},
        )
    drawn.add_annotation(
        x=0,
        y=0,
        text=f"{len(added)} stations more" if added else f"{len(names)} stations",
        showarrow=False,
        font={"size": 13, "color": figures.MUTED.light},
    )
    hidden = {"visible": False, "showgrid": False, "zeroline": False}
    drawn.update_xaxes(range=[-2.0, 2.0], **hidden)
    drawn.update_yaxes(range=[-1.35, 1.35], scaleanchor="x", **hidden)
    drawn.update_layout(margin={"l": 0, "r": 0, "t": 8, "b": 0})
    order = " → ".join(name + (" (added)" if name in added else "") for name in names)
    figures.describe_as(drawn, f"Round and round: {order} → {names[0]}.")
    return drawn

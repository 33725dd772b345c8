"""Figures: one template for every plot, in notebooks and on pages.

Comes in: values and words. Goes out: a Plotly figure in the colours of the light theme, with its meaning
in words. A page that is shown dark recolours it with `dress`. A title says the finding or the question.

    figure = new_figure("Precision holds until day 34", x="Day", y="Average precision")
    band(figure, days, low, high, "champion")
    line(figure, days, precision, "champion", "version 3")
    describe_as(figure, "Average precision is 0.66 until day 34, then falls to 0.48 on day 41.")
    figure
"""

from __future__ import annotations

import copy
import json
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go

Role = Literal["champion", "challenger", "shadow", "labels", "reference"]
Values = Sequence[Any] | np.ndarray[Any, Any]

PLOTLY_MIMETYPE = "application/vnd.plotly.v1+json"
FONT = "IBM Plex Sans, system-ui, sans-serif"
BAND_OPACITY = 0.16
# Room that a direct label takes at the right end of its line, in pixels a letter and at most.
LABEL_LETTER, LABEL_MOST = 7, 150
# Labels whose lines end closer than this, as a part of the figure's height, are pushed apart.
LABEL_APART = 0.07


@dataclass(frozen=True)
class Look:
    """How one role is drawn: a colour for each theme, and a form that tells it without colour.

    Attributes
    ----------
    light, dark : str
        At least 4.5:1 against the page of that theme.
    dash, symbol, pattern : str
        Plotly's names: of the line's dashes, the point's symbol and the bar's hatching.
    width : float
        Of the line, in pixels.
    """

    light: str
    dark: str
    dash: str = "solid"
    symbol: str = "circle"
    pattern: str = ""
    width: float = 2.5


# The closest pair is 14.6 (light) and 18.5 (dark) apart in CIEDE2000, under normal sight and three
# simulated deficiencies of colour vision.
ROLES: dict[Role, Look] = {
    "champion": Look("#0969C8", "#5E88F7"),
    "challenger": Look("#A84A0B", "#F59B4A", "dash", "diamond", "/"),
    "shadow": Look("#6A0A66", "#EFC0FA", "dot", "square", "."),
    "labels": Look("#00543A", "#A6F5CF", "solid", "circle-open", "x"),
    "reference": Look("#63686E", "#8D9299", "solid", "line-ew-open", "-", 1.5),
}
TEXT = Look("#1B2530", "#E8EDF1")
MUTED = Look("#55616D", "#A7B3BE")
GRID = Look("#E4E1D9", "#2A3540")
PANEL = Look("#F1EFE9", "#1A232C")
ATTENTION = Look("#8A5200", "#F0B452")

CLEAR = "rgba(0,0,0,0)"
_AXIS = {
    "zeroline": False,
    "automargin": True,
    "ticks": "outside",
    "ticklen": 5,
    "tickcolor": CLEAR,  # Ticks are not seen; they hold the numbers away from the axis.
    "tickfont": {"color": MUTED.light, "size": 12},
    "title": {"font": {"color": MUTED.light, "size": 12}, "standoff": 8},
    "separatethousands": True,  # 113,806 as in sentences; not 113806 here and 114k there.
    "exponentformat": "none",
}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": FONT, "size": 13, "color": TEXT.light},
        "title": {"font": {"size": 13, "weight": 600}, "x": 0, "xanchor": "left", "xref": "container"},
        "margin": {"l": 8, "r": 12, "t": 64, "b": 8},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "colorway": [look.light for look in ROLES.values()],
        "showlegend": False,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "title": {"text": ""}},
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": PANEL.light, "bordercolor": GRID.light, "font": {"color": TEXT.light}},
        "xaxis": {**_AXIS, "showgrid": False, "linecolor": GRID.light},
        "yaxis": {**_AXIS, "gridcolor": GRID.light},
    }
)


class Figure(go.Figure):  # type: ignore[misc]
    """A Plotly figure that a notebook stores as data and words, never as HTML or a script."""

    # Plotly's own ways ask for a renderer, most of which write HTML; IPython skips what is no method.
    _ipython_display_ = None
    _repr_html_ = None

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {PLOTLY_MIMETYPE: json.loads(self.to_json()), "text/plain": describe(self)}


def new_figure(title: str, x: str = "", y: str = "", height: int = 300) -> Figure:
    """An empty figure.

    Parameters
    ----------
    title : str
        The finding, or the question, in words.
    x, y : str
        What the axes show, with the unit: "Amount in EUR".
    height : int
        Pixels, 230 to 360.
    """
    figure = Figure(layout={"template": TEMPLATE, "height": height, "title": {"text": title}})
    figure.update_xaxes(title_text=x)
    if y:
        # Level and above the axis: nobody turns their head to read it.
        place = {"xref": "paper", "yref": "paper", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
        small = {"color": MUTED.light, "size": 12}
        figure.add_annotation(name="y", text=y, showarrow=False, yshift=8, font=small, **place)
    figure.update_layout(meta={"title": title, "x": x, "y": y})
    return figure


def line(figure: go.Figure, x: Values, y: Values, role: Role = "champion", label: str = "") -> None:
    """Draw a line, with its label at the right end."""
    look = ROLES[role]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        name=label,
        line={"color": look.light, "width": look.width, "dash": look.dash},
        hovertemplate=_hover(figure, label),
    )
    _reach(figure, x)
    if label and len(x):
        _label_at(figure, x[len(x) - 1], y[len(y) - 1], label, look.light)


def band(figure: go.Figure, x: Values, low: Values, high: Values, role: Role = "champion") -> None:
    """Draw the space between `low` and `high`, as for a 95% interval; before its line."""
    around = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "meta": "band"}
    figure.add_scatter(x=x, y=low, **around)
    figure.add_scatter(x=x, y=high, fill="tonexty", fillcolor=_faint(ROLES[role].light), **around)
    _reach(figure, x)


def points(
    figure: go.Figure,
    x: Values,
    y: Values,
    role: Role = "champion",
    label: str = "",
    low: Values | None = None,
    high: Values | None = None,
) -> None:
    """Draw points, each with its interval from `low` to `high` when they are given."""
    look, span = ROLES[role], None
    if low is not None and high is not None:
        middle = np.asarray(y, dtype=float)
        span = {
            "array": np.asarray(high, dtype=float) - middle,
            "arrayminus": middle - np.asarray(low, dtype=float),
            "thickness": 1.5,
            "width": 4,
        }
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers",
        name=label,
        error_y=span,
        cliponaxis=False,
        marker={
            "color": look.light,
            "size": 8,
            "symbol": look.symbol,
            "line": {"width": 1.5, "color": look.light},
        },
        hovertemplate=_hover(figure, label),
    )
    _reach(figure, x)
    _key(figure, label)


def ticks(figure: go.Figure, x: Values, level: float, role: Role = "reference") -> None:
    """Draw one short upright tick a value, side by side at one level: where many values lie."""
    figure.add_scatter(
        x=x,
        y=[level] * len(x),
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 14, "opacity": 0.6, "color": ROLES[role].light}
        | {"line": {"width": 1.5, "color": ROLES[role].light}},
        hovertemplate="%{x:,.3~r}<extra></extra>",
    )


def bars(
    figure: go.Figure,
    x: Values,
    y: Values,
    role: Role = "champion",
    label: str = "",
    *,
    level: bool = False,
    width: Values | float | None = None,
) -> None:
    """Draw bars over `x`; with `level` they lie, and `x` are their names from top to bottom.

    For a histogram, `x` are the middles of the bins and `width` is theirs.
    """
    look = ROLES[role]
    figure.add_bar(
        x=y if level else x,
        y=x if level else y,
        orientation="h" if level else "v",
        name=label,
        width=width,
        marker={"color": look.light, "pattern": {"shape": look.pattern, "size": 5}, "line": {"width": 0}},
        hovertemplate=_hover(figure, label, level),
    )
    if level:
        figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_layout(bargap=0.02 if width is not None else 0.3)
    _key(figure, label)


def baseline(figure: go.Figure, y: float, label: str) -> None:
    """Draw a level line right across: what is reached without a model, or a threshold."""
    look = ROLES["reference"]
    figure.add_hline(
        y=y,
        line={"color": look.light, "width": look.width, "dash": "longdash"},
        annotation={"text": label, "font": {"color": look.light, "size": 12}, "name": "baseline"},
        annotation_position="top left",
    )


def event(figure: go.Figure, x: float, word: str) -> None:
    """Mark something that happened at `x`: a dotted upright line with a word."""
    figure.add_vline(
        x=x,
        line={"color": ATTENTION.light, "width": 1.5, "dash": "dot"},
        annotation={"text": word, "font": {"color": ATTENTION.light, "size": 12}, "name": "event"},
        annotation_position="top right",
    )


def zone(figure: go.Figure, start: float, end: float, word: str) -> None:
    """Shade from `start` to `end`, as where labels have not arrived yet."""
    figure.add_vrect(
        x0=start,
        x1=end,
        fillcolor=_faint(ROLES["reference"].light),
        line_width=0,
        layer="below",
        annotation={"text": word, "font": {"color": MUTED.light, "size": 12}, "name": "zone"},
        annotation_position="top left",
    )
    _reach(figure, [end])


def noise(figure: go.Figure, low: float, high: float, word: str) -> None:
    """Shade right across from `low` to `high`: what luck alone could make."""
    figure.add_hrect(
        y0=low,
        y1=high,
        fillcolor=_faint(ROLES["reference"].light),
        line_width=0,
        layer="below",
        annotation={"text": word, "font": {"color": MUTED.light, "size": 12}, "name": "noise"},
        annotation_position="bottom right",
    )


def describe_as(figure: go.Figure, words: str) -> None:
    """Say in a sentence or two what the figure shows, for those who can't see it."""
    figure.update_layout(meta={**(figure.layout.meta or {}), "alt": words})


def describe(figure: go.Figure) -> str:
    """What the figure shows, in words: as `describe_as` was told, else its title and its series."""
    meta = figure.layout.meta if isinstance(figure.layout.meta, dict) else {}
    title = str(meta.get("title") or figure.layout.title.text or "Figure")
    title += "" if title.endswith((".", "?")) else "."
    if meta.get("alt"):
        return f"{title} {meta['alt']}"
    sentences = [title]
    for trace in figure.data:
        if getattr(trace, "meta", None) == "band":
            continue
        level = getattr(trace, "orientation", None) == "h"
        values = _numbers(trace.x if level else trace.y) if "y" in trace else np.empty(0)
        if len(values):
            name = trace.name or meta.get("y") or "values"
            sentences.append(
                f"{str(name)[:1].upper()}{str(name)[1:]}: {len(values):,} values, "
                f"from {values[0]:.3g} to {values[-1]:.3g}, lowest {values.min():.3g}, "
                f"highest {values.max():.3g}."
            )
    return " ".join(sentences)


def dress(figure: go.Figure, dark: bool) -> go.Figure:
    """A copy of the figure in the colours of the dark theme, or of the light one.

    Figures are made, and stored in notebooks, in the light theme's colours.
    """
    content = figure.to_plotly_json() if isinstance(figure, go.Figure) else dict(figure)
    content = copy.deepcopy(content)
    return go.Figure(_recolour(content, _SWAPS) if dark else content)


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{BAND_OPACITY})"


_LOOKS = (*ROLES.values(), TEXT, MUTED, GRID, PANEL, ATTENTION)
_SWAPS = {look.light.lower(): look.dark for look in _LOOKS}
_SWAPS |= {_faint(look.light): _faint(look.dark) for look in _LOOKS}


def _recolour(value: Any, swaps: dict[str, str]) -> Any:
    if isinstance(value, str):
        return swaps.get(value.lower(), value)
    if isinstance(value, dict):
        return {name: _recolour(each, swaps) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_recolour(each, swaps) for each in value]
    return value


def _label_at(figure: go.Figure, x: Any, y: Any, label: str, colour: str) -> None:
    """Put `label` to the right of a point, clear of the labels that are there already."""
    place = {"x": x, "y": y, "xanchor": "left", "xshift": 6, "showarrow": False}
    figure.add_annotation(name="label", text=label, font={"color": colour, "size": 12}, **place)
    room = min(LABEL_MOST, LABEL_LETTER * len(label) + 12)
    figure.update_layout(margin_r=max(figure.layout.margin.r or 0, room))
    everything = np.concatenate([_numbers(trace.y) for trace in figure.data])
    close = LABEL_APART * (np.ptp(everything) if len(everything) else 0)
    labels = [note for note in figure.layout.annotations if note.name == "label" and note.x == x]
    labels.sort(key=lambda note: float(note.y))
    for lower, upper in pairwise(labels):
        if float(upper.y) - float(lower.y) < close:
            lower.yshift, upper.yshift = -8, 8


def _reach(figure: go.Figure, x: Values) -> None:
    """End the axis where the data end: Plotly would make it longer for the labels, which have a margin."""
    numbers = _numbers(x)
    if len(numbers):
        last = figure.layout.xaxis.autorangeoptions.maxallowed
        end = numbers.max() if last is None else max(last, numbers.max())
        figure.update_xaxes(autorangeoptions_maxallowed=float(end))


def _key(figure: go.Figure, label: str) -> None:
    """A legend once two series are told apart by it: points and bars have no end to put a label at."""
    if sum(1 for trace in figure.data if trace.name) > 1 and label:
        figure.update_layout(showlegend=True)


def _hover(figure: go.Figure, label: str, level: bool = False) -> str:
    """The value under the pointer as a sentence."""
    meta = figure.layout.meta or {}
    value, place = ("%{x:,.4~r}", "%{y}") if level else ("%{y:,.4~r}", "%{x}")
    where = meta.get("x" if not level else "y") or ""
    what = label or meta.get("y" if not level else "x") or "Value"
    at = f" at {where[:1].lower()}{where[1:]} {place}" if where else f" at {place}"
    return f"{what}: {value}{at}<extra></extra>"


def _numbers(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The finite numbers among a trace's values, also as Plotly packs them into JSON."""
    if isinstance(values, dict):
        values = np.frombuffer(b64decode(values["bdata"]), dtype=np.dtype(values["dtype"]))
    try:
        numbers = np.asarray(values if values is not None else [], dtype=float).ravel()
    except (TypeError, ValueError):
        return np.empty(0)
    finite: np.ndarray[Any, np.dtype[np.float64]] = numbers[np.isfinite(numbers)]
    return finite

"""A still picture of a figure, for where no plotly.js is: MLflow shows an SVG, but not a Plotly figure.

Comes in: a figure made with the words of `figures`: lines, bands, points, bars, level and upright marks.
Goes out: SVG of some kilobytes. Plotly's own export would start a browser, and its HTML takes 4 MB.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

WIDTH = 640
LEFT, TOP, BOTTOM = 52, 58, 44
NAMES_LEFT = 150
MOST_POINTS = 600
MOST_TICKS = 6
DRAWN = ("scatter", "bar")
DASHES = {"dash": "7 4", "dot": "2 3", "longdash": "11 5"}


@dataclass(frozen=True)
class Scale:
    """Where a value of one axis lies, in pixels.

    Attributes
    ----------
    low, high : float
        Ends of the axis, in its values (their logarithm when `log`).
    start, end : float
        The pixels of these ends.
    names : tuple of str
        For an axis of names: they lie at 0, 1, 2, …; empty for numbers.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    names: tuple[str, ...] = ()

    def at(self, value: Any) -> float:
        if self.names:
            value = self.names.index(str(value))
        elif self.log:
            value = math.log10(value) if value > 0 else self.low
        part = (float(value) - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Pixels and labels of round values, at most `MOST_TICKS` + 1 of them."""
        if self.names:
            return [(self.at(name), name) for name in self.names]
        if self.log:
            powers = range(math.ceil(self.low), math.floor(self.high) + 1)
            return [(self.at(10.0**power), f"{10.0**power:g}") for power in powers]
        rough = (self.high - self.low) / MOST_TICKS
        unit = 10 ** math.floor(math.log10(rough))
        step = next(unit * round_ for round_ in (1, 2, 5, 10) if unit * round_ >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        values = [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return [(self.at(value), f"{value:.10g}") for value in values]


def can_draw(figure: go.Figure) -> bool:
    """Whether everything in the figure is of a kind that `draw` knows."""
    return all(trace.type in DRAWN for trace in figure.data)


def draw(figure: go.Figure) -> str:
    """The figure as SVG, in the light theme."""
    layout = figure.layout
    height = int(layout.height or 300)
    level = any(trace.type == "bar" and trace.orientation == "h" for trace in figure.data)
    right = WIDTH - max(16, min(160, int(layout.margin.r or 0)))
    x = _scale(figure, "x", NAMES_LEFT if level else LEFT, right, from_zero=level)
    bars = any(trace.type == "bar" for trace in figure.data)
    ends = (TOP, height - BOTTOM) if level else (height - BOTTOM, TOP)
    y = _scale(figure, "y", *ends, from_zero=bars and not level)
    parts = [
        *_shapes(figure, x, y, below=True),
        *_axes(figure, x, y, height, level),
        *_traces(figure, x, y),
        *_shapes(figure, x, y, below=False),
        *_words(figure, x, y),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>'
    )


def _scale(figure: go.Figure, name: str, start: float, end: float, from_zero: bool) -> Scale:
    """The axis that all traces, error bars and marks fit on."""
    axis = figure.layout[f"{name}axis"]
    values = [value for trace in figure.data for value in _values(trace, name)]
    if any(isinstance(value, str) or not _is_number(value) for value in values):
        names = tuple(dict.fromkeys(str(value) for value in values))
        return Scale(-0.6, len(names) - 0.4, start, end, names=names)
    numbers = [float(value) for value in values if _is_number(value) and math.isfinite(float(value))]
    for shape in figure.layout.shapes:
        if shape[f"{name}ref"] == name:
            numbers += [float(shape[f"{name}0"]), float(shape[f"{name}1"])]
    if axis.type == "log":
        logs = [math.log10(number) for number in numbers if number > 0] or [0.0, 1.0]
        low, high = axis.range or (min(logs), max(logs))
        return Scale(low, high if high > low else low + 1, start, end, log=True)
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low or abs(high) or 1.0) * 0.04
    fixed = axis.range if axis.range and None not in axis.range else None
    low, high = fixed or (low - room if low or not from_zero else low, high + room)
    return Scale(float(low), float(high), start, end)


def _values(trace: Any, name: str) -> Iterable[Any]:
    """What a trace needs room for on one axis."""
    values = trace[name] if trace[name] is not None else ()
    errors = trace.error_y if name == "y" and trace.type == "scatter" else None
    if errors is not None and errors.array is not None:
        high = np.asarray(values, float) + np.asarray(errors.array, float)
        low = np.asarray(values, float) - np.asarray(errors.arrayminus, float)
        return [*values, *high, *low]
    width = trace.width if trace.type == "bar" and trace.orientation != "h" and name == "x" else None
    if width is not None:
        half = np.broadcast_to(np.asarray(width, float) / 2, len(values))
        return [*(np.asarray(values, float) - half), *(np.asarray(values, float) + half)]
    return list(values)


def _axes(figure: go.Figure, x: Scale, y: Scale, height: int, level: bool) -> Iterable[str]:
    for pixel, label in x.ticks():
        yield _text(pixel, height - BOTTOM + 16, label, anchor="middle", fill="#55616D")
    for pixel, label in y.ticks():
        if not level:
            yield _line(x.start, pixel, x.end, pixel, "#E4E1D9")
        yield _text(x.start - 6, pixel + 4, label if len(label) < 22 else label[:21] + "…", anchor="end")
    words = figure.layout.meta or {}
    title = figure.layout.title.text or words.get("title") or ""
    yield _text(10, 20, title, weight="600", size=13)
    yield _text(x.start, TOP - 10, words.get("y") or "", fill="#55616D")
    yield _text(x.end, height - 10, figure.layout.xaxis.title.text or "", anchor="end", fill="#55616D")


def _traces(figure: go.Figure, x: Scale, y: Scale) -> Iterable[str]:
    before: list[tuple[float, float]] = []
    bars = [trace for trace in figure.data if trace.type == "bar"]
    for trace in figure.data:
        if trace.type == "bar":
            yield from _bars(trace, x, y, bars.index(trace), len(bars))
        elif trace.type == "scatter":
            points = _points(trace, x, y)
            if trace.fill == "tonexty" and before:
                outline = _join([*before, *points[::-1]])
                yield f'<polygon points="{outline}" fill="{_colour(trace.fillcolor)}"/>'
            elif "lines" in (trace.mode or "lines") and trace.line.width != 0:
                yield (
                    f'<polyline points="{_join(points)}" fill="none" stroke="{_colour(trace.line.color)}" '
                    f'stroke-width="{trace.line.width or 2}"{_dash(trace.line.dash)}/>'
                )
            if "markers" in (trace.mode or ""):
                yield from _markers(trace, points, x, y)
            before = points


def _points(trace: Any, x: Scale, y: Scale) -> list[tuple[float, float]]:
    pairs = [
        pair
        for pair in zip(trace.x, trace.y, strict=True)
        if all(not _is_number(value) or math.isfinite(float(value)) for value in pair)
    ]
    if len(pairs) > MOST_POINTS:
        kept = np.linspace(0, len(pairs) - 1, MOST_POINTS).astype(int)
        pairs = [pairs[place] for place in kept]
    return [(x.at(one), y.at(two)) for one, two in pairs]


def _markers(trace: Any, points: Sequence[tuple[float, float]], x: Scale, y: Scale) -> Iterable[str]:
    colour = _colour(trace.marker.color)
    if trace.error_y.array is not None:
        spans = zip(trace.x, trace.y, trace.error_y.array, trace.error_y.arrayminus, strict=True)
        for place, middle, up, down in spans:
            yield _line(x.at(place), y.at(middle + up), x.at(place), y.at(middle - down), colour)
    for one, two in points:
        yield f'<circle cx="{one}" cy="{two}" r="4" fill="{colour}"/>'


def _bars(trace: Any, x: Scale, y: Scale, number: int, count: int) -> Iterable[str]:
    """Bars of one trace, the `number`th of `count` that share the room of a name."""
    level = trace.orientation == "h"
    along, across = (x, y) if level else (y, x)
    places, lengths = (trace.y, trace.x) if level else (trace.x, trace.y)
    room = abs(across.end - across.start) / (across.high - across.low)
    widths = np.broadcast_to(0.7 if trace.width is None else np.asarray(trace.width, float), len(places))
    zero, colour = along.at(0.0), _colour(trace.marker.color)
    for place, length, width in zip(places, lengths, widths, strict=True):
        thick = width * room / count
        first = across.at(place) - width * room / 2 + number * thick
        tip = along.at(length)
        low, size = min(zero, tip), abs(tip - zero)
        box = (low, first, size, thick) if level else (first, low, thick, size)
        left, top, wide, tall = (round(value, 1) for value in box)
        yield f'<rect x="{left}" y="{top}" width="{wide}" height="{tall}" fill="{colour}"/>'


def _shapes(figure: go.Figure, x: Scale, y: Scale, below: bool) -> Iterable[str]:
    """Level lines, upright lines and shaded zones, which span the whole other axis."""
    for shape in figure.layout.shapes:
        if (shape.layer == "below") != below:
            continue
        left, right = (x.at(shape.x0), x.at(shape.x1)) if shape.xref == "x" else (x.start, x.end)
        ends = (y.at(shape.y0), y.at(shape.y1)) if shape.yref == "y" else (y.start, y.end)
        if shape.type == "rect":
            yield (
                f'<rect x="{left}" y="{min(ends)}" width="{round(right - left, 1)}" '
                f'height="{abs(ends[1] - ends[0])}" fill="{_colour(shape.fillcolor)}"/>'
            )
        elif shape.type == "line":
            yield _line(left, ends[0], right, ends[1], _colour(shape.line.color), _dash(shape.line.dash))


def _words(figure: go.Figure, x: Scale, y: Scale) -> Iterable[str]:
    """Labels of lines and marks, and the key of points and bars."""
    for note in figure.layout.annotations:
        if note.name == "y" or not note.text:
            continue
        across = x.at(note.x) if note.xref in (None, "x") else x.start + float(note.x) * (x.end - x.start)
        upright = y.at(note.y) if note.yref in (None, "y") else y.start + float(note.y) * (y.end - y.start)
        anchor = {"left": "start", "right": "end"}.get(note.xanchor, "middle")
        shift = 6 if anchor == "start" else -4
        yield _text(
            across + shift,
            upright + (4 if note.name == "label" else 14),
            note.text,
            anchor=anchor,
            fill=_colour(note.font.color),
        )
    if figure.layout.showlegend:
        place = float(WIDTH - 10)
        for trace in reversed([trace for trace in figure.data if trace.name]):
            yield _text(place, TOP - 10, trace.name, anchor="end", fill=_colour(trace.marker.color))
            place -= 7 * len(trace.name) + 14


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", fill: str = "#1B2530", weight: str = "400",
    size: int = 12,
) -> str:  # fmt: skip
    if not words:
        return ""
    return (
        f'<text x="{round(x, 1)}" y="{round(y, 1)}" text-anchor="{anchor}" fill="{fill}" '
        f'font-size="{size}" font-weight="{weight}">{escape(str(words))}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dash: str = "") -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" stroke-width="1.5"{dash}/>'


def _dash(name: str | None) -> str:
    return f' stroke-dasharray="{DASHES[name]}"' if name in DASHES else ""


def _colour(colour: Any) -> str:
    return escape(colour) if isinstance(colour, str) else "#63686E"


def _join(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{one},{two}" for one, two in points)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)

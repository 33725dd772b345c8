"""Figures of experiments: which change beats the noise, and what the good ones have in common.

Comes in: what was tried, with its params and its average precision. Goes out: a figure with its meaning in
words. Average precision compares only within one test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines import figures
from pipelines.figures import Figure
from pipelines.tasks.metrics import Floats

# Params that are shown by their order of magnitude, as they are searched.
BY_MAGNITUDE = ("learning_rate", "regularisation")
# More upright axes than this can't be told apart on a small screen.
MOST_AXES = 6


def trials(
    tried: Sequence[Mapping[str, Any]], low: float | None, high: float | None, height: int = 300
) -> Figure:
    """The score of each trial of a search in turn, the best so far, and the band that luck could make.

    Parameters
    ----------
    tried : sequence of mapping
        number, average_precision; the first is the default.
    low, high : float or None
        The 95% interval of the default.
    """
    number = [each["number"] for each in tried]
    score = np.array([each["average_precision"] for each in tried], dtype=np.float64)
    best = int(score.argmax()) if len(score) else 0
    beaten = high is not None and len(score) > 0 and score[best] > high
    title = "The best trial beats the noise" if beaten else "No trial beats the noise so far"
    figure = figures.new_figure(
        title, x="Trial", y="Average precision on the days before the test", height=height
    )
    if not len(score):
        figures.describe_as(figure, "No trial has ended yet.")
        return figure
    if low is not None and high is not None:
        figures.noise(figure, low, high, "what luck makes of the default")
    so_far = np.maximum.accumulate(score)
    figure.add_scatter(
        x=number,
        y=so_far,
        mode="lines",
        line={"shape": "hv", "color": figures.ROLES["reference"].light, "width": 1.5},
        hoverinfo="skip",
    )
    figures.points(figure, number[1:], score[1:], "challenger")
    figures.points(figure, number[:1], score[:1], "reference", "", _ends(low), _ends(high))
    figures.points(figure, [number[best]], [score[best]], "champion")
    for place, word in {number[best]: "best", number[0]: "default"}.items():
        figure.add_annotation(
            x=place, y=score[place], text=word, showarrow=False, xanchor="left", xshift=8, yshift=10
        )
    figure.update_xaxes(range=[-0.7, max(number[-1], 9) + 0.7], tickformat="d")
    figures.describe_as(
        figure,
        f"{len(score)} trials. The default reaches {score[0]:.3f}, the best, trial {number[best]}, "
        f"{score[best]:.3f}"
        + (f"; luck alone makes {low:.3f} to {high:.3f} of the default." if low is not None else "."),
    )
    return figure


def noise_band(
    names: Sequence[str], score: Floats, low: Floats, high: Floats, reference: int, chosen: int | None = None
) -> Figure:
    """Models in the order of their making, and the interval of one of them as a band across.

    Parameters
    ----------
    names : sequence of str
        One for each model, such as "version 3" or the time it was made.
    score, low, high : ndarray of shape (n_models,)
        Average precision and its 95% interval.
    reference, chosen : int
        Places of the model whose band is drawn, and of the one that is looked at.
    """
    place = np.arange(len(score))
    above = int((score > high[reference]).sum())
    beat = "beats" if above == 1 else "beat"
    figure = figures.new_figure(
        f"{above or 'None'} of {len(score) - 1} {beat} the noise of {names[reference]}",
        x="Models, oldest first",
        y="Average precision, with 95% interval",
    )
    figures.noise(figure, low[reference], high[reference], "")
    others = place != reference
    figures.points(figure, place[others], score[others], "challenger", "", low[others], high[others])
    only = [reference]
    figures.points(figure, only, score[only], "champion", "", low[only], high[only])
    if chosen is not None:
        # A ring around it: the point keeps its own colour and shape.
        ring = {"symbol": "circle-open", "size": 18, "color": figures.TEXT.light, "line": {"width": 1.5}}
        figure.add_scatter(x=[chosen], y=[score[chosen]], mode="markers", marker=ring, hoverinfo="skip")
    figure.update_xaxes(tickvals=place, ticktext=list(names), range=[-0.6, len(score) - 0.4])
    if len(score) > 8:
        figure.update_xaxes(showticklabels=False)
    best = int(score.argmax())
    figures.describe_as(
        figure,
        f"{len(score)} models. The highest is {names[best]} with {score[best]:.3f} ({low[best]:.3f} to "
        f"{high[best]:.3f}); the band of {names[reference]} reaches from {low[reference]:.3f} to "
        f"{high[reference]:.3f}. Those inside it may be no better.",
    )
    return figure


def parallel(tried: Sequence[Mapping[str, str]], score: Floats, title: str) -> Figure:
    """One line a model through its params to its average precision, from orange (low) to blue (high).

    Params that are the same for all, or that not all of them use, have no axis.

    Parameters
    ----------
    tried : sequence of mapping
        Params by name, as text.
    score : ndarray of shape (n_models,)
    """
    names = [name for name in _used(tried) if len({each[name] for each in tried}) > 1][: MOST_AXES - 1]
    axes = [_axis(name, [each[name] for each in tried]) for name in names]
    low, high = float(score.min()), float(score.max())
    if high - low < 1e-9:
        high = low + 0.01
    ticks = np.linspace(low, high, 4)
    axes.append(
        {
            "label": "average precision",
            "values": score,
            "range": [low, high],
            "tickvals": ticks,
            "ticktext": [f"{each:.3f}" for each in ticks],
        }
    )
    figure = figures.new_figure(title, height=320)
    small = {"color": figures.MUTED.light, "size": 12}
    figure.add_parcoords(
        dimensions=axes,
        line={
            "color": score,
            "cmin": low,
            "cmax": high,
            "colorscale": [
                [0, figures.ROLES["challenger"].light],
                [0.5, figures.ROLES["reference"].light],
                [1, figures.ROLES["champion"].light],
            ],
        },
        labelfont={"color": figures.TEXT.light, "size": 12},
        tickfont=small,
        rangefont={"color": figures.CLEAR, "size": 1},
        unselected={"line": {"color": figures.GRID.light, "opacity": 0.4}},
    )
    # Plotly draws the axes black, which a dark page hides.
    grey = {"color": figures.ROLES["reference"].light, "width": 1}
    for place in np.linspace(0, 1, len(axes)) if len(axes) > 1 else ():
        figure.add_shape(
            type="line", xref="paper", yref="paper", x0=place, x1=place, y0=0, y1=1, line=grey, layer="below"
        )
    figure.update_layout(margin={"l": 72, "r": 56, "t": 56, "b": 16})
    best = tried[int(score.argmax())]
    said = ", ".join(f"{name.replace('_', ' ')} {best[name]}" for name in names) or "the same params as all"
    figures.describe_as(
        figure,
        f"{len(score)} models, one line each. The best, {score.max():.3f}, has {said}; the lowest reaches "
        f"{low:.3f}.",
    )
    return figure


def _used(tried: Sequence[Mapping[str, str]]) -> list[str]:
    """Params that every one of these models really uses, in the order of step train."""
    of_kind = {
        "logistic": ("regularisation",),
        "forest": ("trees", "max_depth"),
        "boosting": ("trees", "max_depth", "learning_rate"),
    }
    kinds = {each["model"] for each in tried}
    common = set.intersection(*(set(of_kind.get(kind, ())) for kind in kinds)) if kinds else set()
    shared = ["model", "balance", "train_days"]
    names = shared + [
        name for name in ("trees", "max_depth", "learning_rate", "regularisation") if name in common
    ]
    return [name for name in names if all(name in each for each in tried)]


def _axis(name: str, texts: list[str]) -> dict[str, Any]:
    """One upright axis, with at most five ticks that are values there are."""
    label = {"learning_rate": "rate", "max_depth": "depth", "train_days": "days"}.get(
        name, name.replace("_", " ")
    )
    try:
        value = np.array([float(text) for text in texts])
    except ValueError:
        kinds = sorted(set(texts))
        return {
            "label": label,
            "values": [kinds.index(text) for text in texts],
            "range": [-0.2, len(kinds) - 0.8],
            "tickvals": list(range(len(kinds))),
            "ticktext": kinds,
        }
    shown = np.unique(value)
    shown = shown[np.unique(np.linspace(0, len(shown) - 1, min(5, len(shown))).astype(int))]
    scale = np.log10 if name in BY_MAGNITUDE else np.asarray
    # Each line stays where it is, but ticks that would touch are left out.
    at = scale(shown)
    apart = np.ptp(scale(value)) / 8
    kept = [0]
    for place in range(1, len(at)):
        if at[place] - at[kept[-1]] >= apart:
            kept.append(place)
    return {
        "label": label,
        "values": scale(value),
        "tickvals": at[kept],
        "ticktext": [f"{each:g}" for each in shown[kept]],
    }


def _ends(end: float | None) -> list[float] | None:
    return None if end is None else [end]

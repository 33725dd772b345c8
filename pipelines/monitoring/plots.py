"""Figures of monitoring: one function each, from plain values to a figure with its meaning in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipelines import figures
from pipelines.errors import BadInput
from pipelines.figures import Figure
from pipelines.monitoring.samples import FEW
from pipelines.scenarios.scenario import Scenario

# More dots than this can't be read at a glance, and the last ones are close to zero.
MOST_DOTS = 16
MOST_CATEGORIES = 12
# Scores below this part of their limit are drawn here: how far below does not matter.
LEAST_SHOWN = 0.02
TICKS = (0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
BINS = 40
# Beyond this part of the values at either end a distribution is not drawn: one outlier would flatten it.
CUT = 0.005


_BACKLOG: dict[str, tuple[figures.Role, str]] = {
    "labelled": ("labels", "have a label"),
    "waiting": ("reference", "wait for it"),
    "overdue": ("challenger", "are overdue"),
    "never": ("shadow", "never get one"),
}
# Some labels are a little late; more than one in fifty is worth a word.
OVERDUE_SHARE = 0.02
# An estimate that is this near on average is about right; and of fewer weeks nothing is said.
CLOSE, LEAST_PAIRS = 0.05, 3


def drift_dots(columns: Sequence[Mapping[str, Any]], title: str = "") -> Figure:
    """How far each column is from where an alarm begins: one dot each, the worst on top.

    Parameters
    ----------
    columns : sequence of mapping
        name, method, score, drifted, and threshold or alarm_from.
    """
    scored = [each for each in columns if each["score"] is not None]
    parts = [(each["name"], _part(each), each) for each in scored]
    shown = sorted(parts, key=lambda part: -part[1])[:MOST_DOTS]
    alarmed = [part for part in shown if _alarmed(part[2])]
    figure = figures.new_figure(
        title or _dots_title(len([each for each in scored if _alarmed(each)]), len(scored)),
        x="Multiples of its limit" + (f", the {len(shown)} highest" if len(shown) < len(scored) else ""),
        height=max(230, min(360, 90 + 20 * len(shown))),
    )
    series: tuple[tuple[figures.Role, str, Any], ...] = (
        ("champion", "as before", [part for part in shown if part not in alarmed]),
        ("challenger", "drifted", alarmed),
    )
    for role, label, some in series:
        figures.points(
            figure, [max(part, LEAST_SHOWN) for _, part, _ in some], [n for n, _, _ in some], role, label
        )
        figure.data[-1].customdata = [
            f"{each['name']}: {each['method']} {each['score']:.3g}, drift from {_limit(each):.3g}"
            for _, _, each in some
        ]
        figure.data[-1].hovertemplate = "%{customdata}<extra></extra>"
    figures.event(figure, 1, "drift from here")
    # On an axis of powers of ten Plotly places lines by their value, but words by the power.
    figure.layout.annotations[-1].x = 0
    highest = max((part for _, part, _ in shown), default=1.0)
    span = [np.log10(LEAST_SHOWN) - 0.1, max(0.5, np.log10(max(highest, LEAST_SHOWN)) + 0.2)]
    figure.update_xaxes(type="log", range=span, tickvals=TICKS, ticktext=[f"{tick:g}" for tick in TICKS])
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=[name for name, _, _ in reversed(shown)],
        type="category",
        range=[-0.7, len(shown) + 0.3],  # Above the highest dot there is room for the word.
    )
    worst = ", ".join(f"{name} ({part:.1f} times its limit)" for name, part, _ in shown[:3])
    figures.describe_as(figure, f"Of {len(scored)} columns {len(alarmed)} have drifted. Highest: {worst}.")
    return figure


def distributions(reference: pd.Series[Any], current: pd.Series[Any], title: str, unit: str = "") -> Figure:
    """The values of one column before and now, as shares of each side.

    Raises
    ------
    BadInput
        One side has no values.
    """
    before, now = reference.dropna(), current.dropna()
    if not len(before) or not len(now):
        raise BadInput("One of the two sides has no values here.", "Choose another column.")
    figure = figures.new_figure(title, x=unit, y="Share of its values", height=280)
    # At the right: at the left stands the unit.
    figure.update_layout(legend={"x": 1, "xanchor": "right"})
    numeric = all(
        pd.api.types.is_numeric_dtype(side) and not pd.api.types.is_bool_dtype(side) for side in (before, now)
    )
    if numeric and pd.concat([before, now]).nunique() > FEW:
        _histograms(figure, before.to_numpy(np.float64), now.to_numpy(np.float64))
    else:
        _shares(figure, before.astype(str), now.astype(str))
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    if numeric:
        words = f"The mean is {now.mean():.4g}, it was {before.mean():.4g}."
    else:
        first = before.astype(str).value_counts(normalize=True)
        then = now.astype(str).value_counts(normalize=True).reindex(first.index, fill_value=0)
        words = f"{first.index[0]}, the commonest before, had {first.iloc[0]:.0%} and has {then.iloc[0]:.0%}."
    figures.describe_as(figure, words)
    return figure


def performance(
    scenario: Scenario,
    reports: Sequence[Mapping[str, Any]],
    happened: Sequence[tuple[float, str]] = (),
    name: str = "alert_precision",
) -> Figure:
    """How right the alerts were, day by day as their labels came, beside the baseline and the promise.

    Parameters
    ----------
    reports : sequence of mapping
        The diary, by day; a report measures the days that end a label delay before its own.
    happened : sequence of (day, word)
        What is marked: releases, alerts.
    """
    measured = [each for each in reports if each["performance"]["metrics"][name] is not None]
    words = {"alert_precision": "Share of alerts that are right", "average_precision": "Average precision"}
    figure = figures.new_figure(_performance_title(scenario, measured, name), "Day", words[name], height=330)
    newest = max((each["day"] for each in reports), default=0)
    if measured:
        days = [each["performance"]["until_day"] for each in measured]
        found = [each["performance"]["metrics"][name] for each in measured]
        low, high = zip(*(each["performance"]["intervals"][name] for each in measured), strict=True)
        figures.zone(figure, days[-1], newest, "no labels yet")
        baseline = [each["performance"]["baseline"][name] for each in measured]
        figures.line(figure, days, baseline, "reference", "no model")
        filled = [
            (a if a is not None else v, b if b is not None else v)
            for a, b, v in zip(low, high, found, strict=True)
        ]
        figures.band(figure, days, [a for a, _ in filled], [b for _, b in filled], "champion")
        figures.line(figure, days, found, "champion", "your model")
        promised = measured[-1]["performance"]["promised"]["metrics"][name]
        if promised is not None:
            figures.baseline(figure, promised, "promised")
            # At the right, where labels are missing and no line is.
            figure.layout.annotations[-1].update(x=1, xanchor="right")
        _draw_estimate(figure, reports, name)
    else:
        # Nothing but the wait: the days whose labels are still to come.
        figures.zone(figure, newest - scenario.label_delay_days, newest, "no labels yet")
        figure.update_xaxes(range=[newest - scenario.label_delay_days, newest], autorangeoptions=None)
    for day, word in happened:
        figures.event(figure, day, word)
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02] if not measured else None, rangemode="tozero")
    _leave_room(figure)
    figures.describe_as(figure, reports[-1]["summary"] if reports else "Nothing was measured yet.")
    return figure


def backlog(scenario: Scenario, report: Mapping[str, Any]) -> Figure:
    """Which answers of the newest days have a label, wait for one, are overdue or never get one."""
    days = report["performance"]["backlog_days"]
    total = {name: sum(each[name] for each in days) for name in _BACKLOG}
    answers = max(1, sum(total.values()))
    title = f"{total['waiting']:,} {scenario.events} wait for their label"
    if total["overdue"] > OVERDUE_SHARE * answers:
        title = f"{total['overdue']:,} labels are overdue"
    elif total["never"]:
        title = f"{total['never']:,} {scenario.events} will never get a label, {total['waiting']:,} wait"
    # No unit above the axis: the key needs the place, and the title says what is counted.
    figure = figures.new_figure(title, "Day", height=270)
    for name, (role, words) in _BACKLOG.items():
        if total[name]:
            figures.bars(figure, [each["day"] for each in days], [each[name] for each in days], role, words)
    figure.update_layout(barmode="stack")
    told = ", ".join(f"{total[name]:,} {words}" for name, (_, words) in _BACKLOG.items())
    figures.describe_as(figure, f"Of {answers:,} {scenario.events}: {told}.")
    return figure


def estimates(reports: Sequence[Mapping[str, Any]]) -> Figure | None:
    """What was estimated of the alerts before any label came, beside what labels said of the same days."""
    guessed = {
        each["performance"]["estimate"]["until_day"]: each["performance"]["estimate"]["alert_precision"]
        for each in reports
        if each["performance"]["estimate"]["alert_precision"] is not None
    }
    known = {
        each["performance"]["until_day"]: each["performance"]
        for each in reports
        if each["performance"]["status"] == "measured" and each["performance"]["until_day"] in guessed
    }
    if len(known) < LEAST_PAIRS:
        return None
    days = sorted(known)
    right = [known[day]["metrics"]["alert_precision"] for day in days]
    apart = float(np.mean([guessed[day] - value for day, value in zip(days, right, strict=True)]))
    verdict = "too hopeful" if apart > CLOSE else "too doubtful" if apart < -CLOSE else "about right"
    title = f"Without labels the estimate was {verdict}: {100 * abs(apart):.0f} of 100 alerts apart"
    figure = figures.new_figure(title, "Last day of the week", "Share of alerts that are right", height=270)
    spans = [known[day]["intervals"]["alert_precision"] for day in days]
    filled = [
        (low if low is not None else value, high if high is not None else value)
        for (low, high), value in zip(spans, right, strict=True)
    ]
    figures.band(figure, days, [low for low, _ in filled], [high for _, high in filled], "champion")
    figures.line(figure, days, right, "champion", "by labels")
    all_days = sorted(guessed)
    figures.line(figure, all_days, [guessed[day] for day in all_days], "labels", "estimate")
    figures.zone(figure, days[-1], all_days[-1], "no labels yet")
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    words = (
        f"On {len(days)} weeks with labels the estimate is {100 * apart:+.0f} of 100 alerts off on average."
    )
    figures.describe_as(figure, words)
    return figure


def _draw_estimate(figure: Figure, reports: Sequence[Mapping[str, Any]], name: str) -> None:
    """What the scores alone say of the days whose labels are missing, as hollow points."""
    latest = reports[-1]["performance"]
    estimate = latest["estimate"]["alert_precision"]
    if name == "alert_precision" and estimate is not None and reports[-1]["answers"]:
        day = latest["estimate"]["until_day"]
        figures.points(figure, [day], [estimate], "labels")
        figure.add_annotation(
            x=day,
            y=estimate,
            text="estimate",
            showarrow=False,
            yanchor="top",
            xanchor="right",
            xshift=-4,
            yshift=-8,
            font={"color": figures.ROLES["labels"].light, "size": 12},
        )


def _leave_room(figure: Figure) -> None:
    """Above the highest value there is room for the words of events and zones."""
    values = [np.asarray(trace.y, dtype=float) for trace in figure.data]
    if values:
        figure.update_yaxes(range=[0, 1.14 * max(0.05, float(np.nanmax(np.concatenate(values))))])


def _performance_title(scenario: Scenario, measured: Sequence[Mapping[str, Any]], name: str) -> str:
    if not measured:
        return f"How right are the alerts? No {scenario.positive} has been confirmed yet"
    latest = measured[-1]["performance"]
    value, promised = latest["metrics"][name], latest["promised"]["metrics"][name]
    if promised is None:
        return "How right the alerts are, as far as labels have come"
    high, low = latest["intervals"][name][1], latest["promised"]["intervals"][name][0]
    if high is not None and low is not None and high < low:
        return "The alerts are less right than they were in the evaluation"
    if value is None:
        return "Not measured"
    if low is not None and value < low:
        return "The alerts are less right than in the evaluation, which may still be chance"
    return "The alerts are within what the evaluation promised"


def _part(column: Mapping[str, Any]) -> float:
    """Score over limit; for a probability, where small means drift, the limit over the score."""
    limit, score = _limit(column), float(column["score"])
    if column["method"] in ("ks", "chisquare", "z"):
        return limit / max(score, limit / 10)
    return score / limit if limit else 0.0


def _limit(column: Mapping[str, Any]) -> float:
    return float(column.get("alarm_from") or column["threshold"])


def _alarmed(column: Mapping[str, Any]) -> bool:
    return bool(column["alarm"] if "alarm" in column else column["drifted"])


def _dots_title(drifted: int, count: int) -> str:
    if not drifted:
        return f"None of {count} columns has drifted"
    return f"{drifted} of {count} columns {'has' if drifted == 1 else 'have'} drifted"


def _histograms(figure: Figure, before: Any, now: Any) -> None:
    both = np.concatenate([before, now])
    low, high = np.quantile(both, [CUT, 1 - CUT])
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    for values, role, label in ((before, "reference", "before"), (now, "champion", "now")):
        shares = np.histogram(values, edges)[0] / len(values)
        figure.add_scatter(
            x=middles,
            y=shares,
            mode="lines",
            name=label,
            line={
                "color": figures.ROLES[role].light,  # type: ignore[index]
                "width": 2.5,
                "shape": "hvh",
                "dash": "solid" if role == "champion" else "dot",
            },
            hovertemplate=f"{label}: %{{y:.1%}} at %{{x:,.4~r}}<extra></extra>",
        )
    figure.update_layout(showlegend=True)


def _shares(figure: Figure, before: pd.Series[str], now: pd.Series[str]) -> None:
    shares = pd.DataFrame(
        {"before": before.value_counts(normalize=True), "now": now.value_counts(normalize=True)}
    ).fillna(0)
    shown = shares.loc[shares.max(axis=1).sort_values(ascending=False).index].head(MOST_CATEGORIES)
    figures.bars(figure, list(shown.index), list(shown["before"]), "reference", "before")
    figures.bars(figure, list(shown.index), list(shown["now"]), "champion", "now")
    figure.update_xaxes(type="category")

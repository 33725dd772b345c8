"""Figures of data: what came on which day, what was wrong with it, and how two versions differ.

Comes in: the reports of validation and cleaning as JSON, or two histograms. Goes out: a figure each, with
its finding as title and its meaning in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines import figures
from pipelines.figures import Figure
from pipelines.scenarios.scenario import Column, Scenario

# More bars than this can't be read at a glance.
MOST_BARS = 8
HEIGHT = 270
# Above the highest bar there is room for a word.
ROOM_ABOVE = 1.18


def volume(scenario: Scenario, daily: Mapping[str, Any]) -> Figure:
    """How many events each day has, and on which days labels are still to come.

    Parameters
    ----------
    daily : mapping
        `daily` of a validation's report.
    """
    if not daily:
        figure = figures.new_figure("The days can't be told apart", x="Day")
        figures.describe_as(figure, "Times or labels are missing, or hold no numbers.")
        return figure
    days, rows = np.array(daily["days"]), np.array(daily["rows"])
    labelled = np.array(daily["labelled"])
    waiting = days[labelled < rows]
    usual = float(np.median(rows))
    absent = list(range(int(days[-1]) + 1, int(daily["today"])))
    title = f"About {usual:,.0f} {scenario.events} a day"
    title += f", but none on day {absent[0]}" if absent else ""
    figure = figures.new_figure(title, x="Day", y=f"{scenario.events.capitalize()} a day")
    if len(waiting):
        end = float(daily["today"]) - 0.5
        figures.zone(figure, float(waiting[0]) - 0.5, end, "labels not here yet")
        # The zone is narrow, and the word would be cut off at the right.
        figure.update_annotations({"x": end, "xanchor": "right"}, selector={"name": "zone"})
    figures.bars(figure, days, rows, "champion", scenario.events, width=0.85)
    figure.update_yaxes(range=[0, ROOM_ABOVE * float(rows.max())])
    if absent:
        figures.event(figure, absent[0], "not sent")
    figures.describe_as(
        figure,
        f"Days {days[0]} to {days[-1]} have {rows.min():,} to {rows.max():,} {scenario.events}. "
        + (
            f"From day {waiting[0]} on, labels are still to come."
            if len(waiting)
            else "All labels are known."
        ),
    )
    return figure


def damage(report: Mapping[str, Any]) -> Figure:
    """Which checks of rows found how much, beside what is tolerated.

    Parameters
    ----------
    report : mapping
        From `validation.validate`.
    """
    found = [each for each in report["checks"] if each["unit"] == "rows" and each["count"]]
    found = sorted(found, key=lambda each: -each["share"])[:MOST_BARS]
    limit = report["limits"]["most_damaged"]
    beyond = [each for each in found if not each["passed"]]
    title = "No row is damaged" if not found else f"Each kind of damage is below {limit:.1%}"
    if beyond:
        title = f"{beyond[0]['share']:.1%} of the rows: {_fault(beyond[0])}"
    figure = figures.new_figure(title, x="Share of rows", height=HEIGHT)
    if not found:
        figures.describe_as(figure, "Every row is as it should be.")
        return figure
    figures.bars(figure, [_fault(each) for each in found], [each["share"] for each in found], level=True)
    figures.event(figure, limit, "tolerated")
    most = max(limit, found[0]["share"])
    figure.update_xaxes(tickformat=".1%" if most < 0.1 else ".0%", range=[0, most * 1.6])
    listed = "; ".join(f"{_fault(each)}: {each['share']:.2%}" for each in found)
    figures.describe_as(figure, f"{listed}. Up to {limit:.1%} is left to cleaning.")
    return figure


def medians(report: Mapping[str, Any], column: Column) -> Figure:
    """The median of a number on each day, and how far from the usual one it may lie.

    Drawn on a scale of factors: a third and three times lie equally far from the middle.

    Parameters
    ----------
    report : mapping
        From `validation.validate`.
    """
    daily, factor = report["daily"], report["limits"]["most_change"]
    known = [(day, each) for day, each in _medians(daily, column) if each is not None and each > 0]
    if not known:
        figure = figures.new_figure(f"'{column.name}' can't be compared by day", x="Day", height=HEIGHT)
        figures.describe_as(figure, "It was not delivered, holds no numbers, or is 0 on most days.")
        return figure
    days, values = np.array([day for day, _ in known]), np.array([each for _, each in known])
    usual = float(np.median(values))
    outside = (values > usual * factor) | (values * factor < usual)
    unit = f" {column.unit}" if column.unit else ""
    failed = _failed(report, "median", column.name)
    title = f"The median of '{column.name}' stays near {usual:,.4g}{unit}"
    if failed:
        times = float(np.median(values[outside])) / usual
        often = "On 1 day" if failed == 1 else f"On {failed} days"
        title = f"{often} '{column.name}' is {times:,.3g} times what is usual"
    axis = f"Median of {column.name}{f', {column.unit}' if unit else ''}"
    figure = figures.new_figure(title, x="Day", y=axis, height=HEIGHT)
    height = np.log10(values / usual)
    figures.baseline(figure, float(np.log10(factor)), f"{factor:g} times the usual")
    figures.baseline(figure, float(-np.log10(factor)), f"the usual divided by {factor:g}")
    figures.line(figure, days, height, "champion")
    if failed:
        figures.points(figure, days[outside], height[outside], "challenger")
    for trace, shown in zip(figure.data, (values, values[outside]), strict=False):
        trace.customdata = shown
        trace.hovertemplate = f"Median %{{customdata:,.4g}}{unit} on day %{{x}}<extra></extra>"
    levels = [1 / factor, 1.0, factor, *([float((values / usual).max())] if failed else [])]
    figure.update_yaxes(
        tickvals=np.log10(levels),
        ticktext=[_short(level * usual) for level in levels],
        range=[min(-0.6, float(height.min()) - 0.1), max(0.7, float(height.max()) + 0.25)],
    )
    figures.describe_as(
        figure,
        f"The medians lie between {_short(float(values.min()))} and {_short(float(values.max()))}{unit}; "
        f"up to {factor:g} times more or less than the usual {_short(usual)}{unit} is tolerated.",
    )
    return figure


def repairs(report: Mapping[str, Any]) -> Figure:
    """To how many rows each repair was done.

    Parameters
    ----------
    report : mapping
        From `cleaning.clean`.
    """
    done = sorted(report["repairs"], key=lambda each: -each["rows"])[:MOST_BARS]
    before, after = report["rows_before"], report["rows_after"]
    title = "Nothing had to be repaired"
    if done:
        title = f"{after:,} of {before:,} rows remain" if after < before else "Every row is kept"
    figure = figures.new_figure(title, x="Rows", height=HEIGHT)
    if not done:
        figures.describe_as(figure, "No row was changed or left out.")
        return figure
    names = [f"{each['column']}: {each['what']}" if each["column"] else each["what"] for each in done]
    figures.bars(figure, names, [each["rows"] for each in done], level=True)
    if done[0]["rows"] < 5:
        figure.update_xaxes(dtick=1)  # there is no half row
    figures.describe_as(
        figure,
        " ".join(
            f"{name}: {each['rows']:,} rows, {each['how']}." for name, each in zip(names, done, strict=True)
        ),
    )
    return figure


def means(report: Mapping[str, Any], column: Column) -> Figure:
    """The mean of a number on each day: as it was delivered, and as it is now.

    Parameters
    ----------
    report : mapping
        From `cleaning.clean`.
    """
    days = report["by_day"]["days"]
    sides = report["by_day"]["means"][column.name]
    figures_of = report["figures"][column.name]
    before, after = figures_of["before"]["mean"], figures_of["after"]["mean"]
    unit = f" {column.unit}" if column.unit else ""
    title = f"Without cleaning, the mean of '{column.name}' would be as it is"
    if None not in (before, after) and f"{before:.4g}" != f"{after:.4g}":
        means = f"{_short(before)}, not {_short(after)}{unit}"
        title = f"Without cleaning, the mean of '{column.name}' would be {means}"
    axis = f"Mean of {column.name}{f', {column.unit}' if unit else ''}"
    figure = figures.new_figure(title, x="Day", y=axis, height=HEIGHT)
    for side, role, label in (("before", "reference", "as delivered"), ("after", "champion", "cleaned")):
        known = [(day, mean) for day, mean in zip(days, sides[side], strict=True) if mean is not None]
        figures.line(figure, [day for day, _ in known], [mean for _, mean in known], role, label)  # type: ignore[arg-type]
    figures.describe_as(figure, _ranges(sides, unit))
    return figure


def spreads(
    column: Column,
    edges: Sequence[float],
    before: Sequence[float],
    after: Sequence[float],
    moved: float,
    names: tuple[str, str],
) -> Figure:
    """How a number is spread in two versions of the data.

    Parameters
    ----------
    edges, before, after, moved
        As `versioning.ColumnChange` has them.
    names : pair of str
        What the two are called.
    """
    unit = f" in {column.unit}" if column.unit else ""
    title = f"'{column.name}' is spread alike in both"
    if moved >= 0.005:
        title = f"{moved:.0%} of '{column.name}' has moved"
    if names[0] == names[1]:
        title = f"How '{column.name}' is spread in {names[0]}"
    figure = figures.new_figure(title, x=f"{column.name}{unit}", height=HEIGHT)
    middles = (np.array(edges[1:]) + np.array(edges[:-1])) / 2
    _pair(figure, (middles, middles), (before, after), names)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    figures.describe_as(
        figure,
        f"To make {names[0]} and {names[1]} alike, {moved:.1%} of the rows would have to be in another bin.",
    )
    return figure


def rows_by_day(
    scenario: Scenario,
    days: Sequence[int],
    by_day: tuple[Sequence[int], Sequence[int]],
    names: tuple[str, str],
) -> Figure:
    """On which days two versions hold how many events.

    Parameters
    ----------
    days, by_day
        As `versioning.Comparison` has them.
    names : pair of str
        What the two are called.
    """
    new = [day for day, before, after in zip(days, *by_day, strict=True) if after and not before]
    gone = [day for day, before, after in zip(days, *by_day, strict=True) if before and not after]
    title = f"{scenario.events.capitalize()} a day: both hold the same days"
    if new or gone:
        word, count = ("new", len(new)) if new else ("gone", len(gone))
        days_are = "days are" if count > 1 else "day is"
        title = f"{scenario.events.capitalize()} a day: {count} {days_are} {word} in {names[1]}"
    if names[0] == names[1]:
        title = f"{scenario.events.capitalize()} a day in {names[0]}"
    figure = figures.new_figure(title, x="Day", height=HEIGHT)
    held = [[day for day, rows in zip(days, side, strict=True) if rows] for side in by_day]
    counts = [[rows for rows in side if rows] for side in by_day]
    _pair(figure, (held[0], held[1]), (counts[0], counts[1]), names)
    figure.update_yaxes(rangemode="tozero")
    figures.describe_as(
        figure, f"{names[0]}: {sum(by_day[0]):,} {scenario.events}; {names[1]}: {sum(by_day[1]):,}."
    )
    return figure


def _pair(
    figure: Figure,
    x: tuple[Any, Any],
    y: tuple[Sequence[float], Sequence[float]],
    names: tuple[str, str],
) -> None:
    """Two lines that may lie on each other: the earlier, dashed, over the later; told apart by a legend."""
    figures.line(figure, x[1], list(y[1]), "champion")
    figure.data[-1].name = names[1]
    if names[0] != names[1]:
        figures.line(figure, x[0], list(y[0]), "challenger")
        figure.data[-1].name = names[0]
        figure.update_layout(showlegend=True, margin_t=40)


def _fault(check: Mapping[str, Any]) -> str:
    """What a check found, short enough for an axis."""
    return f"{check['column']} {check['fault']}"


def _medians(daily: Mapping[str, Any], column: Column) -> list[tuple[int, float | None]]:
    """Each day with its median; nothing where the column could not be read."""
    return list(zip(daily.get("days", []), daily.get("medians", {}).get(column.name, []), strict=False))


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _failed(report: Mapping[str, Any], name: str, column: str) -> int:
    """How much a check found, when it failed."""
    return sum(
        each["count"]
        for each in report["checks"]
        if (each["name"], each["column"]) == (name, column) and not each["passed"]
    )


def _ranges(sides: Mapping[str, Sequence[float | None]], unit: str) -> str:
    words = []
    for side, name in (("before", "as delivered"), ("after", "cleaned")):
        known = [mean for mean in sides[side] if mean is not None]
        if known:
            words.append(f"{name}, the daily means lie between {min(known):,.4g} and {max(known):,.4g}{unit}")
    text = "; ".join(words)
    return f"{text[:1].upper()}{text[1:]}."

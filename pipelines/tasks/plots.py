"""Figures of classification: one function each, from plain values to a figure with its meaning in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines import figures
from pipelines.figures import Figure, Role
from pipelines.scenarios.scenario import DAY_S, Scenario
from pipelines.tasks import metrics
from pipelines.tasks.metrics import Floats

# More bars than this can't be read at a glance, and the last ones are close to zero.
MOST_BARS = 8
# A threshold below this is drawn on an axis of magnitudes.
RARE = 0.2


def labels_by_day(scenario: Scenario, events: pd.DataFrame) -> Figure:
    """The share of positives on each day: among known labels, and when unknown counts as no.

    Parameters
    ----------
    events : DataFrame with columns event_time and label (Int8, missing where not known yet)
    """
    label, day = events["label"], events["event_time"] // DAY_S
    by_day = pd.DataFrame({"known": label.notna(), "naive": label.fillna(0) == 1}).groupby(day).mean()
    days = by_day.index.to_numpy()
    whole = by_day["known"].to_numpy() == 1
    honest, naive = (by_day["naive"].to_numpy()[rows] for rows in (whole, slice(None)))
    figure = figures.new_figure(
        f"Counted today, {scenario.events} stop being {scenario.positive}",
        x="Day",
        y=f"Share that is {scenario.positive}",
    )
    if whole.any() and not whole[-1]:
        figures.zone(figure, days[whole][-1] + 0.5, days[-1] + 0.5, "labels not here yet")
    figures.line(figure, days, naive, "reference", "unknown as no")
    figures.line(figure, days[whole], honest, "labels", "known")
    figure.update_yaxes(tickformat=".1%", rangemode="tozero")
    last = f"up to day {days[whole][-1]}" if whole.any() else "on no day"
    figures.describe_as(
        figure,
        f"All labels are known {last}. Counting the unknown ones as no, the share falls to "
        f"{naive[-1]:.1%} on day {days[-1]}.",
    )
    return figure


def peeking(scenario: Scenario, honest: pd.DataFrame, peeking: pd.DataFrame) -> Figure:
    """AUC of each feature that reads labels: delayed as they are, and as if they came at once.

    Parameters
    ----------
    honest, peeking : DataFrame
        Features of the same events, computed with real and with immediate labels.

    Returns
    -------
    Figure
        With a sentence in place of bars when no feature reads labels.
    """
    rows = honest["label"].notna().to_numpy()
    label = honest["label"][rows].to_numpy(np.int8)
    names = [feature.name for feature in scenario.features]
    changed = [name for name in names if not honest[name].equals(peeking[name])][:MOST_BARS]
    figure = figures.new_figure("What features would promise if labels came at once", x="ROC AUC by itself")
    if not changed:
        words = "No feature here reads labels, so nothing changes."
        figure.add_annotation(text=words, showarrow=False, xref="paper", yref="paper", x=0, y=0.5)
        figures.describe_as(figure, words)
        return figure
    delayed, at_once = ([auc_of(label, table[name][rows]) for name in changed] for table in (honest, peeking))
    figures.bars(figure, changed, delayed, "champion", "labels delayed", level=True)
    figures.bars(figure, changed, at_once, "challenger", "labels at once", level=True)
    figure.update_xaxes(range=[0.5, 1])
    gains = np.subtract(at_once, delayed)
    figures.describe_as(figure, f"With labels at once, {changed[gains.argmax()]} rises by {gains.max():.2f}.")
    return figure


def auc_of(labels: Any, scores: Any) -> float:
    """ROC AUC of one column taken as a score; a column that ranks the wrong way round counts as well."""
    area = float(metrics.roc_auc(metrics.rank(labels, scores))[0])
    return max(area, 1 - area)


def reliance(lost: pd.Series[float]) -> Figure:
    """What the model leans on: average precision lost when one column is shuffled, largest first."""
    shown = lost.head(MOST_BARS)
    figure = figures.new_figure("What the model leans on", x="Average precision lost when shuffled")
    figures.bars(figure, list(shown.index), list(shown), "champion", level=True)
    figures.describe_as(
        figure,
        f"Shuffling {shown.index[0]} costs most: {shown.iloc[0]:.3f} of average precision; "
        f"{int((lost < 0.001).sum())} of {len(lost)} columns cost next to nothing.",
    )
    return figure


def precision_recall(report: Mapping[str, Any]) -> Figure:
    """The precision-recall curve with its 95% band, beside the baseline's.

    Parameters
    ----------
    report : mapping
        From `evaluation.evaluate`.
    """
    figure = figures.new_figure(
        "How many alerts are right, as more are found", x="Recall: share found", y="Precision: share right"
    )
    curve = pd.DataFrame(report["curve"]).dropna()
    if curve.empty:
        figures.describe_as(figure, "The test could not be measured, so there is no curve.")
        return figure
    recall, precision, low, high = (curve[name].to_numpy() for name in ("recall", "precision", "low", "high"))
    figures.line(figure, recall, curve["baseline"].to_numpy(), "reference")
    figures.band(figure, recall, low, high, "champion")
    figures.line(figure, recall, precision, "champion", "model")
    half = curve.iloc[(curve["recall"] - 0.5).abs().argmin()]
    # Labelled in the middle: at their ends all curves meet.
    figure.add_annotation(
        x=half["recall"],
        y=half["baseline"],
        text=f"{report['baseline_feature']}, no model",
        showarrow=False,
        yanchor="bottom",
        font={"color": figures.ROLES["reference"].light, "size": 12},
    )
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    figures.describe_as(
        figure,
        f"When half of the positives are found, {half['precision']:.0%} of what is flagged is right "
        f"(95% interval {half['low']:.0%} to {half['high']:.0%}); with '{report['baseline_feature']}' alone, "
        f"{half['baseline']:.0%}, and by chance {report['baseline']['prevalence']:.1%}.",
    )
    return figure


def draw_report(report: Mapping[str, Any]) -> dict[str, Figure]:
    """The figures of an evaluation, by name: precision_recall, cost, reliability, parts."""
    return {
        "precision_recall": precision_recall(report),
        "cost": cost(report["money"]),
        "reliability": reliability(report["calibration"]),
        "parts": parts(report["slices"]),
    }


def cost(found: Mapping[str, Any] | None, threshold: float | None = None) -> Figure:
    """What is saved a day at each threshold, with the chosen and the cheapest one marked.

    Parameters
    ----------
    found : mapping or None
        The report's `money`.
    threshold : float, optional
        A point of the curve to mark besides.
    """
    if found is None:
        return _unmeasured("What each threshold would save")
    unit, here, best, days = (
        found["unit"],
        found["at_threshold"],
        found["best"],
        found["at_threshold"]["days"],
    )
    figure = figures.new_figure(
        "What each threshold would save", x="Score from which an alert is raised", y=f"{unit} saved a day"
    )
    points = sorted(found["curve"], key=lambda each: float(each["threshold"]))
    figures.baseline(figure, 0, "no alerts at all")
    x = [max(each["threshold"], 1e-4) for each in points]
    figures.line(figure, x, [each["saved"] / days for each in points], "champion")
    low, high = found["per_day_saved"]["low"], found["per_day_saved"]["high"]
    figures.points(figure, [best["threshold"]], [best["saved"] / days], "labels", "cheapest")
    figures.points(
        figure, [here["threshold"]], [here["saved"] / days], "champion", "the model's", [low], [high]
    )
    if threshold is not None:
        shown = min(points, key=lambda each: abs(each["threshold"] - threshold))
        figures.points(figure, [shown["threshold"]], [shown["saved"] / days], "challenger", "your threshold")
    figure.update_traces(
        hovertemplate=f"With alerts from %{{x:,.3~r}} on, %{{y:,.0f}} {unit} saved a day<extra></extra>"
    )
    # Where positives are rare, all that matters happens at scores near zero.
    if here["threshold"] < RARE:
        lowest = max(min(1e-3, here["threshold"] / 2), 1e-4)
        figure.update_xaxes(type="log", range=[np.log10(lowest), 0.02], tickvals=[1e-4, 1e-3, 1e-2, 0.1, 1])
        figure.update_xaxes(
            ticktext=["0.0001", "0.001", "0.01", "0.1", "1"], autorangeoptions_maxallowed=None
        )
    # Below the plot: above it stands the unit.
    figure.update_traces(showlegend=False, selector=lambda trace: not trace.name)
    figure.update_layout(legend={"y": -0.3, "yanchor": "top"})
    # Alerting nearly everybody costs so much that everything else would be a flat line beside it.
    most = max(best["saved"] / days, high, 0) or 1
    figure.update_yaxes(range=[min(-0.6 * most, 1.1 * low), 1.15 * most])
    figures.describe_as(figure, found["words"])
    return figure


def reliability(found: Mapping[str, Any] | None) -> Figure:
    """What scores promised and what came true, with Wilson intervals.

    Parameters
    ----------
    found : mapping or None
        The report's `calibration`.
    """
    title = "Do scores keep what they promise?"
    if found is None:
        return _unmeasured(title)
    figure = figures.new_figure(title, x="Score: what was promised", y="Share that came true")
    table = pd.DataFrame(found["table"])
    low, high = np.array(table["interval"].to_list()).T
    figures.line(figure, [0, 1], [0, 1], "reference", "as promised")
    promised, true = table["promised"].to_numpy(), table["came_true"].to_numpy()
    figures.points(figure, promised, true, "champion", "", low, high)
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%")
    figure.update_yaxes(range=[-0.02, 1.04], tickformat=".0%")
    figures.describe_as(figure, found["words"])
    return figure


def parts(found: Mapping[str, Any] | None) -> Figure:
    """Of the positives of each part of the events, how many are found; with 95% intervals.

    Parameters
    ----------
    found : mapping or None
        The report's `slices`.
    """
    title = "Where does it find fewer of the positives?"
    if found is None:
        return _unmeasured(title)
    rows = [one for each in found["by"] for one in each["parts"] if one["measured"]]
    if not rows:
        return _unmeasured(title, found["words"])
    figure = figures.new_figure(title, x="Share of its positives that is found", height=110 + 26 * len(rows))
    share, place = np.array([one["found"] for one in rows]), np.arange(len(rows))[::-1]
    low, high = np.array([one["found_interval"] for one in rows]).T
    weak = high < found["all"]["found"]
    looks: tuple[tuple[Role, NDArray[np.bool_]], ...] = (("champion", ~weak), ("challenger", weak))
    for role, chosen in looks:
        if chosen.any():
            label = "less than luck explains" if role == "challenger" else "about as all"
            figures.points(figure, share[chosen], place[chosen], role, label if weak.any() else "")
            _spread(figure, share[chosen], low[chosen], high[chosen])
    reference = figures.ROLES["reference"]
    figure.add_vline(
        x=found["all"]["found"], line={"color": reference.light, "width": 1.5, "dash": "longdash"}
    )
    names = [one["label"] for one in rows]
    figure.update_yaxes(tickvals=place, ticktext=names, range=[-0.7, len(rows) - 0.3], showgrid=False)
    figure.update_xaxes(range=[-0.02, 1.04], tickformat=".0%")
    figures.describe_as(figure, found["words"])
    return figure


def _spread(figure: Figure, middle: Floats, low: Floats, high: Floats) -> None:
    """Give the points drawn last a level interval each."""
    figure.data[-1].error_x = {
        "array": high - middle,
        "arrayminus": middle - low,
        "thickness": 1.5,
        "width": 4,
    }


def _unmeasured(title: str, words: str = "The test could not be measured.") -> Figure:
    """A figure that says why it is empty."""
    figure = figures.new_figure(title, height=230)
    figure.add_annotation(text=words, showarrow=False, xref="paper", yref="paper", x=0, y=0.5)
    figure.update_xaxes(visible=False).update_yaxes(visible=False)
    figures.describe_as(figure, words)
    return figure

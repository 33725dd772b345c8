"""A shadow beside the champion: its scores against the champion's, and what its decisions would be worth.

Comes in: what both answered. Goes out: a figure and words; nothing is drawn here.
"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from pages.parts.words import money, several
from pipelines import figures
from pipelines.production.shadows import Beside
from pipelines.scenarios.scenario import Scenario

# More points than this hide each other; all on which the two differ are among them.
MOST_POINTS = 600


def figure(scenario: Scenario, found: Beside) -> go.Figure:
    """Each event's two scores; those on which the two decide differently stand out."""
    scores = found.scores
    differ = scores[scores["champion_alerts"] != scores["shadow_alerts"]]
    agree = scores.drop(differ.index)
    many = f"{len(scores):,} {scenario.events}"
    title = f"Version {found.shadow} would decide otherwise on {found.differ:,} of {many}"
    if not found.differ:
        title = f"Version {found.shadow} would decide the same on all of {many}"
    drawn = figures.new_figure(
        title, f"Score of version {found.champion}, the champion", "Score of the shadow"
    )
    shown = _some(agree, max(0, MOST_POINTS - len(differ)))
    figures.points(drawn, shown["champion"], shown["shadow"], "reference", "decide the same")
    if len(differ):
        some = _some(differ, MOST_POINTS)
        figures.points(drawn, some["champion"], some["shadow"], "challenger", "decide otherwise")
    alerted = int(scores["champion_alerts"].sum()), int(scores["shadow_alerts"].sum())
    told = f"The champion raises {several(alerted[0], 'alert', 'alerts')}, the shadow {alerted[1]:,}."
    figures.describe_as(drawn, told)
    return drawn


def words(scenario: Scenario, found: Beside) -> str:
    """What the shadow's decisions would have been worth, with an interval."""
    if found.worth is None:
        return f"What that is worth is known once labels come, after {scenario.label_delay_days} days."
    value, error = found.worth.value * 1000, found.worth.error * 1000
    low, high = value - 1.96 * error, value + 1.96 * error
    unit = scenario.prices.unit
    more = "more" if value >= 0 else "less"
    said = (
        f"On {found.labelled:,} {scenario.events} with labels, 1,000 of them would be worth "
        f"{money(value, unit)} {more} under it (95% interval {_signed(low, unit)} to {_signed(high, unit)})."
    )
    if low <= 0 <= high:
        return f"{said} That can be chance: let it answer along for longer, or try it as a canary."
    return said


def _signed(value: float, unit: str) -> str:
    return ("−" if round(value) < 0 else "") + money(value, unit)


def _some(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many: half of them the highest by the champion's score, the others evenly from the rest."""
    if len(rows) <= most:
        return rows
    ordered = rows.sort_values("champion")
    tail = ordered.tail(most // 2)
    rest = ordered.iloc[: -len(tail)] if len(tail) else ordered
    step = max(1, -(-len(rest) // max(1, most - len(tail))))
    return pd.concat([rest.iloc[::step], tail])

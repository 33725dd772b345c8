"""What Policy lab shows: each policy's worth by day, its retrainings, and all of them in a table.

Comes in: a comparison and its outcomes. Goes out: words, rows and a figure; nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from pages.parts.words import money, several, signed
from pipelines import figures
from pipelines.production.policies import POLICIES
from pipelines.production.policy_lab import Outcome, Plan
from pipelines.scenarios.scenario import Scenario

ROLES: dict[str, figures.Role] = {
    "never": "reference",
    "scheduled": "shadow",
    "drift": "challenger",
    "performance": "champion",
}


def headline(scenario: Scenario, plan: Plan | None, outcomes: Sequence[Outcome]) -> tuple[str, str]:
    """Which policy was worth most, or the question."""
    sentence = (
        "Each policy lives the same days of the same world, with real notebooks and the real gate. "
        "Retraining costs, waiting costs: which costs less here?"
    )
    if plan is None:
        return "When should a model be retrained?", sentence
    found = [each for each in outcomes if each.saved]
    if plan.state == "running":
        return f"Comparing {several(len(plan.policies), 'policy', 'policies')}", sentence
    if len(found) < 2:
        return "When should a model be retrained?", sentence
    best = max(found, key=lambda each: each.net)
    title = f"Worth most here: {POLICIES[best.policy].title.lower()}"
    others = [each for each in found if each.policy == "never" and each is not best]
    if others:
        title += f", {money(best.net - others[0].net, scenario.prices.unit)} more than never"
    return title, (
        f"From day {plan.from_day} on, {plan.days} days, retrainings paid for. Of the newest "
        f"{scenario.label_delay_days} days the outcomes are not known. Another world may say otherwise."
    )


def share(plan: Plan, found: Sequence[Outcome]) -> float:
    """How much of all days is played."""
    played = sum(each.day - plan.from_day for each in found)
    return min(1.0, played / (plan.days * len(plan.policies)))


def progress(plan: Plan, found: Sequence[Outcome]) -> str:
    """Which policy is being lived, and how far."""
    now = next((each for each in found if each.branch is not None and each.day < plan.until_day), None)
    if now is None:
        return ":small[:gray[The next policy begins.]]"
    title = POLICIES[now.policy].title.lower()
    return f":small[:gray[Policy {title}: day {now.day}, up to day {plan.until_day}.]]"


def figure(scenario: Scenario, plan: Plan, found: Sequence[Outcome]) -> go.Figure:
    """What each policy has saved against no model, retrainings paid for and marked."""
    unit = scenario.prices.unit
    shown = figures.new_figure(
        "What each policy has saved, its retrainings paid for",
        "Day",
        f"Saved since day {plan.from_day}, {unit}",
        340,
    )
    figures.baseline(shown, 0, "no model")
    known = [each for each in found if each.saved]
    for same in _of_one_life(known):
        each = same[0]
        days, saved = zip(*each.saved, strict=True)
        role = ROLES[each.policy]
        figures.line(shown, days, saved, role, ", ".join(POLICIES[one.policy].title.lower() for one in same))
        at = dict(each.saved)
        marks = [day for day in each.retrained if day in at]
        shown.add_scatter(
            x=marks,
            y=[at[day] for day in marks],
            mode="markers",
            marker={"size": 9, "symbol": figures.ROLES[role].symbol, "color": figures.ROLES[role].light},
            hovertemplate=f"{POLICIES[each.policy].title}: retrained on day %{{x}}<extra></extra>",
        )
    shown.update_yaxes(tickformat=",.0f")
    shown.update_xaxes(range=[plan.from_day, plan.until_day])
    told = "; ".join(
        f"{POLICIES[each.policy].title.lower()} {signed(each.net, unit)} with "
        f"{several(len(each.retrained), 'retraining', 'retrainings')}"
        for each in known
    )
    figures.describe_as(shown, f"Saved by the newest day that is known: {told or 'nothing is known yet'}.")
    return shown


def _of_one_life(found: Sequence[Outcome]) -> list[list[Outcome]]:
    """The outcomes, those together that did the same on the same days: their lines would hide each other."""
    together: dict[tuple[object, ...], list[Outcome]] = {}
    for each in found:
        together.setdefault((*each.saved, *each.retrained), []).append(each)
    return list(together.values())


def table(scenario: Scenario, found: Sequence[Outcome]) -> pd.DataFrame:
    """One row a policy."""
    unit = scenario.prices.unit
    rows = [
        (
            POLICIES[each.policy].title,
            f"{len(each.retrained)}"
            + (f" (day {', '.join(map(str, each.retrained))})" if each.retrained else ""),
            money(each.cost, unit),
            signed(each.net + each.cost, unit) if each.saved else "–",
            signed(each.net, unit) if each.saved else "–",
        )
        for each in found
    ]
    return pd.DataFrame(rows, columns=["Policy", "Retrained", "Their cost", "Saved", "Left"])

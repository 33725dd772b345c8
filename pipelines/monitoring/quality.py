"""Quality: did what reached the model look like what it expects, before anything statistical is asked?

Comes in: the answers of some days, and the reference. Goes out: checks, each with what was found, what was
expected and why it matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.monitoring.reference import Reference
from pipelines.scenarios.scenario import DAY_S, Scenario
from pipelines.serving.labelling import awaited

# A day with less than half or more than twice the usual number is no ordinary day.
LEAST_VOLUME, MOST_VOLUME = 0.5, 2.0
# So many answers may be about somebody who was never seen before.
MOST_UNKNOWN = 0.05
# So many labels may be a day late: people send some events by hand, and those never get one.
MOST_LATE = 0.05
# Of the alerts of the newest days whose labels are due, at least this part has one.
LEAST_LABELLED_ALERTS, NEWEST_DAYS, LEAST_ALERTS = 0.5, 3, 10

LABELS_ARRIVE, LABELS_OF_ALERTS = "Labels arrive", "Labels of alerts"


@dataclass(frozen=True)
class Check:
    """What one check found.

    Attributes
    ----------
    name, found, expected, meaning : str
    passed : bool
    """

    name: str
    found: str
    expected: str
    passed: bool
    meaning: str


def check(
    scenario: Scenario, answered: pd.DataFrame, reference: Reference, day: int, window_days: int
) -> list[Check]:
    """Every check on what was answered in the window.

    Parameters
    ----------
    answered : DataFrame
        From `serving.logged.read_logged`, of the `window_days` before `day` and as many more as labels take.
    day : int
        Today: the window ends before it.
    """
    window = answered[answered["day"] >= day - window_days]
    return [
        _volume(scenario, answered, reference, day, window_days),
        _filled(scenario, window),
        _in_range(scenario, window),
        _known_entities(scenario, window),
        *_categories(scenario, window),
        _labels_arrive(scenario, answered, day),
        _alerts_are_labelled(scenario, answered, day),
    ]


def _volume(
    scenario: Scenario, answered: pd.DataFrame, reference: Reference, day: int, window_days: int
) -> Check:
    usual = float((reference.features["event_time"] // DAY_S).value_counts().median())
    # Before the first answer nothing was asked.
    first = max(day - window_days, int(answered["day"].min()))
    counts = answered["day"].value_counts().reindex(range(first, day), fill_value=0)
    odd = counts[(counts < LEAST_VOLUME * usual) | (counts > MOST_VOLUME * usual)]
    found = f"{int(counts.min()):,} to {int(counts.max()):,} {scenario.events} a day"
    if len(odd):
        found += f"; unusual on day {', '.join(map(str, odd.index[:3]))}"
    return Check(
        "Volume a day",
        found,
        f"{LEAST_VOLUME * usual:,.0f} to {MOST_VOLUME * usual:,.0f}, as {usual:,.0f} are usual",
        not len(odd),
        "Where events get lost or come twice, every count and every feature is wrong.",
    )


def _filled(scenario: Scenario, window: pd.DataFrame) -> Check:
    names = [column.name for column in scenario.columns]
    names += [each.name for each in scenario.features if each.name not in names]
    empty = window[names].isna().sum()
    worst = str(empty.idxmax()) if len(window) else ""
    total = int(empty.sum())
    return Check(
        "Values there",
        f"{total:,} missing, most in {worst}" if total else f"none missing in {len(names)} columns",
        "none missing",
        total == 0,
        "A measurement that stops is seen here first, long before labels show what it cost.",
    )


def _in_range(scenario: Scenario, window: pd.DataFrame) -> Check:
    outside = {}
    bounded = [column for column in scenario.columns if column.kind == "number"]
    for column in bounded:
        values = window[column.name].to_numpy(np.float64)
        low = -np.inf if column.low is None else column.low
        high = np.inf if column.high is None else column.high
        outside[column.name] = int(((values < low) | (values > high)).sum())
    bad = {name: count for name, count in outside.items() if count}
    found = ", ".join(f"{count:,} in {name}" for name, count in list(bad.items())[:3])
    return Check(
        "Values in range",
        f"outside: {found}" if bad else f"all of {', '.join(outside) or 'no column'} inside",
        "inside the bounds of the scenario",
        not bad,
        "A number in another unit is the commonest silent fault.",
    )


def _known_entities(scenario: Scenario, window: pd.DataFrame) -> Check:
    share = float((window["cold_start"] != "").mean()) if len(window) else 0.0
    return Check(
        "Known entities",
        f"{share:.1%} of the {scenario.events} are about somebody or something never seen",
        f"at most {MOST_UNKNOWN:.0%}",
        share <= MOST_UNKNOWN,
        "Of an unknown entity the model knows no past; its features are a cold start.",
    )


def _categories(scenario: Scenario, window: pd.DataFrame) -> list[Check]:
    checks = []
    for column in scenario.columns:
        if not column.categories:
            continue
        new = set(window[column.name].dropna()) - set(column.categories)
        shown = ", ".join(sorted(map(str, new))[:3])
        checks.append(
            Check(
                f"Categories of {column.name}",
                f"{len(new)} new: {shown}" if new else "none new",
                "none new",
                not new,
                "What the model has never seen it can't weigh.",
            )
        )
    return checks


def _labels_arrive(scenario: Scenario, answered: pd.DataFrame, day: int) -> Check:
    due = awaited(answered[answered["event_time"] < (day - 1 - scenario.label_delay_days) * DAY_S])
    late = float(due["label"].isna().mean()) if len(due) else 0.0
    return Check(
        LABELS_ARRIVE,
        f"{late:.1%} of those that are due are missing" if len(due) else "none is due yet",
        f"at most {MOST_LATE:.0%}",
        late <= MOST_LATE,
        "Without labels nobody knows how good the model is, and retraining learns from a part only.",
    )


def _alerts_are_labelled(scenario: Scenario, answered: pd.DataFrame, day: int) -> Check:
    until_day = day - 1 - scenario.label_delay_days
    newest = answered["day"].between(until_day - NEWEST_DAYS, until_day - 1)
    due = awaited(answered[answered["decision"] & newest])
    there = float(due["label"].notna().mean()) if len(due) else 1.0
    enough = len(due) >= LEAST_ALERTS
    return Check(
        LABELS_OF_ALERTS,
        f"{there:.0%} of {len(due)} alerts have one" if enough else "too few alerts are due to tell",
        f"at least {LEAST_LABELLED_ALERTS:.0%} of those that are due",
        not enough or there >= LEAST_LABELLED_ALERTS,
        "A model whose own alerts get no label learns only from what it let pass.",
    )

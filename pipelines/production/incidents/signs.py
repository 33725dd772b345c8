"""Signs: what is unusual about a day of production, by what the ledger has of it alone.

Comes in: the days of a branch. Goes out: what differs from the days before the trouble, in words. No label of
the day itself is needed, so a sign is there on the evening of the day, and gone on the first usual one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from pipelines.monitoring.operations import MOST_LOST, SLOW_MS
from pipelines.production.ledger import Day
from pipelines.scenarios.scenario import Scenario

USUAL_DAYS = 28
# The share of events that raise an alert doubles and halves by itself; so many times it does not.
MORE, FEWER = 4.0, 0.34
LEAST_FLAGGED = 8  # On a day with fewer alerts than this expected, their number says nothing.


@dataclass(frozen=True)
class Usual:
    """What a usual day is like: medians over the days before a trouble.

    Attributes
    ----------
    requests, flagged, labels : float
        A day.
    flagged_share : float
        Of the answered events, those that raised an alert.
    """

    requests: float
    flagged: float
    flagged_share: float
    labels: float


def usual(days: Sequence[Day], before_day: int) -> Usual | None:
    """What days were like before that one; None where none was played."""
    known = [day for day in days if day.day < before_day and day.requests][-USUAL_DAYS:]
    if not known:
        return None
    return Usual(
        median(day.requests for day in known),
        median(day.flagged for day in known),
        median(day.flagged / day.requests for day in known),
        median(day.labels for day in known),
    )


def unusual(scenario: Scenario, days: Sequence[Day], day: Day, known: Usual) -> list[str]:
    """What is unusual about one of the days, in words; nothing on a usual one."""
    found = []
    sent = day.requests + day.lost
    if day.lost > MOST_LOST * max(1, sent):
        found.append(f"{day.lost:,} of {sent:,} {scenario.events} got no answer")
    if day.p95_ms is not None and day.p95_ms > SLOW_MS:
        found.append(f"of 20 answers one took {day.p95_ms / 1000:.1f} s or more")
    if not day.labels and known.labels and _some_are_due(scenario, days, day):
        found.append(f"no label came; {known.labels:,.0f} a day are usual")
    expected = known.flagged_share * day.requests
    if day.requests and max(expected, day.flagged) >= LEAST_FLAGGED:
        if day.flagged > MORE * max(expected, 1.0):
            found.append(f"{day.flagged:,} alerts; {known.flagged:,.0f} a day are usual")
        elif day.flagged < FEWER * expected:
            found.append(f"only {day.flagged:,} alerts; {known.flagged:,.0f} a day are usual")
    return found


def _some_are_due(scenario: Scenario, days: Sequence[Day], day: Day) -> bool:
    """Whether labels could come: of what nobody answered nobody waits for the outcome."""
    then = day.day - scenario.label_delay_days
    return all(each.requests for each in days if each.day == then)

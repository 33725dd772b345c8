"""Operations: is everything answered, soon enough, and by whom, before anybody asks whether it is right?

Comes in: what a day sent, and what the log says of it. Goes out: what an operator looks at: requests that
got no answer and what they were told, how long answers take, whether a canary alerts out of all proportion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

# Nobody waits longer than this at a till. An answer takes a hundredth of it, on a very busy machine a half.
SLOW_MS = 2_000.0
# More than one request in a hundred without an answer is no accident.
MOST_LOST = 0.01
# A canary that alerts this many times as often as the champion does not do what it was made for, whichever of
# the two is right.
OUT_OF_PROPORTION, LEAST_ANSWERS = 4.0, 60
MOST_REFUSALS = 3


def measure(waits: Sequence[float], *, sent: int, lost: int, refusals: Mapping[str, int]) -> dict[str, Any]:
    """What a day was for whoever runs the route.

    Parameters
    ----------
    waits : sequence of float
        How long each answer took, in milliseconds, the shortest first.
    sent, lost : int
        Events that were sent, and those of them that got no answer.
    refusals : mapping
        What they were told, and how many.

    Returns
    -------
    dict
        sent, lost, refusals (pairs of message and number, the commonest first), slow_ms: the 95th
        percentile of how long an answer took, None while that is below the limit: wall-clock times differ
        between machines, and a report must not.
    """
    p95 = waits[int(0.95 * (len(waits) - 1))] if waits else 0.0
    common = sorted(refusals.items(), key=lambda each: (-each[1], each[0]))[:MOST_REFUSALS]
    return {
        "sent": sent,
        "lost": lost,
        "refusals": [list(each) for each in common],
        "slow_ms": round(p95, -2) if p95 > SLOW_MS else None,
    }


def compare_canary(answered: pd.DataFrame) -> dict[str, Any] | None:
    """How often a canary alerts, beside the champion on the same days; None without a canary.

    Parameters
    ----------
    answered : DataFrame
        From `serving.logged.read_logged`, of some days.

    Returns
    -------
    dict
        version, answers, alerts of the canary that answered last; champion_answers, champion_alerts.
    """
    canaries = answered[answered["route"] == "canary"]
    if not len(canaries) or canaries["day"].max() < answered["day"].max():
        return None  # one that has ended alarms nobody
    version = int(canaries["version"].iloc[-1])
    mine = canaries[canaries["version"] == version]
    its = answered[(answered["route"] == "champion") & answered["day"].isin(mine["day"].unique())]
    return {
        "version": version,
        "answers": len(mine),
        "alerts": int(mine["decision"].sum()),
        "champion_answers": len(its),
        "champion_alerts": int(its["decision"].sum()),
    }


def is_out_of_proportion(found: Mapping[str, Any]) -> bool:
    """Whether the canary alerts so much more often that no chance explains it."""
    if min(found["answers"], found["champion_answers"]) < LEAST_ANSWERS or found["alerts"] < 10:
        return False
    # One alert more in the champion's favour: of few answers it may have raised none yet.
    usual = (found["champion_alerts"] + 1) / found["champion_answers"]
    return bool(found["alerts"] / found["answers"] > OUT_OF_PROPORTION * usual)

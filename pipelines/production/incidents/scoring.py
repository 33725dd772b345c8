"""Scoring: what a learner's way through an incident is worth, from 0 to 100, and why.

Comes in: when it began, was noticed and was ended, what it cost, what was done in vain, and which cause was
named. Goes out: points for each part, each with its reason in a sentence. The rule is the same for everybody
and is shown with every score.
"""

from __future__ import annotations

from dataclasses import dataclass

# Points of each part; together 100.
DETECT, MITIGATE, MONEY, CALM, CAUSE = 20, 30, 20, 10, 20
# After its due day, the points of a part fall to nothing over so many days.
FADE_DAYS = 14
# A loss of as much as so many usual days earn takes all points for money.
WORST_DAYS = 14
# Each lever that changed nothing, and each alarm without a cause, takes as many.
IN_VAIN = 3
RETRAIN_DAYS = 30  # Labels have to come before a retrained model can know.


@dataclass(frozen=True)
class Part:
    """One part of a score.

    Attributes
    ----------
    points, of : int
        What was reached, and what could be.
    why : str
    """

    name: str
    points: int
    of: int
    why: str


@dataclass(frozen=True)
class Way:
    """What is scored.

    Attributes
    ----------
    noticed_after, due : int
        Days from its beginning until it was declared, and until monitoring shows it.
    ended_after : int or None
        Days until it had no effect any more; None while it has.
    slow_to_end : bool
        Whether only a retrained model ends it.
    lost, usual : float or None
        What was lost against usual days, and what a usual day saves; None while that is not known.
    in_vain : int
        Levers that changed nothing, and alarms without a cause.
    causes_named : int
        How many causes were named until it was the right one; 0 when it never was.
    """

    noticed_after: int
    due: int
    ended_after: int | None
    slow_to_end: bool
    lost: float | None
    usual: float | None
    in_vain: int
    causes_named: int


def score(way: Way) -> list[Part]:
    """Points for each part.

    Examples
    --------
    >>> way = Way(noticed_after=1, due=1, ended_after=2, slow_to_end=False, lost=900.0, usual=900.0,
    ...     in_vain=1, causes_named=1)
    >>> [(part.name, part.points) for part in score(way)]
    [('noticed', 20), ('ended', 30), ('money', 19), ('calm', 7), ('cause', 20)]
    """
    return [_noticed(way), _ended(way), _money(way), _calm(way), _cause(way)]


def total(parts: list[Part]) -> int:
    """All points together."""
    return sum(part.points for part in parts)


def _noticed(way: Way) -> Part:
    why = f"Declared {_days(way.noticed_after)} after it began; monitoring shows it within {_days(way.due)}."
    return Part("noticed", _fading(DETECT, way.noticed_after - way.due), DETECT, why)


def _ended(way: Way) -> Part:
    if way.ended_after is None:
        return Part("ended", 0, MITIGATE, "It still has an effect.")
    due = way.due + 1 + (RETRAIN_DAYS if way.slow_to_end else 0)
    why = f"It had no effect any more after {_days(way.ended_after)}; within {_days(due)} is good."
    return Part("ended", _fading(MITIGATE, way.ended_after - due), MITIGATE, why)


def _money(way: Way) -> Part:
    if way.lost is None or way.usual is None or way.usual <= 0:
        return Part("money", MONEY, MONEY, "What it cost can't be told from usual days.")
    days = max(0.0, way.lost) / way.usual
    points = round(MONEY * min(1.0, max(0.0, 1 - days / WORST_DAYS)))
    why = f"It cost what {days:.1f} usual days earn; {WORST_DAYS} take all points."
    return Part("money", points, MONEY, why)


def _calm(way: Way) -> Part:
    points = max(0, CALM - IN_VAIN * way.in_vain)
    what = "Nothing was done in vain." if not way.in_vain else f"{way.in_vain} moves changed nothing."
    return Part("calm", points, CALM, what)


def _cause(way: Way) -> Part:
    points = {0: 0, 1: CAUSE, 2: CAUSE // 2}.get(way.causes_named, 0)
    tries = {0: "It was not named.", 1: "Named at the first try."}
    return Part("cause", points, CAUSE, tries.get(way.causes_named, f"Named at try {way.causes_named}."))


def _fading(points: int, late_days: int) -> int:
    return round(points * min(1.0, max(0.0, 1 - late_days / FADE_DAYS)))


def _days(number: int) -> str:
    return "one day" if number == 1 else f"{number} days"

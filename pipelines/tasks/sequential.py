"""Sequential tests: two versions compared several times while events come in, and still honest.

Comes in: what each event was worth under one version and under the other. Goes out: the difference, how sure
it is, and whether it is enough to decide now. Whoever looks every week at the usual 1.96 and stops at the
first success errs in 13 of 100 cases after four looks, not in 5; so each look has to show more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

# By number of looks: the bound that |z| has to pass at each, so that all of them together err in 5 of 100.
# Pocock (1977), "Group sequential methods in the design and analysis of clinical trials", Biometrika 64;
# the digits are those of Jennison and Turnbull (2000), "Group Sequential Methods", table 2.1.
POCOCK: dict[int, float] = {1: 1.960, 2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413}


@dataclass(frozen=True)
class Difference:
    """How much more an event is worth under the first than under the second.

    Attributes
    ----------
    value, error : float
        The difference of the two means, and its standard error, in the unit of the values.
    events : tuple of (int, int)
        How many there are of each.
    """

    value: float
    error: float
    events: tuple[int, int]

    @property
    def z(self) -> float:
        """The difference in standard errors; 0 where nothing varies."""
        return self.value / self.error if self.error > 0 else 0.0


def compare(
    first: ArrayLike, first_entities: ArrayLike, second: ArrayLike, second_entities: ArrayLike
) -> Difference:
    """The difference of two means of events that come in entities, such as the payments of one card.

    An entity's events resemble each other, and some lie on either side: so the error is counted by entities
    (linearised variance of a difference of ratios).

    Parameters
    ----------
    first, second : array of shape (n_events,)
        What each event was worth.
    first_entities, second_entities : array of the same lengths
        Whose it was.

    References
    ----------
    Deng, Knoblich, Lu (2018), "Applying the delta method in metric analytics", KDD.

    Examples
    --------
    With one event an entity it is the error that everybody knows:

    >>> found = compare([1, 2, 3, 4], [1, 2, 3, 4], [2, 2, 4, 4], [5, 6, 7, 8])
    >>> found.value, round(found.error, 4)
    (-0.5, 0.8018)
    """
    sides = [np.asarray(values, dtype=np.float64) for values in (first, second)]
    names = np.concatenate([np.asarray(first_entities), np.asarray(second_entities)])
    if min(len(side) for side in sides) == 0:
        return Difference(0.0, 0.0, (len(sides[0]), len(sides[1])))
    entities, place = np.unique(names, return_inverse=True)
    pull = np.zeros(len(entities))
    for side, at, sign in zip(sides, np.split(place, [len(sides[0])]), (1.0, -1.0), strict=True):
        pull += sign * np.bincount(at, side - side.mean(), len(entities)) / len(side)
    count = len(entities)
    variance = float((pull**2).sum()) * count / (count - 1) if count > 1 else 0.0
    return Difference(float(sides[0].mean() - sides[1].mean()), variance**0.5, (len(sides[0]), len(sides[1])))


def compare_paired(values: ArrayLike, entities: ArrayLike) -> Difference:
    """The mean of differences that were taken event by event, its error counted by entities as in `compare`.

    Parameters
    ----------
    values : array of shape (n_events,)
        What each event was worth more under the first.
    entities : array of shape (n_events,)

    Examples
    --------
    >>> found = compare_paired([0, 0, 3, 1], [1, 2, 3, 4])
    >>> found.value, round(found.error, 4)
    (1.0, 0.7071)
    """
    differences = np.asarray(values, dtype=np.float64)
    count = len(differences)
    if not count:
        return Difference(0.0, 0.0, (0, 0))
    names, place = np.unique(np.asarray(entities), return_inverse=True)
    pull = np.bincount(place, differences - differences.mean(), len(names)) / count
    spread = len(names) / (len(names) - 1) if len(names) > 1 else 0.0
    return Difference(float(differences.mean()), float((pull**2).sum() * spread) ** 0.5, (count, count))

"""Money: what decisions cost, and what deciding nothing would have cost.

Comes in: what was decided and what turned out to be true. Goes out: the parts of the bill, in the
scenario's own unit. A model is worth what it saves; the best ranking may not be the cheapest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipelines.scenarios.scenario import Prices


@dataclass(frozen=True)
class Bill:
    """What the decisions on some events cost, in the unit of the prices.

    Attributes
    ----------
    missed : float
        Positives that nobody alerted.
    reviews : float
        Looking into every alert.
    false_alarms : float
        What wrong alerts cost besides.
    without : float
        The bill with no alert at all: every positive is missed.
    """

    missed: float
    reviews: float
    false_alarms: float
    without: float

    @property
    def total(self) -> float:
        return self.missed + self.reviews + self.false_alarms

    @property
    def saved(self) -> float:
        """What the decisions are worth; below zero when deciding nothing would have been cheaper."""
        return self.without - self.total


def price(prices: Prices, labels: ArrayLike, alerted: ArrayLike, at_stake: ArrayLike | None = None) -> Bill:
    """What these decisions cost.

    Parameters
    ----------
    labels, alerted : array of 0 and 1, shape (n_events,)
        What was true, and whether an alert was raised.
    at_stake : array, shape (n_events,), optional
        Values of `prices.missed_column`; left out, each event counts as 1.

    Returns
    -------
    Bill
        Rounded to 2 decimals.

    Examples
    --------
    One fraud of 50 is missed, one of 80 is caught, one honest customer is alerted.

    >>> prices = Prices("EUR", missed=1.0, missed_column="amount", review=4.0, false_alarm=10.0, meaning="")
    >>> bill = price(prices, [1, 1, 0, 0], [0, 1, 1, 0], [50, 80, 20, 10])
    >>> bill.missed, bill.reviews, bill.false_alarms, bill.saved
    (50.0, 8.0, 10.0, 62.0)
    """
    positive, alert = np.asarray(labels) == 1, np.asarray(alerted).astype(bool)
    stake = np.ones(len(positive)) if at_stake is None else np.asarray(at_stake, dtype=np.float64)
    return Bill(
        missed=round(prices.missed * float(stake[positive & ~alert].sum()), 2),
        reviews=round(prices.review * int(alert.sum()), 2),
        false_alarms=round(prices.false_alarm * int((alert & ~positive).sum()), 2),
        without=round(prices.missed * float(stake[positive].sum()), 2),
    )

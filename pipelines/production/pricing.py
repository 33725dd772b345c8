"""Pricing: the learner's own prices, over those that the scenario assumes.

Comes in: a price and what it is to be. Goes out: the prices by which production is told in money. The
books are kept at the scenario's prices; every part of a bill is a price times a count, so it can be told
anew at any others.
"""

from __future__ import annotations

import math
import time
from dataclasses import fields, replace

from pipelines.errors import BadInput
from pipelines.scenarios.scenario import Prices, Scenario
from pipelines.tasks.money import Bill
from pipelines.workspace import Tables, Workspace

MOST = 1_000_000.0
# What can be set, in the order of a form, with what each is a price of.
EDITABLE: dict[str, str] = {
    "missed": "A positive that is missed",
    "review": "Looking into an alert",
    "false_alarm": "A wrong alert, besides",
    "retraining": "A retraining",
    "unanswered": "An event without an answer, besides",
}

_TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS prices (
    scenario TEXT NOT NULL,
    name TEXT NOT NULL,
    value REAL NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (scenario, name)
);
""",
    "prices",
)


def prices_of(workspace: Workspace, scenario: Scenario) -> Prices:
    """The learner's prices; the scenario's own where none was set."""
    with _TABLES.reading(workspace) as connection:
        if connection is None:
            return scenario.prices
        rows = connection.execute("SELECT name, value FROM prices WHERE scenario = ?", (scenario.name,))
        known = {each.name for each in fields(Prices)} & EDITABLE.keys()
        return replace(scenario.prices, **{row["name"]: row["value"] for row in rows if row["name"] in known})


def set_price(workspace: Workspace, scenario: Scenario, name: str, value: float) -> Prices:
    """Set one price; all days are told by it from now on, those that have passed too.

    Raises
    ------
    BadInput
        There is no such price, or it is no amount from 0 to a million.
    """
    if name not in EDITABLE:
        raise BadInput(f"There is no price '{name[:40]}'.", f"The prices are: {', '.join(EDITABLE)}.")
    if not (math.isfinite(value) and 0 <= value <= MOST):
        raise BadInput(f"The price of {name} is {value}.", f"Set an amount from 0 to {MOST:,.0f}.")
    if getattr(scenario.prices, name) == 0 and name != "retraining":
        raise BadInput(
            f"In '{scenario.name}' {EDITABLE[name].lower()} is counted as nothing, so it can't be priced.",
            "Set another price.",
        )
    with _TABLES.writing(workspace) as connection:
        connection.execute(
            "INSERT OR REPLACE INTO prices VALUES (?, ?, ?, ?)", (scenario.name, name, value, time.time())
        )
    return prices_of(workspace, scenario)


def forget_prices(workspace: Workspace, scenario: Scenario) -> None:
    """Go back to the scenario's own prices."""
    with _TABLES.writing(workspace) as connection:
        connection.execute("DELETE FROM prices WHERE scenario = ?", (scenario.name,))


def at_prices(bill: Bill, kept: Prices, wanted: Prices) -> Bill:
    """The bill that was written at `kept` prices, at `wanted` ones.

    Examples
    --------
    >>> kept = Prices("EUR", missed=1.0, missed_column="amount", review=4.0, false_alarm=10.0, meaning="")
    >>> at_prices(Bill(50.0, 8.0, 10.0, 130.0), kept, replace(kept, missed=2.0, false_alarm=5.0))
    Bill(missed=100.0, reviews=8.0, false_alarms=5.0, without=260.0, downtime=0.0)
    """
    if kept == wanted:
        return bill
    missed, review, false_alarm, unanswered = (
        getattr(wanted, name) / getattr(kept, name) if getattr(kept, name) else 1.0
        for name in ("missed", "review", "false_alarm", "unanswered")
    )
    return Bill(
        round(bill.missed * missed, 2),
        round(bill.reviews * review, 2),
        round(bill.false_alarms * false_alarm, 2),
        round(bill.without * missed, 2),
        round(bill.downtime * unanswered, 2),
    )

"""Card fraud: which payment is fraudulent? A world simulated by the rules of a published handbook.

Comes in: a size and a seed. Goes out: every payment with its true outcome. Three kinds of fraud are
mixed, and the events do not say which is which: amounts that nobody pays, terminals that were taken
over, and cards whose data were stolen.

References
----------
Le Borgne, Siblini, Lebichot, Bontempi (2022), "Reproducible Machine Learning for Credit Card Fraud
Detection - Practical Handbook", Université Libre de Bruxelles, chapter 3, section "Transaction data
simulator": every number below without another reason is from there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.scenarios.fraud_episodes import (
    EPISODES,
    IN_A_ROW_S,
    WAVE,
    Ways,
    at_prices_of_the_day,
    waves,
    ways_on,
)
from pipelines.scenarios.scenario import (
    DAY_S,
    Begun,
    Calendar,
    Column,
    Count,
    Episode,
    Feature,
    LabelledCount,
    LabelRate,
    Mean,
    Origin,
    Prices,
    Scenario,
    Size,
    Slice,
    Task,
    Value,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SIDE = 100.0  # Customers and terminals lie on a square of this side, at full size.
RADIUS = 5.0  # A customer pays at the terminals within this distance.
LOW_MEAN, HIGH_MEAN = 5.0, 100.0  # EUR: between these lies a customer's mean amount.
BUSIEST = 4.0  # Payments a day of the busiest customer.
MIDDAY_S, SPREAD_S = 43_200, 20_000  # When in the day people pay: mean and standard deviation.
LARGEST_HONEST = 220.0  # EUR: every payment above is fraud.
TERMINAL_DAYS, CARD_DAYS = 28, 14  # How long a terminal and a card stay in the wrong hands.
STOLEN_SHARE = 1 / 3  # Part of a stolen card's payments that the thief makes.

# EUR; a request above is refused. Five standard deviations above the largest mean, times five, is 1,750.
LARGEST_AMOUNT = 10_000.0

LABEL_DELAY_DAYS = 7
WINDOWS_DAYS = (1, 7, 30)

# Each part of the world, and in it each day, has random numbers of its own. So a day is the same in a
# shorter and in a longer world, and stays the same when something else is changed.
PEOPLE, TERMINALS, CARDS, PAYMENTS, WAVES = range(5)

# Distances are computed for this many customers at a time: 500 × 10,000 of them fit the cache better
# than all at once, and take 40 MB instead of 400.
CUSTOMERS_AT_ONCE = 500


@dataclass(frozen=True)
class World:
    """How large a world is, and how many terminals and cards are newly attacked a day.

    A smaller world is a piece of the full one. Attacks shrink with it, so that the share of fraud stays
    near the published 0.84%; and so does the land, so that a customer still has about 78 terminals in
    reach. On all the land a few customers would meet each attacked terminal again and again.
    """

    customers: int
    terminals: int
    days: int
    side: float
    terminal_attacks: float
    card_attacks: float


def _world(part: float, days: int) -> World:
    """That part of the published world: 5,000 customers, 10,000 terminals, 2 and 3 attacks a day."""
    return World(
        customers=round(5000 * part),
        terminals=round(10_000 * part),
        days=days,
        side=SIDE * math.sqrt(part),
        terminal_attacks=2 * part,
        card_attacks=3 * part,
    )


WORLDS: dict[Size, World] = {
    "small": _world(0.1, days=365),
    "teaching": _world(0.2, days=365),
    "full": _world(1, days=183),
}


class Fraud:
    """The world of card payments; `Scenario` says what each attribute means."""

    name: str = "fraud"
    title: str = "Card fraud"
    question: str = "Is this payment fraudulent?"
    task: Task = "classification"
    origin: Origin = "simulated"
    start_date: str = "2018-04-01"
    days: int = max(world.days for world in WORLDS.values())
    label_delay_days: int = LABEL_DELAY_DAYS
    event: str = "payment"
    events: str = "payments"
    positive: str = "fraud"
    columns: tuple[Column, ...] = (
        Column("customer_id", "id", "Whose card it is.", example=7),
        Column("terminal_id", "id", "Where it was used.", example=42),
        Column(
            "amount",
            "number",
            "What was paid.",
            unit="EUR",
            low=0.0,
            high=LARGEST_AMOUNT,
            decimals=2,
            example=62.5,
        ),
    )
    features: tuple[Feature, ...] = (
        Value("amount"),
        Calendar("weekend"),
        Calendar("night"),
        *(Count("customer_id", days) for days in WINDOWS_DAYS),
        *(Mean("customer_id", "amount", days) for days in WINDOWS_DAYS),
        *(LabelledCount("terminal_id", days) for days in WINDOWS_DAYS),
        *(LabelRate("terminal_id", days) for days in WINDOWS_DAYS),
    )
    baseline: str = "amount"
    alert_entity: str = "customer_id"
    alerts_per_day: int = 100
    alert_entities: int = WORLDS["full"].customers
    prices: Prices = Prices(
        unit="EUR",
        missed=1.0,
        missed_column="amount",
        review=4.0,
        false_alarm=10.0,
        meaning="An undetected fraud costs its amount. Looking into an alert takes some five minutes of an "
        "analyst. An honest customer whose payment is refused costs goodwill. A "
        "retraining takes somebody half a day. Who waits for an answer in vain pays otherwise, or elsewhere.",
        retraining=250.0,
        unanswered=0.5,
    )
    episodes: tuple[Episode, ...] = EPISODES

    slices: tuple[Slice, ...] = (
        Slice(
            "Amount",
            "amount",
            ("below 20 EUR", "of 20 to 50 EUR", "of 50 to 100 EUR", "of 100 to 220 EUR", "above 220 EUR"),
            edges=(20.0, 50.0, 100.0, 220.0),
        ),
        Slice("Hour", "night", ("by day", "at night"), edges=(0.5,)),
        Slice("Day", "weekend", ("on weekdays", "at the weekend"), edges=(0.5,)),
        Slice(
            "Customer",
            "customer_count_30d",
            ("of customers with few payments", "of usual customers", "of busy customers"),
            edges=(30.0, 90.0),
        ),
        Slice(
            "Terminal",
            "terminal_labelled_30d",
            ("at quiet terminals", "at usual terminals", "at busy terminals"),
            edges=(24.0, 36.0),
        ),
    )

    rule: str = f"hold a second card at one terminal within {IN_A_ROW_S // 60} minutes"

    def length(self, size: Size) -> int:
        """Days that the world of that size lasts."""
        return WORLDS[size].days

    def produce(
        self, size: Size, seed: int, until_day: int | None = None, happened: tuple[Begun, ...] = ()
    ) -> pd.DataFrame:
        """Every payment of the world, with its true outcome; see `Scenario.produce`."""
        world = WORLDS[size]
        days = world.days if until_day is None else min(until_day, world.days)
        return at_prices_of_the_day(simulate(replace(world, days=days), seed, happened), happened)

    def stopped(self, events: pd.DataFrame) -> Flags:
        """Payments that follow another card's at their terminal too closely; see `Scenario.stopped`."""
        customer, second, terminal = (
            events[name].to_numpy(np.int64) for name in ("customer_id", "event_time", "terminal_id")
        )
        return _in_a_row(customer, second, terminal, IN_A_ROW_S)


FRAUD: Scenario = Fraud()


def simulate(world: World, seed: int, happened: tuple[Begun, ...] = ()) -> pd.DataFrame:
    """Every payment of that world, with its true outcome, at the prices of its first day.

    See `Scenario.produce` for the columns. Episodes change who is a thief and what thieves pay; which
    customer pays when and where is the same in all.
    """
    people = _people(world, _stream(seed, PEOPLE))
    hacked = _in_wrong_hands(
        world.terminals, world.terminal_attacks, TERMINAL_DAYS, world.days, seed, TERMINALS, happened
    )
    stolen = _in_wrong_hands(
        world.customers, world.card_attacks, CARD_DAYS, world.days, seed, CARDS, happened
    )
    by_day = [
        _payments(
            people,
            day,
            stolen[:, day],
            hacked[:, day],
            ways_on(day, happened),
            _stream(seed, PAYMENTS, day),
        )
        for day in range(world.days)
    ]
    time_s, customer, terminal, amount, fraud = (np.concatenate(part) for part in zip(*by_day, strict=True))
    return pd.DataFrame(
        {
            "event_id": np.arange(len(time_s), dtype=np.int64),
            "event_time": time_s,
            "label_time": time_s + LABEL_DELAY_DAYS * DAY_S,
            "customer_id": customer,
            "terminal_id": terminal,
            "amount": amount,
            "label": fraud.astype(np.int8),
        }
    )


@dataclass(frozen=True)
class _People:
    """The customers, each with habits and terminals; arrays of shape (customers,) but for `reachable`.

    Attributes
    ----------
    mean : EUR, what the customer usually pays
    rate : payments a day
    reachable : ids of terminals; customer c's are reachable[first[c] : first[c] + number[c]]
    """

    mean: Floats
    rate: Floats
    reachable: Ints
    first: Ints
    number: Ints


def _people(world: World, random: np.random.Generator) -> _People:
    """The customers of the world, and who can reach which terminal."""
    mean = random.uniform(LOW_MEAN, HIGH_MEAN, world.customers)
    rate = random.uniform(0, BUSIEST, world.customers)
    homes = random.uniform(0, world.side, (world.customers, 2))
    places = random.uniform(0, world.side, (world.terminals, 2))
    found, counted = [], []
    for start in range(0, world.customers, CUSTOMERS_AT_ONCE):
        some = homes[start : start + CUSTOMERS_AT_ONCE]
        across, up = (some[:, None, axis] - places[None, :, axis] for axis in (0, 1))
        near = across * across + up * up < RADIUS * RADIUS
        found.append(np.nonzero(near)[1])
        counted.append(near.sum(axis=1))
    number = np.concatenate(counted)
    return _People(mean, rate, np.concatenate(found), np.cumsum(number) - number, number)


def _payments(
    people: _People, day: int, stolen: Flags, hacked: Flags, ways: Ways, random: np.random.Generator
) -> tuple[Ints, Ints, Ints, Floats, Flags]:
    """One day's payments by time: second since day 0, customer, terminal, amount in EUR, fraud.

    A customer pays Poisson(own rate) times. The second of the day is normal around noon, and a
    payment that falls outside the day does not happen. The amount is normal around the customer's
    mean with half of it as standard deviation, and drawn anew, uniformly, if negative. A customer
    with no terminal in reach pays nothing.

    Parameters
    ----------
    stolen, hacked : ndarray of bool, shape (customers,) and (terminals,)
        Whose card and which terminal is in the wrong hands today.
    ways : Ways
        What thieves do with them.
    """
    customer = np.repeat(np.arange(len(people.rate)), random.poisson(people.rate))
    second = np.trunc(random.normal(MIDDAY_S, SPREAD_S, len(customer))).astype(np.int64)
    happens = (second > 0) & (second < DAY_S) & (people.number[customer] > 0)
    order = np.flatnonzero(happens)[np.argsort(second[happens], kind="stable")]
    customer, second = customer[order], second[order]
    mean = people.mean[customer]
    usual, instead = random.normal(mean, mean / 2), random.uniform(0, 2 * mean)
    amount: Floats = np.where(usual < 0, instead, usual).round(2)
    choice = (random.random(len(customer)) * people.number[customer]).astype(np.int64)
    terminal = people.reachable[people.first[customer] + choice]
    by_thief = stolen[customer] & (random.random(len(customer)) < STOLEN_SHARE)
    at_terminal = hacked[terminal] & (random.random(len(customer)) < ways.terminal_share)
    if ways.in_a_row_s:
        by_thief = _in_a_row(customer, second, terminal, ways.in_a_row_s)
    fraud = (amount > LARGEST_HONEST) | at_terminal | by_thief
    amount = np.where(by_thief, amount * ways.stolen_factor, amount).round(2)
    return day * DAY_S + second, customer, terminal, amount, fraud


def _in_a_row(customer: Ints, second: Ints, terminal: Ints, within_s: int) -> Flags:
    """Which of a day's payments, in order of time, come so soon after another card's at their terminal."""
    order = np.argsort(terminal, kind="stable")
    there, soon = np.diff(terminal[order]) == 0, np.diff(second[order]) <= within_s
    found = np.zeros(len(customer), dtype=np.bool_)
    found[order[1:]] = there & soon & (np.diff(customer[order]) != 0)
    return found


def _in_wrong_hands(
    entities: int,
    a_day: float,
    lasting_days: int,
    days: int,
    seed: int,
    part: int,
    happened: tuple[Begun, ...],
) -> Flags:
    """On which days each entity is in the wrong hands, waves of attacks included.

    Returns
    -------
    ndarray of bool, shape (entities, days)
    """
    taken = _taken(entities, a_day, lasting_days, days, seed, (part,))
    for first in waves(happened):
        # On top of the attacks that there are anyway, and with random numbers of their own.
        taken |= _taken(entities, (WAVE - 1) * a_day, lasting_days, days, seed, (WAVES, part, first), first)
    return taken


def _taken(
    entities: int, a_day: float, lasting_days: int, days: int, seed: int, key: tuple[int, ...], first: int = 0
) -> Flags:
    """On which days each entity is in the wrong hands, when attacks begin on day `first`.

    They come at an even pace from a random start: 2 a day are 2 every day, 0.4 a day are 2 in every 5 days.
    In a small world independent draws would let the share of fraud differ by a third.
    """
    passed = np.maximum(np.arange(days + 1) - first, 0)
    begun = np.floor(_stream(seed, *key).random() + a_day * passed).astype(np.int64)
    taken = np.zeros((entities, days), dtype=np.bool_)
    for day, number in enumerate(np.diff(begun)):
        victims = _stream(seed, *key, day).choice(entities, number, replace=False)
        taken[victims, day : day + lasting_days] = True
    return taken


def _stream(seed: int, *key: int) -> np.random.Generator:
    """The random numbers of one part of the world, on one day: the same whatever else is drawn."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))

"""What can happen to the world of card payments: who is a thief, how fraud is done, and what prices are.

Comes in: the episodes that have begun. Goes out: how thieves work on a day, when waves of attacks begin,
and payments at the prices of their day. The figures that each episode reaches are in
`tests/test_fraud_episodes.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pipelines.scenarios.scenario import DAY_S, Begun, Episode

# How many times larger than the owner's a thief's payments are: from the handbook that `fraud` names.
STOLEN_FACTOR = 5

# Prices double: large payments are no longer rare, so a model that learnt which ones are is wrong.
INFLATION = 2.0

# Attacks a day during a wave, as a multiple of those before: brings the share of fraud to 2.6%.
WAVE = 3

# Of a taken terminal's payments, the part that thieves who hide touch. Were it a quarter, an average
# precision of .16 would be left; were it all, .5: too much for a lesson on fraud that nobody sees.
HIDDEN_SHARE = 0.7

# With copied cards thieves pay one after another: so many seconds apart at most. Ten minutes keep the share
# of fraud near 0.9%.
IN_A_ROW_S = 600


@dataclass(frozen=True)
class Ways:
    """How fraud is done on a day, beside amounts that nobody pays, which are fraud on every day.

    Attributes
    ----------
    stolen_factor : int
        How many times larger than the owner's are the payments that the thief makes with a stolen card.
    terminal_share : float
        Part of a taken terminal's payments that is fraud.
    in_a_row_s : int
        When above 0, nobody uses stolen cards or taken terminals; fraud is what is paid at a terminal so
        soon after another card was used there on the same day.
    """

    stolen_factor: int = STOLEN_FACTOR
    terminal_share: float = 1.0
    in_a_row_s: int = 0


EPISODES: tuple[Episode, ...] = (
    Episode(
        "inflation",
        "Prices double",
        f"Every amount is multiplied by {INFLATION:g} from that day on; who is a thief does not change.",
    ),
    Episode(
        "attack_wave",
        "A wave of attacks",
        f"From that day on {WAVE} times as many terminals are taken over and cards stolen a day. Each "
        "stays in the wrong hands for weeks, so the share of fraud grows for four weeks. How fraud is done "
        "does not change.",
    ),
    Episode(
        "stealth_fraud",
        "Thieves hide",
        "From that day on thieves pay with a stolen card what its owner would, and leave "
        f"{1 - HIDDEN_SHARE:.0%} of the payments at a terminal they have taken over alone. What comes in "
        "looks as it did; only labels show how much fraud is no longer found.",
    ),
    Episode(
        "changed_pattern",
        "A new kind of fraud",
        "From that day on thieves give up stolen cards and taken terminals, and pay with one copied card "
        f"after another: fraud is what is paid at a terminal within {IN_A_ROW_S // 60} minutes of another "
        "card. No feature tells how long ago the terminal was last used, so a model trained anew finds "
        "hardly more; a new feature would.",
    ),
)


def waves(happened: tuple[Begun, ...]) -> list[int]:
    """The days on which waves of attacks begin."""
    return [each.day for each in happened if each.name == "attack_wave"]


def ways_on(day: int, happened: tuple[Begun, ...]) -> Ways:
    """How fraud is done on that day.

    The changed pattern goes before hiding: who needs no stolen cards has none to hide. Waves that have
    begun bring more copied cards: those that follow one another less closely are fraud, too.
    """
    begun = [each.name for each in happened if each.day <= day]
    if "changed_pattern" in begun:
        thieves = 1 + (WAVE - 1) * begun.count("attack_wave")
        return Ways(stolen_factor=1, terminal_share=0.0, in_a_row_s=IN_A_ROW_S * thieves)
    return Ways(stolen_factor=1, terminal_share=HIDDEN_SHARE) if "stealth_fraud" in begun else Ways()


def at_prices_of_the_day(events: pd.DataFrame, happened: tuple[Begun, ...]) -> pd.DataFrame:
    """The payments, with amounts as high as prices are by then."""
    for begun in happened:
        if begun.name == "inflation":
            since = events["event_time"] >= begun.day * DAY_S
            dearer = (events["amount"] * INFLATION).round(2)
            events = events.assign(amount=events["amount"].mask(since, dearer))
    return events

"""The ready-made world on Home: which step, which day, and how far it is.

Comes in: what was found on disk. Goes out: words and a share; nothing is drawn here.
"""

from __future__ import annotations

from pages.parts.stages import Facts
from pipelines.lifecycle import LIFECYCLE
from pipelines.production import opening

# Making the model takes about as long as playing its days.
MODEL_SHARE = 0.6


def making(facts: Facts) -> tuple[str, str] | None:
    """Title and sentence while it is being made."""
    found = facts.production.opening
    if found is None or not found.going_on:
        return None
    if found.part == "making":
        newest = facts.newest
        if newest is None or newest.state.status == "queued":
            return "Your first model is about to be made", "It begins as soon as the worker is ready."
        done, current = _done(facts), newest.state.current
        title = LIFECYCLE.step(current.name).title.lower() if current else "the next one"
        step = f"Step {min(done + 1, len(LIFECYCLE.road))} of {len(LIFECYCLE.road)}: {title}"
        return (
            "Your first model is being made",
            f"You begin with a model at work. {step}. Then its world is played to day {opening.LAST_DAY}; "
            "all that takes about a minute.",
        )
    clock = facts.production.clock
    if clock is not None and clock.state == "stopped":
        return "Your first world has stopped", "The bar below says why. It goes on by itself once it can."
    return (
        "Your model meets the world",
        f"Version {facts.serving.champion} is made and deployed. Its first days are played: from day "
        f"{opening.FIRST_DAY} to {opening.LAST_DAY}, then it is yours.",
    )


def opening_share(facts: Facts) -> float | None:
    """How far it is, from 0 to 1; None when it is not being made."""
    found, clock = facts.production.opening, facts.production.clock
    if found is None or not found.going_on:
        return None
    if found.part == "making":
        return MODEL_SHARE * _done(facts) / len(LIFECYCLE.road)
    days = 0 if clock is None else clock.day - opening.FIRST_DAY
    return MODEL_SHARE + (1 - MODEL_SHARE) * min(1.0, days / (opening.LAST_DAY - opening.FIRST_DAY))


def _done(facts: Facts) -> int:
    return sum(facts.newest.done(name) for name in LIFECYCLE.road) if facts.newest else 0

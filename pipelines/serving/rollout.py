"""Rollout: which version answers an event, and which only looks on.

Comes in: an event's id, and which versions serve. Goes out: the routes that score it. Pure: the same
event always takes the same route, so a retry, a replay and a test agree.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

from pipelines.promotion import Serving

Route = Literal["champion", "canary", "shadow", "version"]
Answering = Literal["champion", "canary"]

# The routes that answer a client who names no version.
ANSWERING: tuple[Answering, ...] = ("champion", "canary")


def choose(event_id: int, serving: Serving) -> Answering:
    """The route that answers the event: the canary's for its share of all events, else the champion's.

    The share is taken by hash and not in turn: whoever counts later finds who was answered by whom. A
    share that grows keeps the events it had. Another canary gets other events, so that two canaries'
    results are not about the same few.

    Examples
    --------
    >>> choose(7, Serving(champion=1, canary=2, share=0.0)), choose(7, Serving(champion=1))
    ('champion', 'champion')
    >>> half = Serving(champion=1, canary=2, share=0.5)
    >>> [choose(event_id, half) for event_id in range(4)]
    ['canary', 'canary', 'champion', 'canary']
    """
    if serving.canary is None:
        return "champion"
    return "canary" if place(event_id, serving.canary) < serving.share else "champion"


def place(event_id: int, canary: int) -> float:
    """Where the event lies between 0 and 1, as even as a draw and always the same for this canary."""
    digest = blake2b(f"{canary}/{event_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64

"""What is known of an incident: its hidden cause, where it shows, and what ends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipelines.production import sending
from pipelines.serving import faults

Area = Literal["source", "labels", "features", "release", "platform", "world"]
Labels = Literal["late", "flipped", "blocked"]

AREAS: Mapping[Area, str] = {
    "source": "what the source sends",
    "labels": "the labels",
    "features": "the features that the model sees",
    "release": "what was released",
    "platform": "the machine that serves",
    "world": "the world itself",
}


@dataclass(frozen=True)
class Definition:
    """One incident.

    Attributes
    ----------
    name, title : str
        `name` as it is written in NAME@DAY; `title` as a cause among which a learner chooses.
    area : str
        Where the cause lies: one of `AREAS`.
    cause : str
        What happened, told in the post-mortem.
    look : str
        Where it shows, and what tells it from its likes.
    shows : tuple of str
        Alert rules, one of which finds it.
    within_days : int
        So many evenings after its beginning one of them has.
    fixes : tuple of str
        Levers, each of which ends it.
    items : tuple of str
        What keeps it from happening again.
    source, route, labels : str or None
        What it does to what is sent, to the route, and to labels.
    canary, episode : bool
        Whether it releases a version of its own, and whether it is an episode of the world.
    lasts_days : int or None
        It ends by itself after so many days.
    many : bool
        Whether it shows only where alerts are few among many.
    """

    name: str
    title: str
    area: Area
    cause: str
    look: str
    shows: tuple[str, ...]
    within_days: int
    fixes: tuple[str, ...]
    items: tuple[str, ...]
    source: sending.Kind | None = None
    route: faults.Kind | None = None
    labels: Labels | None = None
    canary: bool = False
    episode: bool = False
    lasts_days: int | None = None
    many: bool = False

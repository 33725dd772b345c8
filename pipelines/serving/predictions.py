"""Predictions, and what turned out to be true of their events: the records that the log keeps.

Comes in: an event, and what a version made of it. Goes out: a record that can be traced, under an id
that is derived and not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from pipelines.scenarios.scenario import DAY_S
from pipelines.serving.rollout import Route


@dataclass(frozen=True)
class Stream:
    """Which events belong together: of one workspace and scenario, on one branch, in one world.

    Attributes
    ----------
    world : str
        Which history they continue: event 7 of the small world is not event 7 of the full one.
    """

    workspace: str
    branch: str
    scenario: str
    world: str


@dataclass(frozen=True)
class Prediction:
    """One version's answer to one event, with everything it was made from.

    Attributes
    ----------
    event : mapping
        The raw columns, as sent.
    cold_start : str
        Columns whose value was never seen before, separated by commas.
    features : bytes
        The row the model saw, float64; see `features_of`.
    at, latency_ms : float
        When it was logged, in seconds since the epoch, and how long that was after its request came.
    prediction_id : str
        Derived, not drawn: the same prediction made again has the same id.
    """

    stream: Stream
    event_id: int
    event_time: int
    event: Mapping[str, Any]
    version: int
    route: Route
    score: float
    decision: bool
    cold_start: str
    features: bytes
    at: float
    latency_ms: float
    prediction_id: str = field(init=False)

    def __post_init__(self) -> None:
        about = vars(self.stream).values()
        derived = derive_id(*about, self.event_id, self.version, self.route)
        object.__setattr__(self, "prediction_id", derived)

    @property
    def day(self) -> int:
        return self.event_time // DAY_S


def derive_id(*facts: str | int) -> str:
    """A prediction's id: of workspace, branch, scenario, world, event_id, version and route."""
    return sha256("/".join(map(str, facts)).encode()).hexdigest()[:20]


class Answered(NamedTuple):
    """An event that was answered: under which prediction, in which stream, and when it happened."""

    prediction_id: str
    stream: Stream
    event_id: int
    event_time: int


@dataclass(frozen=True)
class Label:
    """What turned out to be true of an event: 0 or 1, known from `label_time` (seconds since day 0).

    `prediction_id` is empty for an event that nobody answered here: it happened before serving began.
    """

    prediction_id: str
    stream: Stream
    event_id: int
    label: int
    label_time: int
    at: float


class Entry(NamedTuple):
    """One thing that happened in a stream, in order: an event was answered, or its label learned.

    A tuple, because a whole log is read as these.

    Attributes
    ----------
    time_s : int
        When it happened or was learned, in seconds since day 0.
    event : mapping or None
        The raw columns; None for a label.
    label : int or None
        None for an event.
    """

    seq: int
    event_id: int
    time_s: int
    event: Mapping[str, Any] | None
    label: int | None

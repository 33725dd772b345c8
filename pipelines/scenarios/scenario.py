"""What an industry must supply to go the whole road: the Scenario protocol and its small types.

A scenario is a world that produces events and, later, their true outcomes. Stage modules never ask
which scenario they work for: they read what it declares here, and dispatch on its task.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.errors import BadInput

DAY_S = 86_400

Size = Literal["small", "teaching", "full"]
Task = Literal["classification", "regression", "ranking"]
Origin = Literal["simulated", "real"]


@dataclass(frozen=True)
class Column:
    """One column of the raw event, as a client sends it to the gateway.

    Attributes
    ----------
    kind : {"id", "number", "category"}
        An id names an entity and is never a feature by itself.
    low, high : float or None
        Bounds a number may take; a request outside them is refused.
    categories : tuple of str
        Values a category may take; a request with another is refused. Any, when empty.
    decimals : int
        Decimals a number is measured to. Sums are taken over whole numbers of the last of them, so a
        mean is the same number in whichever order, and on whichever side, it was summed.
    example : value shown in forms and in the documentation of the API.
    """

    name: str
    kind: Literal["id", "number", "category"]
    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    decimals: int = 2
    example: float | int | str = 0
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Value:
    """Feature: the event's own value of `column`."""

    column: str

    @property
    def name(self) -> str:
        return self.column


@dataclass(frozen=True)
class Is:
    """Feature: 1 when the event's category in `column` is `value`, else 0."""

    column: str
    value: str

    @property
    def name(self) -> str:
        return f"{self.column}_is_{self.value}"


@dataclass(frozen=True)
class Calendar:
    """Feature: 1 when the event falls into `part` of the week or day, else 0. Night is 0:00 to 6:00."""

    part: Literal["weekend", "night"]

    @property
    def name(self) -> str:
        return self.part


@dataclass(frozen=True)
class Count:
    """Feature: number of events of the same `entity` in the `days` up to and including this one."""

    entity: str
    days: int

    @property
    def name(self) -> str:
        return f"{self.entity.removesuffix('_id')}_count_{self.days}d"


@dataclass(frozen=True)
class Mean:
    """Feature: mean of `column` over the events that `Count` counts."""

    entity: str
    column: str
    days: int

    @property
    def name(self) -> str:
        return f"{self.entity.removesuffix('_id')}_mean_{self.column}_{self.days}d"


@dataclass(frozen=True)
class LabelledCount:
    """Feature: number of earlier events of the same `entity` whose label became known in the last `days`."""

    entity: str
    days: int

    @property
    def name(self) -> str:
        return f"{self.entity.removesuffix('_id')}_labelled_{self.days}d"


@dataclass(frozen=True)
class LabelRate:
    """Feature: share of positive labels among the events that `LabelledCount` counts; 0 if there are none."""

    entity: str
    days: int

    @property
    def name(self) -> str:
        return f"{self.entity.removesuffix('_id')}_risk_{self.days}d"


Feature = Value | Is | Calendar | Count | Mean | LabelledCount | LabelRate


@dataclass(frozen=True)
class Episode:
    """Something that can happen to the world from some day on, and changes what a model meets.

    Attributes
    ----------
    name : str
        As it is written in NAME@DAY.
    title, meaning : str
        What happens, in two or three words and in a sentence.
    days : int or None
        How long it lasts; None when it stays.
    """

    name: str
    title: str
    meaning: str
    days: int | None = None


@dataclass(frozen=True)
class Begun:
    """An episode that begins, or has begun, on a day of the world."""

    name: str
    day: int

    def __str__(self) -> str:
        return f"{self.name}@{self.day}"


@dataclass(frozen=True)
class Slice:
    """A way to part the events, for asking whether a model is as good on each part.

    Attributes
    ----------
    name : str
        What the parts differ in: "Amount".
    column : str
        The feature that parts them.
    labels : tuple of str
        One for each part, as it follows on "payments": "of 100 to 220 EUR".
    edges : tuple of float
        Rising. For parts of a number: the first lies below the first edge, each other begins at an edge.
    values : tuple of str
        For parts of a category, in place of edges: the value of each part.
    """

    name: str
    column: str
    labels: tuple[str, ...]
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parts = len(self.values) or len(self.edges) + 1
        rising = all(low < high for low, high in pairwise(self.edges))
        if bool(self.values) == bool(self.edges) or parts != len(self.labels) or not rising:
            raise ValueError(f"slice '{self.name}': give rising edges or values, and a label for each part")


@dataclass(frozen=True)
class Prices:
    """What decisions cost; a model is worth what it saves against deciding nothing.

    Attributes
    ----------
    unit : str
        "EUR", or the harm points of a world in which nothing is paid.
    missed : float
        Cost of a positive that nobody alerted: for each unit of `missed_column`, or each, when that is None.
    missed_column : str or None
        The raw column that says how much is at stake.
    review : float
        Cost of looking into one alert, right or wrong.
    false_alarm : float
        What a wrong alert costs besides.
    meaning : str
        Where these come from, in words: they are assumptions.
    retraining : float
        Cost of one retraining: the machine, and who looks at the result.
    unanswered : float
        Cost of an event that gets no answer, besides what is missed by it.
    """

    unit: str
    missed: float
    missed_column: str | None
    review: float
    false_alarm: float
    meaning: str
    retraining: float = 0.0
    unanswered: float = 0.0


class Scenario(Protocol):
    """A world: its question, its columns, and the events it produces.

    Attributes
    ----------
    name, title, question : str
        `name` is used in commands and addresses; `question` is what the model is asked, in words.
    task : {"classification", "regression", "ranking"}
        What training, metrics and plots mean here.
    origin : {"simulated", "real"}
        Where its events come from, shown wherever its data are.
    start_date : str
        ISO date of day 0. Times are whole seconds since its midnight.
    days : int
        Length of its longest world: event times lie in [0, days × 86,400).
    label_delay_days : int
        How long after an event its true outcome is known.
    event, events : str
        What one event is called, and several: "payment", "payments".
    positive : str
        What label 1 means: "fraud".
    columns : tuple of Column
        The raw event, without times and label.
    features : tuple of Feature
        What the model sees, in order.
    baseline : str
        Name of the feature that, taken as a score, is the no-model baseline any model must beat.
    alert_entity : str
        Column that names whom an alert is about; "event_id" when it is the event itself.
    alerts_per_day : int
        How many alerts a day can be looked into at full size: the k of precision at k.
    alert_entities : int
        Among how many entities at full size (events a day, when the alert is about the event itself).
        A smaller world has fewer people to look into alerts: see `alerts_in`.
    prices : Prices
        What decisions cost here.
    episodes : tuple of Episode
        What can happen to this world.
    slices : tuple of Slice
        The parts of the events that an evaluation looks at one by one.
    rule : str
        What can be had stopped by hand before it reaches a model, as an instruction; empty where nothing can.
    """

    name: str
    title: str
    question: str
    task: Task
    origin: Origin
    start_date: str
    days: int
    label_delay_days: int
    event: str
    events: str
    positive: str
    columns: tuple[Column, ...]
    features: tuple[Feature, ...]
    baseline: str
    alert_entity: str
    alerts_per_day: int
    alert_entities: int
    prices: Prices
    episodes: tuple[Episode, ...]
    slices: tuple[Slice, ...]
    rule: str

    def length(self, size: Size) -> int:
        """Days that the world of that size lasts; at most `days`."""
        ...

    def produce(
        self, size: Size, seed: int, until_day: int | None = None, happened: tuple[Begun, ...] = ()
    ) -> pd.DataFrame:
        """Every event of the world before `until_day`, with its true outcome: what only the simulator knows.

        A day is the same whatever `until_day` is, and before its day an episode changes nothing.

        Parameters
        ----------
        until_day : int, optional
            The whole world when left out.
        happened : tuple of Begun
            The episodes, each one of `episodes`.

        Returns
        -------
        DataFrame of shape (n_events, 4 + number of columns), sorted by event_time, then event_id.
            event_id (int64, 0, 1, …), event_time and label_time (int64 seconds since day 0, label_time
            later than event_time), the columns, and label (int8, 0 or 1). Numbers have fixed decimals,
            so the same size and seed give the same table on every machine.
        """
        ...

    def stopped(self, events: pd.DataFrame) -> NDArray[np.bool_]:
        """Which of a day's events, in order of time, `rule` stops: shape (n_events,)."""
        ...


def read_happened(scenario: Scenario, text: str) -> tuple[Begun, ...]:
    """The episodes that `text` names, as NAME@DAY separated by commas, in order of their days.

    Raises
    ------
    BadInput
        The text is of another form, or names an episode that this world does not know.

    Examples
    --------
    >>> from pipelines.scenarios.fraud import FRAUD
    >>> [str(each) for each in read_happened(FRAUD, "inflation@70")]
    ['inflation@70']
    """
    found = []
    known = {episode.name for episode in scenario.episodes}
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        name, _, day = part.partition("@")
        if name not in known or not (day.isascii() and day.isdigit() and len(day) < 5):
            raise BadInput(
                f"'{part[:40]}' is no episode of {scenario.name}.",
                f"Write NAME@DAY, with a name from: {', '.join(sorted(known)) or 'none, it has none'}.",
            )
        found.append(Begun(name, int(day)))
    return tuple(sorted(found, key=lambda begun: (begun.day, begun.name)))


def alerts_in(scenario: Scenario, rows: pd.DataFrame) -> int:
    """How many alerts a day can be looked into in the world that `rows` come from, whatever its size.

    Parameters
    ----------
    rows : DataFrame with columns event_time and the scenario's alert_entity
        All events, or their features; not a selection of them.

    Returns
    -------
    int, at least 1
        `alerts_per_day`, in proportion to the entities there are (events a day, when the alert is
        about the event itself).
    """
    if scenario.alert_entity == "event_id":
        present = len(rows) / max(1, rows["event_time"].floordiv(DAY_S).nunique())
    else:
        present = rows[scenario.alert_entity].nunique()
    return max(1, round(scenario.alerts_per_day * present / scenario.alert_entities))

"""A check of a batch: what was looked for, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.scenarios.scenario import DAY_S, Column

MOST_EXAMPLES = 5
SHOWN_CHARACTERS = 40  # Of a value: a batch can hold anything.

Severity = Literal["stop", "repair"]
Unit = Literal["rows", "days", "columns"]


@dataclass(frozen=True)
class Example:
    """Where a fault was found, and the value there. Row 0 is the first; a fault of a whole day has no row."""

    value: str
    row: int | None = None
    day: int | None = None

    def __str__(self) -> str:
        place = f"row {self.row:,}, day {self.day}" if self.row is not None else f"day {self.day}"
        return f"{place}: {self.value}" if self.row is not None or self.day is not None else self.value


@dataclass(frozen=True)
class Check:
    """One rule, and how the batch stands to it.

    Attributes
    ----------
    name, column : str
        Which rule, and of which column; column is empty for a rule about the whole batch.
    rule : str
        What is expected, in words.
    fault : str
        What is found where it is broken, as it follows the column's name: "is below 0 EUR".
    unit : {"rows", "days", "columns"}
        What is counted.
    count, rows : int
        How many break the rule, and how many were looked at.
    share, limit : float
        `count` of `rows`, and how much of it is tolerated; both from 0 to 1.
    severity : {"stop", "repair"}
        Whether a single one stops the run, or cleaning can repair up to `limit`.
    passed : bool
    examples : tuple of Example
        At most five.
    meaning : str
        What it would do to everything that comes later.
    """

    name: str
    column: str
    rule: str
    fault: str
    unit: Unit
    count: int
    rows: int
    share: float
    limit: float
    severity: Severity
    passed: bool
    examples: tuple[Example, ...]
    meaning: str

    @property
    def found(self) -> str:
        """What was found, in words that begin with the column."""
        if not self.count:
            return f"none of {self.rows:,} {self.unit}"
        subject = f"Column '{self.column}'" if self.column else "The batch"
        if self.unit == "columns":
            return f"{subject} {self.fault}"
        where = "on" if self.unit == "days" else "in"
        return f"{subject} {self.fault} {where} {self.count:,} of {self.rows:,} {self.unit}"


# Which rules there are, what each guards against, and whether cleaning can repair what breaks it.
RULES: dict[str, tuple[Severity, str]] = {
    "columns": ("stop", "A column under another name is a missing one: whatever reads it would see nothing."),
    "type": ("stop", "Texts among numbers turn a whole column into texts, and every sum fails or lies."),
    "twice": ("repair", "Whatever happened once counts twice, in every count, sum and share."),
    "missing": (
        "repair",
        "Nothing is known here. A sum takes it for 0, a mean leaves it out: two guesses.",
    ),
    "low": ("repair", "It can't have happened, so the true value is not known."),
    "high": ("repair", "It can't have happened. A few huge values move every mean."),
    "category": (
        "repair",
        "Nobody knows what it stands for: as a feature it would be none of those there are.",
    ),
    "label": ("stop", "Only yes, no and not yet are outcomes; anything else would be learned as a third."),
    "learned": ("stop", "A label that comes before its event tells the model the future."),
    "time": ("stop", "An event outside the days collected would be counted into the wrong window."),
    "newest": ("stop", "The newest day is the one that drift shows on, and it is not here."),
    "volume": ("stop", "A day with far too few or too many events was sent in part, or twice."),
    "median": ("stop", "Every value is possible, but the day as a whole is not: often another unit."),
    "gap": ("stop", "Scattered gaps are chance; a day full of them means that its source is broken."),
    "rate": (
        "stop",
        "From one outcome nothing can be learned; more yes than no hints at swapped labels.",
    ),
}


def judge(
    name: str,
    column: Column | str,
    rule: str,
    fault: str,
    *,
    count: int,
    rows: int,
    limit: float = 0.0,
    unit: Unit = "rows",
    examples: Sequence[Example] = (),
) -> Check:
    """The check `name` with its verdict: it passes as long as no more than `limit` of `rows` break it."""
    severity, meaning = RULES[name]
    share = count / rows if rows else 0.0
    tolerated = limit if severity == "repair" else 0.0
    return Check(
        name=name,
        column=column.name if isinstance(column, Column) else column,
        rule=rule,
        fault=fault,
        unit=unit,
        count=count,
        rows=rows,
        share=share,
        limit=tolerated,
        severity=severity,
        passed=share <= tolerated,
        examples=tuple(examples[:MOST_EXAMPLES]),
        meaning=meaning,
    )


def rows_like(batch: pd.DataFrame, column: str, wrong: NDArray[np.bool_]) -> tuple[Example, ...]:
    """The first rows that are `wrong`, with their value."""
    places = np.flatnonzero(wrong)[:MOST_EXAMPLES]
    return tuple(
        Example(shown(batch[column].iloc[place]), int(place), day_of(batch, int(place))) for place in places
    )


def day_of(batch: pd.DataFrame, place: int) -> int | None:
    """The day of a row, where its time can be read."""
    try:
        return int(batch["event_time"].iloc[place] // DAY_S)
    except (KeyError, TypeError, ValueError):
        return None


def shown(value: Any) -> str:
    """A value as a reader sees it; nothing is "nothing"."""
    if value is None or value is pd.NA or value != value:
        return "nothing"
    text = f"{value:,.6g}" if isinstance(value, float | np.floating) else str(value)
    return text[:SHOWN_CHARACTERS]


def with_unit(value: float, column: Column) -> str:
    """A number with its column's unit, to four digits: "52.9 EUR", "10,000 EUR"."""
    return (
        f"{round(value):,} {column.unit}".rstrip()
        if abs(value) >= 1000
        else f"{value:.4g} {column.unit}".rstrip()
    )

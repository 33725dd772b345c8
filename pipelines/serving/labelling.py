"""Labelling: of which events anybody finds out what they were.

Comes in: a rule that holds from a day on. Goes out: which labels are awaited, and for how many events each
stands. In life not every outcome becomes known: only alerts are looked into, or an alert is stopped and
nobody sees what would have become of it. A random share of the others makes up for that, at a price.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines import branches
from pipelines.errors import BadInput
from pipelines.serving.rollout import place
from pipelines.workspace import Tables, Workspace

Mode = Literal["all", "investigated", "blocked"]

MODES: dict[Mode, str] = {
    "all": "Every outcome becomes known, after the delay.",
    "investigated": "Alerts are looked into, and a share of the rest, chosen by chance.",
    "blocked": "An alert is stopped and gets no label, but for a share that is let through to see.",
}
SHARES = (0.0, 0.1, 0.2, 0.5, 1.0)
# A column of answers: for how many events a label of this one stands; 0 where none is awaited.
WEIGHT = "label_weight"
_DRAW = 1  # Another draw than that of canaries.

TABLES = Tables(
    """
CREATE TABLE IF NOT EXISTS labelling (
    scenario TEXT NOT NULL,
    branch TEXT NOT NULL,
    since_day INTEGER NOT NULL,
    mode TEXT NOT NULL,
    share REAL NOT NULL,
    PRIMARY KEY (scenario, branch, since_day)
);
""",
    "labelling",
)


@dataclass(frozen=True)
class Rule:
    """Which labels are awaited of the events from `since_day` on.

    Attributes
    ----------
    mode : {"all", "investigated", "blocked"}
    share : float
        Of those that would have no label, the part that gets one: one of `SHARES`.
    """

    since_day: int = 0
    mode: Mode = "all"
    share: float = 1.0

    def weight(self, event_id: int, decided: bool) -> float:
        """For how many events a label of this one stands; 0 when none is awaited.

        Examples
        --------
        >>> rule = Rule(0, "investigated", 0.0)
        >>> rule.weight(7, True), rule.weight(7, False)
        (1.0, 0.0)
        """
        certain = self.mode == "all" or decided == (self.mode == "investigated")
        if certain or self.share == 1.0:
            return 1.0
        return 1 / self.share if place(event_id, _DRAW) < self.share else 0.0


def choose(workspace: Workspace, scenario: str, since_day: int, mode: str, share: float) -> Rule:
    """Let this rule hold for events from that day on.

    Raises
    ------
    BadInput
        The mode or the share is none there is.
    """
    chosen = next((each for each in get_args(Mode) if each == mode), None)
    if chosen is None:
        raise BadInput(f"There is no labelling '{mode[:40]}'.", f"There are: {', '.join(MODES)}.")
    if share not in SHARES:
        raise BadInput(
            f"The share is {share:g}.", f"Choose one of {', '.join(f'{each:g}' for each in SHARES)}."
        )
    with TABLES.writing(workspace) as connection:
        connection.execute(
            "INSERT OR REPLACE INTO labelling VALUES (?, ?, ?, ?, ?)",
            (scenario, branches.live_in(connection, scenario), since_day, mode, share),
        )
    return Rule(since_day, chosen, share)


def rules(workspace: Workspace, scenario: str, branch: str | None = None) -> tuple[Rule, ...]:
    """All rules of a branch, by day; none where every outcome becomes known."""
    with TABLES.reading(workspace) as connection:
        if connection is None:
            return ()
        rows = connection.execute(
            "SELECT since_day, mode, share FROM labelling WHERE scenario = ? AND branch = ? "
            "ORDER BY since_day",
            (scenario, branch or branches.live_in(connection, scenario)),
        )
        return tuple(Rule(**dict(row)) for row in rows)


def rule_on(there: Sequence[Rule], day: int) -> Rule:
    """The rule that holds for the events of a day."""
    return next((rule for rule in reversed(there) if rule.since_day <= day), Rule())


def weights(
    there: Sequence[Rule], days: Sequence[int], event_ids: Sequence[int], decided: Sequence[bool]
) -> NDArray[np.float64]:
    """For how many events each label stands, 0 where none is awaited: shape (n_events,)."""
    by_day = {day: rule_on(there, day) for day in set(days)}
    return np.array(
        [by_day[day].weight(each, alert) for day, each, alert in zip(days, event_ids, decided, strict=True)]
    )


def weigh(there: Sequence[Rule], answered: pd.DataFrame) -> pd.DataFrame:
    """The answers, with for how many events a label of each stands.

    Parameters
    ----------
    answered : DataFrame
        day, event_id and decision of each; left as it is where no rule was ever chosen.
    """
    if not there or not len(answered):
        return answered
    columns = (answered[name].tolist() for name in ("day", "event_id", "decision"))
    return answered.assign(**{WEIGHT: weights(there, *columns)})


def awaited(answered: pd.DataFrame) -> pd.DataFrame:
    """The answers of which a label is awaited."""
    return answered[answered[WEIGHT] > 0] if WEIGHT in answered else answered


def repeated(labelled: pd.DataFrame) -> pd.DataFrame:
    """Each labelled answer as often as it stands for events: a share of one in five is five times."""
    if WEIGHT not in labelled:
        return labelled
    known = labelled[labelled[WEIGHT] > 0]
    return known.loc[known.index.repeat(known[WEIGHT].round().astype(int))].reset_index(drop=True)


def copy_branch(
    connection: sqlite3.Connection, scenario: str, source: str, target: str, before_day: int
) -> None:
    """Let branch `target` have the rules of `source` that were chosen before that day."""
    if TABLES.are_in(connection):
        named = {"before_day": before_day}
        branches.copy_rows(
            connection, "labelling", scenario, source, target, "since_day < :before_day", named
        )

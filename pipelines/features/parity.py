"""Parity: proof that a model sees the same numbers in training and when it serves.

Comes in: a scenario and its events. Goes out: for the newest of them, whether the features computed one
event at a time equal, to the last bit, those computed at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.errors import BadInput
from pipelines.features import offline
from pipelines.features.online import OnlineState
from pipelines.scenarios.scenario import Scenario

# A difference is a defect of a whole feature, so a few events show it as well as all do.
EXAMPLES = 10


@dataclass(frozen=True)
class Parity:
    """What the comparison found.

    Attributes
    ----------
    rows, columns : int
        How many events and how many features were compared.
    largest_difference : float
        Of all compared numbers; 0.0 when equal.
    equal : bool
        Whether every number is the same to the last bit.
    examples : DataFrame of shape (n <= 10, 4)
        The first differences: event_id, feature, offline, online.
    """

    rows: int
    columns: int
    largest_difference: float
    equal: bool
    examples: pd.DataFrame


def prove_equal(
    scenario: Scenario, events: pd.DataFrame, rows: int, features: pd.DataFrame | None = None
) -> Parity:
    """Replay the newest `rows` events one at a time and compare with features computed at once.

    Parameters
    ----------
    events : DataFrame
        As `ingestion.collect` returns it.
    rows : int
        At most as many as there are are replayed.
    features : DataFrame, optional
        What `offline.compute` made of `events`; computed when not given.

    Raises
    ------
    BadInput
        `rows` is less than 1, or `features` are not those of these events.
    """
    if rows < 1:
        raise BadInput(f"{rows} events were asked to be compared.", "Compare at least 1.")
    at_once = offline.compute(scenario, events) if features is None else features
    if not np.array_equal(at_once["event_id"], events["event_id"]):
        raise BadInput("The features are not those of these events.", "Compute them from the same events.")
    names = [feature.name for feature in scenario.features]
    expected = at_once[names].to_numpy(np.float64)[-rows:]
    found = replay(scenario, events, rows)
    differs = ~((expected == found) | (np.isnan(expected) & np.isnan(found)))
    row, column = (axis[:EXAMPLES] for axis in np.nonzero(differs))
    examples = pd.DataFrame(
        {
            "event_id": events["event_id"].to_numpy()[-rows:][row],
            "feature": np.array(names, dtype=object)[column],
            "offline": expected[row, column],
            "online": found[row, column],
        }
    )
    largest = float(np.abs(expected - found)[differs].max()) if differs.any() else 0.0
    return Parity(len(found), len(names), largest, not differs.any(), examples)


def replay(scenario: Scenario, events: pd.DataFrame, rows: int) -> NDArray[np.float64]:
    """The features of the newest `rows` events, computed as when they arrived.

    What came before is loaded as it was known when the first of them arrived; then each event is
    computed and remembered in turn, and each label learned in the second it became known.

    Returns
    -------
    ndarray of float64, shape (rows, n_features)
    """
    before, arriving = events.iloc[:-rows], events.iloc[-rows:]
    begins_s = int(arriving["event_time"].iloc[0]) if len(arriving) else 0
    state = OnlineState(scenario)
    state.load(before.assign(label=before["label"].mask(before["label_time"] > begins_s)))
    told = events[events["label"].notna() & (events["label_time"] > begins_s)].sort_values("label_time")
    labels = list(
        zip(told["event_id"].tolist(), told["label"].tolist(), told["label_time"].tolist(), strict=True)
    )
    found = np.empty((len(arriving), len(scenario.features)))
    learned = 0
    names = ["event_id", "event_time", *(column.name for column in scenario.columns)]
    for place, values in enumerate(zip(*(arriving[name].tolist() for name in names), strict=True)):
        event = dict(zip(names, values, strict=True))
        while learned < len(labels) and labels[learned][2] <= event["event_time"]:
            state.learn_label(*labels[learned])
            learned += 1
        found[place] = state.compute(event)
        state.remember(event)
    return found

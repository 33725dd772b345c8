"""Ingestion: the events that have happened by today, with the outcomes that are known by today.

Comes in: a world, or a stored table. Goes out: checked events, or the table as a source delivers it.
Here, and only here, it is decided when a label is known: whoever trains or measures asks `known`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.errors import BadInput, Damaged, Missing
from pipelines.scenarios.delivery import Mishap, deliver
from pipelines.scenarios.scenario import DAY_S, Column, Scenario, Size, read_happened

TIMES = ("event_time", "label_time")


def collect(scenario: Scenario, size: Size, seed: int, until_day: int, episodes: str = "") -> pd.DataFrame:
    """The events before `until_day`, with the labels that are known when it begins.

    Parameters
    ----------
    until_day : int
        Today, in days since day 0.
    episodes : str
        What happens to this world, as `read_happened` takes it; what begins later changes nothing yet.

    Returns
    -------
    DataFrame of shape (n_events, 4 + number of columns), sorted by event_time, then event_id.
        As `Scenario.produce` makes it, but label is Int8 and missing where it is not known yet.

    Raises
    ------
    BadInput
        The world of that size ends before `until_day`, or does not know the episodes.
    """
    check_day(scenario, size, until_day)
    now_s = until_day * DAY_S
    world = scenario.produce(size, seed, until_day, read_happened(scenario, episodes))
    label = world["label"].astype("Int8")
    events = world.assign(label=label.mask(world["label_time"] > now_s))
    check_events(events, scenario)
    return events


def receive(
    scenario: Scenario,
    size: Size,
    seed: int,
    until_day: int,
    episodes: str = "",
    damaged: float = 0.0,
    mishap: Mishap = "none",
) -> pd.DataFrame:
    """What arrives of the events that `collect` returns: nothing is checked yet.

    Parameters
    ----------
    damaged, mishap
        What happens on the way; see `scenarios.delivery.deliver`. The faults are simulated, in every world.

    Raises
    ------
    BadInput
        As `collect`.
    """
    return deliver(scenario, collect(scenario, size, seed, until_day, episodes), seed, damaged, mishap)


def check_day(scenario: Scenario, size: Size, until_day: int) -> None:
    """Refuse a day that the world of that size does not reach; cheap, so a run is refused before it starts.

    Raises
    ------
    BadInput
        The world of that size ends before `until_day`.
    """
    length = scenario.length(size)
    if not 1 <= until_day <= length:
        raise BadInput(
            f"Day {until_day} is asked for, but the {size} world of {scenario.name} lasts {length} days.",
            f"Set ingest.until_day from 1 to {length}, or ingest.size larger.",
        )


def known(events: pd.DataFrame, at_s: int) -> pd.DataFrame:
    """The rows whose label is known at `at_s`: what a model may learn from at that time.

    A label that is learned in this very second counts as known.

    Parameters
    ----------
    events : DataFrame with columns label_time and label
        Events or their features.
    at_s : int
        Seconds since day 0.

    Returns
    -------
    DataFrame of the same columns
        label is int8, 0 or 1.

    Examples
    --------
    >>> rows = pd.DataFrame({"label_time": [10, 20, 30], "label": pd.array([0, 1, None], "Int8")})
    >>> known(rows, at_s=20)["label"].tolist(), known(rows, at_s=19)["label"].tolist()
    ([0, 1], [0])
    """
    rows = events[events["label"].notna() & (events["label_time"] <= at_s)]
    return rows.assign(label=rows["label"].astype(np.int8))


def read_events(path: Path, scenario: Scenario | None = None) -> pd.DataFrame:
    """The stored events at `path`, checked.

    Parameters
    ----------
    scenario : Scenario, optional
        Checks its columns too, and not only those that all worlds have.

    Raises
    ------
    Missing
        There is no such file.
    Damaged
        It is no Parquet file, or cut short.
    BadInput
        It is whole, but its content is not of the form expected.
    """
    try:
        events = pd.read_parquet(path)
    except FileNotFoundError as error:
        raise Missing(f"There is no file {path.name}.", "Run step 'clean' first.") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Damaged(f"{path.name} can't be read: {reason}", "Run again from step 'clean'.") from error
    check_events(events, scenario)
    return events


def check_events(events: pd.DataFrame, scenario: Scenario | None = None) -> None:
    """Refuse a table that is not of the form every later step relies on.

    Raises
    ------
    BadInput
        A column is missing, not foreseen or of another type, holds nothing or values out of bounds,
        ids occur twice, labels come before their events, or rows are not in order. Names the column,
        how many rows are concerned, and one of them.
    """
    columns = scenario.columns if scenario is not None else ()
    _check_names(events, columns, whole=scenario is not None)
    for name in ("event_id", *TIMES):
        _check_type(events, name, pd.api.types.is_integer_dtype(events[name]), "whole numbers")
        _refuse(events, name, events[name].isna(), "holds nothing")
    for column in columns:
        _check_values(events, column)
    label = events["label"]
    _check_type(events, "label", pd.api.types.is_integer_dtype(label), "0, 1 or nothing")
    _refuse(events, "label", ~label.isin([0, 1]) & label.notna(), "is neither 0 nor 1")
    _refuse(events, "event_id", events["event_id"].duplicated(), "has occurred before")
    _refuse(events, "event_time", events["event_time"] < 0, "lies before day 0")
    _refuse(events, "label_time", events["label_time"] <= events["event_time"], "is not after event_time")
    later = events["event_time"].diff() < 0
    tied = (events["event_time"].diff() == 0) & (events["event_id"].diff() < 0)
    _refuse(events, "event_time", later | tied, "is out of order: rows go by event_time, then event_id")


def _check_names(events: pd.DataFrame, columns: tuple[Column, ...], *, whole: bool) -> None:
    expected = ["event_id", *TIMES, *(column.name for column in columns), "label"]
    missing = [name for name in expected if name not in events.columns]
    if missing:
        raise BadInput(
            f"The events have no column '{missing[0]}'"
            + (f" (nor {', '.join(missing[1:])})." if missing[1:] else "."),
            f"Expected: {', '.join(expected)}.",
        )
    foreign = [str(name) for name in events.columns if name not in expected]
    if whole and foreign:
        raise BadInput(
            f"The events have a column '{foreign[0][:40]}' that is not foreseen.",
            f"Leave it out; a column nobody knows may give the answer away. Expected: {', '.join(expected)}.",
        )


def _check_values(events: pd.DataFrame, column: Column) -> None:
    """The raw column is of its kind, filled everywhere and within its bounds."""
    values = events[column.name]
    _refuse(events, column.name, values.isna(), "holds nothing")
    if column.kind != "number":
        plain = pd.api.types.is_integer_dtype(values) or pd.api.types.is_string_dtype(values)
        _check_type(events, column.name, plain, "whole numbers or texts")
        if column.categories:
            foreign = ~values.isin(column.categories)
            _refuse(events, column.name, foreign, f"is none of {', '.join(column.categories)}")
        return
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    _check_type(events, column.name, numeric, "numbers")
    unit = f" {column.unit}" if column.unit else ""
    _refuse(events, column.name, ~np.isfinite(values.to_numpy(np.float64)), "is not finite")
    if column.low is not None:
        _refuse(events, column.name, values < column.low, f"is below {column.low:g}{unit}")
    if column.high is not None:
        _refuse(events, column.name, values > column.high, f"is above {column.high:g}{unit}")


def _check_type(events: pd.DataFrame, name: str, right: bool, expected: str) -> None:
    if not right:
        example = repr(events[name].iloc[0])[:40] if len(events) else "an empty column"
        raise BadInput(
            f"Column '{name}' is of type {events[name].dtype} ({example}), but {expected} are expected.",
            "Convert the column, or collect the events again.",
        )


def _refuse(events: pd.DataFrame, name: str, wrong: pd.Series[bool] | NDArray[np.bool_], fault: str) -> None:
    """Raise when any row is `wrong`, with how many are and the first of them."""
    flags = np.asarray(wrong, dtype=np.bool_)
    if not flags.any():
        return
    row = int(np.argmax(flags))
    example = f"event {events['event_id'].iloc[row]} in row {row}: {str(events[name].iloc[row])[:40]}"
    raise BadInput(
        f"Column '{name}' {fault} in {int(flags.sum()):,} of {len(events):,} rows ({example}).",
        "Correct these rows or leave them out, then try again.",
    )

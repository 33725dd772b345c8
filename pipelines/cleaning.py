"""Cleaning: every repair stated and counted, and events that every later step can rely on.

Comes in: the table as the source delivered it, and what validation says of its days. Goes out: events of
the strict form (`ingestion.check_events`), and one `Repair` for each kind of fault, with an example. A
repair is a decision: what is left out is missed, what is filled in is a guess. So each is written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.errors import Refused
from pipelines.ingestion import TIMES, check_events
from pipelines.lifecycle import Clean
from pipelines.scenarios.scenario import DAY_S, Column, Scenario

# A day in cents has a median about a hundred times the others'. Halfway to ten and to a thousand times,
# on the scale of factors, it is no longer taken for that.
HUNDREDFOLD = 100.0
LEAST_FACTOR, MOST_FACTOR = HUNDREDFOLD / 10**0.5, HUNDREDFOLD * 10**0.5


@dataclass(frozen=True)
class Repair:
    """One kind of fault, and what was done about it.

    Attributes
    ----------
    what, column : str
        The fault in words, and where; column is empty when it is about whole rows.
    rows : int
        How many rows it was done to.
    how : str
        What was done, in words.
    dropped : int
        How many rows it left out.
    event_id : int or None
        An example; what it was before and after. After is "left out" when the row is gone.
    before, after : str
    """

    what: str
    column: str
    rows: int
    how: str
    dropped: int = 0
    event_id: int | None = None
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Cleaned:
    """Strictly valid events, and how they came to be."""

    events: pd.DataFrame
    report: dict[str, Any]

    @property
    def repairs(self) -> list[Repair]:
        return repairs_of(self.report)


@dataclass
class _Bench:
    """The table in work, and the repairs so far."""

    table: pd.DataFrame
    repairs: list[Repair] = field(default_factory=list)

    def leave_out(self, what: str, column: str, wrong: NDArray[np.bool_], how: str) -> None:
        """Take the rows that are `wrong` out."""
        if not wrong.any():
            return
        place = int(np.argmax(wrong))
        before = _shown(self.table[column or "event_id"].iloc[place])
        count = int(wrong.sum())
        example = self._id(place)
        self.table = self.table[~wrong]
        self.repairs.append(Repair(what, column, count, how, count, example, before, "left out"))

    def change(
        self, what: str, column: str, wrong: NDArray[np.bool_], values: pd.Series[float], how: str
    ) -> None:
        """Put `values` where they are `wrong`."""
        if not wrong.any():
            return
        place = int(np.argmax(wrong))
        before, example = _shown(self.table[column].iloc[place]), self._id(place)
        self.table = self.table.assign(**{column: self.table[column].mask(wrong, values)})
        after = _shown(self.table[column].iloc[place])
        self.repairs.append(Repair(what, column, int(wrong.sum()), how, 0, example, before, after))

    def _id(self, place: int) -> int | None:
        value = self.table["event_id"].iloc[place]
        return None if pd.isna(value) else int(value)


def clean(
    scenario: Scenario, collected: pd.DataFrame, validation: Mapping[str, Any], params: Clean
) -> Cleaned:
    """Repair what can be repaired, and leave out what can't.

    Parameters
    ----------
    collected : DataFrame
        As the source delivered it; left as it is.
    validation : mapping
        The report of `validation.validate` on it: which day's median is usual.

    Raises
    ------
    Refused
        A foreseen column is not there, or holds another type: no repair brings back what was never sent.
    BadInput
        What remains is not of the strict form all the same: names column, count and an example.
    """
    bench = _Bench(_only_foreseen(scenario, collected))
    foreign = [str(name) for name in collected.columns if name not in bench.table.columns]
    for name in foreign:
        filled = int(collected[name].count())
        bench.repairs.append(
            Repair("nobody foresaw this column", name[:40], filled, "the column is left out")
        )
    repeated = bench.table["event_id"].duplicated() & bench.table["event_id"].notna()
    bench.leave_out("sent twice", "", repeated.to_numpy(), "the first is kept")
    for name in _keys(scenario):
        wrong = bench.table[name].isna().to_numpy()
        bench.leave_out("missing", name, wrong, "the row is left out: nobody can say whose or when it was")
    for column in (each for each in scenario.columns if each.categories):
        wrong = ~bench.table[column.name].isin(column.categories).to_numpy()
        bench.leave_out("no such category", column.name, wrong, "the row is left out")
    for column in (each for each in scenario.columns if each.kind == "number"):
        if params.units == "rescale":
            _rescale(bench, column, validation)
        _bound(bench, column, params)
        _fill(bench, column, params)
    events = _in_order(scenario, bench.table)
    check_events(events, scenario)
    return Cleaned(events, _report(scenario, collected, events, bench.repairs, params))


def repairs_of(report: Mapping[str, Any]) -> list[Repair]:
    """The repairs that a report tells of."""
    return [Repair(**each) for each in report["repairs"]]


def hundredfold_days(validation: Mapping[str, Any], column: str) -> dict[int, float]:
    """The days on which the median of `column` is about a hundred times what is usual, with the factor."""
    daily = validation.get("daily", {})
    medians = np.array(daily.get("medians", {}).get(column, []), dtype=np.float64)
    found = {}
    for place, median in enumerate(medians):
        others = np.delete(medians, place)
        usual = float(np.nanmedian(others)) if np.isfinite(others).any() else 0.0
        if usual > 0 and LEAST_FACTOR <= median / usual <= MOST_FACTOR:
            found[int(daily["days"][place])] = median / usual
    return found


def _keys(scenario: Scenario) -> list[str]:
    """Columns without which a row says nothing: who and when."""
    return ["event_id", *TIMES, *(column.name for column in scenario.columns if column.kind != "number")]


def _only_foreseen(scenario: Scenario, collected: pd.DataFrame) -> pd.DataFrame:
    """The foreseen columns of the batch, in their order."""
    expected = ["event_id", *TIMES, *(column.name for column in scenario.columns), "label"]
    numbers = {
        "event_id",
        *TIMES,
        "label",
        *(each.name for each in scenario.columns if each.kind == "number"),
    }
    for name in expected:
        if name not in collected.columns:
            raise Refused(
                f"Column '{name}' was not delivered at all, so it can't be repaired.",
                "Collect again once the source sends it.",
            )
        if name in numbers and not pd.api.types.is_numeric_dtype(collected[name]):
            raise Refused(
                f"Column '{name}' holds {collected[name].dtype} and no numbers, so it can't be repaired.",
                "Collect again once the source sends numbers.",
            )
    return collected[expected].reset_index(drop=True)


def _rescale(bench: _Bench, column: Column, validation: Mapping[str, Any]) -> None:
    days = hundredfold_days(validation, column.name)
    wrong = (bench.table["event_time"] // DAY_S).isin(list(days)) & bench.table[column.name].notna()
    listed = ", ".join(map(str, sorted(days)))
    values = (bench.table[column.name] / HUNDREDFOLD).round(column.decimals)
    how = f"divided by {HUNDREDFOLD:g} on day{'s' if len(days) > 1 else ''} {listed}"
    bench.change("a hundredfold unit", column.name, wrong.to_numpy(), values, how)


def _bound(bench: _Bench, column: Column, params: Clean) -> None:
    """Numbers beyond a bound, each side by itself; what is not finite has no bound to be set to."""
    sides = (("below", column.low, np.less), ("above", column.high, np.greater))
    values = bench.table[column.name]
    bench.leave_out("not finite", column.name, np.isinf(values.to_numpy(np.float64)), "the row is left out")
    for side, bound, beyond in sides:
        if bound is None:
            continue
        values = bench.table[column.name]
        wrong = beyond(values.to_numpy(np.float64), bound)
        what = f"{side} {bound:,g} {column.unit}".rstrip()
        if params.impossible == "clip":
            filled = pd.Series(bound, index=values.index)
            bench.change(what, column.name, wrong, filled, f"set to {bound:,g}")
        else:
            bench.leave_out(what, column.name, wrong, "the row is left out")


def _fill(bench: _Bench, column: Column, params: Clean) -> None:
    values = bench.table[column.name]
    wrong = values.isna().to_numpy()
    middle = values.median()
    if params.missing == "drop" or pd.isna(middle):
        bench.leave_out("missing", column.name, wrong, "the row is left out")
        return
    middle = round(float(middle), column.decimals)
    filled = pd.Series(middle, index=values.index)
    how = f"filled with the median, {middle:,g} {column.unit}".rstrip()
    bench.change("missing", column.name, wrong, filled, how)


def _in_order(scenario: Scenario, table: pd.DataFrame) -> pd.DataFrame:
    """The events by time, then id, each column of its own type again: gaps had made numbers of some."""
    whole = ["event_id", *TIMES]
    ids = [column.name for column in scenario.columns if column.kind == "id"]
    whole += [name for name in ids if pd.api.types.is_numeric_dtype(table[name])]
    types = dict.fromkeys(whole, "int64") | {"label": "Int8"}
    types |= {column.name: "float64" for column in scenario.columns if column.kind == "number"}
    return table.astype(types).sort_values(["event_time", "event_id"], ignore_index=True)


def _report(
    scenario: Scenario,
    collected: pd.DataFrame,
    events: pd.DataFrame,
    repairs: list[Repair],
    params: Clean,
) -> dict[str, Any]:
    """JSON: rows before and after, repairs, and the same figures with and without them."""
    numbers = [column for column in scenario.columns if column.kind == "number"]
    return {
        "rows_before": len(collected),
        "rows_after": len(events),
        "params": params.model_dump(),
        "repairs": [asdict(repair) for repair in repairs],
        "figures": {
            column.name: {
                "unit": column.unit,
                "before": _figures(collected[column.name]),
                "after": _figures(events[column.name]),
            }
            for column in numbers
        },
        "by_day": _means_by_day(collected, events, numbers),
    }


def _figures(values: pd.Series[float]) -> dict[str, float | None]:
    """What a reader asks of a column first; None where there is no value."""
    found = values[np.isfinite(values.to_numpy(np.float64))]
    if found.empty:
        return {"mean": None, "spread": None, "least": None, "most": None}
    spread = float(found.std()) if len(found) > 1 else 0.0
    return {
        "mean": float(found.mean()),
        "spread": spread,
        "least": float(found.min()),
        "most": float(found.max()),
    }


def _means_by_day(collected: pd.DataFrame, events: pd.DataFrame, numbers: list[Column]) -> dict[str, Any]:
    """The mean of each number on each day, as it came and as it is now."""
    days = sorted({int(day) for day in (collected["event_time"].dropna() // DAY_S).unique()})
    means = {}
    for column in numbers:
        sides = {}
        for side, table in (("before", collected), ("after", events)):
            by_day = table.groupby(table["event_time"] // DAY_S)[column.name].mean().reindex(days)
            sides[side] = [float(mean) if np.isfinite(mean) else None for mean in by_day]
        means[column.name] = sides
    return {"days": days, "means": means}


def _shown(value: Any) -> str:
    if pd.isna(value):
        return "nothing"
    return f"{value:,.6g}" if isinstance(value, float | np.floating) else f"{value}"[:40]

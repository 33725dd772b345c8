"""The schema of events: names, types, gaps, bounds and ids, each value by itself. Pandera looks for them.

Comes in: a batch. Goes out: one check for each rule and column; what a rule can't be asked of (a column
that is not there, a text's size) is left out.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd

from pipelines.ingestion import TIMES
from pipelines.scenarios.scenario import Column, Scenario
from pipelines.validation.check import Check, Example, judge, rows_like, shown, with_unit

IDS = ("event_id", *TIMES)
WHOLE, NUMBER, NAME, OUTCOME = "whole numbers", "numbers", "whole numbers or texts", "0, 1 or nothing"


def check_values(scenario: Scenario, batch: pd.DataFrame, most_damaged: float) -> list[Check]:
    """What the schema says of the batch.

    Parameters
    ----------
    batch : DataFrame
        As the source delivered it; anything may be wrong with it.
    most_damaged : float
        Share of rows that a rule may be broken in and cleaning repairs.
    """
    kinds = _kinds(scenario)
    checks = [_names(batch, list(kinds))]
    fit = []
    for name, kind in kinds.items():
        if name in batch.columns and not _twice_named(batch, name):
            checks.append(_type(batch[name], name, kind))
            fit += [name] if checks[-1].passed else []
    broken = _ask_pandera(scenario, batch[fit])

    def add(rule: str, column: Column | str, expected: str, fault: str) -> None:
        name = column.name if isinstance(column, Column) else column
        wrong = np.zeros(len(batch), np.bool_)
        wrong[broken[name, rule]] = True
        checks.append(
            judge(
                rule,
                column,
                expected,
                fault,
                count=int(wrong.sum()),
                rows=len(batch),
                limit=most_damaged,
                examples=rows_like(batch, name, wrong),
            )
        )

    if "event_id" in fit:
        add("twice", "event_id", "Each event is sent once", "has been sent before")
    for name in (each for each in fit if each != "label"):
        add("missing", name, f"'{name}' is filled", "holds nothing")
    for column in (each for each in scenario.columns if each.kind == "number" and each.name in fit):
        if column.low is not None:
            bound = with_unit(column.low, column)
            add("low", column, f"'{column.name}' is at least {bound}", f"is below {bound}")
        high = column.high if column.high is not None else np.inf
        bound = with_unit(high, column) if np.isfinite(high) else "any number"
        add("high", column, f"'{column.name}' is at most {bound}", f"is above {bound}")
    for column in (each for each in scenario.columns if each.categories and each.name in fit):
        listed = ", ".join(column.categories)
        add("category", column, f"'{column.name}' is one of {listed}", f"is none of {listed}")
    if "label" in fit:
        add("label", "label", "A label is 0, 1 or not known yet", "is neither 0 nor 1")
    return checks


def _kinds(scenario: Scenario) -> dict[str, str]:
    """What each column holds, in the order of the table."""
    raw = {column.name: NUMBER if column.kind == "number" else NAME for column in scenario.columns}
    return dict.fromkeys(IDS, WHOLE) | raw | {"label": OUTCOME}


def _names(batch: pd.DataFrame, expected: list[str]) -> Check:
    """Every foreseen column is there once, and no other."""
    found = [str(name) for name in batch.columns]
    examples = [Example(f"'{name[:40]}' is not there") for name in expected if name not in found]
    foreign = list(dict.fromkeys(name for name in found if name not in expected or found.count(name) > 1))
    examples += [_foreign(batch, name) for name in foreign]
    absent = [name for name in expected if name not in found]
    first = (foreign + absent)[:1]
    fault = "is not foreseen" if foreign else "is not there"
    listed = f"The columns are {', '.join(expected)}"
    return judge(
        "columns",
        first[0][:40] if first else "",
        listed,
        fault,
        count=len(examples),
        rows=len(expected),
        unit="columns",
        examples=examples,
    )


def _foreign(batch: pd.DataFrame, name: str) -> Example:
    """A column that nobody foresaw, with how many values it has, and the first."""
    values = batch.loc[:, [each for each in batch.columns if str(each) == name]].iloc[:, 0].dropna()
    first = f", such as {shown(values.iloc[0])}" if len(values) else ""
    return Example(f"'{name[:40]}' holds {len(values):,} values{first}")


def _twice_named(batch: pd.DataFrame, name: str) -> bool:
    return list(batch.columns).count(name) > 1


def _type(values: pd.Series[Any], name: str, kind: str) -> Check:
    """The column is of its kind; whole numbers with gaps come as numbers, and are whole all the same."""
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    right = numeric
    if numeric and kind != NUMBER:
        known = values.dropna().to_numpy(np.float64)
        right = bool(np.all(np.isfinite(known)) and np.all(known == np.floor(known)))
    elif not numeric and kind == NAME:
        # Texts, each and every one: a mixed column is neither.
        right = pd.api.types.is_string_dtype(values.dropna())
    first = values.iloc[0] if len(values) else None
    example = Example(f"{first!r}"[:40] + f", of type {values.dtype}")
    return judge(
        "type",
        name,
        f"'{name}' holds {kind}",
        f"holds no {kind}",
        count=0 if right or values.isna().all() else 1,
        rows=1,
        unit="columns",
        examples=[] if right else [example],
    )


def _ask_pandera(scenario: Scenario, batch: pd.DataFrame) -> dict[tuple[str, str], list[int]]:
    """The rows in which each column breaks each rule."""
    # Here and not above: the worker and the pages never validate, and it takes a quarter of a second.
    import pandera.pandas as pa

    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    try:
        _schema(scenario, batch).validate(batch.reset_index(drop=True), lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases
        names = {"not_nullable": "missing", "field_uniqueness": "twice"}
        for (column, rule), rows in cases.groupby(["column", "check"])["index"]:
            found[str(column), names.get(str(rule), str(rule))] = [int(row) for row in rows]
    return found


def _schema(scenario: Scenario, batch: pd.DataFrame) -> Any:
    """The pandera schema of those columns that are in `batch`; names and types are checked before."""
    import pandera.pandas as pa

    columns = {}
    for name in IDS:
        columns[name] = pa.Column(unique=name == "event_id", report_duplicates="exclude_first")
    for column in scenario.columns:
        checks = []
        if column.kind == "number":
            if column.low is not None:
                checks.append(pa.Check.ge(column.low, error="low"))
            most = column.high if column.high is not None else np.finfo(np.float64).max
            checks.append(pa.Check.le(most, error="high"))
        if column.categories:
            checks.append(pa.Check.isin(column.categories, error="category"))
        columns[column.name] = pa.Column(checks=checks)
    columns["label"] = pa.Column(checks=pa.Check.isin([0, 1], error="label"), nullable=True)
    return pa.DataFrameSchema({name: columns[name] for name in batch.columns})

"""A form from a step's params: one widget a field, with its meaning, unit and bounds.

What the learner changes is kept in the page's address until a run takes it: a refresh loses nothing, a
copied address carries it, and the shown run's own params are what it starts from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.parts.frame import note
from pages.parts.words import plain
from pipelines.lifecycle import LIFECYCLE
from pipelines.scenarios.scenario import Column
from pipelines.step import Step

# With more steps than this, a slider can't be set exactly by hand.
SLIDER_STEPS = 150
SEED = "seed"
LARGEST_SEED = 2**31 - 1

Params = dict[str, dict[str, Any]]


def edited(base: Mapping[str, Mapping[str, Any]]) -> Params:
    """The params of `base` with what the address changes in them.

    Raises
    ------
    BadInput
        The address holds a value out of bounds; `forget_edits` removes it.
    """
    values = {name: dict(params) for name, params in base.items()}
    for key in st.query_params:
        step, _, param = key.partition(".")
        if step in values and param in values[step]:
            values[step][param] = st.query_params[key]
    return {name: params.model_dump() for name, params in LIFECYCLE.check(values).items()}


def edited_seed(base: int) -> int:
    """The seed of the run to start."""
    text = st.query_params.get(SEED, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) <= LARGEST_SEED else base


def edits() -> dict[str, str]:
    """All changes that the address holds, as it holds them."""
    return {
        key: st.query_params[key]
        for key in st.query_params
        if key == SEED or ("." in key and key.partition(".")[0] in LIFECYCLE.names)
    }


def forget_edits() -> None:
    """Take all changes out of the address."""
    for key in edits():
        del st.query_params[key]


def draw_params(step: Step, values: Mapping[str, Any], base: Mapping[str, Any], origin: str) -> None:
    """The form of one step.

    Parameters
    ----------
    values, base : mapping
        What the fields show, and what they started from.
    origin : str
        What `base` belongs to: another run's form has widgets of its own.
    """
    schema = step.params.model_json_schema()["properties"]
    fields = list(schema)
    for start in range(0, len(fields), 2):
        for column, name in zip(st.columns(2, gap="medium"), fields[start : start + 2], strict=False):
            with column:
                draw_param(step, name, values[name], base[name], origin)


def draw_param(step: Step, name: str, value: Any, base: Any, origin: str) -> None:
    """The field of one param, with its meaning."""
    field, key = step.params.model_json_schema()["properties"][name], f"{origin}:{step.name}.{name}"
    with st.container(gap="xxsmall"):
        _widget(name, field, value, key, (key, f"{step.name}.{name}", base))
        note(_meaning(field, value, base))


def draw_seed(value: int, base: int, origin: str) -> None:
    """The field for the run's seed."""
    key = f"{origin}:{SEED}"
    with st.container(gap="xxsmall"):
        st.number_input("Seed", 0, LARGEST_SEED, value, key=key, on_change=_keep, args=(key, SEED, base))
        note("Of the world and of the training. The same seed gives the same result.")


def ask_event(columns: tuple[Column, ...], known: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The fields of one raw event, filled with the `known` values or an example."""
    event: dict[str, Any] = {}
    wide = 2 if len(columns) > 4 else 1
    for start in range(0, len(columns), wide):
        for place, column in zip(
            st.columns(wide, vertical_alignment="bottom"), columns[start : start + wide], strict=False
        ):
            with place:
                value = known.get(column.name, column.example)
                event[column.name] = _column(column, value, f"{key}:{column.name}")
    return event


def title_of(name: str, unit: str = "") -> str:
    """A param's or column's name as a label: "Max depth (levels)"."""
    words = name.replace("_", " ")
    shown = f" ({unit})" if unit and unit not in words.split() else ""
    return f"{words[:1].upper()}{words[1:]}{shown}"


def _widget(name: str, field: dict[str, Any], value: Any, key: str, kept: tuple[str, str, Any]) -> None:
    label = title_of(name, field.get("unit", ""))
    if "enum" in field:
        options = field["enum"]
        st.selectbox(label, options, options.index(value), key=key, on_change=_keep, args=kept)
    elif field["type"] == "string":
        most = field.get("maxLength")
        st.text_input(label, value, most, key=key, on_change=_keep, args=kept)
    else:
        low, high, step = field["minimum"], field["maximum"], _step(field)
        form = None if field["type"] == "integer" else f"%.{_decimals(step)}f"
        ask = st.slider if (high - low) / step <= SLIDER_STEPS else st.number_input
        ask(label, low, high, value, step, form, key=key, on_change=_keep, args=kept)


def _step(field: dict[str, Any]) -> int | float:
    """How far one press moves: whole numbers by about a hundredth of their range, shares by 0.01."""
    low, high = field["minimum"], field["maximum"]
    if field["type"] == "integer":
        return next(step for step in (1, 10, 100, 1000) if (high - low) / step <= 4 * SLIDER_STEPS)
    return 0.01 if high <= 1 and round(low * 100, 9) == int(low * 100) else float(low)


def _decimals(step: float) -> int:
    return len(f"{step:.6f}".rstrip("0").partition(".")[2])


def _meaning(field: dict[str, Any], value: Any, base: Any) -> str:
    """What the field is for, its bounds, and what it was before it was changed."""
    bounds = ""
    if "minimum" in field:
        bounds = f" {field['minimum']:,g} to {field['maximum']:,g}."
    before = f" **Was {plain(base)}.**" if value != base and base != "" else ""
    return f"{plain(field['description'])}{bounds}{before}"


def _keep(key: str, name: str, base: Any) -> None:
    """Write a changed field into the address; one that is as it was leaves it."""
    value = st.session_state[key]
    if value is None or value == base:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = str(value)


def _column(column: Column, value: Any, key: str) -> Any:
    label = title_of(column.name.removesuffix("_id"), column.unit)
    if column.categories:
        listed = list(column.categories)
        place = listed.index(value) if value in listed else 0
        return st.selectbox(label, listed, place, key=key, help=column.meaning)
    if column.kind == "category":
        return st.text_input(label, str(value), key=key, help=column.meaning)
    if column.kind == "id":
        return st.number_input(label, 0, None, int(value), 1, key=key, help=column.meaning)
    bounds = ""
    if column.low is not None and column.high is not None:
        bounds = f" {column.low:,g} to {column.high:,g}."
    step = 1.0 if column.decimals <= 2 else 10.0**-column.decimals * 10
    form = f"%.{column.decimals}f"
    meaning = column.meaning + bounds
    return st.number_input(label, column.low, column.high, float(value), step, form, key=key, help=meaning)

"""Requests of the Open Inference Protocol: read, checked, and refused with what was expected.

Comes in: the bytes of a request, and the scenario that declares the columns of its raw event. Goes out:
events whose every value is of its kind and within its bounds, or the reason why not.
"""

from __future__ import annotations

import json
import reprlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.errors import BadInput
from pipelines.scenarios.scenario import Column, Scenario
from pipelines.serving.open_inference import EVENT_ID, EVENT_TIME, OUTPUTS, bounds, datatype

Event = dict[str, Any]

# A thousand rows of a wide event fit the bound on bytes; together they bound one request's time and memory.
MAX_ROWS = 1_000
MAX_TEXT = 200  # Characters of an id or category.
INT64 = (-(2**63), 2**63 - 1)
FLOAT_MAX = sys.float_info.max
SHOWN = 60  # Characters of a refused value that a message repeats.
OPTIONAL = (EVENT_ID, EVENT_TIME)


class NotJson(BadInput):
    """A body is not JSON at all, or ambiguous JSON."""

    http_status = 400


@dataclass(frozen=True)
class InferRequest:
    """A checked request for inference.

    Attributes
    ----------
    events : list of dict
        Each has the scenario's columns, and event_id and event_time, which are None where not sent.
        Ids that were sent differ.
    id : str or None
        The client's own name for the request, to be repeated in the answer.
    outputs : tuple of str
        The outputs asked for.
    """

    events: list[Event]
    id: str | None
    outputs: tuple[str, ...]


def read_json(body: bytes) -> Any:
    """The value that `body` holds, refusing what JSON leaves open.

    Raises
    ------
    NotJson
        It is not JSON in UTF-8, an object has one key twice, or it holds NaN or an infinity.
    """
    try:
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=_object_without_doubles, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        raise NotJson(f"The body is not UTF-8 (byte {error.start}).", "Send JSON in UTF-8.") from error
    except RecursionError as error:
        raise NotJson("The body nests arrays or objects too deeply.", "Send rows as flat arrays.") from error
    except ValueError as error:
        raise NotJson(
            f"The body is not JSON: {error}.", 'Send {"inputs": […]}; see GET /v2/models/<model>.'
        ) from error


def parse_request(body: bytes, scenario: Scenario) -> InferRequest:
    """The events in a request for inference.

    Raises
    ------
    NotJson
        As `read_json`.
    BadInput
        Something is not of the form expected; says where, what was found and what is expected.
    """
    content = read_json(body)
    fields = read_fields(content, "The request", ("inputs",), ("id", "parameters", "outputs"))
    request_id = fields.get("id")
    if request_id is not None:
        _text(request_id, "The request's id")
    if not isinstance(fields["inputs"], list):
        raise BadInput(
            f"'inputs' is {_show(fields['inputs'])}.", "Send a list of inputs, one for each column."
        )
    columns = {column.name: column for column in scenario.columns}
    tensors: dict[str, list[Any]] = {}
    for entry in fields["inputs"]:
        name, values = _tensor(entry, scenario, columns)
        if name in tensors:
            raise BadInput(f"Input '{name}' is sent twice.", "Send each column once.")
        tensors[name] = values
    rows = _rows(tensors, tuple(columns))
    names = (*columns, *OPTIONAL)
    absent = [None] * rows
    in_rows = zip(*(tensors.get(name, absent) for name in names), strict=True)
    events = [dict(zip(names, row, strict=True)) for row in in_rows]
    _check_ids_differ(tensors.get("event_id", []))
    return InferRequest(events, request_id, _outputs(fields.get("outputs")))


def read_fields(value: object, what: str, needed: Sequence[str], optional: Sequence[str]) -> dict[str, Any]:
    """`value` if it is an object with the needed fields, perhaps the optional ones, and no others.

    Raises
    ------
    BadInput
        It is not; names the field and lists those there are.
    """
    known = ", ".join((*needed, *optional))
    if not isinstance(value, dict):
        raise BadInput(f"{what} is {_show(value)}, but an object is expected.", f"Its fields are: {known}.")
    for name in needed:
        if name not in value:
            raise BadInput(f"{what} has no field '{name}'.", f"Its fields are: {known}.")
    for name in value:
        if name not in needed and name not in optional:
            raise BadInput(f"{what} has an unknown field {_show(name)}.", f"Its fields are: {known}.")
    return value


def whole_number(value: object, name: str, low: int, high: int) -> int:
    """`value` if it is a whole number from `low` to `high`.

    Raises
    ------
    BadInput
        It is not; says what was found and what is expected.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadInput(
            f"{name} is {_show(value)}, but a whole number from {low:,} to {high:,} is expected.",
            "Correct the value and send the request again.",
        )
    return value


def _tensor(entry: object, scenario: Scenario, columns: dict[str, Column]) -> tuple[str, list[Any]]:
    """Name and checked values of one input."""
    fields = read_fields(entry, "An input", ("name", "shape", "datatype", "data"), ("parameters",))
    name = fields["name"]
    if not isinstance(name, str) or (name not in columns and name not in OPTIONAL):
        raise BadInput(
            f"There is no input {_show(name)}.",
            f"Expected: {', '.join(columns)}; optional: {', '.join(OPTIONAL)}.",
        )
    column = columns.get(name)
    expected = "INT64" if column is None else datatype(column)
    if fields["datatype"] != expected:
        raise BadInput(
            f"Input '{name}' has datatype {_show(fields['datatype'])}, but {expected} is expected.",
            f'Send "datatype": "{expected}".',
        )
    values = _flat(name, fields["shape"], fields["data"])
    for row, value in enumerate(values):
        where = f"Input '{name}', row {row},"
        if column is None:
            whole_number(value, where, *bounds(scenario, name))
        elif expected == "INT64":
            whole_number(value, where, *INT64)
        elif expected == "BYTES":
            _text(value, where)
            _category(value, where, column)
        else:
            _number(value, where, column)
    return name, [float(value) for value in values] if expected == "FP64" else values


def _flat(name: str, shape: object, data: object) -> list[Any]:
    """The values of one column, whether sent flat or as rows of one value."""
    sizes = shape if isinstance(shape, list) else []
    whole = all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in sizes)
    if not whole or len(sizes) not in (1, 2) or sizes[1:] not in ([], [1]):
        raise BadInput(
            f"Input '{name}' has shape {_show(shape)}, but a column of n rows has shape [n] or [n, 1].",
            "Send one input for each column, with one value for each row.",
        )
    rows = sizes[0]
    if not 1 <= rows <= MAX_ROWS:
        raise BadInput(
            f"Input '{name}' has {rows} rows, but 1 to {MAX_ROWS:,} are expected.",
            "Send more rows in several requests." if rows else "Send at least one event.",
        )
    if not isinstance(data, list):
        raise BadInput(
            f"The data of input '{name}' is {_show(data)}, but a list is expected.", "Send a list."
        )
    nested = any(isinstance(value, list) for value in data)
    if nested and not all(isinstance(value, list) and len(value) == 1 for value in data):
        raise BadInput(
            f"The data of input '{name}' is ragged: not every row has one value.",
            "Send [1.0, 2.0] or [[1.0], [2.0]].",
        )
    values = [value[0] for value in data] if nested else data
    if len(values) != rows:
        raise BadInput(
            f"Input '{name}' has shape {_show(shape)}, but {len(values)} values.",
            "Let the shape be the number of rows.",
        )
    return values


def _number(value: object, where: str, column: Column) -> None:
    """Refuse what is not a number within the column's bounds."""
    low = -FLOAT_MAX if column.low is None else column.low
    high = FLOAT_MAX if column.high is None else column.high
    # Compared before it is a float: JSON has whole numbers too long for one.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        unit = f" {column.unit}" if column.unit else ""
        raise BadInput(
            f"{where} is {_show(value)}, but a number from {low:g} to {high:g}{unit} is expected.",
            "Correct the value; what was measured wrongly must not be scored.",
        )


def _text(value: object, where: str) -> None:
    """Refuse what is not a text that can be stored: half of a surrogate pair can't be."""
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        raise BadInput(
            f"{where} is {_show(value)}, but a text of at most {MAX_TEXT} printable characters is expected.",
            "Correct the value and send the request again.",
        )


def _category(value: object, where: str, column: Column) -> None:
    """Refuse a category that is not among the declared ones."""
    if column.categories and value not in column.categories:
        raise BadInput(
            f"{where} is {_show(value)}, but one of {', '.join(column.categories)} is expected.",
            "Correct the value; of another one the model knows nothing.",
        )


def _rows(tensors: dict[str, list[Any]], needed: Sequence[str]) -> int:
    """How many rows all inputs have."""
    missing = [name for name in needed if name not in tensors]
    if missing:
        raise BadInput(
            f"Input '{missing[0]}' is missing"
            + (f" (and {', '.join(missing[1:])})." if missing[1:] else "."),
            f"Expected: {', '.join(needed)}.",
        )
    lengths = {name: len(values) for name, values in tensors.items()}
    first, rows = next(iter(lengths.items()))
    for name, length in lengths.items():
        if length != rows:
            raise BadInput(
                f"Input '{first}' has {rows} rows, but input '{name}' has {length}.",
                "Send as many values for each column as there are rows.",
            )
    return rows


def _check_ids_differ(ids: list[int]) -> None:
    seen: set[int] = set()
    for event_id in ids:
        if event_id in seen:
            raise BadInput(f"Event {event_id} is sent twice in one request.", "Send each event once.")
        seen.add(event_id)


def _outputs(asked: object) -> tuple[str, ...]:
    if asked is None:
        return tuple(OUTPUTS)
    if not isinstance(asked, list):
        raise BadInput(f"'outputs' is {_show(asked)}.", "Send a list of outputs, or leave it out.")
    names = []
    for entry in asked:
        name = read_fields(entry, "An output", ("name",), ("parameters",))["name"]
        if name not in OUTPUTS:
            raise BadInput(f"There is no output {_show(name)}.", f"The outputs are: {', '.join(OUTPUTS)}.")
        names.append(name)
    return tuple(dict.fromkeys(names)) or tuple(OUTPUTS)


def _object_without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"an object has the key {_show(name)} twice")
        found[name] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _show(value: object) -> str:
    """A refused value as a message repeats it: in short, however large it is."""
    text = _SHORT.repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


_SHORT = reprlib.Repr()
_SHORT.maxlong = _SHORT.maxstring = SHOWN

"""Requests that must be refused: each with its status, and a word that the error must hold."""

from __future__ import annotations

import json
from typing import Any

from real_gateway import tensor


def body(*changed: dict[str, Any], without: str = "", **fields: Any) -> bytes:
    """A good request's body, but for the inputs `changed` and the one left out."""
    inputs = {each["name"]: each for each in (tensor("customer_id", [7]), tensor("terminal_id", [42]))}
    inputs["amount"] = tensor("amount", [62.5])
    inputs |= {str(each["name"]): each for each in changed}
    inputs.pop(without, None)
    return json.dumps({"inputs": list(inputs.values())} | fields).encode()


def amount(value: Any) -> bytes:
    return body(tensor("amount", [value]))


GOOD = body()

BAD_REQUESTS: dict[str, tuple[bytes, int, str]] = {
    "empty": (b"", 400, "not JSON"),
    "not JSON": (b"amount=5", 400, "not JSON"),
    "cut short": (GOOD[:-5], 400, "not JSON"),
    "not UTF-8": (GOOD.replace(b"amount", b"am\xffunt"), 400, "UTF-8"),
    "UTF-16": (GOOD.decode().encode("utf-16"), 400, "UTF-8"),
    "nested too deeply": (b"[" * 100_000, 400, "deeply"),
    "NaN": (GOOD.replace(b"62.5", b"NaN"), 400, "NaN is not a JSON number"),
    "Infinity": (GOOD.replace(b"62.5", b"Infinity"), 400, "Infinity is not a JSON number"),
    "a key twice": (GOOD.replace(b'"inputs"', b'"inputs": [], "inputs"'), 400, "'inputs' twice"),
    "a key twice inside": (GOOD.replace(b'"name"', b'"name": "x", "name"', 1), 400, "'name' twice"),
    "a list": (b"[]", 422, "an object is expected"),
    "no inputs": (b'{"id": "1"}', 422, "no field 'inputs'"),
    "inputs that are no list": (b'{"inputs": {}}', 422, "list of inputs"),
    "an unknown field": (body(input=[]), 422, "unknown field 'input'"),
    "an id that is no text": (body(id=5), 422, "text"),
    "an input that is no object": (b'{"inputs": [5]}', 422, "An input is 5"),
    "an input without data": (body({"name": "amount", "shape": [1], "datatype": "FP64"}), 422, "'data'"),
    "a missing column": (body(without="amount"), 422, "'amount' is missing"),
    "an unknown column": (body(tensor("iban", [1])), 422, "no input 'iban'"),
    "a column twice": (
        json.dumps({"inputs": [tensor("amount", [1.0]), tensor("amount", [2.0])]}).encode(),
        422,
        "sent twice",
    ),
    "the wrong datatype": (body(tensor("amount", [62.5], datatype="FP32")), 422, "FP64 is expected"),
    "an id as a number": (body(tensor("customer_id", [7], datatype="FP64")), 422, "INT64 is expected"),
    "a text for a number": (amount("62.5"), 422, "'62.5'"),
    "true for a number": (amount(True), 422, "True"),
    "nothing for a number": (amount(None), 422, "None"),
    "an object for a number": (amount({"eur": 5}), 422, "a number from 0 to 10000 EUR"),
    "a fraction for an id": (body(tensor("customer_id", [7.5])), 422, "whole number"),
    "too large an id": (body(tensor("customer_id", [2**63])), 422, "whole number"),
    "below its bounds": (amount(-0.01), 422, "0 to 10000 EUR"),
    "above its bounds": (amount(10_000.01), 422, "0 to 10000 EUR"),
    "too large for a float": (GOOD.replace(b"62.5", b"1e999"), 422, "0 to 10000 EUR"),
    "a number of 300 digits": (GOOD.replace(b"62.5", b"9" * 300), 422, "0 to 10000 EUR"),
    "a number of 5,000 digits": (GOOD.replace(b"62.5", b"9" * 5000), 400, "not JSON"),
    "fewer values than its shape": (body(tensor("amount", [62.5], shape=[2])), 422, "but 1 values"),
    "more values than its shape": (body(tensor("amount", [1.0, 2.0], shape=[1])), 422, "but 2 values"),
    "columns of different length": (body(tensor("amount", [1.0, 2.0])), 422, "has 2"),
    "ragged rows": (body(tensor("amount", [[1.0], [2.0, 3.0]], shape=[2, 1])), 422, "ragged"),
    "mixed rows": (body(tensor("amount", [[1.0], 2.0], shape=[2, 1])), 422, "ragged"),
    "a shape of one row": (body(tensor("amount", [1.0], shape=[1, 2])), 422, "[n, 1]"),
    "a shape that is no list": (body(tensor("amount", [1.0], shape=1)), 422, "[n, 1]"),
    "a negative shape": (body(tensor("amount", [1.0], shape=[-1])), 422, "[n, 1]"),
    "a shape of truth": (body(tensor("amount", [1.0], shape=[True])), 422, "[n, 1]"),
    "no rows": (body(tensor("amount", [], shape=[0])), 422, "at least one"),
    "too many rows": (body(tensor("amount", [1.0] * 1001)), 422, "1 to 1,000"),
    "data that is no list": (body(tensor("amount", "62.5")), 422, "a list is expected"),
    "a negative event_id": (body(tensor("event_id", [-1])), 422, "event_id"),
    "a time before the world": (body(tensor("event_time", [-1])), 422, "event_time"),
    "a time in milliseconds": (body(tensor("event_time", [4_000_000_000])), 422, "31,535,999"),
    "a fraction of a second": (body(tensor("event_time", [5.5])), 422, "whole number"),
    "an event twice": (
        json.dumps(
            {
                "inputs": [
                    tensor(name, [value, value])
                    for name, value in (("customer_id", 7), ("terminal_id", 42), ("amount", 1.0))
                ]
                + [tensor("event_id", [5, 5])]
            }
        ).encode(),
        422,
        "sent twice",
    ),
    "an unknown output": (body(outputs=[{"name": "label"}]), 422, "score, decision"),
    "outputs that are no list": (body(outputs="score"), 422, "list of outputs"),
}

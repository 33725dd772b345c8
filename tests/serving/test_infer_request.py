"""What a request must look like: read from bytes, without a gateway."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bad_requests import BAD_REQUESTS, body
from hypothesis import given, settings
from hypothesis import strategies as st
from real_gateway import tensor

from pipelines.errors import BadInput
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import Column
from pipelines.serving.infer_request import parse_request
from pipelines.serving.open_inference import datatype

FRAUD = find_scenario("fraud")


class Shop:
    """A scenario whose ids and categories are texts."""

    name = "shop"
    days = 10
    columns = (Column("basket", "id", "", example="b1"), Column("colour", "category", "", example="red"))


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_bad_request_is_refused_with_what_was_expected(name: str) -> None:
    content, status, expected = BAD_REQUESTS[name]
    with pytest.raises(BadInput) as refused:
        parse_request(content, FRAUD)
    assert refused.value.http_status == status
    assert expected in str(refused.value)
    assert refused.value.hint
    # A message is for a person: whatever was sent, it stays short.
    assert len(str(refused.value)) < 500


def test_a_good_request_is_read_as_events() -> None:
    found = parse_request(body(id="42", parameters={"note": "x"}), FRAUD)
    assert found.id == "42"
    assert found.outputs == ("score", "decision")
    assert found.events == [
        {"customer_id": 7, "terminal_id": 42, "amount": 62.5, "event_id": None, "event_time": None}
    ]


def test_rows_may_be_sent_flat_or_as_a_column() -> None:
    flat = [tensor(name, [1, 2]) for name in ("customer_id", "terminal_id", "amount")]
    column = [each | {"shape": [2, 1], "data": [[1], [2]]} for each in flat]
    half = [each | {"shape": [2, 1]} for each in flat]
    read = [parse_request(json.dumps({"inputs": each}).encode(), FRAUD) for each in (flat, column, half)]
    assert read[0] == read[1] == read[2]
    assert [event["amount"] for event in read[0].events] == [1.0, 2.0]
    # A whole number is a number: 62 euros are 62.0.
    assert isinstance(read[0].events[0]["amount"], float)


def test_ids_and_times_are_taken_as_sent() -> None:
    sent = (tensor("event_id", [5]), tensor("event_time", [900]))
    assert parse_request(body(*sent), FRAUD).events[0] | {"amount": 0} == {
        "customer_id": 7,
        "terminal_id": 42,
        "amount": 0,
        "event_id": 5,
        "event_time": 900,
    }


def test_only_the_outputs_asked_for_are_given() -> None:
    assert parse_request(body(outputs=[{"name": "score"}]), FRAUD).outputs == ("score",)
    assert parse_request(body(outputs=[]), FRAUD).outputs == ("score", "decision")


def test_a_category_that_is_not_declared_is_refused_with_those_that_are() -> None:
    scenario = find_scenario("maintenance")
    event = {column.name: column.example for column in scenario.columns}
    for quality, right in (("H", True), ("X", False), ("", False), ("h", False)):
        kinds = {column.name: datatype(column) for column in scenario.columns}
        sent = (event | {"quality": quality}).items()
        inputs = [tensor(name, [value], datatype=kinds[name]) for name, value in sent]
        content = json.dumps({"inputs": inputs}).encode()
        if right:
            assert parse_request(content, scenario).events[0]["quality"] == quality
        else:
            with pytest.raises(BadInput, match=r"'quality', row 0, is .*one of L, M, H is expected"):
                parse_request(content, scenario)


@pytest.mark.parametrize("text", ["é", "a b", "x" * 200, "名"])
def test_texts_are_taken_as_they_are(text: str) -> None:
    inputs = [tensor(name, [text], datatype="BYTES") for name in ("basket", "colour")]
    found = parse_request(json.dumps({"inputs": inputs}).encode(), Shop())  # type: ignore[arg-type]
    assert found.events[0]["basket"] == text


@pytest.mark.parametrize("text", ["x" * 201, "a\nb", "\ud800", "\x00", 5, None])
def test_texts_that_can_t_be_kept_are_refused(text: Any) -> None:
    inputs = [tensor(name, [text], datatype="BYTES") for name in ("basket", "colour")]
    with pytest.raises(BadInput, match="printable"):
        parse_request(json.dumps({"inputs": inputs}).encode(), Shop())  # type: ignore[arg-type]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
odd_tensors = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["amount", "customer_id", "terminal_id", "event_id"]) | json_values,
        "shape": st.lists(st.integers(-2, 3), max_size=3) | json_values,
        "datatype": st.sampled_from(["FP64", "INT64", "BYTES"]) | json_values,
        "data": st.lists(json_values, max_size=3) | json_values,
    },
)


@settings(deadline=None, max_examples=300)
@given(json_values | st.fixed_dictionaries({"inputs": st.lists(odd_tensors, max_size=5)}))
def test_whatever_is_sent_is_read_or_refused(value: Any) -> None:
    try:
        parse_request(json.dumps(value).encode(), FRAUD)
    except BadInput as refused:
        assert refused.message
        json.dumps(str(refused)).encode()


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_whatever_bytes_are_sent_are_read_or_refused(content: bytes) -> None:
    with pytest.raises(BadInput):
        parse_request(content, FRAUD)

"""Metadata and answers as the Open Inference Protocol puts them."""

from __future__ import annotations

import pytest

from pipelines.scenarios import SCENARIOS, find_scenario
from pipelines.scenarios.scenario import Column
from pipelines.serving.open_inference import Answer, build_response, datatype, describe_model

FRAUD = find_scenario("fraud")


def answer(event_id: int = 5, version: int = 2) -> Answer:
    return Answer(0.25, False, f"p{event_id}", version, "champion", event_id, 900, "customer_id", False)


@pytest.mark.parametrize("name", SCENARIOS)
def test_metadata_has_every_column_with_its_type_and_meaning(name: str) -> None:
    scenario = find_scenario(name)
    inputs = {each["name"]: each for each in describe_model(scenario, [1, 2], {"champion": 2})["inputs"]}
    for column in scenario.columns:
        described = inputs.pop(column.name)
        assert described["datatype"] == datatype(column)
        assert described["shape"] == [-1]
        assert described["parameters"]["meaning"] == column.meaning
        assert described["parameters"]["example"] == column.example
        assert described["parameters"].get("high") == column.high
    assert all(each["parameters"]["optional"] for each in inputs.values())
    assert set(inputs) == {"event_id", "event_time"}


def test_metadata_has_the_fields_the_protocol_asks_for() -> None:
    found = describe_model(FRAUD, [1, 2], {"champion": 2})
    assert found["name"] == "fraud"
    assert found["versions"] == ["1", "2"]
    assert found["platform"]
    assert [each["name"] for each in found["outputs"]] == ["score", "decision"]
    assert found["parameters"]["champion"] == 2


@pytest.mark.parametrize(
    ("kind", "example", "expected"),
    [("number", 1, "FP64"), ("id", 7, "INT64"), ("id", "c7", "BYTES"), ("category", "red", "BYTES")],
)
def test_a_columns_kind_decides_its_datatype(kind: str, example: int | str, expected: str) -> None:
    assert datatype(Column("x", kind, "", example=example)) == expected  # type: ignore[arg-type]


def test_metadata_names_the_categories_there_are() -> None:
    inputs = describe_model(find_scenario("maintenance"), [1], {})["inputs"]
    named = {each["name"]: each["parameters"].get("categories") for each in inputs}
    assert named["quality"] == ["L", "M", "H"]
    assert named["torque"] is None


def test_one_event_is_answered_with_its_trace_as_parameters() -> None:
    found = build_response(FRAUD, "42", ("score", "decision"), [answer()])
    assert found["model_name"] == "fraud"
    assert found["model_version"] == "2"
    assert found["id"] == "42"
    assert found["outputs"] == [
        {"name": "score", "datatype": "FP64", "shape": [1], "data": [0.25]},
        {"name": "decision", "datatype": "BOOL", "shape": [1], "data": [False]},
    ]
    assert found["parameters"] == {
        "prediction_id": "p5",
        "version": 2,
        "route": "champion",
        "event_id": 5,
        "event_time": 900,
        "cold_start": "customer_id",
        "repeated": False,
    }


def test_several_events_are_answered_with_their_traces_as_tensors() -> None:
    found = build_response(FRAUD, None, ("score",), [answer(5), answer(6, version=3)])
    outputs = {each["name"]: each for each in found["outputs"]}
    assert outputs["prediction_id"] == {
        "name": "prediction_id",
        "datatype": "BYTES",
        "shape": [2],
        "data": ["p5", "p6"],
    }
    assert outputs["version"]["data"] == [2, 3]
    assert "decision" not in outputs
    assert found["parameters"] == {"rows": 2}
    # Two versions answered, so none can be named for the whole response.
    assert "model_version" not in found
    assert "id" not in found

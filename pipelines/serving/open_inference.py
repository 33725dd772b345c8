"""The Open Inference Protocol, version 2: its words, and how metadata and answers are put.

Comes in: a scenario that declares the columns of its raw event, and answers. Goes out: the JSON of
metadata and responses. Nothing here knows a model or a socket; infer_request.py reads the other way.

References
----------
KServe, "Open Inference Protocol", https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.scenarios.scenario import DAY_S, Column, Scenario

Datatype = Literal["FP64", "INT64", "BYTES", "BOOL"]

# Worlds count from 0. Ids from here on are those of events that a source sends beside the world's own, when
# an incident lets it;
FIRST_COPIED_ID = 10**9
# and from here on, of events that come without one: the gateway gives it.
FIRST_GIVEN_ID = 10**12
# Larger whole numbers change on their way through JSON in a browser.
LARGEST_ID = 2**53 - 1

EVENT_ID, EVENT_TIME = "event_id", "event_time"
# A response with this header was broken by an incident, and says so: it is no trouble of this machine.
SIMULATED = "X-Flightdeck-Simulated"
OUTPUTS: dict[str, tuple[Datatype, str]] = {
    "score": ("FP64", "Probability of what the model looks for, from 0 to 1."),
    "decision": ("BOOL", "Whether the score reaches the version's threshold."),
}
# With one row these are parameters of the response; with several, tensors of their own.
TRACE: dict[str, tuple[Datatype, str]] = {
    "prediction_id": ("BYTES", "Names the logged prediction; feedback refers to it."),
    "version": ("INT64", "The version that answered."),
    "route": ("BYTES", "champion, canary, or version where the address named one."),
    "event_id": ("INT64", "The event's id: as sent, or given by the gateway."),
    "event_time": ("INT64", "When it happened, in seconds since day 0: as sent, or the world's present."),
    "cold_start": ("BYTES", "Columns whose value was never seen before, separated by commas; else empty."),
    "repeated": ("BOOL", "Whether this event had been answered before; the answer is then the logged one."),
}


@dataclass(frozen=True)
class Answer:
    """What is answered for one event; `OUTPUTS` and `TRACE` say what each attribute means."""

    score: float
    decision: bool
    prediction_id: str
    version: int
    route: str
    event_id: int
    event_time: int
    cold_start: str
    repeated: bool


def datatype(column: Column) -> Datatype:
    """The V2 datatype of a raw column: numbers are FP64, ids and categories what their example is."""
    if column.kind == "number":
        return "FP64"
    return "INT64" if isinstance(column.example, int) else "BYTES"


def bounds(scenario: Scenario, name: str) -> tuple[int, int]:
    """Lowest and highest value of an input that every model has beside its columns."""
    return 0, LARGEST_ID if name == EVENT_ID else scenario.days * DAY_S - 1


def describe_model(
    scenario: Scenario, versions: Sequence[int], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """The model's metadata: each input's datatype, meaning, unit, bounds and an example."""
    meanings = {
        EVENT_ID: "Names the event: sent again, it is answered as before. Given by the gateway if left out.",
        EVENT_TIME: f"Seconds since the start of {scenario.start_date}. The world's present if left out.",
    }
    inputs = [
        _metadata(column.name, datatype(column), _describe_column(column)) for column in scenario.columns
    ]
    for name, meaning in meanings.items():
        low, high = bounds(scenario, name)
        about = {"meaning": meaning, "low": low, "high": high, "optional": True}
        inputs.append(_metadata(name, "INT64", about))
    return {
        "name": scenario.name,
        "versions": [str(version) for version in versions],
        "platform": "sklearn_skops",
        "inputs": inputs,
        "outputs": [_metadata(name, kind, {"meaning": meaning}) for name, (kind, meaning) in OUTPUTS.items()],
        "parameters": {"question": scenario.question, "positive": scenario.positive, **parameters},
    }


def build_response(
    scenario: Scenario, request_id: str | None, outputs: Sequence[str], answers: Sequence[Answer]
) -> dict[str, Any]:
    """The JSON object that answers a request: the outputs asked for, and what traces each row."""
    response: dict[str, Any] = {"model_name": scenario.name}
    versions = {answer.version for answer in answers}
    if len(versions) == 1:
        response["model_version"] = str(versions.pop())
    if request_id is not None:
        response["id"] = request_id
    tensors = {name: OUTPUTS[name] for name in outputs}
    if len(answers) == 1:
        response["parameters"] = {name: getattr(answers[0], name) for name in TRACE}
    else:
        response["parameters"] = {"rows": len(answers)}
        tensors |= TRACE
    response["outputs"] = [
        {
            "name": name,
            "datatype": kind,
            "shape": [len(answers)],
            "data": [getattr(answer, name) for answer in answers],
        }
        for name, (kind, _) in tensors.items()
    ]
    return response


def _metadata(name: str, kind: Datatype, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "datatype": kind, "shape": [-1], "parameters": parameters}


def _describe_column(column: Column) -> dict[str, Any]:
    bounds = {"low": column.low, "high": column.high}
    return {
        "meaning": column.meaning,
        "unit": column.unit,
        **{name: bound for name, bound in bounds.items() if bound is not None},
        **({"categories": list(column.categories)} if column.categories else {}),
        "example": column.example,
    }

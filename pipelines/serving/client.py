"""The gateway's client, for pages, the CLI and whatever plays the world.

Comes in: events as mappings. Goes out: answers, or the gateway's errors as our own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from pipelines.errors import BadInput, FlightdeckError, Missing, Refused, Unavailable
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import Scenario
from pipelines.serving.faults import Broken
from pipelines.serving.open_inference import EVENT_ID, EVENT_TIME, SIMULATED, TRACE, datatype
from pipelines.settings import settings
from pipelines.workspace import DEFAULT_WORKSPACE

CONNECT_TIMEOUT_S = 2.0
# The first answer after a start waits until the model is loaded and the history is read.
ANSWER_TIMEOUT_S = 60.0
# Shorter than the server keeps an idle connection: none is used that is about to be closed.
KEEP_ALIVE_S = 2.0
POLL_S = 0.05

_ERRORS: dict[int, type[FlightdeckError]] = {404: Missing, 401: Missing, 409: Refused, 503: Unavailable}


@dataclass(frozen=True)
class Answer:
    """What the gateway answered for one event.

    Attributes
    ----------
    score : float
        Probability of what the model looks for, from 0 to 1.
    decision : bool
        Whether the score reaches the version's threshold.
    version, route : int, str
        Which version answered, and whether as champion, as canary, or because it was named.
    prediction_id : str
        For feedback, and to trace it.
    event_id, event_time : int
        As sent, or as the gateway gave them.
    cold : tuple of str
        Columns whose value was never seen before; their features are those of a beginner.
    repeated : bool
        Whether this event had been answered before; this is then that answer.
    latency_ms : float
        From sending to receiving, of the whole request.
    """

    score: float
    decision: bool
    version: int
    route: str
    prediction_id: str
    event_id: int
    event_time: int
    cold: tuple[str, ...]
    repeated: bool
    latency_ms: float


def predict(workspace: str, scenario: str, event: Mapping[str, Any], version: int | None = None) -> Answer:
    """The gateway's answer to one event.

    Parameters
    ----------
    event : mapping
        The scenario's columns; event_id and event_time where they are known.
    version : int, optional
        Ask this version, whatever serves.

    Raises
    ------
    BadInput
        The event is not as its columns ask.
    Missing
        There is no such scenario, workspace or version, or none is in production.
    Refused
        Another event was answered under this id.
    Unavailable
        The gateway, or what it needs, is not there.
    """
    return predict_many(workspace, scenario, [event], version)[0]


def predict_many(
    workspace: str, scenario: str, events: Sequence[Mapping[str, Any]], version: int | None = None
) -> list[Answer]:
    """The gateway's answers to up to 1,000 events, in one request; all of them or none. See `predict`."""
    path = f"/v2/models/{scenario}" + (f"/versions/{version}" if version is not None else "") + "/infer"
    begun = time.perf_counter()
    answer = _send(workspace, "POST", path, {"inputs": _inputs(find_scenario(scenario), events)})
    latency_ms = (time.perf_counter() - begun) * 1000
    columns = {output["name"]: output["data"] for output in answer["outputs"]}
    if len(events) == 1:
        columns |= {name: [value] for name, value in answer["parameters"].items() if name in TRACE}
    rows = zip(*columns.values(), strict=True)
    return [_answer(dict(zip(columns, row, strict=True)), latency_ms) for row in rows]


def send_unchecked(
    workspace: str, scenario: str, events: Sequence[Mapping[str, Any]], called: Mapping[str, str]
) -> None:
    """Send events as a source that has gone wrong does: values that are none, columns called otherwise.

    Parameters
    ----------
    called : mapping
        New names of columns.

    Raises
    ------
    BadInput
        What the gateway says to it.
    """
    found = find_scenario(scenario)
    names = [EVENT_ID, EVENT_TIME, *(column.name for column in found.columns)]
    kinds = dict.fromkeys(names, "INT64") | {column.name: datatype(column) for column in found.columns}
    inputs = [
        {
            "name": called.get(name, name),
            "datatype": kinds[name],
            "shape": [len(events)],
            "data": [each[name] for each in events],
        }
        for name in names
    ]
    _send(workspace, "POST", f"/v2/models/{scenario}/infer", {"inputs": inputs})


def feedback(workspace: str, prediction_id: str, label: int, label_time: int | None = None) -> dict[str, Any]:
    """Tell what turned out to be true of a predicted event.

    Parameters
    ----------
    label_time : int, optional
        When it became known, in seconds since day 0; as late as the scenario says labels are, if left out.

    Returns
    -------
    dict
        prediction_id, event_id, label, label_time as kept. Told twice, it is kept once.

    Raises
    ------
    Missing
        There is no such prediction.
    Refused
        The event has the other label.
    BadInput, Unavailable
        As `predict`.
    """
    told: dict[str, Any] = {"prediction_id": prediction_id, "label": label}
    if label_time is not None:
        told["label_time"] = label_time
    return _send(workspace, "POST", "/feedback", told)


def feedback_many(workspace: str, scenario: str, labels: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Tell what turned out to be true of up to 1,000 events, in one request; all are kept or none.

    Parameters
    ----------
    labels : sequence of mapping
        Each with label, with prediction_id or event_id, and with label_time where it is known. By its id
        an event can be named that nobody answered: one that the champion's run collected.

    Returns
    -------
    list of dict
        As `feedback`, in order; prediction_id is empty where nobody answered the event.

    Raises
    ------
    Missing, Refused, BadInput, Unavailable
        As `feedback`.
    """
    told = {"model": scenario, "labels": [dict(label) for label in labels]}
    kept: list[dict[str, Any]] = _send(workspace, "POST", "/feedback", told)["labels"]
    return kept


def try_features(
    workspace: str, scenario: str, version: int, features: Mapping[str, Sequence[float]]
) -> list[float]:
    """A version's scores of rows of finished features; nothing is logged, no event is remembered.

    Raises
    ------
    Missing
        There is no such version.
    BadInput
        The columns are not the version's features.
    Unavailable
        The gateway, or what it needs, is not there.
    """
    inputs = [
        {"name": name, "datatype": "FP64", "shape": [len(values)], "data": list(values)}
        for name, values in features.items()
    ]
    answer = _send(workspace, "POST", f"/v2/models/{scenario}/versions/{version}/try", {"inputs": inputs})
    scores: list[float] = answer["outputs"][0]["data"]
    return scores


def describe(workspace: str, scenario: str, version: int | None = None) -> dict[str, Any]:
    """The model's metadata: inputs with units and meaning, versions, and what serves now; or a version's."""
    return _send(
        workspace, "GET", f"/v2/models/{scenario}" + (f"/versions/{version}" if version is not None else "")
    )


def ready(workspace: str, scenario: str, version: int | None = None) -> bool:
    """Whether this version, or the champion, is loaded and answers.

    Raises
    ------
    Missing
        There is no such version, or no champion.
    """
    path = f"/v2/models/{scenario}" + (f"/versions/{version}" if version is not None else "") + "/ready"
    try:
        return bool(_send(workspace, "GET", path)["ready"])
    except Unavailable:
        return False


def wait_until_serving(workspace: str, scenario: str, version: int, timeout_s: float = 30.0) -> float:
    """Wait until the gateway serves this version where the promotion ledger has put it.

    Returns
    -------
    float
        Seconds waited.

    Raises
    ------
    Missing
        There is no such version.
    Unavailable
        It does not serve after `timeout_s`; says why.
    """
    begun = time.monotonic()
    while True:
        waited_s = time.monotonic() - begun
        try:
            _send(workspace, "GET", f"/v2/models/{scenario}/versions/{version}/ready")
            return waited_s
        except Unavailable as error:
            if waited_s > timeout_s:
                raise Unavailable(f"After {waited_s:.0f} s: {error.message}", error.hint) from error
        time.sleep(POLL_S)


def _inputs(scenario: Scenario, events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The events as V2 tensors, one for each column."""
    known = {column.name: datatype(column) for column in scenario.columns}
    known |= {name: "INT64" for name in (EVENT_ID, EVENT_TIME) if any(name in event for event in events)}
    for event in events:
        odd = known.keys() ^ event.keys()
        if odd:
            raise BadInput(
                f"An event of '{scenario.name}' has columns {', '.join(event)}.",
                f"Expected: {', '.join(known)}, the same for all events of a request.",
            )
    return [
        {
            "name": name,
            "datatype": kind,
            "shape": [len(events)],
            "data": [event[name] for event in events],
        }
        for name, kind in known.items()
    ]


def _answer(row: Mapping[str, Any], latency_ms: float) -> Answer:
    cold = tuple(name for name in row["cold_start"].split(",") if name)
    fields = {name: value for name, value in row.items() if name != "cold_start"}
    return Answer(cold=cold, latency_ms=latency_ms, **fields)


def _send(workspace: str, method: str, path: str, content: Mapping[str, Any] | None = None) -> dict[str, Any]:
    url = settings().gateway_url
    headers = {} if workspace == DEFAULT_WORKSPACE else {"Authorization": f"Bearer {workspace}"}
    try:
        body = None if content is None else json.dumps(content, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"What was to be sent is not JSON: {error}.", "Send plain numbers and texts."
        ) from error
    if body is not None:
        headers["Content-Type"] = "application/json"
    try:
        answer = _client().request(method, url + path, headers=headers, content=body)
        answered: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise Unavailable(
            f"The gateway is not answering at {url} ({type(error).__name__}).", "Start it: make run"
        ) from error
    if SIMULATED in answer.headers:
        raise Broken(str(answered.get("error", "")))
    if answer.is_error:
        kind = _ERRORS.get(answer.status_code, BadInput if answer.status_code < 500 else FlightdeckError)
        raise kind(str(answered.get("error", f"HTTP {answer.status_code}")))
    return answered


@cache
def _client() -> httpx.Client:
    """One client a process: making one takes longer than a request. It does not ask for proxies."""
    return httpx.Client(
        trust_env=False,
        timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE_S),
    )

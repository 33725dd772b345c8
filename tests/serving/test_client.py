"""The gateway's client, against a real gateway and against none."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from real_gateway import EVENT, SCENARIO, Gateway, make_version, produce

from pipelines.errors import BadInput, Missing, Refused, Unavailable
from pipelines.promotion import promote
from pipelines.serving import client
from pipelines.serving.prediction_log import trace
from pipelines.settings import settings
from pipelines.workspace import Workspace

UNKNOWN = 10**9


@pytest.fixture
def no_gateway(free_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The gateway is looked for where nobody listens."""
    monkeypatch.setenv("FLIGHTDECK_GATEWAY_PORT", str(free_port))
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


def test_an_event_is_answered(gateway: Gateway, served: Workspace) -> None:
    answer = client.predict(served.name, SCENARIO, EVENT | {"customer_id": UNKNOWN})
    logged = trace(served, answer.prediction_id)
    assert (answer.score, answer.decision) == (logged.score, logged.decision)
    assert (answer.version, answer.route, answer.repeated) == (1, "champion", False)
    assert (answer.event_id, answer.event_time) == (logged.event_id, logged.event_time)
    assert answer.cold == ("customer_id",)
    assert answer.latency_ms > 0
    assert client.predict(served.name, SCENARIO, EVENT).cold == ()


def test_many_events_are_answered_in_order(gateway: Gateway, served: Workspace) -> None:
    events = [EVENT | {"amount": float(amount), "event_id": 10**8 + amount} for amount in range(1, 6)]
    answers = client.predict_many(served.name, SCENARIO, events)
    assert [answer.event_id for answer in answers] == [event["event_id"] for event in events]
    single = client.predict(served.name, SCENARIO, events[2])
    assert single.repeated
    assert single.score == answers[2].score


def test_a_version_can_be_named(gateway: Gateway, served: Workspace) -> None:
    answer = client.predict(served.name, SCENARIO, EVENT, version=1)
    assert answer.route == "version"
    with pytest.raises(Missing, match="no version 99"):
        client.predict(served.name, SCENARIO, EVENT, version=99)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"amount": 5.0},
        EVENT | {"iban": "x"},
        EVENT | {"amount": -1.0},
        EVENT | {"amount": math.nan},
        EVENT | {"amount": {1, 2}},
    ],
)
def test_an_event_that_is_none_is_refused(
    gateway: Gateway, served: Workspace, event: dict[str, object]
) -> None:
    with pytest.raises(BadInput) as refused:
        client.predict(served.name, SCENARIO, event)
    assert refused.value.message


def test_events_of_different_columns_are_refused(gateway: Gateway, served: Workspace) -> None:
    with pytest.raises(BadInput, match="the same for all"):
        client.predict_many(served.name, SCENARIO, [EVENT, EVENT | {"event_id": 5}])


def test_feedback_is_told(gateway: Gateway, served: Workspace) -> None:
    answer = client.predict(served.name, SCENARIO, EVENT)
    told = client.feedback(served.name, answer.prediction_id, 1, answer.event_time + 60)
    assert told["label_time"] == answer.event_time + 60
    assert client.feedback(served.name, answer.prediction_id, 1) == told
    with pytest.raises(Refused, match="label"):
        client.feedback(served.name, answer.prediction_id, 0)
    with pytest.raises(Missing, match="no prediction"):
        client.feedback(served.name, "nothing", 0)


def test_whoever_promotes_can_wait_until_it_serves(gateway: Gateway, fresh: Workspace) -> None:
    # given a second version
    make_version(fresh, "boosting")

    # when it is promoted and waited for
    produce(fresh, 2)
    client.wait_until_serving(fresh.name, SCENARIO, 2, timeout_s=60)

    # then the next answer is its own
    assert client.predict(fresh.name, SCENARIO, EVENT).version == 2
    assert client.ready(fresh.name, SCENARIO)
    assert client.describe(fresh.name, SCENARIO)["parameters"]["champion"] == 2


def test_a_version_in_staging_is_ready_without_answering(gateway: Gateway, fresh: Workspace) -> None:
    make_version(fresh, "boosting")
    promote(fresh, SCENARIO, 2, stage="staging", reason="test")
    client.wait_until_serving(fresh.name, SCENARIO, 2, timeout_s=60)
    assert client.predict(fresh.name, SCENARIO, EVENT).version == 1


def test_a_version_that_is_not_there_is_not_waited_for(gateway: Gateway, served: Workspace) -> None:
    with pytest.raises(Missing, match="no version 99"):
        client.wait_until_serving(served.name, SCENARIO, 99)


def test_a_workspace_that_is_not_there_is_named(gateway: Gateway) -> None:
    with pytest.raises(Missing, match="no workspace"):
        client.predict("nobody-here", SCENARIO, EVENT)


def test_without_a_gateway_the_error_says_how_to_start_it(no_gateway: None) -> None:
    for ask in (
        lambda: client.predict("me", SCENARIO, EVENT),
        lambda: client.describe("me", SCENARIO),
        lambda: client.feedback("me", "x", 1),
    ):
        with pytest.raises(Unavailable, match="make run"):
            ask()
    assert not client.ready("me", SCENARIO)
    with pytest.raises(Unavailable, match="After"):
        client.wait_until_serving("me", SCENARIO, 1, timeout_s=0.1)

"""The gateway over real HTTP, with real models, a real ledger and a real log."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from bad_requests import BAD_REQUESTS, GOOD
from real_gateway import EVENT, SCENARIO, Gateway, collected, fitted, make_version, produce, token

from pipelines.features import offline
from pipelines.promotion import promote
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving.prediction_log import features_of, recent, trace
from pipelines.settings import LOOPBACK
from pipelines.training import score
from pipelines.workspace import Workspace

FRAUD = find_scenario(SCENARIO)
NAMES = [feature.name for feature in FRAUD.features]
INFER = f"/v2/models/{SCENARIO}/infer"


def test_an_event_is_answered_and_says_by_whom(gateway: Gateway, fresh: Workspace) -> None:
    # when an event is sent
    found = gateway.answer(fresh)

    # then the answer is the model's, and names the version, the route and the logged prediction
    logged = trace(fresh, found["prediction_id"])
    features = features_of(logged)
    expected = score(fitted("logistic").model, features.reshape(1, -1))[0]
    assert found["score"] == logged.score == pytest.approx(expected, abs=1e-12)
    assert found["decision"] == (found["score"] >= fitted("logistic").card["threshold"])
    assert (found["version"], found["route"]) == (1, "champion")
    assert dict(zip(NAMES, features, strict=True))["amount"] == EVENT["amount"]
    assert logged.event == EVENT
    assert logged.latency_ms > 0


def test_the_decision_is_the_cards_threshold(gateway: Gateway, fresh: Workspace) -> None:
    # given amounts from small to large, which the simple model finds ever more suspicious
    answers = [gateway.answer(fresh, amount=float(amount)) for amount in (1, 100, 500, 9999)]

    # then what is flagged are exactly the scores from the threshold on, and both kinds occur
    threshold = fitted("logistic").card["threshold"]
    assert [each["decision"] for each in answers] == [each["score"] >= threshold for each in answers]
    assert {each["decision"] for each in answers} == {True, False}


def test_many_rows_are_answered_as_if_sent_one_after_the_other(gateway: Gateway, fresh: Workspace) -> None:
    # given the day after the history, sent in requests of one, of 300 and of the rest
    world = collected(until_day=46)
    arriving = world[world["event_time"] >= 45 * DAY_S]
    columns = ["event_id", "event_time", "customer_id", "terminal_id", "amount"]
    found: list[float] = []
    for rows in (arriving.iloc[:1], arriving.iloc[1:301], arriving.iloc[301:]):
        response = gateway.send(fresh, {name: rows[name].tolist() for name in columns})
        assert response.status_code == 200, response.text
        outputs = {each["name"]: each["data"] for each in response.json()["outputs"]}
        found += outputs["score"]
        if len(rows) > 1:
            assert outputs["event_id"] == rows["event_id"].tolist()
            assert set(outputs["version"]) == {1}
            assert len(set(outputs["prediction_id"])) == len(rows)

    # then what was logged is, to the last bit, what training computes for these events
    logged = sorted(recent(fresh, SCENARIO, len(arriving)), key=lambda each: each.event_id)
    served = np.array([features_of(each) for each in logged])
    known = pd.concat([collected(), arriving.assign(label=pd.NA)]).astype({"label": "Int8"})
    expected = offline.compute(FRAUD, known)[NAMES].to_numpy()[-len(arriving) :]
    assert np.array_equal(served, expected)
    assert found == pytest.approx(score(fitted("logistic").model, expected), abs=1e-12)


def test_an_event_sent_again_is_answered_as_before_and_counts_once(
    gateway: Gateway, fresh: Workspace
) -> None:
    # given an answered event
    first = gateway.answer(fresh, event_id=10**6)

    # when it is sent again, with its time and without
    second = gateway.answer(fresh, event_id=10**6)
    third = gateway.answer(fresh, event_id=10**6, event_time=first["event_time"])

    # then the answer is the logged one
    assert not first["repeated"]
    assert second["repeated"]
    for name in ("prediction_id", "score", "decision", "version", "event_time"):
        assert first[name] == second[name] == third[name]

    # and the next event finds one more of this customer, not three
    later = trace(fresh, gateway.answer(fresh)["prediction_id"])
    before = trace(fresh, first["prediction_id"])
    count = NAMES.index("customer_count_30d")
    assert features_of(later)[count] == features_of(before)[count] + 1
    assert len(recent(fresh, SCENARIO)) == 2


def test_an_event_is_answered_as_before_by_another_champion_too(gateway: Gateway, fresh: Workspace) -> None:
    first = gateway.answer(fresh, event_id=10**6)
    produce(fresh, make_version(fresh, "boosting"))
    gateway.wait_until_serving(fresh, 2)
    assert gateway.answer(fresh, event_id=10**6)["version"] == first["version"] == 1
    assert gateway.answer(fresh, event_id=10**6 + 1)["version"] == 2


def test_an_id_that_was_given_can_be_sent_again(gateway: Gateway, fresh: Workspace) -> None:
    first = gateway.answer(fresh)
    assert gateway.answer(fresh, event_id=first["event_id"])["prediction_id"] == first["prediction_id"]


def test_another_event_under_the_same_id_is_refused(gateway: Gateway, fresh: Workspace) -> None:
    gateway.answer(fresh, event_id=10**6, amount=10.0)
    response = gateway.infer(fresh, event_id=10**6, amount=20.0)
    assert response.status_code == 409
    assert "other values" in response.json()["error"]


def test_a_request_with_one_bad_event_leaves_no_trace(gateway: Gateway, fresh: Workspace) -> None:
    # given an answered event
    gateway.answer(fresh, event_id=10**6, amount=10.0)

    # when a request holds a new event, and that one changed
    columns = {name: [value, value] for name, value in EVENT.items()}
    response = gateway.send(fresh, columns | {"event_id": [10**6 + 1, 10**6]})

    # then it is refused as a whole: the new event is neither logged nor remembered
    assert response.status_code == 409
    assert len(recent(fresh, SCENARIO)) == 1
    assert not gateway.answer(fresh, event_id=10**6 + 1)["repeated"]


def test_an_unknown_customer_is_called_a_cold_start(gateway: Gateway, fresh: Workspace) -> None:
    assert gateway.answer(fresh)["cold_start"] == ""
    assert gateway.answer(fresh, customer_id=10**9)["cold_start"] == "customer_id"
    assert gateway.answer(fresh, customer_id=10**9)["cold_start"] == ""


def test_a_version_named_in_the_address_answers(gateway: Gateway, fresh: Workspace) -> None:
    # given a second version that is promoted nowhere
    make_version(fresh, "boosting")

    # when both are asked about the same event
    champion = gateway.answer(fresh, event_id=10**6)
    named = gateway.answer(fresh, version=2, event_id=10**6)

    # then each gives its own answer, from the same features
    assert (named["version"], named["route"]) == (2, "version")
    assert named["score"] != champion["score"]
    assert not named["repeated"]
    first, second = (trace(fresh, each["prediction_id"]) for each in (champion, named))
    assert first.features == second.features
    assert gateway.answer(fresh, version=2, event_id=10**6)["repeated"]


def test_a_version_can_be_asked_before_any_is_promoted(gateway: Gateway, workspace: Workspace) -> None:
    make_version(workspace)
    assert gateway.infer(workspace).status_code == 404
    assert gateway.answer(workspace, version=1)["version"] == 1


def test_a_canary_answers_its_share_and_a_shadow_looks_on(gateway: Gateway, fresh: Workspace) -> None:
    # given a canary with half of the traffic, and a shadow
    for kind in ("boosting", "forest"):
        make_version(fresh, kind)
    promote(fresh, SCENARIO, 2, stage="canary", share=0.5, reason="test")
    promote(fresh, SCENARIO, 3, stage="shadow", reason="test")
    gateway.wait_until_serving(fresh, 3)

    # when 60 events are sent
    answers = [gateway.answer(fresh, event_id=10**6 + number) for number in range(60)]

    # then champion and canary answer, each about half, and the shadow nobody
    by = {(each["version"], each["route"]) for each in answers}
    assert by == {(1, "champion"), (2, "canary")}
    assert 15 <= sum(each["version"] == 2 for each in answers) <= 45

    # and the shadow's opinion of each of them is logged
    logged = recent(fresh, SCENARIO, 200)
    shadow = {each.event_id for each in logged if (each.version, each.route) == (3, "shadow")}
    assert shadow == {each["event_id"] for each in answers}
    assert len(logged) == 120


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_bad_request_gets_its_status_and_an_error_that_helps(
    gateway: Gateway, served: Workspace, name: str
) -> None:
    content, status, expected = BAD_REQUESTS[name]
    headers = token(served) | {"Content-Type": "application/json"}
    response = gateway.client.post(INFER, content=content, headers=headers)
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert expected in response.json()["error"]


def test_bad_requests_leave_nothing_in_the_log(gateway: Gateway, fresh: Workspace) -> None:
    headers = token(fresh) | {"Content-Type": "application/json"}
    for content, _, _ in BAD_REQUESTS.values():
        gateway.client.post(INFER, content=content, headers=headers)
    assert recent(fresh, SCENARIO) == []


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("POST", "/v2/models/chess/infer", 404, "no model 'chess'"),
        ("GET", "/v2/models/chess", 404, "The scenarios are"),
        ("GET", "/v2/models/chess/ready", 404, "chess"),
        ("POST", "/v2/models/fraud/versions/99/infer", 404, "no version 99"),
        ("POST", "/v2/models/fraud/versions/one/infer", 404, "no version 'one'"),
        ("POST", "/v2/models/fraud/versions/-1/infer", 404, "no version '-1'"),
        ("POST", "/v2/models/fraud/versions/99999999999999999999/infer", 404, "whole numbers"),
        ("GET", "/v2/models/fraud/versions/99", 404, "Versions there are: 1"),
        ("GET", "/v2/models/fraud/versions/99/ready", 404, "no version 99"),
        ("POST", "/v2/models/biopsies/infer", 422, "mean_radius"),
        ("GET", "/v2/models/biopsies/ready", 404, "deploy biopsies"),
        ("GET", "/", 404, "not served here"),
        ("GET", "/v2/models/fraud/infer", 405, "not served here"),
        ("POST", "/v2/health/live", 405, "not served here"),
    ],
)
def test_what_is_not_there_is_said_to_be_so(
    gateway: Gateway, served: Workspace, method: str, path: str, status: int, expected: str
) -> None:
    headers = token(served) | {"Content-Type": "application/json"}
    response = gateway.client.request(
        method, path, content=GOOD if method == "POST" else None, headers=headers
    )
    assert response.status_code == status, response.text
    assert expected in response.json()["error"]


def test_without_a_champion_the_error_says_how_to_get_one(gateway: Gateway, workspace: Workspace) -> None:
    response = gateway.infer(workspace)
    assert response.status_code == 404
    assert "deploy fraud" in response.json()["error"]
    ready = gateway.client.get(f"/v2/models/{SCENARIO}/ready", headers=token(workspace))
    assert ready.status_code == 404


def test_a_token_of_nobody_is_refused(gateway: Gateway) -> None:
    response = gateway.client.post(INFER, content=GOOD, headers={"Authorization": "Bearer nobody-here"})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert "Authorization: Bearer" in response.json()["error"]


def test_one_workspace_does_not_see_what_another_was_answered(
    gateway: Gateway, fresh: Workspace, served: Workspace
) -> None:
    found = gateway.answer(fresh)
    response = gateway.feedback(served, prediction_id=found["prediction_id"], label=1)
    assert response.status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8600", "127.0.0.1.evil.example", "", "[::2]"])
def test_a_page_that_calls_itself_this_machine_is_refused(gateway: Gateway, host: str) -> None:
    response = gateway.client.get("/v2", headers={"Host": host})
    assert response.status_code == 403
    assert "not served here" in response.json()["error"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:8600", "[::1]"])
def test_this_machine_may_be_called_by_its_names(gateway: Gateway, host: str) -> None:
    assert gateway.client.get("/v2/health/live", headers={"Host": host}).status_code == 200


def test_a_body_that_is_not_said_to_be_json_is_refused(gateway: Gateway, served: Workspace) -> None:
    headers = token(served) | {"Content-Type": "text/plain"}
    response = gateway.client.post(INFER, content=GOOD, headers=headers)
    assert response.status_code == 415
    assert "application/json" in response.json()["error"]


def chunks(size: int) -> Iterator[bytes]:
    """A body without a length said before."""
    for _ in range(0, size, 65_536):
        yield b" " * 65_536


def test_too_large_a_body_is_refused_whether_or_not_its_length_is_said(
    gateway: Gateway, served: Workspace
) -> None:
    headers = token(served) | {"Content-Type": "application/json"}
    for content in (b" " * 2**21, chunks(2**21)):
        response = gateway.client.post(INFER, content=content, headers=headers)
        assert response.status_code == 413
        assert "1,048,576 bytes" in response.json()["error"]
    assert gateway.infer(served).status_code == 200


def test_a_thousand_rows_with_long_numbers_fit(gateway: Gateway, fresh: Workspace) -> None:
    columns = {name: [value] * 1000 for name, value in EVENT.items()} | {
        "event_id": list(range(10**11, 10**11 + 1000))
    }
    response = gateway.send(fresh, columns)
    assert response.status_code == 200
    assert response.json()["parameters"] == {"rows": 1000}


def test_a_broken_request_does_not_stop_the_others(gateway: Gateway, served: Workspace) -> None:
    # given connections that send no HTTP, or stop within the body
    for content in (
        b"\x00\xff\r\n\r\n",
        b"POST /v2/models/fraud/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 50\r\n\r\n{",
    ):
        with socket.create_connection((LOOPBACK, gateway.port)) as connection:
            connection.sendall(content)

    # then others are answered
    assert gateway.infer(served).status_code == 200


def test_the_protocols_own_endpoints_answer(gateway: Gateway, served: Workspace) -> None:
    headers = token(served)
    assert gateway.infer(served).status_code == 200

    def get(path: str) -> dict[str, object]:
        response = gateway.client.get(path, headers=headers)
        assert response.status_code == 200, response.text
        content: dict[str, object] = response.json()
        return content

    assert set(get("/v2")) == set(get("/v2/")) == {"name", "version", "extensions"}
    assert get("/v2/health/live")["live"] is True
    assert get("/v2/models/fraud/ready") == {"name": "fraud", "ready": True}
    assert get("/v2/models/fraud/versions/1/ready")["ready"] is True
    model = get("/v2/models/fraud")
    assert {"name", "versions", "platform", "inputs", "outputs"} <= set(model)
    assert model["versions"] == ["1"]
    parameters = model["parameters"]
    assert isinstance(parameters, dict)
    assert parameters["champion"] == 1
    assert parameters["world"] == "small-1"
    version = get("/v2/models/fraud/versions/1")["parameters"]
    assert isinstance(version, dict)
    assert version["kind"] == "logistic"
    assert version["run_id"]


def test_the_servers_readiness_is_that_of_its_champions(gateway: Gateway, fresh: Workspace) -> None:
    gateway.wait_until_serving(fresh, 1)
    response = gateway.client.get("/v2/health/ready")
    # Another test's workspace may be loading; then it is named.
    assert response.status_code == 200 or fresh.name not in response.text


def test_the_requests_own_id_comes_back(gateway: Gateway, served: Workspace) -> None:
    headers = token(served) | {"Content-Type": "application/json"}
    content = json.dumps(json.loads(GOOD) | {"id": "42", "outputs": [{"name": "score"}]})
    found = gateway.client.post(INFER, content=content, headers=headers).json()
    assert found["id"] == "42"
    assert found["model_version"] == "1"
    assert [each["name"] for each in found["outputs"]] == ["score"]


def test_feedback_is_kept_once(gateway: Gateway, fresh: Workspace) -> None:
    # given an answered event
    answer = gateway.answer(fresh)
    name, time_s = answer["prediction_id"], answer["event_time"] + 7 * DAY_S

    # when its label is told twice
    first = gateway.feedback(fresh, prediction_id=name, label=1, label_time=time_s)
    second = gateway.feedback(fresh, prediction_id=name, label=1)

    # then it is kept once, and the other label is refused
    assert first.status_code == second.status_code == 200
    expected = {"prediction_id": name, "event_id": answer["event_id"], "label": 1, "label_time": time_s}
    assert first.json() == second.json() == expected
    refused = gateway.feedback(fresh, prediction_id=name, label=0)
    assert refused.status_code == 409
    assert "has the label 1, but 0 was sent" in refused.json()["error"]


def test_a_label_counts_for_later_events_of_the_same_terminal(gateway: Gateway, fresh: Workspace) -> None:
    # given an event at a new terminal, which turned out to be fraud
    first = gateway.answer(fresh, terminal_id=10**9)
    told_s = first["event_time"] + 60
    gateway.feedback(fresh, prediction_id=first["prediction_id"], label=1, label_time=told_s)

    # when events come before and after that is known
    before = gateway.answer(fresh, terminal_id=10**9, event_time=told_s - 1)
    after = gateway.answer(fresh, terminal_id=10**9, event_time=told_s)

    # then only the later one knows
    risk = NAMES.index("terminal_risk_1d")
    assert features_of(trace(fresh, before["prediction_id"]))[risk] == 0.0
    assert features_of(trace(fresh, after["prediction_id"]))[risk] == 1.0


def test_a_label_without_a_time_is_as_late_as_the_scenario_says(gateway: Gateway, fresh: Workspace) -> None:
    answer = gateway.answer(fresh)
    told = gateway.feedback(fresh, prediction_id=answer["prediction_id"], label=0).json()
    assert told["label_time"] == answer["event_time"] + FRAUD.label_delay_days * DAY_S


@pytest.mark.parametrize(
    ("told", "status", "expected"),
    [
        ({"prediction_id": "nothing", "label": 1}, 404, "no prediction 'nothing'"),
        ({"prediction_id": 5, "label": 1}, 422, "prediction_id"),
        ({"prediction_id": "x", "label": 2}, 422, "label is 2"),
        ({"prediction_id": "x", "label": True}, 422, "label is True"),
        ({"prediction_id": "x", "label": "fraud"}, 422, "label is 'fraud'"),
        ({"prediction_id": "x"}, 422, "no field 'label'"),
        ({"prediction_id": "x", "label": 1, "note": ""}, 422, "unknown field 'note'"),
        ({"prediction_id": "x", "label": 1, "label_time": -5}, 422, "label_time is -5"),
        ({"prediction_id": "x", "label": 1, "label_time": 1.5}, 422, "label_time is 1.5"),
    ],
)
def test_bad_feedback_is_refused(
    gateway: Gateway, served: Workspace, told: dict[str, object], status: int, expected: str
) -> None:
    response = gateway.feedback(served, **told)
    assert response.status_code == status
    assert expected in response.json()["error"]


def test_a_label_is_not_known_before_its_event(gateway: Gateway, fresh: Workspace) -> None:
    answer = gateway.answer(fresh)
    for time_s in (answer["event_time"], 10**9):
        response = gateway.feedback(fresh, prediction_id=answer["prediction_id"], label=1, label_time=time_s)
        assert response.status_code == 422
        assert "label_time" in response.json()["error"]


def test_what_happened_is_measured(gateway: Gateway, fresh: Workspace) -> None:
    gateway.answer(fresh)
    gateway.infer(fresh, amount=-1.0)
    gateway.feedback(fresh, prediction_id="nothing", label=1)
    response = gateway.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    whose = f'workspace="{fresh.name}"}} 1.0'
    for route, status, version in (("champion", 200, "1"), ("", 422, "")):
        labels = f'route="{route}",scenario="fraud",status="{status}",version="{version}"'
        assert f"flightdeck_requests_total{{{labels},{whose}" in response.text
    assert f'flightdeck_feedback_total{{status="404",workspace="{fresh.name}"}} 1.0' in response.text
    loaded = f'flightdeck_swaps_total{{outcome="loaded",scenario="fraud",workspace="{fresh.name}"}} 1.0'
    assert loaded in response.text
    assert "flightdeck_log_commit_rows_bucket" in response.text
    assert "flightdeck_request_seconds_bucket" in response.text
    assert "flightdeck_score_bucket" in response.text


def test_nothing_of_an_event_is_written_into_the_servers_own_log(gateway: Gateway, served: Workspace) -> None:
    gateway.infer(served, amount=1234.56, customer_id=987654321)
    gateway.infer(served, amount=-1234.56, customer_id=987654321)
    assert "1234.56" not in gateway.log()
    assert "987654321" not in gateway.log()

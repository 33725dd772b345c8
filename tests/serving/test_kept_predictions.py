"""What was acknowledged is on disk: through kill -9, a full disk and a restart."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import httpx
import numpy as np
import pandas as pd
import psutil
import pytest
from real_gateway import SCENARIO, START_S, Gateway, collected

from pipelines.features import offline
from pipelines.scenarios import find_scenario
from pipelines.serving.prediction_log import features_of, recent
from pipelines.settings import LOOPBACK, REPOSITORY
from pipelines.workspace import Workspace

FRAUD = find_scenario(SCENARIO)
NAMES = [feature.name for feature in FRAUD.features]


def test_every_acknowledged_prediction_survives_a_kill(own_gateway: Gateway, fresh: Workspace) -> None:
    # given four clients that send events and note what was acknowledged
    own_gateway.answer(fresh)
    acknowledged: list[str] = []

    def send(number: int) -> None:
        event_id = number * 10**8
        while True:
            event_id += 1
            try:
                acknowledged.append(own_gateway.answer(fresh, event_id=event_id)["prediction_id"])
            except (httpx.HTTPError, AssertionError):
                return

    clients = [Thread(target=send, args=(number,)) for number in range(1, 5)]
    for client in clients:
        client.start()
    while len(acknowledged) < 100:
        time.sleep(0.01)

    # when the gateway is killed in the middle of it
    own_gateway.kill()
    for client in clients:
        client.join()

    # then each acknowledged prediction is in the log
    logged = {each.prediction_id for each in recent(fresh, SCENARIO, 10**6)}
    assert set(acknowledged) <= logged
    assert len(acknowledged) == len(set(acknowledged))


def test_after_a_restart_it_goes_on_as_if_nothing_had_been(own_gateway: Gateway, fresh: Workspace) -> None:
    # given answered events, one of them labelled
    sent = [own_gateway.answer(fresh, customer_id=number % 3) for number in range(20)]
    told = sent[4] | {"label_time": sent[4]["event_time"] + 60}
    own_gateway.feedback(fresh, prediction_id=told["prediction_id"], label=1, label_time=told["label_time"])

    # when the gateway is killed and started again
    own_gateway.kill()
    own_gateway.restart()

    # then what was answered is answered as before
    again = own_gateway.answer(fresh, event_id=sent[0]["event_id"], customer_id=0)
    assert again["repeated"]
    assert again["prediction_id"] == sent[0]["prediction_id"]

    # and the next event, two minutes on, sees all that happened before
    last = own_gateway.answer(fresh, customer_id=1, event_time=told["label_time"] + 60)
    assert last["event_id"] == sent[-1]["event_id"] + 1
    columns = ["event_id", "event_time", "customer_id", "terminal_id", "amount"]
    served = sorted(recent(fresh, SCENARIO, 100), key=lambda each: each.event_id)
    arrived = pd.DataFrame(
        [{"event_id": each.event_id, "event_time": each.event_time, **each.event} for each in served]
    )[columns]
    arrived["label_time"] = arrived["event_time"] + 60
    arrived["label"] = [1 if each.event_id == told["event_id"] else pd.NA for each in served]
    world = pd.concat([collected(), arrived]).astype({"label": "Int8"})
    expected = offline.compute(FRAUD, world)[NAMES].to_numpy()[-len(served) :]
    assert np.array_equal([features_of(each) for each in served], expected)


def test_requests_that_wait_together_share_a_commit(own_gateway: Gateway, fresh: Workspace) -> None:
    # given a gateway that has committed once
    own_gateway.answer(fresh)

    # when eight clients send 25 events each
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda number: own_gateway.answer(fresh, amount=1.0 + number), range(200)))

    # then each is answered and logged once, with fewer commits than rows
    assert len({each["prediction_id"] for each in answers}) == 200
    assert len({each["event_id"] for each in answers}) == 200
    assert len(recent(fresh, SCENARIO, 10**6)) == 201
    metrics = own_gateway.client.get("/metrics").text
    values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    assert float(values["flightdeck_log_commit_rows_sum"]) == 201
    assert float(values["flightdeck_log_commit_rows_count"]) < 150


def test_the_same_event_from_many_at_once_is_one_prediction(own_gateway: Gateway, fresh: Workspace) -> None:
    own_gateway.answer(fresh)
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: own_gateway.answer(fresh, event_id=10**6), range(40)))
    assert len({each["prediction_id"] for each in answers}) == 1
    assert sum(not each["repeated"] for each in answers) == 1
    assert len(recent(fresh, SCENARIO)) == 2


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux to starve another process")
def test_what_can_t_be_logged_is_not_answered_until_it_can(own_gateway: Gateway, fresh: Workspace) -> None:
    # given a gateway that has answered
    first = own_gateway.answer(fresh)
    process = own_gateway.process.pid
    usual = resource.prlimit(process, resource.RLIMIT_FSIZE)

    # when its disk takes nothing any more
    resource.prlimit(process, resource.RLIMIT_FSIZE, (4096, usual[1]))
    refused = [own_gateway.infer(fresh, event_id=10**6 + number) for number in range(3)]
    told = own_gateway.feedback(fresh, prediction_id=first["prediction_id"], label=1)

    # then nothing is acknowledged, the error says what to do, and the process lives
    assert [each.status_code for each in (*refused, told)] == [503] * 4
    assert all("can't be written" in each.json()["error"] for each in (*refused, told))
    assert "Free some space" in refused[0].json()["error"]
    assert own_gateway.client.get("/v2/health/live").status_code == 200

    # and once it does, serving goes on by itself, without what was refused
    resource.prlimit(process, resource.RLIMIT_FSIZE, usual)
    second = own_gateway.answer(fresh)
    logged = sorted(recent(fresh, SCENARIO), key=lambda each: each.at)
    assert [each.prediction_id for each in logged] == [first["prediction_id"], second["prediction_id"]]
    count = NAMES.index("customer_count_30d")
    before, after = (features_of(each)[count] for each in logged)
    assert after == before + 1
    told = own_gateway.feedback(fresh, prediction_id=first["prediction_id"], label=1)
    assert told.status_code == 200


def test_told_to_stop_it_answers_what_was_asked(own_gateway: Gateway, fresh: Workspace) -> None:
    # given requests on their way
    own_gateway.answer(fresh)
    with ThreadPoolExecutor(8) as clients:
        waiting = [clients.submit(own_gateway.infer, fresh, event_id=10**6 + number) for number in range(8)]
        time.sleep(0.02)

        # when it is told to stop
        own_gateway.process.terminate()

    # then what it had accepted was answered or refused cleanly, and everything answered is logged
    logged = {each.prediction_id for each in recent(fresh, SCENARIO, 100)}
    for each in waiting:
        if each.exception() is None and each.result().status_code == 200:
            assert each.result().json()["parameters"]["prediction_id"] in logged
    assert own_gateway.process.wait(15) in (0, -15)


def test_a_taken_port_is_named_with_what_to_do(gateway: Gateway) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "pipelines.serving.gateway"],
        env=os.environ | {"FLIGHTDECK_GATEWAY_PORT": str(gateway.port)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=START_S,
    )
    assert ended.returncode == 1
    assert f"port {gateway.port}: Address already in use" in ended.stderr
    assert "FLIGHTDECK_GATEWAY_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_it_listens_on_this_machine_alone(gateway: Gateway) -> None:
    connections = psutil.Process(gateway.process.pid).net_connections("inet")
    listening = [each.laddr for each in connections if each.status == psutil.CONN_LISTEN]
    assert listening == [(LOOPBACK, gateway.port)]

"""Another version takes over while requests come in: not one of them is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event as Flag
from threading import Thread
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from real_gateway import (
    EVENT,
    SCENARIO,
    START_S,
    UNTIL_DAY,
    Gateway,
    collected,
    make_version,
    produce,
    tensor,
    token,
)

from pipelines.features import offline
from pipelines.promotion import promote, rollback
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving.prediction_log import features_of, recent, trace
from pipelines.workspace import Home, Workspace

FRAUD = find_scenario(SCENARIO)
NAMES = [feature.name for feature in FRAUD.features]
CLIENTS = 4


class Load:
    """Clients that send one event after the other, each on a connection of its own, and note the answers."""

    def __init__(self, gateway: Gateway, workspace: Workspace) -> None:
        self.answers: list[tuple[float, int, dict[str, Any]]] = []
        self._gateway = gateway
        self._workspace = workspace
        self._stop = Flag()
        self._threads = [Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]

    def _run(self, number: int) -> None:
        inputs = [tensor(name, [value]) for name, value in EVENT.items()]
        with httpx.Client(base_url=self._gateway.url, timeout=60, trust_env=False) as client:
            event_id = (number + 1) * 10**8
            while not self._stop.is_set():
                event_id += 1
                content = {"inputs": [*inputs, tensor("event_id", [event_id])]}
                try:
                    answer = client.post(
                        f"/v2/models/{SCENARIO}/infer", json=content, headers=token(self._workspace)
                    )
                    self.answers.append((time.monotonic(), answer.status_code, answer.json()))
                except httpx.HTTPError as error:
                    self.answers.append((time.monotonic(), 0, {"error": repr(error)}))

    def versions(self, since: float = 0.0, until: float = float("inf")) -> set[int]:
        """Versions that answered in that time."""
        return {
            answer["parameters"]["version"]
            for at, status, answer in list(self.answers)
            if status == 200 and since < at < until
        }

    def failures(self) -> list[dict[str, Any]]:
        """What was not answered."""
        return [answer for _, status, answer in self.answers if status != 200]

    def wait_for(self, more: int) -> None:
        """Wait until so many more requests are answered."""
        goal, deadline = len(self.answers) + more, time.monotonic() + START_S
        while len(self.answers) < goal and time.monotonic() < deadline:
            time.sleep(0.01)


@contextmanager
def load(gateway: Gateway, workspace: Workspace) -> Iterator[Load]:
    """Requests come in all the while."""
    running = Load(gateway, workspace)
    for thread in running._threads:
        thread.start()
    try:
        yield running
    finally:
        running._stop.set()
        for thread in running._threads:
            thread.join()


def test_not_one_request_is_lost_while_versions_change(gateway: Gateway, fresh: Workspace) -> None:
    # given version 1 under load, and another registered
    make_version(fresh, "boosting")
    gateway.wait_until_serving(fresh, 1)
    with load(gateway, fresh) as running:
        running.wait_for(50)

        # when version 2 is promoted, and then rolled back
        produce(fresh, 2)
        gateway.wait_until_serving(fresh, 2)
        swapped = time.monotonic()
        running.wait_for(50)
        until = time.monotonic()
        rollback(fresh, SCENARIO, reason="test")
        gateway.wait_until_serving(fresh, 1)
        back = time.monotonic()
        running.wait_for(50)

    # then every request was answered, by the version that served then, and is logged as that
    assert running.failures() == []
    assert running.versions(until=swapped) == {1, 2}
    # A request that was sent before the swap may be answered just after it.
    assert running.versions(since=swapped + 0.5, until=until) <= {2}
    assert running.versions(since=back + 0.5) <= {1}
    assert running.answers[-1][2]["parameters"]["version"] == 1
    for _, _, answer in running.answers[:: max(1, len(running.answers) // 20)]:
        told = answer["parameters"]
        assert trace(fresh, told["prediction_id"]).version == told["version"]


def test_a_champion_of_another_world_takes_over_under_load(gateway: Gateway, fresh: Workspace) -> None:
    # given version 1 under load, and a version from another world, with a history of its own
    assert make_version(fresh, "logistic", seed=2) == 2
    gateway.wait_until_serving(fresh, 1)
    with load(gateway, fresh) as running:
        running.wait_for(50)

        # when that is promoted
        produce(fresh, 2)
        gateway.wait_until_serving(fresh, 2)
        running.wait_for(50)

    # then nothing is lost, and what is remembered is that world's
    assert running.failures() == []
    assert running.answers[-1][2]["parameters"]["version"] == 2
    model = gateway.client.get(f"/v2/models/{SCENARIO}", headers=token(fresh)).json()
    assert model["parameters"]["world"] == "small-2"

    # and an event under the same id is another event there
    event_id = running.answers[0][2]["parameters"]["event_id"]
    assert not gateway.answer(fresh, event_id=event_id, amount=1.0)["repeated"]


def test_what_is_remembered_stays_whole_across_a_swap(gateway: Gateway, fresh: Workspace) -> None:
    # given events of one customer that come one after the other, a second apart
    make_version(fresh, "boosting")
    gateway.wait_until_serving(fresh, 1)
    begins_s = UNTIL_DAY * DAY_S
    stop = Flag()

    def send() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            gateway.answer(fresh, event_id=10**6 + number, event_time=begins_s + number)

    sender = Thread(target=send)
    sender.start()

    # when another run's version takes over, and with it a memory that was built meanwhile
    time.sleep(0.3)
    produce(fresh, 2)
    gateway.wait_until_serving(fresh, 2)
    time.sleep(0.3)
    stop.set()
    sender.join()

    # then each event's features are what training would compute, as if nothing had happened
    served = sorted(recent(fresh, SCENARIO, 10**6), key=lambda each: each.event_id)
    assert {each.version for each in served} == {1, 2}
    arrived = pd.DataFrame(
        [
            {"event_id": each.event_id, "event_time": each.event_time, "label_time": each.event_time + 1}
            | dict(each.event)
            for each in served
        ]
    ).assign(label=pd.NA)
    world = pd.concat([collected(), arrived]).astype({"label": "Int8"})
    expected = offline.compute(FRAUD, world)[NAMES].to_numpy()[-len(served) :]
    assert np.array_equal([features_of(each) for each in served], expected)


def test_a_champion_that_can_t_be_loaded_leaves_the_old_one_serving(
    gateway: Gateway, fresh: Workspace, home: Home
) -> None:
    # given a version whose stored model is cut short
    gateway.wait_until_serving(fresh, 1)
    make_version(fresh, "boosting")
    newest = max(home.mlflow_artifacts.rglob("model.skops"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(newest.read_bytes()[:100])

    # when it is promoted
    produce(fresh, 2)
    path = f"/v2/models/{SCENARIO}/versions/2/ready"
    deadline = time.monotonic() + START_S
    while "not what was registered" not in gateway.client.get(path, headers=token(fresh)).text:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    # then version 1 answers, and the model's metadata says why
    assert gateway.answer(fresh)["version"] == 1
    model = gateway.client.get(f"/v2/models/{SCENARIO}", headers=token(fresh)).json()
    assert model["parameters"]["champion"] == 1
    assert "not what was registered" in model["parameters"]["problem"]


def test_a_shadow_that_can_t_be_loaded_does_not_keep_a_champion_away(
    gateway: Gateway, fresh: Workspace, home: Home
) -> None:
    # given a shadow whose stored model is cut short
    for kind in ("boosting", "forest"):
        make_version(fresh, kind)
    newest = max(home.mlflow_artifacts.rglob("model.skops"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(b"")
    promote(fresh, SCENARIO, 3, stage="shadow", reason="test")

    # when another champion is promoted
    produce(fresh, 2)

    # then it serves, and the absence of the shadow is shown
    deadline = time.monotonic() + START_S
    while gateway.answer(fresh)["version"] != 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    model = gateway.client.get(f"/v2/models/{SCENARIO}", headers=token(fresh)).json()
    assert "shadow" not in model["parameters"]
    assert "not what was registered" in model["parameters"]["shadow_absent"]


def test_a_workspace_that_is_reset_is_forgotten(gateway: Gateway, fresh: Workspace) -> None:
    # given a workspace that was answered
    gateway.answer(fresh, event_id=10**6)

    # when its tables are removed, as a reset does
    for path in fresh.root.glob("app.db*"):
        path.unlink()

    # then nothing serves, and nothing is remembered once something does again
    deadline = time.monotonic() + START_S
    while gateway.infer(fresh).status_code != 404:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    produce(fresh, 1)
    gateway.wait_until_serving(fresh, 1)
    assert not gateway.answer(fresh, event_id=10**6, amount=1.0)["repeated"]


def test_without_mlflow_the_error_says_what_is_missing(
    home: Home, fresh: Workspace, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a gateway that looks for MLflow where nobody listens
    monkeypatch.setenv("FLIGHTDECK_MLFLOW_PORT", "9")
    running = Gateway(home, free_port)
    try:
        # when an event is sent
        response = running.infer(fresh)

        # then it is refused for now, and the process lives
        assert response.status_code == 503
        assert "MLflow is not answering" in response.json()["error"]
        assert running.client.get("/v2/health/live").status_code == 200
    finally:
        running.stop()

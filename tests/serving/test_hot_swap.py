"""Another version takes over while requests come in: not one of them is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from threading import Event as Flag
from threading import Thread
from typing import Any
from uuid import uuid4

import httpx
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
from pipelines.serving.gateway import WARM_EVERY_S
from pipelines.serving.prediction_log import features_of, recent
from pipelines.workspace import Home, Workspace, open_workspace

FRAUD = find_scenario(SCENARIO)
NAMES = [feature.name for feature in FRAUD.features]
CLIENTS = 4


class Load:
    """Clients that send one event after the other, each on a connection of its own, and note the answers."""

    def __init__(self, gateway: Gateway, workspace: Workspace) -> None:
        self.answers: list[dict[str, Any]] = []
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
                    self.answers.append(answer.json())
                except httpx.HTTPError as error:
                    self.answers.append({"error": repr(error)})

    def failures(self) -> list[dict[str, Any]]:
        """What was not answered."""
        return [answer for answer in self.answers if "outputs" not in answer]

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
        running.wait_for(50)
        rollback(fresh, SCENARIO, reason="test")
        gateway.wait_until_serving(fresh, 1)
        running.wait_for(50)

    # then every request was answered, and says by whom as the log does
    assert running.failures() == []
    logged = list(reversed(recent(fresh, SCENARIO, 10**6)))
    told = {answer["parameters"]["prediction_id"]: answer["parameters"] for answer in running.answers}
    assert {each.prediction_id: each.version for each in logged} == {
        name: parameters["version"] for name, parameters in told.items()
    }

    # and in the order in which they were answered, each version took over once
    assert [version for version, _ in groupby(each.version for each in logged)] == [1, 2, 1]


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
    assert running.answers[-1]["parameters"]["version"] == 2
    model = gateway.client.get(f"/v2/models/{SCENARIO}", headers=token(fresh)).json()
    assert model["parameters"]["world"] == "small-2"

    # and an event under the same id is another event there
    event_id = running.answers[0]["parameters"]["event_id"]
    assert not gateway.answer(fresh, event_id=event_id, amount=1.0)["repeated"]


def test_what_is_remembered_stays_whole_across_a_swap(gateway: Gateway, fresh: Workspace) -> None:
    # given a version whose run collected a day more, and events that come a second apart after that
    days = {1: UNTIL_DAY, 2: UNTIL_DAY + 1}
    make_version(fresh, until_day=days[2])
    gateway.wait_until_serving(fresh, 1)
    stop = Flag()

    def send() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            gateway.answer(fresh, event_id=10**6 + number, event_time=days[2] * DAY_S + number)

    sender = Thread(target=send)
    sender.start()

    # when it takes over, and with it a memory that was built while they came
    time.sleep(0.3)
    produce(fresh, 2)
    gateway.wait_until_serving(fresh, 2)
    time.sleep(0.3)
    stop.set()
    sender.join()

    # then each event's features are what training would compute from its version's history
    served = sorted(recent(fresh, SCENARIO, 10**6), key=lambda each: each.event_id)
    assert {each.version for each in served} == {1, 2}
    arrived = pd.DataFrame(
        [
            {"event_id": each.event_id, "event_time": each.event_time, "label_time": each.event_time + 1}
            | dict(each.event)
            for each in served
        ]
    ).assign(label=pd.NA)
    expected = {}
    for version, day in days.items():
        world = pd.concat([collected(until_day=day), arrived]).astype({"label": "Int8"})
        expected[version] = offline.compute(FRAUD, world)[NAMES].to_numpy()[-len(served) :]
    assert expected[1].tolist() != expected[2].tolist()
    for place, each in enumerate(served):
        assert features_of(each).tolist() == expected[each.version][place].tolist()


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


def test_a_promoted_version_is_loaded_before_anybody_asks(gateway: Gateway, fresh: Workspace) -> None:
    # given a workspace whose ledger the gateway has seen, but which nobody has asked for
    time.sleep(2 * WARM_EVERY_S)
    # when another version is promoted
    produce(fresh, make_version(fresh))
    # then its model is loaded without any request
    deadline = time.monotonic() + 20
    while f'workspace="{fresh.name}"' not in swaps(gateway) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert f'workspace="{fresh.name}"' in swaps(gateway)


def test_a_damaged_workspace_does_not_keep_others_from_being_warmed(
    own_gateway: Gateway, workspace: Workspace, home: Home
) -> None:
    # given a workspace whose database is none, seen by the gateway, and another with a version
    damaged = open_workspace(f"t-{uuid4().hex[:12]}", home)
    make_version(workspace)
    damaged.database.write_bytes(b"this is no database" * 100)
    try:
        time.sleep(2 * WARM_EVERY_S)

        # when that version is promoted
        produce(workspace, 1)

        # then it is loaded before anybody asks, and the damaged one is told so
        deadline = time.monotonic() + START_S
        while f'workspace="{workspace.name}"' not in swaps(own_gateway):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        refused = own_gateway.infer(damaged)
        assert refused.status_code == 503
        assert "can't be read" in refused.json()["error"]
    finally:
        damaged.database.unlink()


def swaps(gateway: Gateway) -> str:
    """The lines of /metrics that count changes of the lineup."""
    lines = gateway.client.get("/metrics").text.splitlines()
    return "\n".join(line for line in lines if line.startswith("flightdeck_swaps_total"))

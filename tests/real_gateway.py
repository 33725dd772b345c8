"""Real registered versions, and a real gateway in a process of its own: what tests of serving stand on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
import pandas as pd

from pipelines import registry, tracking
from pipelines.artifacts import open_step
from pipelines.features import offline
from pipelines.ingestion import collect
from pipelines.lifecycle import EVENTS, Train
from pipelines.promotion import promote
from pipelines.run import create_run, read_params, write_json
from pipelines.scenarios import find_scenario
from pipelines.settings import LOOPBACK, REPOSITORY
from pipelines.training import FittedModel, fit, save_model, today
from pipelines.workspace import Home, Workspace

SCENARIO = "fraud"
UNTIL_DAY = 45
EVENT: dict[str, Any] = {"customer_id": 7, "terminal_id": 42, "amount": 62.5}
START_S = 60.0

PASSED = {"rule": "gain", "found": 0.3, "expected": 0.05, "passed": True, "meaning": "It beats no model."}


@cache
def collected(seed: int = 1, until_day: int = UNTIL_DAY, size: Any = "small") -> pd.DataFrame:
    """The events of a world, as its ingest step leaves them."""
    return collect(find_scenario(SCENARIO), size, seed, until_day)


@cache
def fitted(kind: str, seed: int = 1, until_day: int = UNTIL_DAY, size: Any = "small") -> FittedModel:
    """A model trained on them; few trees, because these tests are not about how good it is."""
    features = offline.compute(find_scenario(SCENARIO), collected(seed, until_day, size))
    params = Train.model_validate({"model": kind, "trees": 20, "max_depth": 4, "train_days": 14})
    return fit(find_scenario(SCENARIO), features, params, seed, today(features))


def make_version(
    workspace: Workspace,
    kind: str = "logistic",
    seed: int = 1,
    until_day: int = UNTIL_DAY,
    size: str = "small",
) -> int:
    """Do what the steps up to register do, without their notebooks; the version's number."""
    run = create_run(workspace, SCENARIO, {"ingest": {"size": size, "until_day": until_day}}, seed=seed)
    folder = workspace.run_folder(run.run_id)
    (folder / EVENTS.path).parent.mkdir(parents=True)
    collected(seed, until_day, size).to_parquet(folder / EVENTS.path, index=False)
    model = fitted(kind, seed, until_day, size)
    for name in ("train", "register"):
        place = folder / "steps" / name / "attempt-1"
        place.mkdir(parents=True)
        opened = tracking.open_step(run, name, read_params(folder)[name], 1)
        (place / tracking.RUN_FILE).write_text(opened)
    train = open_step("train", folder / "steps" / "train" / "attempt-1")
    save_model(train.path("model"), model)
    tracking.log_model(train, model.model, model.card, model.golden)
    save_model(folder / "model", model)
    write_json(folder / "reports" / "evaluation.json", {"gate": {"passed": True, "reasons": [PASSED]}})
    write_json(folder / "receipts" / "snapshot.json", {"digest": "da7a" * 4, "rows": 1, "version": 1})
    receipt = registry.register(open_step("register", folder / "steps" / "register" / "attempt-1"))
    return int(receipt["version"])


def produce(workspace: Workspace, version: int) -> None:
    """Promote a version to production."""
    promote(workspace, SCENARIO, version, stage="production", reason="test")


class Gateway:
    """A gateway process, and how tests speak to it."""

    def __init__(self, home: Home, port: int) -> None:
        self.home = home
        self.port = port
        self.url = f"http://{LOOPBACK}:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "FLIGHTDECK_HOME": str(self.home.root),
            "FLIGHTDECK_GATEWAY_PORT": str(self.port),
            "PYTHONWARNINGS": "default",
        }
        self.home.root.mkdir(parents=True, exist_ok=True)
        with (self.home.root / f"gateway-{self.port}.log").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "pipelines.serving.gateway"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=REPOSITORY,
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if self.client.get("/v2/health/live").status_code == 200:
                    return process
            except httpx.TransportError:
                time.sleep(0.05)
        process.kill()
        raise RuntimeError("the gateway did not start:\n" + self.log())

    def restart(self) -> None:
        """Start it again, after it was ended."""
        self.process = self._start()

    def stop(self) -> None:
        """End it as its supervisor does."""
        self.client.close()
        self.process.terminate()
        self.process.wait(15)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def log(self) -> str:
        """What it has printed."""
        return (self.home.root / f"gateway-{self.port}.log").read_text()

    def infer(
        self, workspace: Workspace | None, *, version: int | None = None, **columns: Any
    ) -> httpx.Response:
        """Send one event; columns that are not given have plain values."""
        event = EVENT | columns
        return self.send(workspace, {name: [value] for name, value in event.items()}, version)

    def send(
        self, workspace: Workspace | None, columns: Mapping[str, list[Any]], version: int | None = None
    ) -> httpx.Response:
        """Send events as columns."""
        where = "" if version is None else f"/versions/{version}"
        return self.client.post(
            f"/v2/models/{SCENARIO}{where}/infer",
            json={"inputs": [tensor(name, values) for name, values in columns.items()]},
            headers=token(workspace),
        )

    def answer(self, workspace: Workspace, *, version: int | None = None, **columns: Any) -> dict[str, Any]:
        """Send one event and expect an answer: its score, decision and trace."""
        response = self.infer(workspace, version=version, **columns)
        assert response.status_code == 200, response.text
        content = response.json()
        return dict(content["parameters"]) | {each["name"]: each["data"][0] for each in content["outputs"]}

    def feedback(self, workspace: Workspace, **told: Any) -> httpx.Response:
        """Tell a label."""
        return self.client.post("/feedback", json=told, headers=token(workspace))

    def wait_until_serving(self, workspace: Workspace, version: int) -> None:
        """Wait until that version is in its place."""
        deadline = time.monotonic() + START_S
        path = f"/v2/models/{SCENARIO}/versions/{version}/ready"
        while (response := self.client.get(path, headers=token(workspace))).status_code != 200:
            assert time.monotonic() < deadline, response.text
            time.sleep(0.02)


def tensor(name: str, data: Any, **changes: Any) -> dict[str, Any]:
    """One V2 input of as many rows as there are data, unless `changes` say otherwise."""
    kind = "FP64" if name == "amount" else "INT64"
    shape = [len(data)] if isinstance(data, list) else [1]
    return {"name": name, "shape": shape, "datatype": kind, "data": data} | changes


def token(workspace: Workspace | None) -> dict[str, str]:
    """The header that names a workspace."""
    return {} if workspace is None else {"Authorization": f"Bearer {workspace.name}"}

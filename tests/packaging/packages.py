"""Packages as step package leaves them, made without MLflow, and the packaged server as a real process."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from pipelines import ingestion, training
from pipelines.artifacts import StepFiles, digest, open_step
from pipelines.features import offline
from pipelines.lifecycle import MODEL, Package, Train
from pipelines.packaging import image, manifest, v2_folder
from pipelines.run import create_run, write_json
from pipelines.scenarios import find_scenario
from pipelines.settings import LOOPBACK
from pipelines.training import FittedModel
from pipelines.workspace import Workspace

START_S = 60.0


@cache
def fitted(kind: str = "logistic", scenario: str = "biopsies") -> FittedModel:
    """A model of a small world."""
    world = find_scenario(scenario)
    table = offline.compute(world, ingestion.collect(world, "small", 1, 60))
    return training.fit(world, table, Train.model_validate({"model": kind, "trees": 20}), 1)


def open_package(workspace: Workspace, model: FittedModel, number: int = 1) -> StepFiles:
    """Step package of a run whose model was registered as version `number`."""
    run = create_run(workspace, model.card["scenario"])
    folder = workspace.run_folder(run.run_id)
    training.save_model(folder / "model", model)
    found = {"model": run.scenario, "version": number, "gate": "passed", "run_id": run.run_id, "note": "mine"}
    found["model_digest"] = digest(MODEL, folder / "model")
    write_json(folder / "receipts" / "registration.json", found)
    attempt = folder / "steps" / "package" / "attempt-1"
    attempt.mkdir(parents=True)
    return open_step("package", attempt)


def pack(step: StepFiles, params: Package | None = None) -> Path:
    """Do what the notebook does; the package's folder."""
    image.write_image(step, params or Package())
    v2_folder.write_v2(step, params or Package())
    manifest.seal(step)
    return step.path("package")


class Served:
    """The packaged server, started by this Python as the image starts it by its own."""

    def __init__(self, context: Path, port: int) -> None:
        self.client = httpx.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=20, trust_env=False)
        self.process = subprocess.Popen(
            [sys.executable, "-I", "serve.py", "--port", str(port)],  # -I: nothing of Flightdeck is in reach
            cwd=context,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.client.get("/v2/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        self.process.kill()
        raise RuntimeError("the packaged server did not start:\n" + self.process.communicate()[0])

    def infer(self, content: Any, model: str = "biopsies") -> httpx.Response:
        return self.client.post(f"/v2/models/{model}/infer", json=content)

    def stop(self) -> str:
        """End it as Docker does; what it has printed."""
        self.client.close()
        self.process.terminate()
        return self.process.communicate(timeout=15)[0]

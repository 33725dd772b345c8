"""The definition of the steps: light to load, complete, and the same everywhere."""

from __future__ import annotations

import json
import subprocess
import sys

from pipelines.lifecycle import LIFECYCLE
from pipelines.settings import NOTEBOOKS, REPOSITORY


def test_loading_the_lifecycle_loads_no_heavy_library() -> None:
    code = "import sys, json, pipelines.lifecycle; print(json.dumps(sorted(sys.modules)))"
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    loaded = {name.split(".")[0] for name in json.loads(printed)}
    assert loaded.isdisjoint({"sklearn", "mlflow", "pandas", "numpy", "streamlit", "plotly", "papermill"})


def test_the_road_runs_from_ingest_to_deploy() -> None:
    # Further steps may come between; these keep their order.
    road = ("ingest", "features", "train", "evaluate", "register", "deploy")
    assert tuple(name for name in LIFECYCLE.names if name in road) == road


def test_every_param_says_what_it_means_and_every_number_is_bounded() -> None:
    for step in LIFECYCLE:
        for name, field in step.params.model_fields.items():
            assert field.description, f"{step.name}.{name}"
            assert field.description.endswith("."), f"{step.name}.{name}"
        for name, schema in step.params.model_json_schema()["properties"].items():
            if schema["type"] in ("integer", "number"):
                assert {"minimum", "maximum"} <= schema.keys(), f"{step.name}.{name}"


def test_every_step_has_its_notebook() -> None:
    assert {step.notebook for step in LIFECYCLE} == {path.name for path in NOTEBOOKS.glob("*.ipynb")}


def test_an_artifact_that_is_an_effect_elsewhere_declares_what_must_be_equal() -> None:
    for step in LIFECYCLE:
        for artifact in step.outputs:
            assert bool(artifact.fields) == (artifact.kind == "receipt"), artifact.name

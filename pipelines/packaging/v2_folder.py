"""A model folder as MLServer takes it, which Seldon and KServe start for a model in MLflow's format.

Comes in: a step's model and its registration. Goes out: settings for the server and for the model, and the
model in MLflow's format, whose description holds neither times nor ids. MLServer is no part of Flightdeck: it
lives in an environment of its own.

References
----------
Seldon, "MLServer: model settings", https://mlserver.readthedocs.io/en/latest/reference/model-settings.html
MLflow, "MLflow Models: storage format", https://mlflow.org/docs/latest/ml/model/
"""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import skops.io

from pipelines.artifacts import StepFiles
from pipelines.lifecycle import Package
from pipelines.packaging import requirements
from pipelines.packaging.image import BASE_TAGS
from pipelines.run import write_json
from pipelines.training import GOLDEN_FILE, MODEL_FILE, load_model

# Tried with this model and this format; a newer one may name its settings otherwise.
MLSERVER = "1.7.1"
IMPLEMENTATION = "mlserver_mlflow.MLflowRuntime"

# YAML that is read by MLflow; its signature is JSON within it.
MLMODEL = """\
flavors:
  python_function:
    env:
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: {model_file}
    predict_fn: predict_proba
    python_version: {python}
  sklearn:
    code: null
    pickled_model: {model_file}
    serialization_format: skops
    sklearn_version: {sklearn}
    skops_trusted_types: {types}
mlflow_version: {mlflow}
signature:
  inputs: '{inputs}'
  outputs: '{outputs}'
  params: null
"""

README = """\
# {model}, for MLServer

    python -m venv server && server/bin/pip install -r requirements.txt
    server/bin/mlserver start .

Then: POST http://127.0.0.1:8080/v2/models/{model}/infer, one input for each feature, each of shape [rows, 1]
and datatype FP64, with "parameters": {{"content_type": "pd"}} in the request. The answer holds the
probability of label 0 and of label 1, row by row.

Seldon and KServe take the folder `model` from a bucket and start the same server over it. Features are not
computed in here: in Flightdeck the gateway does that, from raw events.
"""


def write_v2(step: StepFiles, params: Package) -> dict[str, Any]:
    """Write the folder for MLServer into the step's package; its settings for the model."""
    receipt, model = step.read("registration"), step.path("model")
    fitted = load_model(model)
    folder = step.path("package") / "v2"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "model").mkdir(parents=True)
    shutil.copyfile(model / MODEL_FILE, folder / "model" / MODEL_FILE)
    shutil.copyfile(model / GOLDEN_FILE, folder / "model" / GOLDEN_FILE)
    pins = requirements.pins(params.python, step.run.libraries, (*requirements.SERVED_BY, "mlflow"))
    needed = [pin for pin in pins if pin.partition("==")[0] in (*requirements.SERVED_BY, "mlflow")]
    _write(folder / "model" / "requirements.txt", "\n".join(needed))
    _write(folder / "model" / "python_env.yaml", _python_env(params))
    _write(
        folder / "model" / "MLmodel",
        _describe(folder, fitted.card["features"], params, dict(step.run.libraries)),
    )
    # More workers than none restart for ever with the event loop that MLServer comes with.
    write_json(folder / "settings.json", {"debug": False, "parallel_workers": 0, "host": "127.0.0.1"})
    settings = {
        "name": receipt["model"],
        "implementation": IMPLEMENTATION,
        "parameters": {"uri": "./model", "version": str(receipt["version"])},
    }
    write_json(folder / "model-settings.json", settings)
    servers = [f"mlserver=={MLSERVER}", f"mlserver-mlflow=={MLSERVER}"]
    _write(folder / "requirements.txt", "\n".join(servers + needed))
    _write(folder / "README.md", README.format(model=receipt["model"]))
    return settings


def _describe(folder: Path, features: list[str], params: Package, trained_with: dict[str, str]) -> str:
    """The file MLmodel."""
    inputs = [{"type": "double", "name": name, "required": True} for name in features]
    outputs = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]
    return MLMODEL.format(
        model_file=MODEL_FILE,
        python=_python(params),
        sklearn=trained_with.get("scikit-learn") or version("scikit-learn"),
        types=json.dumps(sorted(skops.io.get_untrusted_types(file=folder / "model" / MODEL_FILE))),
        mlflow=version("mlflow"),
        inputs=json.dumps(inputs),
        outputs=json.dumps(outputs),
    )


def _python_env(params: Package) -> str:
    return f"python: {_python(params)}\nbuild_dependencies:\n- pip\ndependencies:\n- -r requirements.txt"


def _python(params: Package) -> str:
    return BASE_TAGS[params.python].partition("-")[0]


def _write(path: Path, text: str) -> None:
    path.write_text(text.rstrip("\n") + "\n", "utf-8", newline="\n")

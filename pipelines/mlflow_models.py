"""Models in MLflow's format: written with MLflow's own library, found and fetched by their digest.

In: a model that training has saved in a folder. Out: a logged model in the learner's workspace, whose
files hold that folder's content again.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.artifacts import digest
from pipelines.errors import BadInput, Missing, Unavailable
from pipelines.lifecycle import MODEL
from pipelines.mlflow_server import call, download, experiment_id, read_tags, run_info, search
from pipelines.settings import LOOPBACK, NO_TELEMETRY, settings

# What training.save_model writes, and where it lies in MLflow's folder of the logged model.
STORED_FILES = {
    "model.skops": "model.skops",
    "model.json": "extra_files/model.json",
    "golden.parquet": "extra_files/golden.parquet",
}

# A loaded model needs these versions; left to MLflow, finding them out takes 4 to 17 s a model.
MODEL_LIBRARIES = ("mlflow", "numpy", "pandas", "scikit-learn", "skops")

# Types a stored model may consist of. skops refuses even scikit-learn's own until they are named.
TRUSTED_PACKAGES = ("sklearn.", "numpy.", "scipy.", "pipelines.")

EXAMPLE_ROWS = 5

QUIET = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "GIT_PYTHON_REFRESH": "quiet",
} | NO_TELEMETRY


def log_model(
    workspace: str,
    run_id: str,
    name: str,
    fitted: Any,
    *,
    saved: Path,
    example: pd.DataFrame,
    tags: Mapping[str, str],
) -> str:
    """Write a fitted model into MLflow; its address there. `tracking.log_model` says what is what.

    Parameters
    ----------
    run_id : str
        The MLflow run that made it.
    saved : Path
        The folder that `training.save_model` wrote; its digest is the logged model's.
    example : DataFrame of shape (n_rows, n_features)
    """
    for file in STORED_FILES:
        if not (saved / file).is_file():
            raise Missing(
                f"The model's {file} is not there.", "Call save_model(step.path('model'), …) first."
            )
    trusted = _trusted_types(saved / "model.skops")
    shown = example.head(EXAMPLE_ROWS)
    scores = fitted.predict_proba(shown.to_numpy(float))
    with warnings.catch_warnings():
        # MLflow is warned of its own use of pandas and of type hints, and that it tries the example as a
        # table where the model was fitted on a matrix: nothing that a notebook's reader could mend.
        warnings.simplefilter("ignore")
        library = _library(workspace, str(run_info(workspace, run_id)["experiment_id"]))
        try:
            logged = library.models.Model.log(
                artifact_path=None,
                flavor=library.sklearn,
                name=name,
                run_id=run_id,
                sk_model=fitted,
                serialization_format="skops",
                skops_trusted_types=trusted,
                signature=library.models.infer_signature(shown, scores),
                input_example=shown,
                pyfunc_predict_fn="predict_proba",
                pip_requirements=[f"{each}=={version(each)}" for each in MODEL_LIBRARIES],
                extra_files=[str(saved / "model.json"), str(saved / "golden.parquet")],
                tags={"model_digest": digest(MODEL, saved), **tags},
            )
        except library.exceptions.MlflowException as error:
            raise Unavailable(
                f"MLflow could not keep the model: {str(error).splitlines()[0][:300]}", "Start it: make run"
            ) from error
    return str(logged.model_uri)


def find_models(workspace: str, scenario: str, model_digest: str) -> list[dict[str, Any]]:
    """Whole logged models of that digest, newest first: model_id, source_run_id, artifact_uri, tags."""
    found = search(
        workspace,
        "POST",
        "logged-models/search",
        "models",
        experiment_ids=[experiment_id(workspace, scenario)],
        filter=f"tags.model_digest = '{model_digest}'",
        order_by=[{"field_name": "creation_time", "ascending": False}],
    )
    return [
        {**model["info"], "tags": read_tags(model["info"])}
        for model in found
        if model["info"]["status"] == "LOGGED_MODEL_READY"
    ]


def fetch_model(workspace: str, model_id: str, folder: Path) -> None:
    """Write the files that training had saved into `folder`.

    Raises
    ------
    Missing
        The workspace has no such model, or its files are gone.
    """
    info = call(workspace, "GET", f"logged-models/{model_id}")["model"]["info"]
    for file, stored in STORED_FILES.items():
        (folder / file).write_bytes(download(workspace, info["artifact_uri"], stored))


def _trusted_types(stored: Path) -> list[str]:
    """The types that skops must be told to trust to load the model in that file.

    Raises
    ------
    BadInput
        One is neither scikit-learn's, numpy's, scipy's nor our own.
    """
    import skops.io

    found: list[str] = skops.io.get_untrusted_types(file=stored)
    for name in found:
        if not name.startswith(TRUSTED_PACKAGES):
            raise BadInput(
                f"The model holds a {name}, which would not survive storing.",
                "Use scikit-learn's transformers, or one that lives in the package pipelines.",
            )
    return found


def _library(workspace: str, experiment: str) -> Any:
    """MLflow's own library, quiet, set to this server, workspace and experiment.

    Only a kernel, which has one workspace, pays for it: the library keeps all this for the process.
    """
    unproxied = os.environ.get("NO_PROXY", "")
    if LOOPBACK not in unproxied:
        os.environ["NO_PROXY"] = f"{unproxied},{LOOPBACK}".lstrip(",")
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import mlflow
    import mlflow.sklearn

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    mlflow.set_tracking_uri(settings().mlflow_url)
    mlflow.set_workspace(workspace)
    mlflow.set_experiment(experiment_id=experiment)
    return mlflow

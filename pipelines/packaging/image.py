"""A build context for a container image of one model: all that `docker build` needs, and nothing else.

Comes in: a step's model and its registration. Goes out: a folder with a Dockerfile, the exact versions, the
model and a small server of its own, serve.py, which imports nothing of Flightdeck. The gateway, which
computes features from raw events, stays here: the image takes finished features.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.artifacts import StepFiles
from pipelines.errors import Damaged, Refused
from pipelines.lifecycle import Package
from pipelines.packaging import requirements, serve
from pipelines.run import write_json
from pipelines.training import CARD_FILE, GOLDEN_FILE, MODEL_FILE, load_model

HERE = Path(__file__).parent
# Official images by exact tag: the same Dockerfile builds the same system tomorrow.
BASE_TAGS = {
    "3.11": "3.11.14-slim-bookworm",
    "3.12": "3.12.12-slim-bookworm",
    "3.13": "3.13.9-slim-bookworm",
}
# What of the receipt goes with the model: names and digests, and nobody's words.
REGISTERED = ("model", "version", "model_digest", "gate")

README = """\
# {model}

A model that Flightdeck has registered, ready to be built into a container image.

    docker build -t {model}-model .
    docker run --rm -p 127.0.0.1:{port}:{port} {model}-model
    curl -d @request.json http://127.0.0.1:{port}/v2/models/{model}/infer

`request.json` holds one row of the {count} features that the model takes. **Features are not computed in
here**: whoever asks has to know, for example, how often a card was used this week. In Flightdeck the gateway
does that, from raw events and what it remembers of those before; the gateway is not in the image.

At its start the server scores the golden rows that were kept with the model. When a score differs by more
than {tolerance:g} from the one on its card, it does not start.
"""


def write_image(step: StepFiles, params: Package) -> dict[str, Any]:
    """Write the build context into the step's package.

    Returns
    -------
    dict
        libraries (int), flightdeck (int, libraries that Flightdeck itself needs), features (int), files.

    Raises
    ------
    Refused
        The registration is of another model.
    Damaged
        The model is not what was trained.
    """
    receipt, model = step.read("registration"), step.path("model")
    if receipt["model_digest"] != step.digest("model"):
        raise Refused(
            f"Version {receipt['version']} was registered with the model {receipt['model_digest']}, but this "
            f"run's is {step.digest('model')}.",
            "Run again from step 'register'.",
        )
    card, golden = (found := load_model(model)).card, found.golden
    folder = step.path("package") / "image"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "model").mkdir(parents=True)
    for name in (MODEL_FILE, CARD_FILE, GOLDEN_FILE):
        shutil.copyfile(model / name, folder / "model" / name)
    write_json(folder / "model" / "registration.json", {name: receipt[name] for name in REGISTERED})
    shutil.copyfile(HERE / "serve.py", folder / "serve.py")
    pins = requirements.pins(params.python, step.run.libraries)
    _write(folder / "requirements.txt", "\n".join(pins))
    words = {"model": receipt["model"], "port": params.port}
    dockerfile = (HERE / "Dockerfile.txt").read_text("utf-8")
    _write(folder / "Dockerfile", dockerfile.format(tag=BASE_TAGS[params.python], **words))
    count = len(card["features"])
    _write(folder / "README.md", README.format(count=count, tolerance=serve.GOLDEN_TOLERANCE, **words))
    write_json(folder / "request.json", request(golden.head(1)))
    return {
        "libraries": len(pins),
        "flightdeck": requirements.platform_size(),
        "features": count,
        "files": sum(path.is_file() for path in folder.rglob("*")),
    }


def request(rows: pd.DataFrame) -> dict[str, Any]:
    """The V2 request that asks for the scores of these rows: one input for each feature."""
    return {
        "inputs": [
            {
                "name": name,
                "datatype": "FP64",
                "shape": [len(rows)],
                "data": rows[name].astype(float).tolist(),
            }
            for name in rows.columns
        ]
    }


def furthest_score(step: StepFiles) -> float:
    """How far the packaged server's answers to the golden rows are from the model's own, at most.

    The server's code runs on the packaged files and on a request as it would arrive.

    Raises
    ------
    Damaged
        The packaged server would not start.
    """
    folder = step.path("package") / "image" / "model"
    fitted = load_model(step.path("model"))
    try:
        model = serve.load(folder)
    except SystemExit as error:
        raise Damaged(
            f"The packaged model does not start: {error}", "Run again from step 'train'."
        ) from error
    body = json.dumps(request(fitted.golden)).encode()
    rows, _ = serve.read_rows(body, model.card["features"])
    return float(np.max(np.abs(np.array(model.score(rows)) - fitted.card["golden_scores"])))


def _write(path: Path, text: str) -> None:
    path.write_text(text.rstrip("\n") + "\n", "utf-8", newline="\n")

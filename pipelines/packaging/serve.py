"""Serve one packaged model over HTTP: the Open Inference Protocol V2, and nothing else.

This file is copied into every image. It needs the libraries in requirements.txt and the folder `model`
beside it, and nothing of Flightdeck. It takes finished features: whoever asks has computed them.

    python serve.py [--port 8080] [--host 127.0.0.1]
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow.parquet as pq
import skops.io

MODEL_FOLDER = Path(__file__).resolve().parent / "model"

# What the model file may be made of; a file that would build anything else is not opened.
TRUSTED = ("sklearn.", "numpy.", "scipy.")
# Scores of one model on two processors differ by a rounding in the last place, never by this.
GOLDEN_TOLERANCE = 1e-9

MAX_BODY = 1024 * 1024
MAX_ROWS = 1_000
TIMEOUT_S = 10.0
DATATYPES = ("FP64", "FP32", "INT64", "INT32")


class Problem(Exception):
    """A request that is not answered: the HTTP status, what was found and what is expected."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


@dataclass(frozen=True)
class Model:
    """The model, its card, and which registered version it is."""

    estimator: Any
    card: dict[str, Any]
    registration: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.registration["model"])

    @property
    def version(self) -> str:
        return str(self.registration["version"])

    def score(self, rows: np.ndarray[Any, Any]) -> list[float]:
        """Probability of label 1 for each row of features, in the card's order."""
        return [float(each) for each in self.estimator.predict_proba(rows)[:, 1]]

    def describe(self) -> dict[str, Any]:
        """The model's metadata, as the protocol asks for it."""
        parameters = {"threshold": self.card["threshold"], "model_digest": self.registration["model_digest"]}
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": "sklearn_skops",
            "inputs": [{"name": name, "datatype": "FP64", "shape": [-1]} for name in self.card["features"]],
            "outputs": [_output("score", "FP64", -1), _output("decision", "BOOL", -1)],
            "parameters": parameters,
        }


def load(folder: Path) -> Model:
    """The model in `folder`, once it gives its golden rows the scores on its card; else this ends here."""
    stored = folder / "model.skops"
    types = skops.io.get_untrusted_types(file=stored)
    foreign = [name for name in types if not name.startswith(TRUSTED)]
    if foreign:
        sys.exit(f"The model file would build '{foreign[0]}'. Package a model that Flightdeck has trained.")
    card = json.loads((folder / "model.json").read_text("utf-8"))
    registration = json.loads((folder / "registration.json").read_text("utf-8"))
    model = Model(skops.io.load(stored, trusted=types), card, registration)
    golden = pq.read_table(folder / "golden.parquet", columns=card["features"])
    rows = np.column_stack([column.to_numpy() for column in golden.columns]).astype(np.float64)
    furthest = float(np.max(np.abs(np.array(model.score(rows)) - card["golden_scores"])))
    if not furthest <= GOLDEN_TOLERANCE:
        sys.exit(
            f"A golden row's score differs by {furthest:.3g} from the one on the model's card. "
            "Install exactly the versions in requirements.txt."
        )
    return model


def read_rows(body: bytes, features: list[str]) -> tuple[np.ndarray[Any, Any], str | None]:
    """The rows in a request, columns in the model's order, and the client's name for the request.

    Raises
    ------
    Problem
        400 when it is not JSON, 422 when it is not one input of numbers for each feature.
    """
    try:
        asked = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"The body is not JSON ({error}). Send an object with 'inputs'.") from error
    if not isinstance(asked, dict) or not isinstance(asked.get("inputs"), list):
        raise Problem(422, "The body has no list 'inputs'. Send one input for each feature.")
    name = asked.get("id")
    if not (name is None or (isinstance(name, str) and len(name) <= 200)):
        raise Problem(422, "'id' is not a text of up to 200 characters.")
    columns: dict[str, list[float]] = {}
    for entry in asked["inputs"]:
        feature, values = _read_input(entry, features)
        if feature in columns:
            raise Problem(422, f"Input '{feature}' is sent twice. Send each feature once.")
        columns[feature] = values
    missing = [feature for feature in features if feature not in columns]
    if missing:
        raise Problem(422, f"Input '{missing[0]}' is missing. The model takes: {', '.join(features)}.")
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        raise Problem(422, f"Inputs have {sorted(lengths)} rows. Send as many values of each feature.")
    return np.array([columns[feature] for feature in features], dtype=np.float64).T, name


def _read_input(entry: Any, features: list[str]) -> tuple[str, list[float]]:
    """Name and values of one input."""
    if not isinstance(entry, dict) or entry.get("name") not in features:
        found = str(entry.get("name") if isinstance(entry, dict) else entry)[:60]
        raise Problem(422, f"'{found}' is no input. The model takes: {', '.join(features)}.")
    name, values, shape = entry["name"], entry.get("data"), entry.get("shape")
    if entry.get("datatype") not in DATATYPES:
        raise Problem(422, f"Input '{name}' has no datatype of: {', '.join(DATATYPES)}.")
    if not isinstance(values, list) or not 1 <= len(values) <= MAX_ROWS:
        raise Problem(422, f"Input '{name}' has no 'data' of 1 to {MAX_ROWS} values.")
    if shape not in ([len(values)], [len(values), 1]):
        raise Problem(422, f"Input '{name}' has {len(values)} values; its shape is not [{len(values)}].")
    return name, [_number(value, name) for value in values]


def _number(value: Any, name: str) -> float:
    try:
        number = math.nan if isinstance(value, bool | str | None) else float(value)
    except (TypeError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise Problem(422, f"Input '{name}' holds {str(value)[:40]!r}, which is no finite number.")
    return number


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _output(name: str, datatype: str, rows: int, data: list[Any] | None = None) -> dict[str, Any]:
    tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": [rows]}
    return tensor if data is None else tensor | {"data": data}


class Handler(BaseHTTPRequestHandler):
    """One connection; `model` is set by `main`."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "flightdeck-model", ""
    timeout = TIMEOUT_S
    disable_nagle_algorithm = True
    model: Model

    def do_GET(self) -> None:
        """Health, and what there is."""
        model = self.model
        place: dict[str, Any] = {
            "/v2": {"name": "flightdeck-model", "version": model.version, "extensions": []}
        }
        place |= {"/v2/health/live": {"live": True}, "/v2/health/ready": {"ready": True}}
        for path in self._paths():
            place |= {path: model.describe(), f"{path}/ready": {"name": model.name, "ready": True}}
        found = place.get(self.path.rstrip("/"))
        self._answer(200, found) if found else self._answer(404, self._unknown())

    def do_POST(self) -> None:
        """Inference."""
        try:
            body = self._body()
            if self.path not in [f"{path}/infer" for path in self._paths()]:
                raise Problem(404, self._unknown()["error"])
            rows, name = read_rows(body, self.model.card["features"])
            scores = self.model.score(rows)
            decisions = [score >= self.model.card["threshold"] for score in scores]
            answer: dict[str, Any] = {"model_name": self.model.name, "model_version": self.model.version}
            answer |= {} if name is None else {"id": name}
            outputs = [_output("score", "FP64", len(rows), scores)]
            outputs += [_output("decision", "BOOL", len(rows), decisions)]
            self._answer(200, answer | {"outputs": outputs})
        except Problem as problem:
            self._answer(problem.status, {"error": problem.text})

    def send_error(self, code: int, message: str | None = None, _explain: str | None = None) -> None:
        """What the server itself refuses (a method, a broken request) is answered as JSON too."""
        self.close_connection = True
        status = 405 if code == 501 else code
        self._answer(status, {"error": f"{message or 'This can not be answered'}. See GET /v2."})

    def log_message(self, *_: Any) -> None:
        """No line a request: what is sent here may be personal."""

    def _paths(self) -> tuple[str, str]:
        path = f"/v2/models/{self.model.name}"
        return path, f"{path}/versions/{self.model.version}"

    def _unknown(self) -> dict[str, str]:
        return {"error": f"'{self.path[:80]}' is not served here. See GET {self._paths()[0]}."}

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            self.close_connection = True
            raise Problem(411, "The request has no Content-Length. Send the body in one piece.")
        if int(length) > MAX_BODY:
            self.close_connection = True
            raise Problem(413, f"The body has {length[:20]} bytes. Send at most {MAX_BODY:,}.")
        return self.rfile.read(int(length))

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def main() -> None:
    """Check the model, then serve until told to stop."""
    parser = argparse.ArgumentParser(description="Serve the packaged model (Open Inference Protocol V2).")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--host", default="127.0.0.1")
    chosen = parser.parse_args()
    Handler.model = load(MODEL_FOLDER)
    server = ThreadingHTTPServer((chosen.host, chosen.port), Handler)
    server.daemon_threads = True
    # The first process of a container has no default way to end.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    sys.stdout.write(f"Golden rows agree; {Handler.model.name} {Handler.model.version} answers.\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()

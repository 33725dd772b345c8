"""The packaged server: a real process that knows nothing of Flightdeck, asked over HTTP."""

from __future__ import annotations

import ast
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from packages import Served, fitted, open_package, pack

from pipelines.packaging import image, serve
from pipelines.services.ports import free_port as a_free_port
from pipelines.settings import LOOPBACK
from pipelines.workspace import Home, open_workspace

MODEL = fitted()
REQUEST: dict[str, Any] = image.request(MODEL.golden.head(2))


@pytest.fixture(scope="module")
def context(home: Home) -> Path:
    """A package's build context."""
    return pack(open_package(open_workspace(f"t-{uuid4().hex[:12]}", home), MODEL, 3)) / "image"


@pytest.fixture(scope="module")
def served(context: Path) -> Iterator[Served]:
    """A packaged server that answers."""
    server = Served(context, a_free_port())
    yield server
    server.stop()


def change(**changes: Any) -> dict[str, Any]:
    """A good request whose first input is changed; None takes a field away."""
    first, *others = REQUEST["inputs"]
    changed = {name: value for name, value in (first | changes).items() if value is not None}
    return {"inputs": [changed, *others]}


def test_it_imports_nothing_of_flightdeck():
    names = set()
    for node in ast.walk(ast.parse(Path(serve.__file__).read_text("utf-8"))):
        names |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
        names |= {node.module} if isinstance(node, ast.ImportFrom) else set()
    ours = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert ours == {"numpy", "pyarrow", "skops"}


def test_golden_rows_get_their_scores_over_http(served):
    # when all golden rows are asked for in one request
    answer = served.infer(image.request(MODEL.golden) | {"id": "mine"}).json()

    # then each score is the model's own, and each decision follows from the threshold
    scores = {each["name"]: each["data"] for each in answer["outputs"]}
    assert scores["score"] == pytest.approx(MODEL.card["golden_scores"], abs=1e-9, rel=0)
    assert scores["decision"] == [score >= MODEL.card["threshold"] for score in scores["score"]]
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("biopsies", "3", "mine")


@pytest.mark.parametrize("kind", ["forest", "boosting"])
def test_every_kind_of_model_is_answered_by_the_package_alone(workspace, kind):
    # given a package of another kind of model
    step = open_package(workspace, fitted(kind))
    server = Served(pack(step) / "image", a_free_port())

    # when
    answer = server.infer(image.request(fitted(kind).golden)).json()
    printed = server.stop()

    # then
    assert answer["outputs"][0]["data"] == pytest.approx(fitted(kind).card["golden_scores"], abs=1e-9, rel=0)
    assert "Golden rows agree" in printed
    assert server.process.returncode == 0


def test_order_of_inputs_does_not_matter(served):
    turned = {"inputs": list(reversed(REQUEST["inputs"]))}
    assert served.infer(turned).json() == served.infer(REQUEST).json()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v2", "flightdeck-model"),
        ("/v2/health/live", "live"),
        ("/v2/health/ready", "ready"),
        ("/v2/models/biopsies", "sklearn_skops"),
        ("/v2/models/biopsies/ready", "ready"),
        ("/v2/models/biopsies/versions/3", "FP64"),
        ("/v2/models/biopsies/versions/3/ready", "ready"),
    ],
)
def test_what_there_is_can_be_asked(served, path, found):
    answer = served.client.get(path)
    assert answer.status_code == 200
    assert found in answer.text


def test_metadata_names_every_feature_in_order(served):
    inputs = served.client.get("/v2/models/biopsies").json()["inputs"]
    assert [each["name"] for each in inputs] == MODEL.card["features"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "no list 'inputs'"),
        ({"inputs": {}}, "no list 'inputs'"),
        ({"inputs": []}, "is missing"),
        ({"inputs": [3]}, "'3' is no input"),
        ({"inputs": [{"name": ["a"]}]}, "is no input"),
        ({"inputs": REQUEST["inputs"] * 2}, "sent twice"),
        ({"inputs": REQUEST["inputs"][1:]}, "is missing"),
        (REQUEST | {"id": 7}, "'id' is not a text"),
        (change(name="<script>"), "<script>' is no input"),
        (change(datatype="BYTES"), "no datatype of"),
        (change(datatype=None), "no datatype of"),
        (change(data="12"), "no 'data'"),
        (change(data=[]), "no 'data'"),
        (change(data=[1.0] * 1001, shape=[1001]), "no 'data' of 1 to 1000"),
        (change(data=[1.0], shape=[1]), "as many values"),
        (change(shape=[3]), "its shape is not [2]"),
        (change(data=["1", 2.0]), "no finite number"),
        (change(data=[None, 2.0]), "no finite number"),
        (change(data=[True, 2.0]), "no finite number"),
        (change(data=[[1.0], 2.0]), "no finite number"),
        (change(data=[10**400, 2.0]), "no finite number"),
    ],
)
def test_a_request_of_another_form_is_refused_with_what_is_expected(served, content, said):
    answer = served.infer(content)
    assert answer.status_code == 422
    assert said in answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"inputs": [NaN]}', b"[" * 100_000])
def test_what_is_not_json_is_refused(served, body):
    answer = served.client.post("/v2/models/biopsies/infer", content=body)
    assert answer.status_code == 400
    assert "not JSON" in answer.json()["error"]


def test_a_number_that_overflows_is_refused(served):
    text = json.dumps(change(data=[1.5, 2.0])).replace("1.5", "1e999")
    assert served.client.post("/v2/models/biopsies/infer", content=text.encode()).status_code == 422


def test_a_body_over_the_bound_is_refused(served):
    answer = served.client.post("/v2/models/biopsies/infer", content=b" " * (serve.MAX_BODY + 1))
    assert answer.status_code == 413
    assert "Send at most" in answer.json()["error"]


def test_a_body_without_a_length_is_refused(served):
    answer = served.client.post("/v2/models/biopsies/infer", content=iter([b"{}"]))
    assert answer.status_code == 411


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v2/models/fraud", 404),
        ("GET", "/v2/models/biopsies/versions/4", 404),
        ("GET", "/../../etc/passwd", 404),
        ("POST", "/v2/models/fraud/infer", 404),
        ("PUT", "/v2/models/biopsies", 405),
        ("DELETE", "/v2/models/biopsies", 405),
    ],
)
def test_other_addresses_and_methods_are_refused_as_json(served, method, path, status):
    answer = served.client.request(method, path, content=b"{}" if method == "POST" else None)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_request_that_is_none_is_refused_and_the_next_is_answered(served):
    with socket.create_connection((LOOPBACK, served.client.base_url.port), timeout=10) as stranger:
        stranger.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert b"error" in stranger.recv(4096)
    assert served.infer(REQUEST).status_code == 200


def start(context: Path) -> str:
    """What the server says when it does not start."""
    done = subprocess.run(
        [sys.executable, "-I", "serve.py", "--port", "1"],
        cwd=context,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    return done.stderr


def test_a_model_with_other_scores_does_not_start(workspace):
    context = pack(open_package(workspace, MODEL)) / "image"
    path = context / "model" / "model.json"
    card = json.loads(path.read_text())
    card["golden_scores"][0] += 1e-6
    path.write_text(json.dumps(card))
    assert "A golden row's score differs by 1e-06" in start(context)


def test_a_model_made_of_other_types_is_not_opened(workspace):
    import skops.io

    context = pack(open_package(workspace, MODEL)) / "image"
    skops.io.dump(Path("/etc"), context / "model" / "model.skops")
    assert "would build 'pathlib" in start(context)

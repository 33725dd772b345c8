"""The images, really built and run: Flightdeck's own as compose.yaml runs it, and a learner's model."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from images import Builder, wait_until, why_not

from pipelines.services.ports import answers, free_port
from pipelines.settings import LOOPBACK, REPOSITORY, Settings
from pipelines.workspace import DEFAULT_WORKSPACE, Home, Workspace

pytestmark = [
    pytest.mark.deep,
    pytest.mark.timeout(1500),
    pytest.mark.xdist_group("images"),
    pytest.mark.skipif(bool(why_not()), reason=f"images: {why_not()}"),
]

VOLUME = "/home/flightdeck/workspace"
USER = 1000
RUN = ["python", "-m", "pipelines", "run", "biopsies", "--set", "ingest.size=small", "--json"]


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    """Buildah with a base image and a folder of wheels."""
    made = Builder(tmp_path_factory.mktemp("images"))
    made.prepare(REPOSITORY / "requirements.txt")
    yield made
    made.clean()


@pytest.fixture(scope="module")
def platform(builder: Builder) -> str:
    """A container of Flightdeck's own image."""
    builder.build(REPOSITORY, "flightdeck:local")
    return builder.container("flightdeck:local")


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Where the containers keep and listen: containers without isolated networks need free ports."""
    folder = tmp_path_factory.mktemp("volume")
    os.chown(folder, USER, USER)
    return Settings(folder, free_port(), free_port(), free_port(), elsewhere=True)


@pytest.fixture(scope="module")
def services(builder: Builder, platform: str, chosen: Settings) -> Iterator[dict[str, Any]]:
    """The services of compose.yaml, each started with its own command, on one volume."""
    found = yaml.safe_load((REPOSITORY / "compose.yaml").read_text("utf-8"))["services"]
    del found["network"]
    with ExitStack() as stack:
        for name, service in found.items():
            log = builder.folder / f"{name}.log"
            process = builder.running(platform, service["command"], options(chosen), log)
            stack.enter_context(process)
        yield found


def options(chosen: Settings) -> list[str]:
    """How a container gets its volume and its settings."""
    settings = chosen.environment() | {"FLIGHTDECK_HOME": VOLUME}
    words = ["--volume", f"{chosen.home}:{VOLUME}"]
    return [*words, *(word for item in settings.items() for word in ("--env", "=".join(item)))]


def test_the_platforms_image_is_nobodys_and_holds_no_trace_of_the_build(
    builder: Builder, platform: str
) -> None:
    # given the built image
    described = json.loads(builder.do("inspect", "--type", "image", "localhost/flightdeck:local"))
    config = described["Docker"]["config"]
    place = Path(builder.do("mount", platform))
    # then it runs as a user without rights and knows how to tell its health
    assert config["User"] == "1000:1000"
    assert config["Healthcheck"]["Test"][:2] == ["CMD", "python"]
    assert "uid=1000(flightdeck)" in builder.run(platform, ["id"])
    # and what was lent to the build is in neither its files nor its history
    assert list((place / "mnt").iterdir()) == []
    assert not (place / "etc/pip.conf").exists()
    assert not any(word in json.dumps(described) for word in ("wheelhouse", "find-links", "PIP_"))
    assert not (place / "flightdeck/tests").exists()
    size = sum(path.lstat().st_size for path in place.rglob("*") if not path.is_symlink())
    assert size < 1.6e9, f"{size / 1e9:.2f} GB"
    builder.do("umount", platform)


def test_each_service_tells_its_own_health(
    builder: Builder, platform: str, services: dict[str, Any], chosen: Settings
) -> None:
    for name, service in services.items():
        check = service["healthcheck"]["test"][1:]

        def healthy(check: list[str] = check) -> bool:
            try:
                builder.run(platform, check, options(chosen))
            except AssertionError:
                return False
            return True

        wait_until(healthy, f"{name}: {(builder.folder / f'{name}.log').read_text()[-2000:]}")


def test_a_lifecycle_inside_leads_to_an_answer_and_to_an_image_of_its_own(
    builder: Builder, platform: str, services: dict[str, Any], chosen: Settings
) -> None:
    # given a lifecycle, run by a command in a container beside the services
    summary = json.loads(builder.run(platform, RUN, options(chosen)))
    assert summary["status"] == "completed"
    assert summary["model"]["version"] == 1
    # then the gateway in its container answers
    event = {"inputs": _example(chosen)}
    url = f"{chosen.gateway_url}/v2/models/biopsies/infer"
    answer = httpx.post(url, json=event, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    # and the package, built as it is, answers by itself with the scores on the model's card
    workspace = Workspace(Home(chosen.home), DEFAULT_WORKSPACE)
    context = workspace.run_folder(summary["run_id"]) / "package" / "image"
    builder.build(context, "biopsies-model")
    ask_the_models_image(builder, context)


def _example(chosen: Settings) -> list[dict[str, Any]]:
    """One event that the gateway's own metadata gives as an example."""
    found = httpx.get(f"{chosen.gateway_url}/v2/models/biopsies", timeout=60, trust_env=False).json()[
        "inputs"
    ]
    return [
        {
            "name": each["name"],
            "datatype": each["datatype"],
            "shape": [1],
            "data": [each["parameters"]["example"]],
        }
        for each in found
        if "example" in each["parameters"]
    ]


def ask_the_models_image(builder: Builder, context: Path) -> None:
    """Run the image as its Dockerfile says, on a free port, and ask it good and bad things."""
    config = json.loads(builder.do("inspect", "--type", "image", "localhost/biopsies-model"))["Docker"][
        "config"
    ]
    assert config["User"] == "10001:10001"
    port = free_port()
    words = [str(port) if word == "8080" else word for word in config["Cmd"]]
    words = [LOOPBACK if word == "0.0.0.0" else word for word in words]
    check = [word.replace(":8080/", f":{port}/") for word in config["Healthcheck"]["Test"][1:]]
    container = builder.container("biopsies-model")
    with builder.running(container, words, [], log := builder.folder / "model.log"):
        wait_until(lambda: answers(port, "/v2/health/ready"), log.read_text())
        builder.run(container, check)
        url = f"http://{LOOPBACK}:{port}/v2/models/biopsies/infer"
        content = json.loads((context / "request.json").read_text())
        scores = httpx.post(url, json=content, trust_env=False).json()["outputs"][0]["data"]
        card = json.loads((context / "model" / "model.json").read_text())
        assert scores == pytest.approx(card["golden_scores"][:1], abs=1e-9, rel=0)
        assert httpx.post(url, json={"inputs": []}, trust_env=False).status_code == 422

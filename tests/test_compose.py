"""The platform's image and its containers, as far as they can be checked without building anything."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from lint import hadolint

from pipelines.services.programs import services_of
from pipelines.settings import REPOSITORY, Settings, read_settings

# What of the Compose specification is used here; a misspelt field is refused.
WORDS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
SERVICE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["image", "build", "command", "volumes", "init", "restart", "healthcheck", "environment"],
    "properties": {
        "image": {"type": "string"},
        "build": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"context": {"const": "."}, "args": {"type": "object"}},
        },
        "command": WORDS,
        "environment": {"type": "object", "additionalProperties": {"type": ["string", "integer"]}},
        "volumes": {"type": "array", "items": {"pattern": r"^home:/[a-z/]+$"}},
        "ports": {"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:"}},
        "network_mode": {"const": "service:network"},
        "depends_on": WORDS,
        "init": {"const": True},
        "restart": {"const": "unless-stopped"},
        "stop_grace_period": {"type": "string"},
        "cap_drop": {"const": ["ALL"]},
        "security_opt": {"const": ["no-new-privileges:true"]},
        "healthcheck": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "disable": {"const": True},
                "test": WORDS,
                "interval": {"type": "string", "pattern": r"^\d+s$"},
                "timeout": {"type": "string", "pattern": r"^\d+s$"},
                "start_period": {"type": "string", "pattern": r"^\d+s$"},
                "retries": {"type": "integer"},
            },
        },
    },
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "services", "volumes"],
    "properties": {
        "name": {"type": "string"},
        "services": {"type": "object", "additionalProperties": SERVICE},
        "volumes": {"const": {"home": None}},
    },
    "patternProperties": {"^x-": {}},
}


def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((REPOSITORY / "compose.yaml").read_text("utf-8"))
    return content


def dockerfile() -> str:
    return (REPOSITORY / "Dockerfile").read_text("utf-8")


def resolved(text: str) -> str:
    """`text` as Compose reads it where no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_the_dockerfile_is_clean():
    done = hadolint(REPOSITORY / "Dockerfile")
    assert done.returncode == 0, done.stdout


def test_every_base_is_one_exact_version():
    bases = re.findall(r"^FROM (\S+)", dockerfile(), re.MULTILINE)
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", base) for base in bases)


def test_the_image_runs_as_nobody_special_and_has_a_health_check():
    final = dockerfile().rpartition("\nFROM ")[2]
    assert re.search(r"^USER 1000:1000$", final, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", final, re.MULTILINE)
    assert "pip.conf" not in final


def test_everything_that_is_copied_is_there_and_may_be_sent():
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile(), re.MULTILINE)
    allowed = {
        line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    for name in " ".join(copied).split():
        assert (REPOSITORY / name).exists(), name
        assert name in allowed


def test_everything_that_runs_is_copied():
    copied = set(" ".join(re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile(), re.MULTILINE)).split())
    assert {"app.py", "pages", "pipelines", "notebooks", "static", ".streamlit", "requirements.txt"} <= copied


def test_compose_is_of_its_form():
    jsonschema.validate(compose(), SCHEMA)


@pytest.mark.parametrize("change", [{"restart": "always"}, {"port": ["8501"]}, {"ports": ["8501:8501"]}])
def test_another_form_would_be_found(change):
    content = compose()
    content["services"]["app"] |= change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, SCHEMA)


def test_each_service_is_a_container_of_its_own_with_its_own_health_check(tmp_path: Path):
    found = compose()["services"]
    names = [service.name for service in services_of(Settings(tmp_path))]
    assert set(found) == {*names, "network"}
    for name in names:
        assert found[name]["command"] == ["python", "-m", "pipelines", "serve", name]
        assert found[name]["healthcheck"]["test"] == ["CMD", "python", "-m", "pipelines.services.alone", name]
        assert found[name]["network_mode"] == "service:network"
        assert "ports" not in found[name]


def test_settings_of_the_containers_are_read_and_their_ports_are_published():
    found = compose()["services"]
    environment = {name: resolved(str(value)) for name, value in found["app"]["environment"].items()}
    chosen = read_settings(environment)
    assert chosen.elsewhere
    assert chosen.listen == "0.0.0.0"
    ports = {chosen.app_port, chosen.gateway_port, chosen.mlflow_port}
    published = [resolved(port) for port in found["network"]["ports"]]
    assert set(published) == {f"127.0.0.1:{port}:{port}" for port in ports}


def test_all_share_one_image_and_one_volume():
    found = compose()["services"].values()
    assert {each["image"] for each in found} == {"flightdeck:local"}
    assert {tuple(each["volumes"]) for each in found} == {("home:/home/flightdeck/workspace",)}
    assert re.search(r"^VOLUME /home/flightdeck/workspace$", dockerfile(), re.MULTILINE)

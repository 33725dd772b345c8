"""Lineage with a real MLflow and a real gateway, and the command as a user types it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import page_samples as samples
import pytest
from lineage_samples import answer, check, gaps
from real_gateway import make_version, produce
from test_command_line import call

from pipelines import registry
from pipelines.lineage import follow, telling
from pipelines.run import write_json
from pipelines.serving.prediction_log import trace
from pipelines.workspace import Home, Workspace, open_workspace

if TYPE_CHECKING:
    from real_gateway import Gateway

pytestmark = pytest.mark.xdist_group("lineage")

# With MLflow and a real gateway.


@pytest.fixture(scope="module")
def served(home: Home, mlflow: str, gateway: Gateway) -> Iterator[tuple[Workspace, str]]:
    """A workspace whose version 1 answered one event, and that prediction."""
    place = open_workspace("t-lineage-served", home)
    produce(place, make_version(place))
    (run_id,), version = place.run_ids(), registry.version(place.name, "fraud", 1)
    receipt = {"model": "fraud", "version": 1, "model_digest": version.model_digest, "run_id": run_id}
    write_json(place.run_folder(run_id) / "receipts" / "registration.json", receipt)
    gateway.wait_until_serving(place, 1)
    yield place, str(gateway.answer(place)["prediction_id"])


def test_the_registered_model_gives_the_logged_score_again(served: tuple[Workspace, str]) -> None:
    found = follow(*served, verify=True)
    assert found.verified is True
    assert check(found, "id") is True
    assert check(found, "decision") is True
    assert check(found, "model") is True
    version = found.version
    assert (version.source, version.gate, version.number) == ("registry", "passed", 1)
    assert version.digest
    assert version.created_at
    assert found.mlflow_run == version.mlflow_run != ""
    assert found.approval is not None
    assert found.approval.reason == "test"
    assert found.data is not None
    assert found.data.digest == "da7a" * 4


def test_the_model_is_asked_only_when_that_is_wanted(served: tuple[Workspace, str]) -> None:
    assert follow(*served).verified is None


def test_a_score_that_was_changed_is_found_out(served: tuple[Workspace, str]) -> None:
    place, prediction_id = served
    score = trace(place, prediction_id).score
    change = "UPDATE predictions SET score = ? WHERE prediction_id = ?"
    with place.connect() as connection:
        connection.execute(change, (score + 1e-8, prediction_id))
    try:
        found = follow(place, prediction_id, verify=True)
    finally:
        with place.connect() as connection:
            connection.execute(change, (score, prediction_id))
    assert found.verified is False
    assert "apart from the log" in "\n".join(telling.lines(found))


def test_a_version_whose_run_is_gone_is_told_by_the_registry(served: tuple[Workspace, str]) -> None:
    place, prediction_id = served
    (run_id,) = place.run_ids()
    aside = place.root / "moved"
    place.run_folder(run_id).rename(aside)
    try:
        found = follow(place, prediction_id, verify=True)
    finally:
        aside.rename(place.runs / run_id)
    assert found.run is None
    assert f"Run '{run_id}' is gone" in gaps(found)
    assert found.version.gate == "passed"
    assert found.verified is True


# The command.


def test_the_command_tells_the_chain_in_a_page(workspace: Workspace) -> None:
    run, made = samples.completed(workspace), answer(workspace)
    done = call("lineage", made.prediction_id, "--workspace", workspace.name)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert 12 <= len(told) <= 25
    for words in (made.prediction_id, "customer_id 7", "Version 1: gate passed", run.run_id, "Label:"):
        assert words in done.stdout
    assert "attempt-1/notebook.ipynb" in done.stdout
    path = next(line.split()[-1] for line in told if line.strip().startswith("train"))
    assert Path(path).is_file()


def test_the_command_verifies_when_asked(served: tuple[Workspace, str]) -> None:
    place, prediction_id = served
    done = call("lineage", prediction_id, "--verify", "--json", "--workspace", place.name)
    assert done.returncode == 0, done.stderr
    answered = json.loads(done.stdout)
    assert answered["verified"] is True
    assert answered["version"]["number"] == 1
    assert answered["prediction"]["features"]["amount"] == 62.5
    assert answered["approval"]["stage"] == "production"
    assert answered["run"]["seed"] == 1


@pytest.mark.parametrize(
    ("words", "found", "code"),
    [
        (("never",), "There is no prediction 'never'", 1),
        (("never", "--verify"), "There is no prediction 'never'", 1),
        (("' OR 1=1 --",), "There is no prediction", 1),
        (("x", "--workspace", "../etc"), "can't be the name of a workspace", 2),
    ],
)
def test_what_the_command_can_not_follow_is_said(words: tuple[str, ...], found: str, code: int) -> None:
    done = call("lineage", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert found in done.stderr
    assert "Traceback" not in done.stderr
    with_json = call("lineage", *words, "--json")
    assert with_json.returncode == code
    assert found in json.loads(with_json.stdout)["error"]
    assert json.loads(with_json.stdout)["hint"]


def test_the_command_needs_an_id() -> None:
    assert call("lineage").returncode == 2

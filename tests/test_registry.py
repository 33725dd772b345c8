"""The registry on a real MLflow server: a version is made once, and loaded only as what it was."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import small_model

from pipelines import mlflow_server, registry, tracking
from pipelines.artifacts import digest
from pipelines.errors import Damaged, Missing
from pipelines.lifecycle import MODEL
from pipelines.training import save_model
from pipelines.workspace import Home, Workspace, open_workspace

pytestmark = pytest.mark.usefixtures("mlflow")

MODEL_NAME = small_model.SCENARIO


def test_a_registered_version_says_what_it_is_and_what_the_gate_said(workspace: Workspace) -> None:
    # given
    run = small_model.new_run(workspace)
    trained = small_model.train(workspace, run)

    # when
    receipt = registry.register(small_model.begin(workspace, run, "register"), "first try")

    # then
    (found,) = registry.versions(workspace.name, MODEL_NAME)
    wanted = digest(MODEL, workspace.run_folder(run.run_id) / "model")
    assert (found.number, found.gate, found.reasons, found.note) == (1, "passed", (), "first try")
    assert (found.model_digest, found.run_id) == (wanted, run.run_id)
    assert found.mlflow_run == (trained.attempt / tracking.RUN_FILE).read_text()
    assert receipt == {
        "model": MODEL_NAME,
        "version": 1,
        "model_digest": wanted,
        "gate": "passed",
        "mlflow_run": found.mlflow_run,
        "model_id": found.model_id,
        "run_id": run.run_id,
        "note": "first try",
        "snapshot": small_model.SNAPSHOT["digest"],
        "data_version": 2,
    }


def test_a_version_says_which_version_of_the_data_it_was_made_from(workspace: Workspace) -> None:
    (number,) = small_model.register(workspace)

    found = registry.version(workspace.name, MODEL_NAME, number)

    assert (found.snapshot, found.data_version) == (small_model.SNAPSHOT["digest"], 2)


def test_a_failed_gate_is_kept_with_its_reasons(workspace: Workspace) -> None:
    (number,) = small_model.register(workspace, gate=small_model.FAILED)

    found = registry.version(workspace.name, MODEL_NAME, number)

    assert found.gate == "failed"
    assert found.reasons == ("gain: found 0.01, expected 0.05",)


def test_registering_twice_makes_one_version(workspace: Workspace) -> None:
    run = small_model.new_run(workspace)
    small_model.train(workspace, run)
    first = registry.register(small_model.begin(workspace, run, "register"), "note")

    again = registry.register(small_model.begin(workspace, run, "register", attempt=2), "note")

    assert again == first
    assert len(registry.versions(workspace.name, MODEL_NAME)) == 1


def test_a_kill_between_the_version_and_its_receipt_leaves_one_version(workspace: Workspace) -> None:
    # given a runner that is killed as soon as its version exists, before it could write a receipt
    run = small_model.new_run(workspace)
    small_model.train(workspace, run)
    step = small_model.begin(workspace, run, "register")
    program = (
        "import sys, time\nfrom pathlib import Path\n"
        "from pipelines.artifacts import open_step\nfrom pipelines.registry import register\n"
        "register(open_step('register', Path(sys.argv[1])), 'note')\ntime.sleep(60)"
    )
    killed = subprocess.Popen([sys.executable, "-c", program, str(step.attempt)])
    deadline = time.monotonic() + 60
    while not registry.versions(workspace.name, MODEL_NAME) and time.monotonic() < deadline:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    # when the step is executed again
    receipt = registry.register(small_model.begin(workspace, run, "register", attempt=2), "note")

    # then
    (found,) = registry.versions(workspace.name, MODEL_NAME)
    assert (receipt["version"], found.number, found.gate) == (1, 1, "passed")


def test_each_run_that_registers_the_same_model_makes_a_version(workspace: Workspace) -> None:
    assert small_model.register(workspace, 2) == [1, 2]

    newest, first = registry.versions(workspace.name, MODEL_NAME)

    assert (newest.number, first.number) == (2, 1)
    assert newest.model_digest == first.model_digest
    assert newest.run_id != first.run_id


def test_a_model_trained_in_another_run_is_found_by_its_digest(workspace: Workspace) -> None:
    # given a run that starts from another's outputs, and a model of another digest beside them
    trained = small_model.train(workspace, small_model.new_run(workspace, seed=1))
    small_model.train(workspace, small_model.new_run(workspace, seed=2))
    run = small_model.new_run(workspace)
    small_model.publish(workspace, run, small_model.fit(seed=1))

    # when
    receipt = registry.register(small_model.begin(workspace, run, "register"))

    # then
    assert receipt["mlflow_run"] == (trained.attempt / tracking.RUN_FILE).read_text()


def test_a_model_that_was_never_logged_is_not_registered(workspace: Workspace) -> None:
    run = small_model.new_run(workspace)
    small_model.publish(workspace, run, small_model.fit())

    with pytest.raises(Missing, match="has been logged"):
        registry.register(small_model.begin(workspace, run, "register"))
    assert registry.versions(workspace.name, MODEL_NAME) == []


def test_two_workspaces_do_not_see_each_others_versions(workspace: Workspace) -> None:
    # given
    other = open_workspace(f"{workspace.name}-b")
    small_model.register(workspace, 2)

    # when
    assert small_model.register(other) == [1]

    # then
    assert [found.number for found in registry.versions(workspace.name, MODEL_NAME)] == [2, 1]
    with pytest.raises(Missing, match="Versions there are: 1"):
        registry.version(other.name, MODEL_NAME, 2)
    with pytest.raises(Missing):
        registry.load(other.name, MODEL_NAME, 2)


def test_an_unknown_version_is_answered_with_those_there_are(workspace: Workspace) -> None:
    with pytest.raises(Missing, match="none yet"):
        registry.version(workspace.name, MODEL_NAME, 1)
    small_model.register(workspace, 2)

    with pytest.raises(Missing, match=r"no version 3.* Versions there are: 2, 1"):
        registry.version(workspace.name, MODEL_NAME, 3)


def test_a_loaded_model_scores_as_the_trained_one_did(workspace: Workspace) -> None:
    small_model.register(workspace)
    fitted = small_model.fit()

    served = registry.load(workspace.name, MODEL_NAME, 1)

    rows = small_model.rows(seed=9).to_numpy()
    assert np.array_equal(served.model.predict_proba(rows), fitted.model.predict_proba(rows))
    assert served.card == fitted.card
    assert (served.version, served.model_digest) == (
        1,
        registry.version(workspace.name, MODEL_NAME, 1).model_digest,
    )


def test_a_version_whose_files_are_not_its_own_is_never_handed_out(
    workspace: Workspace, tmp_path: Path
) -> None:
    # given a version, and another model's files
    small_model.register(workspace)
    save_model(tmp_path, small_model.fit(seed=2))
    for file in ("model.skops", "extra_files/model.json", "extra_files/golden.parquet"):
        whole = read(workspace, file)
        foreign = (tmp_path / Path(file).name).read_bytes()
        for content in (foreign, whole[: len(whole) // 2], b""):
            # when one file is another model's, cut short or empty
            replace(workspace, file, content)
            # then
            with pytest.raises(Damaged, match="Version 1 of 'fraud' is not what was registered"):
                registry.load(workspace.name, MODEL_NAME, 1)
        replace(workspace, file, whole)
    assert registry.load(workspace.name, MODEL_NAME, 1).version == 1


def test_another_whole_model_in_a_versions_place_is_never_handed_out(
    workspace: Workspace, tmp_path: Path
) -> None:
    small_model.register(workspace)
    save_model(tmp_path, small_model.fit(seed=2))
    for file in ("model.skops", "extra_files/model.json", "extra_files/golden.parquet"):
        replace(workspace, file, (tmp_path / Path(file).name).read_bytes())

    with pytest.raises(Damaged, match="Its digest is"):
        registry.load(workspace.name, MODEL_NAME, 1)


def test_a_version_whose_files_are_gone_is_missing(workspace: Workspace, home: Home) -> None:
    small_model.register(workspace)
    folder = urlsplit(files_of(workspace)).path
    shutil.rmtree(home.mlflow_artifacts / folder.lstrip("/"))

    with pytest.raises(Missing):
        registry.load(workspace.name, MODEL_NAME, 1)


def test_an_alias_is_set_moved_and_taken_away(workspace: Workspace) -> None:
    small_model.register(workspace, 2)

    def shown() -> dict[int, tuple[str, ...]]:
        return {found.number: found.aliases for found in registry.versions(workspace.name, MODEL_NAME)}

    registry.project_alias(workspace.name, MODEL_NAME, "champion", 1)
    assert shown() == {1: ("champion",), 2: ()}
    registry.project_alias(workspace.name, MODEL_NAME, "champion", 2)
    assert shown() == {1: (), 2: ("champion",)}
    for _ in range(2):
        registry.project_alias(workspace.name, MODEL_NAME, "champion", None)
        assert shown() == {1: (), 2: ()}


def files_of(workspace: Workspace) -> str:
    """Where the registry keeps the files of version 1."""
    found = registry.version(workspace.name, MODEL_NAME, 1)
    model = mlflow_server.call(workspace.name, "GET", f"logged-models/{found.model_id}")["model"]
    return str(model["info"]["artifact_uri"])


def read(workspace: Workspace, file: str) -> bytes:
    return mlflow_server.download(workspace.name, files_of(workspace), file)


def replace(workspace: Workspace, file: str, content: bytes) -> None:
    """Put other bytes where the registry keeps a file of version 1."""
    mlflow_server.upload(workspace.name, files_of(workspace), file, content)

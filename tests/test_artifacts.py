"""Artifacts: read by name, damaged ones said to be, and digests that compare content, not bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from pipelines.artifacts import StepFiles, digest, open_step
from pipelines.errors import BadInput, Damaged, Missing
from pipelines.lifecycle import EVALUATION, FEATURES, LIFECYCLE, MODEL, REGISTRATION
from pipelines.run import create_run
from pipelines.step import Artifact
from pipelines.workspace import Workspace

TABLE = pd.DataFrame({"event_id": [1, 2, 3], "amount": [1.5, 2.25, None], "who": ["a", "b", None]})


@pytest.fixture
def step(workspace: Workspace) -> StepFiles:
    """The files of step 'train' in the first attempt of a fresh run."""
    attempt = workspace.run_folder(create_run(workspace, "fraud").run_id) / "steps" / "train" / "attempt-1"
    attempt.mkdir(parents=True)
    return open_step("train", attempt)


def put(step: StepFiles, content: bytes) -> Path:
    path = step.run_folder / FEATURES.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_inputs_are_read_from_the_run_and_outputs_written_to_the_attempt(step: StepFiles) -> None:
    TABLE.to_parquet(put(step, b""), index=False)
    pd.testing.assert_frame_equal(step.read("features"), TABLE)
    assert step.path("model") == step.attempt / "model"


def test_a_missing_input_names_the_step_that_makes_it(step: StepFiles) -> None:
    with pytest.raises(Missing, match="Run step 'features' first"):
        step.read("features")


def test_an_artifact_the_step_does_not_declare_is_refused(step: StepFiles) -> None:
    with pytest.raises(BadInput, match=r"no artifact 'events'.*features, model"):
        step.path("events")


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1 cut short"])
def test_a_table_cut_short_is_said_to_be(step: StepFiles, content: bytes) -> None:
    path = put(step, content)
    with pytest.raises(Damaged, match="Run again from step 'features'"):
        step.read("features")
    with pytest.raises(Damaged, match="features"):
        digest(FEATURES, path)


def test_a_tables_digest_is_of_its_values_not_its_bytes(tmp_path: Path) -> None:
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    TABLE.to_parquet(one, index=False, compression="snappy")
    TABLE.to_parquet(two, index=False, compression="zstd", row_group_size=1)
    TABLE.assign(amount=[1.5, 2.25, 0.0]).to_parquet(other, index=False)
    assert one.read_bytes() != two.read_bytes()
    assert digest(FEATURES, one) == digest(FEATURES, two)
    assert digest(FEATURES, one) != digest(FEATURES, other)


def test_a_models_digest_is_of_its_params_and_golden_scores(tmp_path: Path) -> None:
    def model(name: str, depth: int, score: float) -> Path:
        (tmp_path / name).mkdir()
        card = {"params": {"max_depth": depth}, "golden_scores": [score]}
        (tmp_path / name / "model.json").write_text(json.dumps(card))
        return tmp_path / name

    base = digest(MODEL, model("a", 6, 0.25))
    assert digest(MODEL, model("b", 6, 0.25 + 1e-12)) == base
    assert digest(MODEL, model("c", 6, 0.25 + 1e-6)) != base
    assert digest(MODEL, model("d", 7, 0.25)) != base


def test_a_receipts_digest_is_of_its_declared_fields(tmp_path: Path) -> None:
    def receipt(name: str, version: int, gate: str) -> Path:
        path = tmp_path / name
        path.write_text(json.dumps({"model": "m", "model_digest": "x", "gate": gate, "version": version}))
        return path

    assert digest(REGISTRATION, receipt("a", 1, "passed")) == digest(REGISTRATION, receipt("b", 2, "passed"))
    assert digest(REGISTRATION, receipt("a", 1, "passed")) != digest(REGISTRATION, receipt("c", 1, "failed"))


def test_a_reports_digest_does_not_depend_on_the_order_of_its_keys(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"x": 1, "y": 2}')
    (tmp_path / "b").write_text('{"y": 2, "x": 1}')
    assert digest(EVALUATION, tmp_path / "a") == digest(EVALUATION, tmp_path / "b")


def test_a_notebook_opened_by_hand_reads_the_newest_run_and_writes_elsewhere(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.artifacts.open_workspace", lambda: workspace)
    for run_id in ("20260101-000000-aaaaaa", "20260102-000000-bbbbbb"):
        folder = workspace.run_folder(create_run(workspace, "fraud", run_id=run_id).run_id)
        (folder / "data").mkdir()
        TABLE.to_parquet(folder / FEATURES.path, index=False)
    step = open_step("train", tmp_path)
    assert step.run.run_id == "20260102-000000-bbbbbb"
    assert step.path("model").is_relative_to(workspace.root / "lab")


def test_every_artifact_has_one_writer() -> None:
    assert LIFECYCLE.writer("model").name == "train"
    with pytest.raises(BadInput, match="No step writes"):
        LIFECYCLE.writer("unknown")


def test_a_folder_is_compared_by_its_manifest(tmp_path):
    artifact = Artifact("package", "package", "folder")
    (tmp_path / "MANIFEST.json").write_text('{"a.txt": "1"}')
    first = digest(artifact, tmp_path)
    (tmp_path / "made_on_another_day.txt").write_text("x")
    assert digest(artifact, tmp_path) == first
    (tmp_path / "MANIFEST.json").write_text('{"a.txt": "2"}')
    assert digest(artifact, tmp_path) != first

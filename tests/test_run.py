"""A run's folder: made whole or not at all, once for one id, and able to start from another's outputs."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.errors import BadInput, Damaged, Missing, Refused
from pipelines.lifecycle import LIFECYCLE
from pipelines.run import create_run, new_run_id, read_params, read_run, write_json
from pipelines.workspace import Workspace


def pretend_done(folder: Path, *steps: str) -> None:
    """Give a run folder the outputs and marks of completed steps."""
    for name in steps:
        for artifact in LIFECYCLE.step(name).outputs:
            path = folder / artifact.path
            if artifact.kind == "model":
                path.mkdir(parents=True)
                path = path / "model.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        write_json(folder / "steps" / name / "done.json", {"attempt": "attempt-1"})


def test_a_run_records_what_its_results_depend_on(workspace: Workspace) -> None:
    run = create_run(workspace, "fraud", {"train": {"max_depth": 3}}, seed=7)
    folder = workspace.run_folder(run.run_id)
    assert read_run(folder) == run
    assert run.libraries["scikit-learn"]
    assert read_params(folder)["train"]["max_depth"] == 3
    assert read_params(folder)["ingest"] == LIFECYCLE.step("ingest").params().model_dump()


def test_run_ids_sort_by_age_and_are_listed_newest_first(workspace: Workspace) -> None:
    for run_id in ("20260101-000000-aaaaaa", "20260102-000000-000000"):
        create_run(workspace, "fraud", run_id=run_id)
    assert workspace.run_ids() == ["20260102-000000-000000", "20260101-000000-aaaaaa"]


def test_the_same_id_twice_is_one_run_even_at_the_same_time(workspace: Workspace) -> None:
    run_id = new_run_id()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda seed: create_run(workspace, "fraud", seed=seed, run_id=run_id), range(8)))
    assert len({run.seed for run in made}) == 1
    assert [path.name for path in workspace.runs.iterdir()] == [run_id]


@pytest.mark.parametrize(
    ("params", "steps", "seed"),
    [
        ({"train": {"max_depth": 99}}, None, 1),
        ({"train": {"unknown": 1}}, None, 1),
        ({"unknown": {}}, None, 1),
        ({}, ["unknown"], 1),
        ({}, ["train"], 1),
        ({}, [], 1),
        ({}, None, -1),
        ({}, None, 2**31),
    ],
)
def test_a_refused_run_leaves_nothing_behind(
    workspace: Workspace, params: dict[str, dict[str, object]], steps: list[str] | None, seed: int
) -> None:
    with pytest.raises(BadInput):
        create_run(workspace, "fraud", params, steps=steps, seed=seed)
    assert list(workspace.runs.iterdir()) == []


def test_a_run_takes_from_its_base_only_what_it_needs(workspace: Workspace) -> None:
    base = create_run(workspace, "fraud")
    pretend_done(workspace.run_folder(base.run_id), "ingest", "validate", "clean", "features", "train")
    run = create_run(workspace, "fraud", steps=["evaluate"], base=base.run_id)
    folder = workspace.run_folder(run.run_id)
    assert (folder / "model" / "model.json").read_text() == "train"
    assert (folder / "data" / "features.parquet").is_file()
    assert not (folder / "reports" / "evaluation.json").exists()


def test_a_base_whose_step_was_never_completed_is_refused(workspace: Workspace) -> None:
    base = create_run(workspace, "fraud")
    pretend_done(workspace.run_folder(base.run_id), "ingest")
    with pytest.raises(Refused, match="'validate' has not been completed"):
        create_run(workspace, "fraud", steps=["train"], base=base.run_id)
    with pytest.raises(Missing):
        create_run(workspace, "fraud", steps=["train"], base="20200101-000000-aaaaaa")
    assert workspace.run_ids() == [base.run_id]


def test_a_damaged_run_is_said_to_be(workspace: Workspace) -> None:
    folder = workspace.run_folder(create_run(workspace, "fraud").run_id)
    (folder / "run.json").write_text('{"run_id": ')
    with pytest.raises(Damaged, match=r"run\.json can't be read"):
        read_run(folder)
    (folder / "params.json").write_text(json.dumps({"train": {"max_depth": 99}}))
    with pytest.raises(BadInput, match=r"train\.max_depth is 99"):
        read_params(folder)


@pytest.mark.parametrize("run_id", ["..", "../../etc", "", "a/b", "A" * 20, "x" * 100])
def test_a_name_that_is_no_run_id_never_becomes_a_path(workspace: Workspace, run_id: str) -> None:
    with pytest.raises(BadInput, match="not a run id"):
        workspace.run_folder(run_id)

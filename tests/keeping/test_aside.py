"""Backup, restore, reset and undo on a real store: what was acknowledged is there again, nothing is lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import page_samples as samples
import pytest
import small_model

from pipelines import events, mlflow_server, mlflow_store, promotion, registry
from pipelines.errors import FlightdeckError, Missing, Refused
from pipelines.keeping import aside, packing
from pipelines.run import create_run, read_run
from pipelines.serving import prediction_log
from pipelines.workspace import Home, Workspace, open_workspace

pytestmark = pytest.mark.xdist_group("keeping")


def holds(workspace: Workspace) -> dict[str, Any]:
    """All that was acknowledged: runs, versions whose models load, the ledger, predictions."""
    found = registry.versions(workspace.name, small_model.SCENARIO)
    return {
        "runs": workspace.run_ids(),
        "versions": [registry.load(workspace.name, each.model, each.number).model_digest for each in found],
        "mlflow": [(each.number, each.mlflow_run, each.run_id, each.note, each.aliases) for each in found],
        "ledger": promotion.history(workspace),
        "predictions": prediction_log.recent(workspace, "fraud"),
    }


def end_runs(workspace: Workspace) -> None:
    """No worker will: say that every run has ended."""
    for run_id in workspace.run_ids():
        folder = workspace.run_folder(run_id)
        if not events.read_state(folder, read_run(folder).steps).finished:
            events.append(folder, "run_finished", status="completed")


def test_after_a_restore_everything_acknowledged_is_there(used: Workspace, tmp_path: Path) -> None:
    # given
    before = holds(used)
    assert (len(before["versions"]), len(before["ledger"]), len(before["predictions"])) == (2, 2, 3)
    packing.back_up(used, tmp_path / "me.zip")
    # when the workspace is emptied and restored
    aside.reset(used)
    assert holds(used) == {"runs": [], "versions": [], "mlflow": [], "ledger": [], "predictions": []}
    found, removed = aside.restore(used, tmp_path / "me.zip")
    # then
    assert holds(used) == before
    assert found.contents["predictions"] == 3
    assert removed is None  # nothing was there
    # and it goes on from there
    small_model.register(used, 1)
    assert [each.number for each in registry.versions(used.name, small_model.SCENARIO)] == [3, 2, 1]


def test_what_a_restore_replaces_can_be_put_back(used: Workspace, tmp_path: Path) -> None:
    # given a backup, and a version more since
    packing.back_up(used, tmp_path / "me.zip")
    earlier = holds(used)
    small_model.register(used, 1)
    end_runs(used)
    later = holds(used)
    # when
    _, removed = aside.restore(used, tmp_path / "me.zip")
    # then
    assert holds(used) == earlier
    assert removed is not None
    back = aside.undo(used, removed.name)
    assert holds(used) == later
    # and that can be undone too
    aside.undo(used, back.name)
    assert holds(used) == earlier


def test_undo_of_a_reset_puts_the_newest_back(used: Workspace) -> None:
    before = holds(used)
    aside.reset(used)
    assert [each.why for each in aside.removed(used)] == ["reset"]
    aside.undo(used)
    assert holds(used) == before


def test_others_in_the_same_store_notice_nothing(used: Workspace, tmp_path: Path) -> None:
    # given a neighbour whose experiment has taken the number that ours had
    packing.back_up(used, tmp_path / "me.zip")
    before = holds(used)
    aside.reset(used)
    neighbour = open_workspace(f"{used.name}-b", used.home)
    small_model.register(neighbour, 1)
    theirs = holds(neighbour)
    # when
    aside.restore(used, tmp_path / "me.zip")
    # then
    assert holds(used) == before
    assert holds(neighbour) == theirs
    names = {mlflow_server.experiment_id(each.name, small_model.SCENARIO) for each in (used, neighbour)}
    assert len(names) == 2


@pytest.mark.parametrize("at", ["take_out", "put_in"])
def test_a_restore_killed_in_the_middle_is_carried_to_its_end(
    used: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    # given a restore that dies at the worst moments
    packing.back_up(used, tmp_path / "me.zip")
    before = holds(used)
    small_model.register(used, 1)
    end_runs(used)
    later = holds(used)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if at == "put_in":
            patch.setattr(mlflow_store, "put_in", die)
        else:
            real = mlflow_store.take_out
            patch.setattr(
                mlflow_store, "take_out", lambda place, to: die() if "removed" in str(to) else real(place, to)
            )
        with pytest.raises(KeyboardInterrupt):
            aside.restore(used, tmp_path / "me.zip")
    assert aside.is_cut_short(used.home)
    # when somebody comes by
    aside.recover(used.home)
    # then
    assert holds(used) == before
    aside.undo(used)
    assert holds(used) == later


def test_a_run_that_was_going_on_is_cancelled_in_the_restored_workspace(
    workspace: Workspace, tmp_path: Path
) -> None:
    # given
    run = create_run(workspace, "fraud")
    events.append(workspace.run_folder(run.run_id), "run_queued")
    packing.back_up(workspace, tmp_path / "me.zip")
    # when reset refuses as long as it goes on, and allows it afterwards
    with pytest.raises(Refused, match=run.run_id):
        aside.reset(workspace)
    events.append(workspace.run_folder(run.run_id), "run_finished", status="completed")
    aside.restore(workspace, tmp_path / "me.zip")
    # then
    folder = workspace.run_folder(run.run_id)
    assert events.read_state(folder, read_run(folder).steps).status == "cancelled"


def test_a_backup_of_somebody_else_is_refused(used: Workspace, tmp_path: Path) -> None:
    packing.back_up(used, tmp_path / "me.zip")
    other = open_workspace(f"{used.name}-c", used.home)
    with pytest.raises(Refused, match="backup of workspace"):
        aside.restore(other, tmp_path / "me.zip")
    assert other.run_ids() == []


def test_a_home_without_mlflows_store_says_to_start_everything(used: Workspace, tmp_path: Path) -> None:
    packing.back_up(used, tmp_path / "me.zip")
    empty = open_workspace(used.name, Home(tmp_path / "empty"))
    with pytest.raises(FlightdeckError, match="make run"):
        aside.restore(empty, tmp_path / "me.zip")
    assert [path.name for path in empty.home.root.iterdir() if path.name.startswith(".")] == []
    # once MLflow has made its tables there, it is all there
    shutil.copy(used.home.mlflow_db, empty.home.mlflow_db)
    aside.restore(empty, tmp_path / "me.zip")
    assert empty.run_ids() == used.run_ids()
    assert prediction_log.recent(empty, "fraud") == prediction_log.recent(used, "fraud")


def test_nothing_to_undo_is_said(workspace: Workspace) -> None:
    with pytest.raises(Missing, match="Nothing was moved aside"):
        aside.undo(workspace)
    with pytest.raises(Missing, match="not-there"):
        aside.undo(workspace, "not-there")


def test_what_is_no_record_of_ours_is_not_offered(workspace: Workspace) -> None:
    samples.completed(workspace)
    removed = aside.reset(workspace)
    folder = workspace.home.root / "removed" / removed.name
    about = json.loads((folder / aside.ABOUT).read_text())
    for name, content in (("cut", "{"), ("other", json.dumps(about)), ("odd", json.dumps({"name": 1}))):
        copy = folder.with_name(f"{workspace.name}-{name}")
        (copy / "workspace").mkdir(parents=True)
        (copy / aside.ABOUT).write_text(content)
    assert [each.name for each in aside.removed(workspace)] == [removed.name]

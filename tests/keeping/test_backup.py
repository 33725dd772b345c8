"""A backup is checked before it counts: hostile, foreign, newer, cut short or changed, it changes nothing."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import page_samples as samples
import pytest

from pipelines import versioning
from pipelines.errors import BadInput, Damaged, FlightdeckError, Missing, Refused
from pipelines.keeping import aside, manifest, packing, unpacking
from pipelines.workspace import APP_SCHEMA, Workspace


@pytest.fixture
def backup(workspace: Workspace, tmp_path: Path) -> Path:
    """A whole backup of a workspace with a run and predictions."""
    samples.completed(workspace)
    samples.predicted(workspace, 3)
    packing.back_up(workspace, tmp_path / "whole.zip")
    return tmp_path / "whole.zip"


def changed(
    file: Path,
    *,
    describe: Callable[[dict[str, Any]], object] = lambda _: None,
    entries: Callable[[dict[str, bytes]], object] = lambda _: None,
) -> Path:
    """A copy of the backup with another manifest or other entries, written by nobody's rules."""
    with zipfile.ZipFile(file) as whole:
        found = {name: whole.read(name) for name in whole.namelist()}
    stored = json.loads(found.pop(manifest.NAME))
    describe(stored)
    entries(found)
    made = file.with_name("changed.zip")
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in found.items():
            target.writestr(name, content)
        target.writestr(manifest.NAME, json.dumps(stored))
    return made


def refuse(workspace: Workspace, file: Path, kind: type[FlightdeckError], words: str) -> None:
    """Restoring is refused, and workspace and home are as they were."""
    runs, names = workspace.run_ids(), sorted(path.name for path in workspace.home.root.iterdir())
    kept = aside.removed(workspace)
    with pytest.raises(kind, match=words) as caught:
        aside.restore(workspace, file)
    assert caught.value.hint
    assert workspace.run_ids() == runs
    assert sorted(path.name for path in workspace.home.root.iterdir()) == sorted({*names, "exchange.lock"})
    assert aside.removed(workspace) == kept


def test_a_backup_holds_each_file_once_and_says_what_it_holds(backup: Path) -> None:
    found = unpacking.inspect(backup)
    assert found.contents["runs"] == 1
    assert found.contents["predictions"] == 3
    assert found.app_schema == APP_SCHEMA
    assert "workspace/app.db" in found.files
    assert not [name for name in found.files if name.endswith((".lock", "-wal", "history.db"))]


def test_files_that_share_their_content_on_disk_do_so_again(workspace: Workspace, tmp_path: Path) -> None:
    # given a run that starts from another one's outputs
    base = samples.completed(workspace)
    later = samples.completed(workspace, steps=("deploy",), base=base.run_id)
    # when
    made = packing.back_up(workspace, tmp_path / "me.zip")
    unpacking.unpack(tmp_path / "me.zip", tmp_path / "unpacked")
    # then
    assert made.links
    runs = tmp_path / "unpacked" / "workspace" / "runs"
    first, second = (runs / run.run_id / "model" / "model.skops" for run in (base, later))
    assert first.samefile(second)


def test_a_backup_never_writes_over_a_file(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "me.zip").write_text("precious")
    with pytest.raises(BadInput, match="there already"):
        packing.back_up(workspace, tmp_path / "me.zip")
    with pytest.raises(BadInput, match="no folder"):
        packing.back_up(workspace, tmp_path / "none" / "me.zip")
    assert (tmp_path / "me.zip").read_text() == "precious"


def test_a_backup_that_the_disk_does_not_take_leaves_no_file(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples.completed(workspace)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packing, "_add", full)
    with pytest.raises(FlightdeckError, match="No space left"):
        packing.back_up(workspace, tmp_path / "me.zip")
    assert list(tmp_path.iterdir()) == []
    assert not list(workspace.home.root.glob(".backing-up-*"))


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"{}", b"PK\x05\x06" + bytes(18)])
def test_a_foreign_file_is_refused(workspace: Workspace, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f.zip").write_bytes(content)
    refuse(workspace, tmp_path / "f.zip", BadInput, "not a backup")


def test_a_foreign_zip_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as made:
        made.writestr("holiday.jpg", b"1")
    refuse(workspace, tmp_path / "f.zip", BadInput, "not a backup")


def test_a_file_that_is_not_there_is_missing(workspace: Workspace, tmp_path: Path) -> None:
    refuse(workspace, tmp_path / "none.zip", Missing, "no file")
    refuse(workspace, tmp_path, BadInput, "can't be read")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_backup_cut_short_is_damaged(workspace: Workspace, backup: Path, part: float) -> None:
    content = backup.read_bytes()
    backup.write_bytes(content[: int(len(content) * part)])
    refuse(workspace, backup, Damaged, "cut short")


def test_a_changed_byte_is_found(workspace: Workspace, backup: Path) -> None:
    # given one byte changed in a stored file, with the zip's own checksum mended
    name = next(each for each in unpacking.inspect(backup).files if each.endswith("events.parquet"))

    def flip(found: dict[str, bytes]) -> None:
        found[name] = found[name][:100] + bytes([found[name][100] ^ 1]) + found[name][101:]

    refuse(workspace, changed(backup, entries=flip), Damaged, "not what was backed up")


def test_a_newer_backup_is_refused(workspace: Workspace, backup: Path) -> None:
    newer = changed(backup, describe=lambda stored: stored.update(schema=manifest.SCHEMA + 1, surprise={}))
    refuse(workspace, newer, Refused, "newer one made it")
    tables = changed(backup, describe=lambda stored: stored.update(app_schema=APP_SCHEMA + 1))
    refuse(workspace, tables, Refused, "newer one wrote it")


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "workspace/../../evil",
        "/etc/passwd",
        "workspace//x",
        "workspace/./x",
        "workspace\\..\\evil",
        "C:/evil",
        "workspace/C:evil",
        "workspace/x\x00y",
        "workspace/x\ny",
        "workspace/con. ",
        "elsewhere/x",
        "mlflow.db/x",
        "",
        "workspace/" + "x" * 500,
    ],
)
@pytest.mark.parametrize("where", ["files", "links", "folders"])
def test_a_path_that_leads_elsewhere_is_refused(
    workspace: Workspace, backup: Path, name: str, where: str
) -> None:
    entry = {"size": 1, "sha256": "0" * 64}

    def add(stored: dict[str, Any]) -> None:
        if where == "folders":
            stored["folders"].append(name)
        else:
            stored[where][name] = entry if where == "files" else next(iter(stored["files"]))

    refuse(workspace, changed(backup, describe=add), BadInput, "no workspace has")


def test_two_names_that_are_one_file_elsewhere_are_refused(workspace: Workspace, backup: Path) -> None:
    def add(stored: dict[str, Any]) -> None:
        stored["files"]["workspace/APP.db"] = stored["files"]["workspace/app.db"]

    refuse(workspace, changed(backup, describe=add), BadInput, "twice")


def test_an_entry_that_no_manifest_names_is_refused(workspace: Workspace, backup: Path) -> None:
    odd = changed(backup, entries=lambda found: found.update({"../evil": b"x"}))
    refuse(workspace, odd, Damaged, "does not hold what its manifest names")
    less = changed(backup, entries=lambda found: found.pop("workspace/app.db"))
    refuse(workspace, less, Damaged, "does not hold what its manifest names")


def test_a_link_in_the_archive_is_refused(workspace: Workspace, backup: Path) -> None:
    with zipfile.ZipFile(backup) as whole:
        content = {info.filename: whole.read(info) for info in whole.infolist()}
    made = backup.with_name("linked.zip")
    with zipfile.ZipFile(made, "w") as target:
        for name, each in content.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK if name.endswith("run.json") else stat.S_IFREG) << 16
            target.writestr(info, each)
    refuse(workspace, made, BadInput, "no plain file")


def test_a_bomb_is_refused_before_it_unpacks(workspace: Workspace, backup: Path) -> None:
    size = 400 * 2**20
    zeros = io.BytesIO()
    with zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED) as made:
        with made.open("workspace/zeros", "w", force_zip64=True) as target:
            for _ in range(size // 2**20):
                target.write(bytes(2**20))
        entry = {"size": size, "sha256": "0" * 64}
        stored = {"format": manifest.FORMAT, "schema": 1, "workspace": workspace.name, "made_at": 1.0}
        made.writestr(manifest.NAME, json.dumps(stored | {"files": {"workspace/zeros": entry}}))
    (backup.parent / "bomb.zip").write_bytes(zeros.getvalue())
    refuse(workspace, backup.parent / "bomb.zip", Refused, "no workspace does")


def test_a_manifest_that_lies_about_a_size_is_found(workspace: Workspace, backup: Path) -> None:
    def lie(stored: dict[str, Any]) -> None:
        stored["files"]["workspace/app.db"]["size"] -= 1

    refuse(workspace, changed(backup, describe=lie), Damaged, "another size")


@pytest.mark.parametrize("broken", [{"files": 3}, {"made_at": "x"}, {"files": {"workspace/x": {"size": -1}}}])
def test_a_manifest_of_another_form_is_foreign(
    workspace: Workspace, backup: Path, broken: dict[str, Any]
) -> None:
    refuse(
        workspace, changed(backup, describe=lambda stored: stored.update(broken)), BadInput, "not a backup"
    )


def test_a_run_of_somebody_else_in_a_backup_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    run = samples.completed(workspace)
    path = workspace.run_folder(run.run_id) / "run.json"
    path.write_text(path.read_text().replace(f'"{workspace.name}"', '"somebody"'))
    packing.back_up(workspace, tmp_path / "me.zip")
    refuse(workspace, tmp_path / "me.zip", BadInput, "of workspace 'somebody'")


def test_tables_that_are_none_are_found(workspace: Workspace, backup: Path) -> None:
    junk = b"this is no database" * 100

    def swap(found: dict[str, bytes]) -> None:
        found["workspace/app.db"] = junk

    def describe(stored: dict[str, Any]) -> None:
        entry = {"size": len(junk), "sha256": hashlib.sha256(junk).hexdigest()}
        stored["files"]["workspace/app.db"] = entry

    refuse(workspace, changed(backup, describe=describe, entries=swap), Damaged, "no database")


def test_rows_of_data_versions_come_back_and_are_what_their_names_say(
    workspace: Workspace, tmp_path: Path
) -> None:
    # given a version of data, whose rows lie outside the workspace
    run = samples.completed(workspace)
    kept = versioning.versions(workspace, "fraud") or [
        versioning.take(
            workspace, "fraud", workspace.run_folder(run.run_id) / "data/events.parquet", "d" * 16
        )
    ]
    packing.back_up(workspace, tmp_path / "me.zip")
    (content,) = packing.snapshots(workspace)
    # when they are lost
    aside.reset(workspace)
    content.unlink()
    aside.restore(workspace, tmp_path / "me.zip")
    # then
    assert versioning.versions(workspace, "fraud") == kept
    assert len(versioning.read_version(workspace, "fraud", kept[0].number)) == kept[0].rows


def test_rows_under_anothers_name_are_refused(tmp_path: Path) -> None:
    # given rows that others would come to share
    content = b"rows"
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    good = tmp_path / "good" / "files" / "md5" / md5[:2] / md5[2:]
    bad = tmp_path / "bad" / "files" / "md5" / "00" / ("0" * 30)
    for path in (good, bad):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    # when, then
    aside._check_snapshots(tmp_path / "good")
    with pytest.raises(BadInput, match="their name says"):
        aside._check_snapshots(tmp_path / "bad")

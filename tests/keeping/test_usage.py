"""Disk use: every byte once, with whoever takes it."""

from __future__ import annotations

import os

from pipelines.keeping import usage
from pipelines.workspace import Home, Workspace, open_workspace


def test_each_file_is_counted_once_with_its_part(tmp_path) -> None:
    # given
    workspace = open_workspace("me", Home(tmp_path))
    run = workspace.runs / "20260101-000000-aaaaaa"
    run.mkdir()
    (run / "data").write_bytes(bytes(1000))
    os.link(run / "data", workspace.runs / "linked")
    (tmp_path / "mlflow.db").write_bytes(bytes(300))
    (workspace.root / "app.db").write_bytes(bytes(200))
    (workspace.root / "lab").mkdir()
    (workspace.root / "lab" / "note").write_bytes(bytes(50))
    (tmp_path / "removed" / "me-x").mkdir(parents=True)
    (tmp_path / "removed" / "me-x" / "old").write_bytes(bytes(40))
    (workspace.root / "away").symlink_to("/")
    # when
    found = usage.measure(workspace)
    # then
    sizes = {part.name: (part.bytes, part.files) for part in found.parts if part.name != "rest"}
    assert sizes == {"runs": (1000, 1), "store": (300, 1), "tables": (200, 1), "removed": (40, 1)}
    rest = next(part for part in found.parts if part.name == "rest")
    assert rest.files == 2  # the note, and the link itself: what it leads to is not ours
    assert found.total == 1590 + (workspace.root / "away").lstat().st_size
    assert found.free > 0


def test_an_empty_home_takes_nothing(tmp_path) -> None:
    found = usage.measure(Workspace(Home(tmp_path), "me"))
    assert (found.parts, found.total) == ((), 0)

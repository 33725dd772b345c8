"""The Workspace room: what takes the disk, backing up, restoring, emptying and going back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import page_samples as samples
import pytest
from streamlit.testing.v1 import AppTest
from test_pages import press, show, words

from pages.parts import kept
from pipelines.errors import BadInput
from pipelines.keeping import aside, packing
from pipelines.settings import settings
from pipelines.workspace import Workspace, open_workspace

LONGEST_S = 30


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """The workspace that pages open, in a home of this test's own."""
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    settings.cache_clear()
    yield open_workspace()
    settings.cache_clear()


def until(app: AppTest, done: Callable[[AppTest], bool]) -> AppTest:
    """Look again, as the page does by itself, until it has come."""
    deadline = time.monotonic() + LONGEST_S
    while not done(app):
        assert time.monotonic() < deadline, words(app)
        app.run()
        assert not app.exception
    return app


def test_the_page_shows_before_it_has_counted_and_then_what_it_counted(workspace: Workspace) -> None:
    samples.completed(workspace)
    app = until(show("workspace"), lambda app: "takes" in app.title[0].value)
    assert "MB" in app.title[0].value
    assert str(workspace.root) in words(app)


def test_an_empty_workspace_says_what_will_be_here(workspace: Workspace) -> None:
    until(show("workspace"), lambda app: "Here will be what takes your disk" in words(app))


def test_a_backup_is_made_restored_and_undone_on_the_page(workspace: Workspace) -> None:
    # given
    run = samples.completed(workspace)
    # when it is backed up
    app = press(show("workspace"), "Back up")
    until(app, lambda app: "The backup is made" in words(app))
    (file,) = kept.backups(workspace)
    assert file.parent.name == "me"
    # and the workspace, emptied meanwhile, is restored: the dialogs are the browser's tests'
    aside.reset(workspace)
    kept.restore(workspace, file)
    until(app, lambda app: "Restored" in words(app))
    assert workspace.run_ids() == [run.run_id]
    # and what the reset moved aside is put back
    assert len(aside.removed(workspace)) == 1
    press(app, "Put back")
    assert workspace.run_ids() == [run.run_id]
    assert [each.why for each in aside.removed(workspace)] == ["undo"]


def test_what_can_not_be_restored_says_why(workspace: Workspace) -> None:
    run = samples.queued(workspace)
    packing.back_up(workspace, workspace.root.parent / "x.zip")
    app = show("workspace")
    kept.restore(workspace, workspace.root.parent / "x.zip")
    until(app, lambda app: "have not ended" in words(app).replace("\\", ""))
    assert workspace.run_ids() == [run.run_id]


def test_an_uploaded_file_that_is_no_backup_is_refused_and_not_kept(
    workspace: Workspace, tmp_path: Path
) -> None:
    before = set(Path("/tmp").glob("restore-*.zip"))
    (tmp_path / "x.zip").write_bytes(b"junk" * 1000)
    with (tmp_path / "x.zip").open("rb") as content, pytest.raises(BadInput, match="not a backup"):
        kept.uploaded(content)
    assert set(Path("/tmp").glob("restore-*.zip")) <= before


def test_an_uploaded_backup_is_looked_into(workspace: Workspace, tmp_path: Path) -> None:
    samples.completed(workspace)
    packing.back_up(workspace, tmp_path / "x.zip")
    with (tmp_path / "x.zip").open("rb") as content:
        path, found = kept.uploaded(content)
    assert found.contents["runs"] == 1
    path.unlink()


def test_only_backups_of_this_workspace_are_offered(workspace: Workspace) -> None:
    folder = workspace.home.root / "backups" / "me"
    folder.mkdir(parents=True)
    for name in ("me-20260101-000000.zip", "x.zip", "../other.zip", "me-20260101-000000.zip.tmp"):
        (folder / name).write_bytes(b"")
    assert [path.name for path in kept.backups(workspace)] == ["me-20260101-000000.zip"]


def test_one_primary_button_and_the_command_line_are_there(workspace: Workspace) -> None:
    app = show("workspace")
    assert [button.label for button in app.button if button.proto.type == "primary"] == ["Back up"]
    assert "python -m pipelines backup FILE" in words(app)
    assert "python -m pipelines rollback fraud" in words(app)

"""Versions: the same rows are the same version, any can be had again, and a kill half-way loses nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

from pipelines import versioning
from pipelines.artifacts import digest
from pipelines.errors import BadInput, Damaged, Missing
from pipelines.ingestion import collect
from pipelines.lifecycle import EVENTS
from pipelines.scenarios.biopsies import BIOPSIES
from pipelines.scenarios.fraud import FRAUD
from pipelines.scenarios.scenario import DAY_S
from pipelines.settings import REPOSITORY
from pipelines.versioning.comparison import spread
from pipelines.workspace import Home, Workspace, open_workspace


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home of this test's own, so that its snapshots can be counted."""
    return Home(tmp_path / "home")


@pytest.fixture
def workspace(home: Home) -> Workspace:
    return open_workspace("ada", home)


def table(day: int, folder: Path, name: str = "events") -> Path:
    """The biopsies until that day, as a run has them."""
    path = folder / f"{name}-{day}.parquet"
    collect(BIOPSIES, "small", 1, day).to_parquet(path, index=False)
    return path


def keep(workspace: Workspace, day: int, folder: Path, **facts: str) -> versioning.DataVersion:
    path = table(day, folder)
    return versioning.take(workspace, "biopsies", path, digest(EVENTS, path), **facts)


def contents(home: Home) -> list[Path]:
    return [path for path in (home.root / "snapshots" / "files").rglob("*") if path.is_file()]


def git(workspace: Workspace, *arguments: str) -> str:
    """What git itself says of the repository."""
    command = ["git", "-C", str(workspace.root / "data-repo"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_versions_are_numbered_and_say_what_they_hold(workspace: Workspace, tmp_path: Path) -> None:
    # when
    first = keep(workspace, 50, tmp_path, note=" the  first ", run_id="run-1")
    second = keep(workspace, 57, tmp_path)
    # then
    assert versioning.versions(workspace, "biopsies") == [first, second]
    assert (first.number, first.tag, first.note, first.run_id) == (1, "biopsies-v1", "the first", "run-1")
    assert (second.number, second.days) == (2, 57)
    assert first.rows == len(collect(BIOPSIES, "small", 1, 50)) < second.rows
    assert versioning.versions(workspace, "fraud") == []


def test_the_same_rows_are_the_same_version_and_no_new_commit(workspace: Workspace, tmp_path: Path) -> None:
    first, second = keep(workspace, 50, tmp_path), keep(workspace, 57, tmp_path)
    commits = git(workspace, "rev-list", "--count", "main")
    assert keep(workspace, 50, tmp_path, note="again", run_id="another") == first
    assert keep(workspace, 57, tmp_path) == second
    assert git(workspace, "rev-list", "--count", "main") == commits == "2"


def test_a_past_version_comes_back_to_the_last_value(workspace: Workspace, tmp_path: Path) -> None:
    # given
    keep(workspace, 50, tmp_path)
    keep(workspace, 57, tmp_path)
    # when
    version = versioning.check_out(workspace, "biopsies", 1, tmp_path / "out" / "old.parquet")
    # then
    expected = collect(BIOPSIES, "small", 1, 50)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / "old.parquet"), expected)
    pd.testing.assert_frame_equal(versioning.read_version(workspace, "biopsies", 1), expected)
    assert digest(EVENTS, tmp_path / "out" / "old.parquet") == version.digest
    assert versioning.read_file(workspace, "biopsies", 1) == (tmp_path / "out" / "old.parquet").read_bytes()


def test_what_was_checked_out_may_be_written_to(workspace: Workspace, tmp_path: Path) -> None:
    keep(workspace, 50, tmp_path)
    versioning.check_out(workspace, "biopsies", 1, tmp_path / "mine.parquet")
    (tmp_path / "mine.parquet").write_bytes(b"changed")
    assert len(versioning.read_version(workspace, "biopsies", 1))


def test_a_run_that_changes_its_file_does_not_change_the_version(
    workspace: Workspace, tmp_path: Path
) -> None:
    keep(workspace, 50, tmp_path)
    (tmp_path / "events-50.parquet").write_bytes(b"overwritten in place")
    assert len(versioning.read_version(workspace, "biopsies", 1))


def test_equal_rows_of_two_learners_are_stored_once(home: Home, tmp_path: Path) -> None:
    ada, bob = open_workspace("ada", home), open_workspace("bob", home)
    first, second = keep(ada, 50, tmp_path), keep(bob, 50, tmp_path)
    assert first.md5 == second.md5
    assert len(contents(home)) == 1
    # the repositories' own copies are links to the one content
    assert contents(home)[0].stat().st_nlink == 3 or sys.platform != "linux"


def test_dvc_and_git_themselves_read_the_repository(workspace: Workspace, tmp_path: Path) -> None:
    # given
    keep(workspace, 50, tmp_path)
    keep(workspace, 57, tmp_path)
    root = workspace.root / "data-repo"
    # when
    command = [sys.executable, "-m", "dvc", "get", ".", "biopsies/events.parquet", "--rev", "biopsies-v1"]
    subprocess.run([*command, "-o", str(tmp_path / "got")], cwd=root, check=True, capture_output=True)
    status = subprocess.run(
        [sys.executable, "-m", "dvc", "status"], cwd=root, check=True, capture_output=True, text=True
    )
    # then
    assert (tmp_path / "got").read_bytes() == versioning.read_file(workspace, "biopsies", 1)
    assert "up to date" in status.stdout
    assert git(workspace, "status", "--short") == ""
    assert git(workspace, "tag").split() == ["biopsies-v1", "biopsies-v2"]
    assert git(workspace, "fsck", "--strict") == ""


def test_the_repository_asks_nobody_and_needs_no_git(workspace: Workspace, tmp_path: Path) -> None:
    # given a process that has no git on its path
    path = table(50, tmp_path)
    code = (
        "from pathlib import Path; from pipelines import versioning; from pipelines.workspace import *;"
        f"w = open_workspace('ada', Home(Path({str(workspace.home.root)!r})));"
        f"versioning.take(w, 'biopsies', Path({str(path)!r}), 'd')"
    )
    environment = {"PATH": "/nowhere", "PYTHONPATH": str(REPOSITORY), "HOME": str(tmp_path)}
    # when
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    # then
    assert done.stdout + done.stderr == ""
    config = (workspace.root / "data-repo" / ".dvc" / "config").read_text()
    assert "analytics = false" in config
    assert "check_update = false" in config
    assert [each.number for each in versioning.versions(workspace, "biopsies")] == [1]


def test_commits_and_files_of_the_learners_own_are_passed_over(workspace: Workspace, tmp_path: Path) -> None:
    first = keep(workspace, 50, tmp_path)
    (workspace.root / "data-repo" / "notes.txt").write_text("mine")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    git(workspace, "add", "notes.txt")
    git(workspace, *identity, "commit", "-qm", "my notes")
    second = keep(workspace, 57, tmp_path)
    assert versioning.versions(workspace, "biopsies") == [first, second]
    assert git(workspace, "ls-files").split().count("notes.txt") == 1


def test_two_writers_at_once_make_two_versions(workspace: Workspace, tmp_path: Path) -> None:
    # given
    paths = [table(day, tmp_path) for day in (50, 51, 52, 53)]
    failures: list[BaseException] = []

    def write(path: Path) -> None:
        try:
            versioning.take(workspace, "biopsies", path, digest(EVENTS, path))
        except BaseException as error:
            failures.append(error)

    # when
    threads = [threading.Thread(target=write, args=(path,)) for path in (*paths, *paths)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # then
    assert failures == []
    found = versioning.versions(workspace, "biopsies")
    assert [version.number for version in found] == [1, 2, 3, 4]
    assert len({version.digest for version in found}) == 4


KILLED = """
import os, sys
from pathlib import Path
from pipelines import versioning
from pipelines.versioning import repository, snapshots
from pipelines.workspace import Home, open_workspace

def die(*_, **__):
    os._exit(9)

moment = sys.argv[4]
if moment == "before the commit":
    snapshots.commit = die
elif moment == "within the commit":
    from dulwich.worktree import WorkTree
    WorkTree.commit = die
elif moment == "before the tag":
    repository.tag = die
elif moment == "within dvc":
    from dvc.stage import Stage
    Stage.dump = die
elif moment == "while git's index is locked":
    from dulwich.index import Index
    from dulwich.file import GitFile
    def half(self):
        GitFile(self.path, "wb").write(b"half")
        os._exit(9)
    Index.write = half
workspace = open_workspace("ada", Home(Path(sys.argv[1])))
versioning.take(workspace, "biopsies", Path(sys.argv[2]), sys.argv[3])
"""
MOMENTS = (
    "within dvc",
    "before the commit",
    "while git's index is locked",
    "within the commit",
    "before the tag",
)


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_writer_killed_half_way_leaves_nothing_half(
    workspace: Workspace, tmp_path: Path, moment: str, others: int
) -> None:
    # given a writer that dies at this moment
    if others:
        keep(workspace, 40, tmp_path)
    before = versioning.versions(workspace, "biopsies")
    path = table(50, tmp_path)
    killed = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            KILLED,
            str(workspace.home.root),
            str(path),
            digest(EVENTS, path),
            moment,
        ],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == 9, killed.stderr
    # then the version is there whole, or not at all
    between = versioning.versions(workspace, "biopsies")
    assert between[:others] == before
    assert len(between) == others + (moment == "before the tag")
    # and the next writer makes it, once
    made = keep(workspace, 50, tmp_path)
    assert (made.number, made.tag) == (others + 1, f"biopsies-v{others + 1}")
    assert [each.number for each in versioning.versions(workspace, "biopsies")] == list(range(1, others + 2))
    assert made.tag in git(workspace, "tag").split()
    assert git(workspace, "fsck", "--strict") == ""
    assert git(workspace, "status", "--short") == ""
    assert len(versioning.read_version(workspace, "biopsies", made.number)) == made.rows


# What is asked for and is not there.


def test_a_version_that_is_not_there_says_which_are(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(Missing, match="None has been kept yet"):
        versioning.find_version(workspace, "biopsies", 1)
    keep(workspace, 50, tmp_path)
    for number in (0, 2, -1):
        with pytest.raises(Missing, match=rf"no version {number} .*versions 1 to 1"):
            versioning.read_version(workspace, "biopsies", number)


def test_a_table_that_is_none_is_refused_and_makes_no_version(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    for content in (b"", b"no parquet"):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=r"events\.parquet can't be kept"):
            versioning.take(workspace, "biopsies", path, "d")
    with pytest.raises(BadInput):
        versioning.take(workspace, "biopsies", tmp_path / "nowhere.parquet", "d")
    assert versioning.versions(workspace, "biopsies") == []


def test_rows_that_were_changed_are_noticed(workspace: Workspace, tmp_path: Path) -> None:
    keep(workspace, 50, tmp_path)
    (content,) = contents(workspace.home)
    content.chmod(0o644)
    content.write_bytes(content.read_bytes()[:-1] + b"x")
    with pytest.raises(Damaged, match="not what was kept"):
        versioning.read_version(workspace, "biopsies", 1)


def test_rows_that_are_gone_are_told_and_kept_anew(workspace: Workspace, tmp_path: Path) -> None:
    # given
    keep(workspace, 50, tmp_path, run_id="run-1")
    contents(workspace.home)[0].unlink()
    with pytest.raises(Damaged, match=r"are gone.*run-1"):
        versioning.read_version(workspace, "biopsies", 1)
    # when the same rows come again
    again = keep(workspace, 50, tmp_path)
    # then they can be had again
    assert len(versioning.read_version(workspace, "biopsies", again.number)) == again.rows


def test_a_repository_without_its_objects_says_what_to_do(workspace: Workspace, tmp_path: Path) -> None:
    keep(workspace, 50, tmp_path)
    shutil.rmtree(workspace.root / "data-repo" / ".git" / "objects")
    with pytest.raises(Damaged, match="Move data-repo/ of the workspace away"):
        versioning.versions(workspace, "biopsies")


@pytest.mark.parametrize(
    "note", ["a\nb: c\n", "x" * 5000, "'; DROP TABLE", "<script>", "{a: [1", "Zürich ☂", ""]
)
def test_a_note_is_data(workspace: Workspace, tmp_path: Path, note: str) -> None:
    keep(workspace, 50, tmp_path, note=note)
    (version,) = versioning.versions(workspace, "biopsies")
    assert version.note == " ".join(note.split())[:200]


# Comparing.


def test_equal_versions_differ_in_nothing(workspace: Workspace, tmp_path: Path) -> None:
    keep(workspace, 50, tmp_path)
    change = versioning.compare(workspace, BIOPSIES, 1, 1)
    assert (change.rows_added, change.rows_gone, change.rows_changed, change.labels_learned) == (0, 0, 0, 0)
    assert {each.moved for each in change.columns} == {0.0}


def test_a_week_more_adds_rows_and_labels(workspace: Workspace, tmp_path: Path) -> None:
    # given
    keep(workspace, 50, tmp_path)
    keep(workspace, 57, tmp_path)
    earlier, later = (collect(BIOPSIES, "small", 1, day) for day in (50, 57))
    # when
    change = versioning.compare(workspace, BIOPSIES, 1, 2)
    # then
    assert change.rows_added == len(later) - len(earlier)
    assert (change.rows_gone, change.rows_changed) == (0, 0)
    shared = later.iloc[: len(earlier)]
    assert change.labels_learned == int((earlier["label"].isna() & shared["label"].notna()).sum()) > 0
    back = versioning.compare(workspace, BIOPSIES, 2, 1)
    assert (back.rows_added, back.rows_gone, back.labels_learned) == (0, change.rows_added, 0)
    assert sum(change.by_day[1]) == len(later)


def test_a_column_that_doubled_has_moved_most(workspace: Workspace, tmp_path: Path) -> None:
    # given a hundred payments, and the same with twice the amount
    rows = collect(FRAUD, "small", 1, 45).head(100)
    for number, factor in enumerate((1, 2)):
        path = tmp_path / f"{number}.parquet"
        rows.assign(amount=(rows["amount"] * factor).round(2)).to_parquet(path, index=False)
        versioning.take(workspace, "fraud", path, digest(EVENTS, path))
    # when
    change = versioning.compare(workspace, FRAUD, 1, 2)
    # then
    (amount,) = change.columns
    assert change.rows_changed == (rows["amount"] > 0).sum()
    assert 0.2 < amount.moved < 1
    assert amount.middle_after == pytest.approx(2 * (amount.middle_before or 0))
    assert sum(amount.before) == pytest.approx(1)
    assert sum(amount.after) == pytest.approx(1)
    assert change.days == tuple(sorted({*(rows["event_time"] // DAY_S)}))


def test_what_moved_is_known_for_hand_made_samples() -> None:
    half = spread(pd.Series([0.0, 0.0, 1.0, 1.0]), pd.Series([0.0, 1.0, 1.0, 1.0]))
    assert half[3] == pytest.approx(0.25)
    assert spread(pd.Series([], dtype=float), pd.Series([], dtype=float))[3] == 0.0
    assert spread(pd.Series([5.0]), pd.Series([5.0]))[3] == 0.0

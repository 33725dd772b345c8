"""The repository of a learner's data: git keeps what names a version, DVC keeps its rows.

learners/<id>/data-repo/            git: one commit a version, tagged <scenario>-v<number>
  <scenario>/events.parquet         the newest version's rows; git does not keep them
  <scenario>/events.parquet.dvc     what git keeps: their checksum, and where they came from
snapshots/files/md5/…               the rows of all versions of all learners, each content once

Writing goes through DVC. Reading needs only git's objects and the file that the checksum names, so pages
and notebooks read a past version in milliseconds; `dvc` itself reads the same repository.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from filelock import FileLock

from pipelines.errors import Damaged
from pipelines.workspace import Workspace

if TYPE_CHECKING:
    from dulwich.refs import Ref
    from dulwich.repo import Repo

FOLDER = "data-repo"
SNAPSHOTS = "snapshots"
TABLE = "events.parquet"
MAIN = "refs/heads/main"
FACTS = "flightdeck"  # Our part of what a .dvc file may hold besides the checksum.

# Nothing is sent to anybody, and a content that is there already is linked instead of copied. The cache's
# place is relative to this file, so that a home can be moved.
_DVC_CONFIG = f"""[core]
    analytics = false
    check_update = false
    autostage = false
[cache]
    dir = ../../../../{SNAPSHOTS}
    type = "reflink,hardlink,copy"
"""
_DVC_IGNORE = "/config.local\n/tmp\n/cache\n"


@dataclass(frozen=True)
class DataVersion:
    """One version of a scenario's events.

    Attributes
    ----------
    number : int
        1 is the first.
    commit, tag : str
        By which git and DVC find it: `dvc get . fraud/events.parquet --rev fraud-v3`.
    digest, md5 : str
        Of its values (see `artifacts.digest`) and of its file: equal content, equal digest.
    rows, days : int
        How many events, and on how many days.
    note, run_id : str
        Why it was kept, and by which run.
    at : float
        When it was kept, in seconds since the epoch.
    """

    scenario: str
    number: int
    commit: str
    tag: str
    digest: str
    md5: str
    rows: int
    days: int
    note: str
    run_id: str
    at: float


def root_of(workspace: Workspace) -> Path:
    return workspace.root / FOLDER


@contextlib.contextmanager
def writing(workspace: Workspace) -> Iterator[Repo]:
    """The repository, for one writer at a time; made, and swept of what a killed one left."""
    from dulwich.repo import Repo

    root = root_of(workspace)
    with FileLock(workspace.root / f"{FOLDER}.lock"):
        if not (root / ".git" / "HEAD").is_file():
            root.mkdir(parents=True, exist_ok=True)
            Repo.init(str(root), default_branch=b"main").close()
        for path, text in (
            (".dvc/config", _DVC_CONFIG),
            (".dvc/.gitignore", _DVC_IGNORE),
            (".dvcignore", ""),
        ):
            if not (root / path).is_file():
                (root / path).parent.mkdir(exist_ok=True)
                (root / path).write_text(text, "utf-8")
        # Locks of git and DVC are files; nobody else is here, so whoever made them is dead.
        for left in (*root.glob(".git/**/*.lock"), root / ".dvc" / "tmp" / "rwlock"):
            left.unlink(missing_ok=True)
        with opened(workspace) as repo:
            yield repo


@contextlib.contextmanager
def opened(workspace: Workspace) -> Iterator[Repo]:
    # Here and not above: most who import this module keep no version now.
    from dulwich import errors
    from dulwich.repo import Repo

    hint = f"Move {FOLDER}/ of the workspace away; the next run begins a new one. The snapshots are kept."
    try:
        repo = Repo(str(root_of(workspace)))
    except errors.NotGitRepository as error:
        raise Damaged("The git repository of the data can't be opened.", hint) from error
    try:
        yield repo
    except (
        KeyError,
        zlib.error,
        yaml.YAMLError,
        errors.ChecksumMismatch,
        errors.FileFormatException,
        errors.MissingCommitError,
        errors.ObjectMissing,
    ) as error:
        raise Damaged(f"The git repository of the data can't be read: {error}.", hint) from error
    finally:
        repo.close()


def read_history(repo: Repo, scenario: str) -> list[DataVersion]:
    """The versions that git knows, by their number; other commits of the learner's are passed over."""
    from dulwich.object_store import tree_lookup_path
    from dulwich.objects import Blob, Commit

    if _ref(MAIN) not in repo.refs:
        return []
    path = f"{scenario}/{TABLE}.dvc".encode()
    found: dict[int, DataVersion] = {}
    for entry in repo.get_walker(include=[repo.refs[_ref(MAIN)]], paths=[path]):
        commit = entry.commit
        assert isinstance(commit, Commit)
        try:
            _, sha = tree_lookup_path(repo.object_store.__getitem__, commit.tree, path)
        except KeyError:
            continue  # a commit that took the file away
        blob = repo.object_store[sha]
        assert isinstance(blob, Blob)
        version = _version(scenario, yaml.safe_load(blob.data), commit.id.decode(), commit.commit_time)
        if version is not None:
            found[version.number] = version
    return [found[number] for number in sorted(found)]


def _version(scenario: str, stored: Any, commit: str, at: float) -> DataVersion | None:
    """What a .dvc file says; None when it is not one of ours."""
    try:
        facts = stored["meta"][FACTS]
        return DataVersion(
            scenario=scenario,
            number=int(facts["number"]),
            commit=commit,
            tag=f"{scenario}-v{int(facts['number'])}",
            digest=str(facts["digest"]),
            md5=str(stored["outs"][0]["md5"]),
            rows=int(facts["rows"]),
            days=int(facts["days"]),
            note=str(facts["note"]),
            run_id=str(facts["run_id"]),
            at=float(at),
        )
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def add(workspace: Workspace, scenario: str, table: Path, facts: dict[str, Any]) -> None:
    """Let DVC take the table into its cache and write the .dvc file, with our facts in it."""
    os.environ.setdefault("DVC_NO_ANALYTICS", "true")
    # Here and not above: half a second, which only the step that keeps a version pays.
    from dvc.repo import Repo as DvcRepo
    from dvc.ui import ui
    from rich.console import Console

    target = root_of(workspace) / scenario / TABLE
    target.parent.mkdir(exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(table, target)
    except OSError:
        shutil.copyfile(table, target)
    # DVC speaks to a terminal; a notebook would keep what it says among the outputs.
    logging.getLogger("dvc").setLevel(logging.WARNING)
    ui.error_console = Console(file=io.StringIO(), force_jupyter=False)
    # Its own notes on files go where the data are, not to /var/tmp.
    own = {"core": {"site_cache_dir": str(workspace.home.root / SNAPSHOTS / "tmp")}}
    with _hushed(), DvcRepo(str(root_of(workspace)), config=own) as repo:
        (stage,) = repo.add(str(target))
        stage.meta = {FACTS: facts}
        stage.dump()


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Without progress bars, and without the warnings that DVC's own dependencies give each other."""
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def commit(repo: Repo, workspace: Workspace, scenario: str, facts: dict[str, Any]) -> None:
    """Commit what DVC wrote, and name it."""
    kept = [".dvc/config", ".dvc/.gitignore", ".dvcignore"]
    kept += [f"{scenario}/.gitignore", f"{scenario}/{TABLE}.dvc"]
    worktree = repo.get_worktree()
    worktree.stage([path for path in kept if (root_of(workspace) / path).is_file()])
    author = f"{workspace.name} <{workspace.name}@flightdeck.invalid>".encode()
    subject = f"{scenario}: version {facts['number']}, {facts['rows']:,} events of {facts['days']} days"
    message = f"{subject}\n\n{facts['note'] or 'No note.'}\n\nRun: {facts['run_id'] or '-'}\n"
    made = worktree.commit(message.encode(), author, author, no_verify=True, sign=False)
    tag(repo, f"{scenario}-v{facts['number']}", made.decode())


def tag(repo: Repo, name: str, commit: str) -> None:
    """Name a commit, unless it has the name: a writer killed before this point left it nameless."""
    from dulwich.objects import ObjectID

    ref = _ref(f"refs/tags/{name}")
    if ref not in repo.refs:
        repo.refs[ref] = ObjectID(commit.encode())


def _ref(name: str) -> Ref:
    from dulwich.refs import Ref

    return Ref(name.encode())

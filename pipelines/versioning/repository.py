"""Versions of the data: which rows a model came from can be told, compared and had again.

Comes in: the events of a run. Goes out: a version, kept by DVC in a git repository of the learner's own:

learners/<id>/data-repo/            git: one commit a version, tagged <scenario>-v<number>
  <scenario>/events.parquet         the newest version's rows; git does not keep them
  <scenario>/events.parquet.dvc     what git keeps: their checksum, and where they came from
snapshots/files/md5/…               the rows of all versions of all learners, each content once

Writing goes through DVC. Reading needs only git's objects and the file that the checksum names, so pages
and notebooks read a past version in milliseconds, and `dvc` itself reads the same repository.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from filelock import FileLock

from pipelines.errors import BadInput, Damaged, Missing
from pipelines.scenarios.scenario import DAY_S
from pipelines.workspace import Home, Workspace

if TYPE_CHECKING:
    from dulwich.refs import Ref
    from dulwich.repo import Repo

FOLDER = "data-repo"
SNAPSHOTS = "snapshots"
TABLE = "events.parquet"
MAIN = "refs/heads/main"
FACTS = "flightdeck"  # Our part of what a .dvc file may hold besides the checksum.
NOTE_CHARS = 200

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


def take(
    workspace: Workspace, scenario: str, table: Path, digest: str, *, note: str = "", run_id: str = ""
) -> DataVersion:
    """Keep the table as the next version; the same content again is the version that it was before.

    Safe with two writers, and after a writer was killed: a version counts once it is committed, and what
    was left half-made is made again.

    Parameters
    ----------
    table : Path
        A Parquet file with column event_time; it is linked where the file system can, and must not be
        written to any more.
    digest : str
        Of its values.

    Raises
    ------
    BadInput
        The table is not readable as one.
    Damaged
        The repository can't be read.
    """
    rows, days = _measure(table)
    with _writing(workspace) as repo:
        known = _read_versions(repo, scenario)
        for version in known:
            if version.digest == digest and content(workspace.home, version).is_file():
                _tag(repo, version.tag, version.commit)
                return version
        number = max((version.number for version in known), default=0) + 1
        facts = {
            "number": number,
            "digest": digest,
            "rows": rows,
            "days": days,
            "note": " ".join(note.split())[:NOTE_CHARS],
            "run_id": run_id,
        }
        _add(workspace, scenario, table, facts)
        _commit(repo, workspace, scenario, facts)
        return _read_versions(repo, scenario)[-1]


def versions(workspace: Workspace, scenario: str) -> list[DataVersion]:
    """All versions of a scenario's events, oldest first.

    Raises
    ------
    Damaged
        The repository can't be read.
    """
    if not (_root(workspace) / ".git").is_dir():
        return []
    with _opened(workspace) as repo:
        return _read_versions(repo, scenario)


def find_version(workspace: Workspace, scenario: str, number: int) -> DataVersion:
    """The version of that number.

    Raises
    ------
    Missing
        There is none; says which there are.
    """
    known = versions(workspace, scenario)
    for version in known:
        if version.number == number:
            return version
    there = f"There are versions 1 to {known[-1].number}" if known else "None has been kept yet"
    raise Missing(
        f"There is no version {number} of the data of '{scenario}'.",
        f"{there}; step 'version' keeps the next one.",
    )


def check_out(workspace: Workspace, scenario: str, number: int, to: Path) -> DataVersion:
    """Write a past version's table to the file `to`, checked against its checksum.

    Raises
    ------
    Missing
        There is no such version.
    Damaged
        Its content is gone, or is not what was kept.
    """
    version = find_version(workspace, scenario, number)
    content = _whole(workspace.home, version)
    to.parent.mkdir(parents=True, exist_ok=True)
    making = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        shutil.copyfile(content, making)  # a copy, for whoever takes it may write to it
        making.replace(to)
    finally:
        making.unlink(missing_ok=True)
    return version


def read_version(workspace: Workspace, scenario: str, number: int) -> pd.DataFrame:
    """The rows of a past version.

    Raises
    ------
    Missing, Damaged
        As `check_out`.
    """
    version = find_version(workspace, scenario, number)
    return pd.read_parquet(_whole(workspace.home, version))


def _root(workspace: Workspace) -> Path:
    return workspace.root / FOLDER


def content(home: Home, version: DataVersion) -> Path:
    """Where DVC keeps the content of that checksum."""
    return home.root / SNAPSHOTS / "files" / "md5" / version.md5[:2] / version.md5[2:]


def _whole(home: Home, version: DataVersion) -> Path:
    """The content of a version, once it is known to be what was kept."""
    kept = content(home, version)
    try:
        with kept.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise Damaged(
            f"The rows of {version.tag} are gone: {kept.name} is not among the snapshots.",
            f"Run again from step 'ingest' with the params of run '{version.run_id}'.",
        ) from error
    if found != version.md5:
        raise Damaged(
            f"The rows of {version.tag} are not what was kept: their checksum is {found[:8]}, "
            f"not {version.md5[:8]}.",
            f"Run again from step 'ingest' with the params of run '{version.run_id}'.",
        )
    return kept


def _measure(table: Path) -> tuple[int, int]:
    """Number of rows, and of days that have any."""
    try:
        times = pq.read_table(table, columns=["event_time"]).column("event_time").to_pandas()
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(
            f"{table.name} can't be kept as a version: {reason}", "Run again from step 'clean'."
        ) from error
    return len(times), int((times // DAY_S).nunique())


@contextlib.contextmanager
def _writing(workspace: Workspace) -> Iterator[Repo]:
    """The repository, for one writer at a time; made, and swept of what a killed one left."""
    from dulwich.repo import Repo

    root = _root(workspace)
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
        with _opened(workspace) as repo:
            yield repo


@contextlib.contextmanager
def _opened(workspace: Workspace) -> Iterator[Repo]:
    # Here and not above: most who import this module keep no version now.
    from dulwich.errors import NotGitRepository, ObjectFormatException
    from dulwich.repo import Repo

    hint = f"Move {FOLDER}/ of the workspace away; the next run begins a new one. The snapshots are kept."
    try:
        repo = Repo(str(_root(workspace)))
    except NotGitRepository as error:
        raise Damaged("The git repository of the data can't be opened.", hint) from error
    try:
        yield repo
    except (KeyError, ObjectFormatException, yaml.YAMLError) as error:
        raise Damaged(f"The git repository of the data can't be read: {error}.", hint) from error
    finally:
        repo.close()


def _read_versions(repo: Repo, scenario: str) -> list[DataVersion]:
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


def _add(workspace: Workspace, scenario: str, table: Path, facts: dict[str, Any]) -> None:
    """Let DVC take the table into its cache and write the .dvc file, with our facts in it."""
    os.environ.setdefault("DVC_NO_ANALYTICS", "true")
    # Here and not above: half a second, which only the step that keeps a version pays.
    from dvc.repo import Repo as DvcRepo
    from dvc.ui import ui
    from rich.console import Console

    target = _root(workspace) / scenario / TABLE
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
    with contextlib.redirect_stderr(io.StringIO()), DvcRepo(str(_root(workspace)), config=own) as repo:
        (stage,) = repo.add(str(target))
        stage.meta = {FACTS: facts}
        stage.dump()


def _commit(repo: Repo, workspace: Workspace, scenario: str, facts: dict[str, Any]) -> None:
    """Commit what DVC wrote, and name it."""
    kept = [".dvc/config", ".dvc/.gitignore", ".dvcignore"]
    kept += [f"{scenario}/.gitignore", f"{scenario}/{TABLE}.dvc"]
    worktree = repo.get_worktree()
    worktree.stage([path for path in kept if (_root(workspace) / path).is_file()])
    author = f"{workspace.name} <{workspace.name}@flightdeck.invalid>".encode()
    subject = f"{scenario}: version {facts['number']}, {facts['rows']:,} events of {facts['days']} days"
    message = f"{subject}\n\n{facts['note'] or 'No note.'}\n\nRun: {facts['run_id'] or '-'}\n"
    commit = worktree.commit(message.encode(), author, author, no_verify=True, sign=False)
    _tag(repo, f"{scenario}-v{facts['number']}", commit.decode())


def _tag(repo: Repo, name: str, commit: str) -> None:
    """Name a commit, unless it has the name: a writer killed before this point left it nameless."""
    from dulwich.objects import ObjectID

    ref = _ref(f"refs/tags/{name}")
    if ref not in repo.refs:
        repo.refs[ref] = ObjectID(commit.encode())


def _ref(name: str) -> Ref:
    from dulwich.refs import Ref

    return Ref(name.encode())

"""Versions: keep the events of a run, list what was kept, and have any of it again.

Comes in: a table. Goes out: a version, and later the same table to the last value.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import BadInput, Damaged, Missing
from pipelines.scenarios.scenario import DAY_S
from pipelines.versioning.repository import (
    SNAPSHOTS,
    DataVersion,
    add,
    commit,
    opened,
    read_history,
    root_of,
    tag,
    writing,
)
from pipelines.workspace import Home, Workspace

NOTE_CHARS = 200


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
    with writing(workspace) as repo:
        known = read_history(repo, scenario)
        for version in known:
            if version.digest == digest and content(workspace.home, version).is_file():
                tag(repo, version.tag, version.commit)
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
        add(workspace, scenario, table, facts)
        commit(repo, workspace, scenario, facts)
        return read_history(repo, scenario)[-1]


def versions(workspace: Workspace, scenario: str) -> list[DataVersion]:
    """All versions of a scenario's events, oldest first.

    Raises
    ------
    Damaged
        The repository can't be read.
    """
    if not (root_of(workspace) / ".git").is_dir():
        return []
    with opened(workspace) as repo:
        return read_history(repo, scenario)


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
    kept = _whole(workspace.home, version)
    to.parent.mkdir(parents=True, exist_ok=True)
    making = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        shutil.copyfile(kept, making)  # a copy, for whoever takes it may write to it
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


def read_file(workspace: Workspace, scenario: str, number: int) -> bytes:
    """The Parquet file of a past version, for whoever wants to have it elsewhere.

    Raises
    ------
    Missing, Damaged
        As `check_out`.
    """
    return _whole(workspace.home, find_version(workspace, scenario, number)).read_bytes()


def verify(workspace: Workspace, version: DataVersion) -> None:
    """Read the rows of a version once, to see that they are still what was kept.

    Raises
    ------
    Damaged
        They are gone, or are other ones.
    """
    _whole(workspace.home, version)


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

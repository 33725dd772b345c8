"""Reading a backup: everything is checked before anything of it counts.

In: a file that may come from anywhere. Out: what it says it holds, or its content in a folder of its own,
every byte checked against its digest: form, schema, paths, sizes and tables. `aside` puts it in place.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines import mlflow_store
from pipelines.errors import BadInput, Damaged, Missing, Refused, Unavailable
from pipelines.keeping import manifest as manifests
from pipelines.keeping.manifest import CHUNK, MLFLOW_DB, WORKSPACE, Manifest, Tell
from pipelines.workspace import APP_SCHEMA, connect, newer_schema

# A backup holds tables and models, which hardly shrink; what shrinks more than this is made to fill disks.
MOST_RATIO, FREE_OF_RATIO = 100, 256 * 2**20
MOST_BYTES = 200 * 2**30


def inspect(file: Path) -> Manifest:
    """What the backup `file` says it holds; nothing is unpacked.

    Raises
    ------
    Missing
        There is no such file.
    BadInput, Damaged, Refused
        It is no backup, is cut short or changed, or a newer Flightdeck made it.
    """
    with _reading(file) as archive:
        return _examine(archive, file)


def unpack(file: Path, folder: Path, tell: Tell | None = None) -> Manifest:
    """Unpack a backup into `folder`, which is not there yet, checking every byte against its digest.

    Raises
    ------
    Missing, BadInput, Damaged, Refused
        As `inspect`; `folder` is not there then.
    Unavailable
        The disk has too little space.
    """
    try:
        with _reading(file) as archive:
            found = _examine(archive, file)
            folder.mkdir(parents=True)
            free = shutil.disk_usage(folder).free
            if found.size * 1.05 > free:
                raise Unavailable(
                    f"The backup unpacks to {found.size / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free.",
                    "Free some space; then try again.",
                )
            _extract(archive, found, folder, tell)
        _check_tables(found, folder)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise Unavailable(
                f"The backup can't be unpacked: {error.strerror or error}.",
                "Free some space; then try again.",
            ) from error
        raise
    return found


@contextmanager
def _reading(file: Path) -> Iterator[zipfile.ZipFile]:
    try:
        opened = file.open("rb")
    except FileNotFoundError as error:
        raise Missing(f"There is no file '{file}'.", "Name the backup's file.") from error
    except OSError as error:
        raise BadInput(
            f"'{file.name}' can't be read: {error.strerror}.", "Name the backup's file."
        ) from error
    with opened:
        try:
            with zipfile.ZipFile(opened) as archive:
                yield archive
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            if _began_as_ours(file):
                raise Damaged(
                    f"'{file.name}' is cut short or changed: {error}.",
                    "Use another copy of the backup. Nothing was changed.",
                ) from error
            raise manifests.foreign() from error


def _began_as_ours(file: Path) -> bool:
    """Whether the file's first entry is one of a backup's, whatever became of its end."""
    with file.open("rb") as opened:
        head = opened.read(30 + len(WORKSPACE))
    return head.startswith(b"PK\x03\x04") and head[30:].startswith(
        (WORKSPACE[:6].encode(), b"mlflow", b"mlarti")
    )


def _examine(archive: zipfile.ZipFile, file: Path) -> Manifest:
    """The manifest, when the archive holds exactly what it names, in sizes that are no trap."""
    infos = {info.filename: info for info in archive.infolist()}
    described = infos.pop(manifests.NAME, None)
    if described is None:
        # Cut short behind a model, which is a zip file too, the archive reads as that one.
        if _began_as_ours(file):
            raise zipfile.BadZipFile("its end is missing")
        raise manifests.foreign()
    if described.file_size > manifests.MOST_BYTES:
        raise BadInput("This backup's manifest is larger than any.", "Use a backup that nobody has changed.")
    found = manifests.read(_content(archive, described))
    if len(infos) + 1 != len(archive.infolist()) or set(infos) != set(found.files):
        odd = sorted(set(infos) ^ set(found.files))[:1] or ["a name that comes twice"]
        raise Damaged(
            f"This backup does not hold what its manifest names: {odd[0][:80]!r}.", "Use a whole backup."
        )
    for name, info in infos.items():
        if stat.S_ISLNK(info.external_attr >> 16) or info.is_dir() or info.flag_bits & 1:
            raise BadInput(
                f"'{name[:80]}' in this backup is no plain file.", "Use a backup nobody has changed."
            )
        if info.file_size != found.files[name].size:
            raise Damaged(
                f"'{name[:80]}' in this backup has another size than its manifest says.", "Use a whole one."
            )
    archive_size = file.stat().st_size
    if found.size > MOST_BYTES or found.size > MOST_RATIO * archive_size + FREE_OF_RATIO:
        raise Refused(
            f"This backup of {archive_size / 1e6:,.0f} MB would unpack to {found.size / 1e9:,.1f} GB: "
            "no workspace does.",
            "Use a backup that nobody has changed.",
        )
    return found


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A small entry; a lie about its size ends in an error of zipfile's."""
    with archive.open(info) as source:
        return source.read(manifests.MOST_BYTES + 1)


def _extract(archive: zipfile.ZipFile, found: Manifest, folder: Path, tell: Tell | None) -> None:
    done = 0
    for name, entry in found.files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        content, size = hashlib.sha256(), 0
        with archive.open(name) as source, target.open("xb") as made:
            while part := source.read(CHUNK):
                size += len(part)
                if size > entry.size:
                    break
                content.update(part)
                made.write(part)
        if size != entry.size or content.hexdigest() != entry.sha256:
            raise Damaged(
                f"'{name[:80]}' in this backup is not what was backed up.", "Use another copy of it."
            )
        done += size
        if tell:
            tell(done, found.size)
    for name, source_name in found.links.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(folder / source_name, target)
        except OSError:
            shutil.copyfile(folder / source_name, target)
    for name in found.folders:
        (folder / name).mkdir(parents=True, exist_ok=True)


def _check_tables(found: Manifest, folder: Path) -> None:
    """The tables are whole, whatever the manifest says of them."""
    for name in (f"{WORKSPACE}/app.db", MLFLOW_DB):
        if name not in found.files:
            continue
        try:
            connection = connect(folder / name, journal=None)
            try:
                version = int(connection.execute("PRAGMA user_version").fetchone()[0])
                sound = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise Damaged(
                f"'{name}' in this backup is no database: {error}.", "Use a whole backup."
            ) from error
        if sound != "ok":
            raise Damaged(f"'{name}' in this backup is damaged: {sound}.", "Use a whole backup.")
        if name != MLFLOW_DB and version > APP_SCHEMA:
            raise newer_schema("The database in this backup", version)
    if MLFLOW_DB in found.files:
        mlflow_store.schema_of(folder / MLFLOW_DB)

"""What a backup says about itself, and which names of files it may hold.

A backup is one zip file. Its last entry is manifest.json; every other entry is named there, with its size
and SHA-256. Files that shared their content on disk are stored once, the others are `links` to it.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.errors import BadInput, Damaged, Refused
from pipelines.workspace import APP_SCHEMA, newer_schema

FORMAT = "flightdeck-workspace"
# Of the archive's form: raised by whoever changes what an earlier Flightdeck would misread.
SCHEMA = 1
NAME = "manifest.json"

# What the archive holds: the workspace's folder, its rows in MLflow's store, its artifacts there.
WORKSPACE, MLFLOW_DB, MLFLOW_ARTIFACTS = "workspace", "mlflow.db", "mlartifacts"
# The rows of its versions of data, which learners share by content: added to those of the home.
SNAPSHOTS = "snapshots"

MOST_BYTES = 64 * 2**20  # Of the manifest itself.
MOST_FILES = 1_000_000
LONGEST_PATH = 400
CHUNK = 2**20  # Bytes that are read at once.

# Called with the bytes done and the bytes there are.
Tell = Callable[[int, int], object]


class Entry(BaseModel):
    """One file: how long it is, and what it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What is in a backup, and who made it.

    Attributes
    ----------
    workspace : str
        Whose it is.
    made_at : float
        Seconds since the epoch.
    code : str
        The Flightdeck that made it.
    app_schema, mlflow_schema : int, str
        Of app.db and of MLflow's store; empty when there was none.
    contents : dict
        Counts for people: runs, versions, predictions, promotions.
    files, links, folders
        By path in the archive; `links` name a file with the same content, `folders` are empty ones.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: str
    schema_: int = Field(alias="schema")
    workspace: str
    made_at: float
    code: str = ""
    app_schema: int = 0
    mlflow_schema: str = ""
    contents: dict[str, int] = {}
    files: dict[str, Entry]
    links: dict[str, str] = {}
    folders: list[str] = []

    @property
    def size(self) -> int:
        """Bytes that it takes when unpacked."""
        return sum(entry.size for entry in self.files.values())


def read(content: bytes) -> Manifest:
    """The manifest in `content`, with every path in it checked.

    Raises
    ------
    BadInput
        It is no manifest of ours, or names a file outside the workspace.
    Refused
        A newer Flightdeck wrote it.
    """
    try:
        stored = json.loads(content)
        if not isinstance(stored, dict) or stored.get("format") != FORMAT:
            raise ValueError
        if isinstance(stored.get("schema"), int) and stored["schema"] > SCHEMA:
            raise Refused(
                f"This backup has schema {stored['schema']}, but this Flightdeck reads up to {SCHEMA}: "
                "a newer one made it.",
                "Restore it with that newer Flightdeck. Nothing was changed.",
            )
        manifest = Manifest.model_validate(stored)
    except (ValueError, ValidationError, RecursionError) as error:
        raise foreign() from error
    if manifest.app_schema > APP_SCHEMA:
        raise newer_schema("The database in this backup", manifest.app_schema)
    _check_paths(manifest)
    return manifest


def foreign() -> BadInput:
    """The error for a file that is no backup of ours."""
    return BadInput(
        "This file is not a backup of a Flightdeck workspace.",
        "Choose one that was made by: python -m pipelines backup FILE",
    )


def _check_paths(manifest: Manifest) -> None:
    names = [*manifest.files, *manifest.links, *manifest.folders]
    if len(names) > MOST_FILES:
        raise BadInput(
            f"This backup names {len(names):,} files; at most {MOST_FILES:,} are taken.", "Use another."
        )
    seen: set[str] = set()
    for name in names:
        check_path(name)
        # Two names that differ in case alone are one file on macOS and Windows.
        folded = unicodedata.normalize("NFC", name).casefold()
        if folded in seen:
            raise BadInput(f"This backup names '{name[:80]}' twice.", "Use a backup that nobody has changed.")
        seen.add(folded)
    for name, source in manifest.links.items():
        if source not in manifest.files:
            raise Damaged(f"This backup lacks what '{name[:80]}' is a link to.", "Use a whole backup.")


def check_path(name: str) -> None:
    """Refuse a path that could lead anywhere but into the workspace.

    Raises
    ------
    BadInput
        It is absolute, goes upwards, is too long, or begins with none of the archive's folders.
    """
    parts = PurePosixPath(name).parts
    good = (
        0 < len(name) <= LONGEST_PATH
        and "/".join(parts) == name
        and not name.startswith("/")
        and not any(letter in '\\:*?"<>|' or ord(letter) < 32 or ord(letter) == 127 for letter in name)
        and all(part not in (".", "..") and part == part.rstrip(" .") for part in parts)
        and (parts[0] in (WORKSPACE, MLFLOW_ARTIFACTS, SNAPSHOTS) or name == MLFLOW_DB)
    )
    if not good:
        raise BadInput(
            f"This backup names a file that no workspace has: '{name[:80]}'.",
            "Use a backup that nobody has changed. Nothing was written.",
        )

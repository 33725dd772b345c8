"""The manifest of a package: what is in it, by digest, so that two packages can be compared.

Comes in: a folder of files. Goes out: MANIFEST.json in it. Like every digest of ours these say what a file
holds, not its bytes: one model stored twice has other bytes, and a version's number is not its content.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

from pipelines.artifacts import MANIFEST, StepFiles, digest
from pipelines.errors import Damaged, Missing
from pipelines.lifecycle import REGISTRATION
from pipelines.run import write_json
from pipelines.step import Artifact
from pipelines.training import CARD_FILE, GOLDEN_FILE, MODEL_FILE

GOLDEN = Artifact("golden", GOLDEN_FILE, "table")


def seal(step: StepFiles) -> dict[str, str]:
    """Write the manifest of the step's package: digest by path."""
    folder, model_digest = step.path("package"), step.digest("model")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    found = {path.relative_to(folder).as_posix(): _digest(path, model_digest) for path in files}
    write_json(folder / MANIFEST, found)
    return found


def contents(folder: Path) -> list[str]:
    """The files of a sealed package, as its manifest names them.

    Raises
    ------
    Missing
        The folder holds no sealed package.
    Damaged
        The manifest can't be read, or names something outside the package.
    """
    try:
        named = json.loads((folder / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        raise Missing("The run has no package.", "Run its step 'package'.") from None
    except (OSError, ValueError) as error:
        raise Damaged(f"The package's manifest can't be read: {error}.", "Run 'package' again.") from error
    for name in named:
        if not (folder / name).resolve().is_relative_to(folder.resolve()) or not (folder / name).is_file():
            raise Damaged(f"The package has lost '{name[:80]}'.", "Run step 'package' again.")
    return sorted(named)


def zipped(folder: Path) -> bytes:
    """A sealed package as one ZIP file: equal packages give equal files, so entries have a fixed time.

    Raises
    ------
    Missing, Damaged
        As `contents`.
    """
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in [*contents(folder), MANIFEST]:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, (folder / name).read_bytes())
    return held.getvalue()


def _digest(path: Path, model_digest: str) -> str:
    """16 hexadecimal digits for what counts of a file."""
    if path.name in (MODEL_FILE, CARD_FILE):
        return model_digest
    if path.name == GOLDEN_FILE:
        return digest(GOLDEN, path)
    if path.name == "registration.json":
        return digest(REGISTRATION, path)
    content = path.read_bytes()
    if path.name == "model-settings.json":  # two runs that make the same model get two numbers
        settings = json.loads(content)
        settings["parameters"].pop("version")
        content = json.dumps(settings, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()[:16]

"""Artifacts by name: how a notebook reads its inputs and writes its outputs, and what makes two equal.

A step runs in its attempt's folder, two levels below its run's. It reads inputs from the run's folder
and writes outputs into the attempt's; whoever executes it renames them into place when all are whole.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import BadInput, Damaged, Missing
from pipelines.lifecycle import LIFECYCLE
from pipelines.run import Run, read_run, write_json
from pipelines.step import Artifact, Step
from pipelines.workspace import Workspace, open_workspace

# In a folder that is an artifact: {path in it: digest of what counts of that file}.
MANIFEST = "MANIFEST.json"

# Scores of equal models agree to this many decimals on every machine; the digest compares no more.
GOLDEN_DECIMALS = 9


@dataclass(frozen=True)
class StepFiles:
    """The inputs and outputs of one step, by artifact name.

    Attributes
    ----------
    step : Step
        Its definition.
    run : Run
        The run it belongs to.
    run_folder, attempt : Path
        Where inputs are read and where outputs are written.
    """

    step: Step
    run: Run
    run_folder: Path
    attempt: Path

    @property
    def workspace(self) -> Workspace:
        """The workspace of the run."""
        return open_workspace(self.run.workspace)

    def path(self, name: str) -> Path:
        """Where the input or output `name` lies; an output's folder is made.

        Raises
        ------
        BadInput
            The step neither reads nor writes `name`.
        Missing
            It is an input and is not there.
        """
        for artifact in self.step.outputs:
            if artifact.name == name:
                path = self.attempt / artifact.path
                path.parent.mkdir(parents=True, exist_ok=True)
                return path
        for artifact in self.step.inputs:
            if artifact.name == name:
                path = self.run_folder / artifact.path
                if not path.exists():
                    raise Missing(
                        f"Step '{self.step.name}' needs '{name}', but {artifact.path} is not there.",
                        f"Run step '{LIFECYCLE.writer(name).name}' first.",
                    )
                return path
        known = ", ".join(artifact.name for artifact in self.step.inputs + self.step.outputs)
        raise BadInput(f"Step '{self.step.name}' has no artifact '{name}'.", f"It has: {known}.")

    def read(self, name: str) -> Any:
        """A table as a DataFrame, a report or receipt as a dict.

        Raises
        ------
        Damaged
            The file is not what was written: cut short, or of another form.
        """
        return read_artifact(LIFECYCLE.artifact(name), self.path(name))

    def write(self, name: str, value: pd.DataFrame | dict[str, Any]) -> None:
        """Write a table from a DataFrame, or a report or receipt from a dict."""
        path = self.path(name)
        if isinstance(value, pd.DataFrame):
            value.to_parquet(path, index=False)
        else:
            write_json(path, value)

    def digest(self, name: str) -> str:
        """What the input or output `name` holds; see `digest` below."""
        return digest(LIFECYCLE.artifact(name), self.path(name))


def open_step(name: str, attempt: Path | None = None) -> StepFiles:
    """The files of step `name`: the first thing each notebook asks for.

    Executed by a run, the working folder is the attempt's. Opened by hand (in JupyterLab), the newest
    run's inputs are read, and outputs go to a scratch folder, so that runs stay as they were.
    """
    _show_without_html()
    attempt = (attempt or Path.cwd()).resolve()
    run_folder = attempt.parent.parent.parent
    if not (run_folder / "run.json").is_file():
        run_folder = _newest_run_with_inputs_of(name)
        attempt = open_workspace().root / "lab" / name
        attempt.mkdir(parents=True, exist_ok=True)
    return StepFiles(LIFECYCLE.step(name), read_run(run_folder), run_folder, attempt)


def read_artifact(artifact: Artifact, path: Path) -> Any:
    """The content of a table (DataFrame), report or receipt (dict) at `path`.

    Raises
    ------
    Damaged
        The file can't be read as what it is.
    """
    try:
        if artifact.kind == "table":
            return pd.read_parquet(path)
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise Damaged(
            f"'{artifact.name}' ({artifact.path}) can't be read: {str(error).splitlines()[0]}",
            f"Run again from step '{LIFECYCLE.writer(artifact.name).name}'.",
        ) from error


def digest(artifact: Artifact, path: Path) -> str:
    """What the artifact at `path` holds, as 16 hexadecimal digits: equal content, equal digest.

    Byte equality will not do: one model dumped twice differs. So a table is compared by its values,
    a model by its params and its scores on golden rows, a receipt by its declared fields, a folder by the
    manifest that its writer has put into it.

    Raises
    ------
    Damaged
        The artifact can't be read.
    """
    content = hashlib.sha256()
    if artifact.kind == "table":
        try:
            content.update(_canonical(pq.read_table(path)))
        except (OSError, pa.ArrowException) as error:
            raise Damaged(
                f"'{artifact.name}' ({artifact.path}) can't be read: {str(error).splitlines()[0]}",
                f"Run again from step '{LIFECYCLE.writer(artifact.name).name}'.",
            ) from error
    elif artifact.kind == "model":
        card = _read_json(artifact, path / "model.json")
        scores = [round(score, GOLDEN_DECIMALS) for score in card.pop("golden_scores")]
        content.update(json.dumps([card, scores], sort_keys=True).encode())
    else:
        value = _read_json(artifact, path / MANIFEST if artifact.kind == "folder" else path)
        kept = {name: value[name] for name in artifact.fields} if artifact.kind == "receipt" else value
        content.update(json.dumps(kept, sort_keys=True).encode())
    return content.hexdigest()[:16]


def _canonical(table: pa.Table) -> bytes:
    """The bytes of a table's names, types and values, whatever file they were read from."""
    plain = table.replace_schema_metadata(None).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, plain.schema) as writer:
        writer.write_table(plain)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _read_json(artifact: Artifact, path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Damaged(
            f"'{artifact.name}' ({path.name}) can't be read: {error}.",
            f"Run again from step '{LIFECYCLE.writer(artifact.name).name}'.",
        ) from error
    return value


def _show_without_html() -> None:
    """Let a notebook keep tables as data and sentences as plain text too: pages show no notebook's HTML."""
    pd.set_option("display.html.table_schema", True, "display.max_colwidth", None)
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        shell.display_formatter.formatters["text/plain"].for_type_by_name(
            "IPython.core.display", "Markdown", lambda words, printer, _: printer.text(words.data)
        )


def _newest_run_with_inputs_of(name: str) -> Path:
    workspace = open_workspace()
    inputs = LIFECYCLE.step(name).inputs
    for run_id in workspace.run_ids():
        folder = workspace.run_folder(run_id)
        if all((folder / artifact.path).exists() for artifact in inputs):
            return folder
    raise Missing(f"No run has the inputs of step '{name}' yet.", "Run: python -m pipelines run fraud")

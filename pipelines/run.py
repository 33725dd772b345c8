"""A run: the folder in which one pass through the steps happens, and the facts it starts from.

runs/<run_id>/
  run.json        who, which scenario, seed, code and library versions; written once
  params.json     {step: {param: value}}, every param of every step; written once
  events.jsonl    what happened, in order
  data/, model/, reports/, receipts/     artifacts, renamed into place when whole
  steps/<step>/attempt-N/notebook.ipynb  the notebook as executed
  steps/<step>/done.json                 digests of what the step read and wrote
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipelines import branches
from pipelines.errors import BadInput, Damaged, Refused
from pipelines.lifecycle import LIFECYCLE
from pipelines.settings import REPOSITORY
from pipelines.workspace import Workspace

CODE_CHARS = 40  # of a commit's full name
RECORDED_LIBRARIES = ("mlflow", "numpy", "pandas", "papermill", "plotly", "scikit-learn", "skops")


@dataclass(frozen=True)
class Run:
    """The facts a run starts from; they never change.

    Attributes
    ----------
    run_id : str
        Begins with the time of its making, so ids sort by age.
    workspace, scenario : str
        Whose run it is and which world it is about.
    seed : int
        Of the world and of the training.
    steps : tuple of str
        The steps this run executes, in order; the others' outputs come from `base`.
    base : str or None
        The run whose outputs this one starts from.
    created_at : float
        Seconds since the epoch.
    branch, day : str, int or None
        The branch of the world that was lived in, and which day it was there: a version that this run deploys
        answers there, from then on. None before a world was begun.
    code, libraries
        The code's version and the libraries' that matter to results.
    """

    run_id: str
    workspace: str
    scenario: str
    seed: int
    steps: tuple[str, ...]
    base: str | None = None
    created_at: float = 0.0
    branch: str = branches.MAIN
    day: int | None = None
    code: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)


def new_run_id() -> str:
    """A fresh run id, later than all before it."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


def create_run(
    workspace: Workspace,
    scenario: str,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    seed: int = 1,
    steps: Sequence[str] | None = None,
    base: str | None = None,
    run_id: str | None = None,
) -> Run:
    """Make a run's folder, whole or not at all; a run that is already there is returned as it is.

    Parameters
    ----------
    params : mapping, optional
        Values over the defaults, by step and param. Checked here, before anything runs.
    steps : sequence of str, optional
        Which steps to execute; the road by default. The outputs of the others are taken from `base`.
    base : str, optional
        The run to take them from.
    run_id : str, optional
        The same id twice makes one run: how a double click stays one run.

    Raises
    ------
    BadInput
        A param is unknown or out of bounds, a step is unknown, the seed is negative, or a step is
        left out that a later one needs and no `base` is named.
    Missing
        There is no run `base`.
    """
    checked = LIFECYCLE.check(params or {})
    chosen, needed = _choose(steps, base)
    if not 0 <= seed < 2**31:
        raise BadInput(f"The seed is {seed}, but it must be from 0 to {2**31 - 1}.", "Set another seed.")
    run = Run(
        run_id=run_id or new_run_id(),
        workspace=workspace.name,
        scenario=scenario,
        seed=seed,
        steps=chosen,
        base=base,
        created_at=time.time(),
        branch=branches.live(workspace, scenario),
        day=branches.today(workspace, scenario),
        code=code_version(),
        libraries={name: version(name) for name in RECORDED_LIBRARIES}
        | {"python": platform.python_version()},
    )
    folder = workspace.run_folder(run.run_id, exists=False)
    making = folder.with_name(f".making-{run.run_id}-{secrets.token_hex(3)}")
    making.mkdir(parents=True)
    try:
        if base is not None:
            _take_outputs(workspace.run_folder(base), making, needed)
        write_json(making / "params.json", {name: values.model_dump() for name, values in checked.items()})
        write_json(making / "run.json", asdict(run))
        making.rename(folder)
    except OSError:
        # A folder that is there already can't be renamed over: the run was made before, by a first click.
        if not (folder / "run.json").is_file():
            raise
        return read_run(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return run


def read_run(folder: Path) -> Run:
    """The facts of the run in `folder`.

    Raises
    ------
    Damaged
        run.json is not there or not what was written.
    """
    try:
        stored = json.loads((folder / "run.json").read_text("utf-8"))
        return Run(**{**stored, "steps": tuple(stored["steps"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Damaged(
            f"{folder.name}/run.json can't be read: {error}.", "Start a new run; this one can be deleted."
        ) from error


def read_params(folder: Path) -> dict[str, dict[str, Any]]:
    """All params of the run in `folder`, by step, checked against their definition.

    Raises
    ------
    Damaged
        params.json is not there or not JSON.
    BadInput
        It holds a value the definition does not allow.
    """
    try:
        stored = json.loads((folder / "params.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Damaged(f"{folder.name}/params.json can't be read: {error}.", "Start a new run.") from error
    return {name: params.model_dump() for name, params in LIFECYCLE.check(stored).items()}


def collector(workspace: Workspace, run_id: str) -> Run:
    """The run whose ingest step made the events that run `run_id` has: itself, or one it started from.

    Raises
    ------
    Missing
        There is no such run.
    Damaged
        One of them can't be read.
    """
    while True:
        run = read_run(workspace.run_folder(run_id))
        if "ingest" in run.steps or run.base is None:
            return run
        run_id = run.base


def made_on(workspace: Workspace, run_id: str) -> int:
    """The day of the world that a run was made on: before one was begun, where its events end.

    Raises as `collector`.
    """
    day = read_run(workspace.run_folder(run_id)).day
    if day is not None:
        return day
    source = collector(workspace, run_id)
    return int(read_params(workspace.run_folder(source.run_id))["ingest"]["until_day"])


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object that may be gone or cut short: None then."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON: after a crash the file holds the old content or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(3)}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(value, file, indent=1, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@cache
def code_version() -> str:
    """The commit of this checkout (with '+' where it has changes), or 'unknown' without git.

    An image holds no checkout; its builder says in FLIGHTDECK_CODE what it was made of.
    """
    if os.environ.get("FLIGHTDECK_CODE"):
        return os.environ["FLIGHTDECK_CODE"][:CODE_CHARS]
    try:
        commit, changes = (
            subprocess.run(
                ["git", "-C", str(REPOSITORY), *arguments],
                capture_output=True,
                text=True,
                check=True,
                timeout=10,
            ).stdout.strip()
            for arguments in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "-uno"])
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return commit + ("+" if changes else "")


def _choose(steps: Sequence[str] | None, base: str | None) -> tuple[tuple[str, ...], list[str]]:
    """The steps to execute in order, and those whose outputs they need from `base`."""
    for name in steps or ():
        LIFECYCLE.step(name)
    chosen = LIFECYCLE.road if steps is None else tuple(name for name in LIFECYCLE.names if name in steps)
    if not chosen:
        raise BadInput("No step is named.", f"The steps are: {', '.join(LIFECYCLE.names)}.")
    needed = [
        name
        for name in LIFECYCLE.names
        if name not in chosen and not LIFECYCLE.downstream(name).isdisjoint(chosen)
    ]
    if needed and base is None:
        raise BadInput(
            f"These steps' outputs are needed and not made in this run: {', '.join(needed)}.",
            "Run all steps, or name a run to start from.",
        )
    return chosen, needed


def _take_outputs(base: Path, folder: Path, steps: Sequence[str]) -> None:
    """Link what `steps` wrote in run `base` into `folder`: artifacts never change once in place."""
    for name in steps:
        if not (base / "steps" / name / "done.json").is_file():
            raise Refused(
                f"Run '{base.name}' can't be started from: its step '{name}' has not been completed.",
                f"Run from '{name}' instead.",
            )
        taken = [artifact.path for artifact in LIFECYCLE.step(name).outputs] + [f"steps/{name}"]
        for path in taken:
            source, target = base / path, folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, copy_function=_link)
            elif source.is_file():
                _link(str(source), str(target))
            else:
                raise Damaged(f"Run '{base.name}' has lost '{path}'.", f"Run from '{name}' instead.")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

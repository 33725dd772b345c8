"""The runner: a process of its own that executes one step of one run, once.

    python -m pipelines step NAME --root DIR

reads DIR/run.json, DIR/params.json and the step's inputs, executes its notebook in a new attempt's
folder and renames the outputs into place when all are whole. Every engine runs this same command. It
may be repeated: a step that is already done, from the same inputs and params, is left as it is.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from pipelines import events, tracking
from pipelines.artifacts import digest
from pipelines.errors import Damaged, FlightdeckError, Missing, Refused, StepFailed, Unavailable
from pipelines.execution import kernels, notebook
from pipelines.lifecycle import LIFECYCLE
from pipelines.run import read_params, read_run, write_json
from pipelines.settings import NOTEBOOKS
from pipelines.step import Artifact, Params, Step

log = logging.getLogger(__name__)

# A runner whose worker was killed takes a moment to end; its successor waits for the lock that long.
LOCK_WAIT_S = 15


@dataclass(frozen=True)
class Outcome:
    """How a step ended: what the runner reports to whoever started it."""

    step: str
    status: Literal["completed", "reused", "failed"]
    seconds: float
    notebook: str | None = None
    cell: int | None = None
    cause: str = ""
    hint: str = ""


def run_step(root: Path, name: str, kernel: kernels.ForkedKernel | None = None) -> Outcome:
    """Execute step `name` of the run in `root`, unless it is already done.

    Parameters
    ----------
    root : Path
        The run's folder.
    kernel : ForkedKernel, optional
        The kernel to execute the notebook in; by default one is started.

    Returns
    -------
    Outcome
        With status failed, the cause and the next step are also in the run's events.

    Raises
    ------
    BadInput, Missing, Damaged
        There is no such step, `root` is no run, or its params are not what they should be.
    Refused
        Another runner is in this step.
    """
    step, began = LIFECYCLE.step(name), time.monotonic()
    if not (root / "run.json").is_file():
        raise Missing(
            f"There is no run in {root}: run.json is not there.", "See: python -m pipelines run --list"
        )
    folder = root / "steps" / name
    try:
        read_run(root)
        values = read_params(root)[name]
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock", timeout=LOCK_WAIT_S):
            return _run_alone(root, step, values, kernel, began)
    except Timeout as error:
        raise Refused(
            f"Another process is executing step '{name}' of run '{root.name}'.",
            "Wait until it has ended, or cancel the run.",
        ) from error
    except FlightdeckError as error:
        return _failed(root, step, error, began)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        full = Unavailable("The disk is full.", "Free some space, then retry the run; nothing is lost.")
        return _failed(root, step, full, began)


def run_notebook(
    source: Path, attempt: Path, values: dict[str, Any], kernel: kernels.ForkedKernel | None = None
) -> Path:
    """Execute a notebook that belongs to no run, in the folder `attempt`; returns it as executed."""
    step = Step(source.stem, source.stem, str(source), Params, (), ())
    return notebook.execute(step, values, attempt, lambda *_, **__: None, kernel)


def refuse(root: Path, name: str, error: Exception) -> Outcome:
    """The outcome, told in the run's events, of a step that could not even be begun."""
    if not isinstance(error, FlightdeckError):
        log.exception("run %s: step %s", root.name, name, exc_info=error)
        error = Unavailable(f"{type(error).__name__}: {error}", "Retry the run; see logs/worker.log.")
    return _failed(root, LIFECYCLE.step(name), error, time.monotonic())


def close_run(root: Path, status: Literal["completed", "failed", "cancelled"]) -> None:
    """End the MLflow runs of the run in `root` that are still open, and the parent with `status`."""
    tracking.finish_run(read_run(root), status)


def _run_alone(
    root: Path, step: Step, values: dict[str, Any], kernel: kernels.ForkedKernel | None, began: float
) -> Outcome:
    """Execute the step while holding its lock."""
    before = _fingerprint(root, step, values)
    done = _read_done(root, step)
    if done is not None and done["fingerprint"] == before and _outputs_match(root, step, done):
        _tell_reused(root, step, done, began)
        return Outcome(step.name, "reused", round(time.monotonic() - began, 3), done["notebook"])
    attempt = _new_attempt(root, step)
    run = read_run(root)
    mlflow_run = tracking.open_step(run, step.name, values, int(attempt.name.split("-")[1]))
    (attempt / "mlflow_run").write_text(mlflow_run)

    def tell(kind: str, **fields: Any) -> None:
        events.append(root, kind, **fields)

    executed = attempt / "notebook.ipynb"
    try:
        notebook.execute(step, values, attempt, tell, kernel)
        digests = _check_outputs(attempt, step)
    except BaseException:
        tracking.close_run(mlflow_run, "failed", executed if executed.is_file() else None)
        raise
    tracking.close_run(mlflow_run, "completed", executed)
    _publish(root, attempt, step)
    seconds = round(time.monotonic() - began, 3)
    shown = str(executed.relative_to(root))
    write_json(
        root / "steps" / step.name / "done.json",
        {
            "attempt": attempt.name,
            "fingerprint": before,
            "outputs": digests,
            "notebook": shown,
            "seconds": seconds,
            "mlflow_run": mlflow_run,
        },
    )
    tell("step_finished", step=step.name, status="completed", seconds=seconds, mlflow_run=mlflow_run)
    return Outcome(step.name, "completed", seconds, shown)


def _fingerprint(root: Path, step: Step, values: dict[str, Any]) -> str:
    """What the step's result depends on: params, seed, scenario, notebook, and its inputs' digests."""
    run = read_run(root)
    source = (NOTEBOOKS / step.notebook).read_bytes()
    inputs = {artifact.name: digest(artifact, _input(root, artifact)) for artifact in step.inputs}
    facts = [run.scenario, run.seed, values, hashlib.sha256(source).hexdigest(), inputs]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _input(root: Path, artifact: Artifact) -> Path:
    path = root / artifact.path
    if not path.exists():
        raise Missing(
            f"The artifact '{artifact.name}' ({artifact.path}) is missing from run '{root.name}'.",
            "Run from the step that writes it.",
        )
    return path


def _read_done(root: Path, step: Step) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((root / "steps" / step.name / "done.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _outputs_match(root: Path, step: Step, done: dict[str, Any]) -> bool:
    try:
        return all(
            digest(artifact, root / artifact.path) == done["outputs"][artifact.name]
            for artifact in step.outputs
        )
    except (OSError, KeyError, Damaged):
        return False


def _new_attempt(root: Path, step: Step) -> Path:
    number = 1
    while True:
        attempt = root / "steps" / step.name / f"attempt-{number}"
        try:
            attempt.mkdir()
        except FileExistsError:
            number += 1
        else:
            return attempt


def _check_outputs(attempt: Path, step: Step) -> dict[str, str]:
    """Digests of all outputs; computing them also reads each whole."""
    for artifact in step.outputs:
        if not (attempt / artifact.path).exists():
            raise Missing(
                f"The notebook {step.notebook} ended without writing '{artifact.name}'.",
                f"It must call: step.write('{artifact.name}', …)",
            )
    return {artifact.name: digest(artifact, attempt / artifact.path) for artifact in step.outputs}


def _publish(root: Path, attempt: Path, step: Step) -> None:
    """Rename the outputs into place. done.json is written after: without it they don't count."""
    (root / "steps" / step.name / "done.json").unlink(missing_ok=True)
    for artifact in step.outputs:
        target = root / artifact.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            replaced = attempt / "replaced" / artifact.name
            replaced.parent.mkdir(exist_ok=True)
            target.rename(replaced)
        (attempt / artifact.path).rename(target)
    shutil.rmtree(attempt / "replaced", ignore_errors=True)
    for artifact in step.outputs:
        folder = (attempt / artifact.path).parent
        if folder != attempt and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _tell_reused(root: Path, step: Step, done: dict[str, Any], began: float) -> None:
    attempt = int(done["attempt"].split("-")[1])
    events.append(root, "step_started", step=step.name, attempt=attempt, cells=0)
    events.append(
        root,
        "step_finished",
        step=step.name,
        status="reused",
        seconds=round(time.monotonic() - began, 3),
        mlflow_run=done["mlflow_run"],
    )


def _failed(root: Path, step: Step, error: FlightdeckError, began: float) -> Outcome:
    cell = error.cell if isinstance(error, StepFailed) else None
    cause = error.cause if isinstance(error, StepFailed) else error.message
    try:
        events.append(root, "step_failed", step=step.name, cell=cell, cause=cause, hint=error.hint)
    except OSError:
        log.warning("run %s: the failure of step %s could not be written down", root.name, step.name)
    seconds = round(time.monotonic() - began, 3)
    attempts = sorted((root / "steps" / step.name).glob("attempt-*/notebook.ipynb"), key=_attempt_number)
    shown = str(attempts[-1].relative_to(root)) if attempts else None
    return Outcome(step.name, "failed", seconds, shown, cell, cause, error.hint)


def _attempt_number(executed: Path) -> int:
    return int(executed.parent.name.split("-")[1])


def report(outcome: Outcome) -> bytes:
    """The outcome as one line of JSON."""
    return json.dumps(asdict(outcome)).encode() + b"\n"

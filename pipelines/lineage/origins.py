"""Origins: the version, the run and the data behind an answer, as far as they are still there.

Comes in: a scenario's version number. Goes out: records, and a gap for whatever is gone. The registry is
asked first; a run's own receipts answer while MLflow does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines import registry, versioning
from pipelines.errors import Damaged, FlightdeckError
from pipelines.lifecycle import EVALUATION, LIFECYCLE, MODEL, REGISTRATION, SNAPSHOT
from pipelines.lineage.records import Data, Gap, Made, Registered
from pipelines.run import Run, read_json, read_params, read_run
from pipelines.workspace import Workspace

# The notebooks that say how the model was made and why it was let through.
TELLING = ("train", "evaluate")


def find_version(
    workspace: Workspace, model: str, number: int, gaps: list[Gap]
) -> tuple[registry.Version | None, Registered]:
    """The version as the registry has it; None and what can be said without it when it does not answer."""
    try:
        found = registry.version(workspace.name, model, number)
    except FlightdeckError as error:
        gaps.append(Gap(error.message, "The version is told by its run's receipt, if that is kept."))
        return None, Registered(model, number)
    return found, Registered(
        model,
        number,
        found.gate,
        found.reasons,
        found.model_digest,
        found.model_id,
        found.mlflow_run,
        found.note,
        found.created_at,
        "registry",
    )


def find_run(
    workspace: Workspace, model: str, number: int, named: Iterable[str], gaps: list[Gap]
) -> Path | None:
    """The folder of the run that registered the version: one that is named, else who kept its receipt."""
    wanted = [run_id for run_id in named if run_id]
    for run_id in wanted:
        try:
            return workspace.run_folder(run_id)
        except FlightdeckError:
            continue
    holder: Path | None = None
    for run_id in workspace.run_ids():
        folder = workspace.runs / run_id
        receipt = read_json(folder / REGISTRATION.path)
        if receipt and (receipt.get("model"), receipt.get("version")) == (model, number):
            if receipt.get("run_id") == run_id:
                return folder
            holder = holder or folder  # it took the receipt from its base, which is gone
    if holder is None or wanted:
        gone = f"Run '{wanted[0]}'" if wanted else f"The run that registered version {number}"
        gaps.append(
            Gap(f"{gone} is gone.", "Its params, notebooks and seed can't be shown; the version goes on.")
        )
    return holder


def with_receipt(found: Registered, folder: Path) -> Registered:
    """What the run itself kept about its version, where the registry said nothing."""
    receipt = read_json(folder / REGISTRATION.path)
    if found.source == "registry" or not receipt:
        return found
    report = read_json(folder / EVALUATION.path) or {}
    rules = (report.get("gate") or {}).get("reasons", [])
    broken = tuple(
        f"{rule['rule']}: found {rule['found']}, expected {rule['expected']}"
        for rule in rules
        if isinstance(rule, dict)
        and not rule.get("passed", True)
        and {"rule", "found", "expected"} <= set(rule)
    )
    gate = receipt.get("gate")
    return replace(
        found,
        gate=gate if gate in ("passed", "failed") else None,
        reasons=broken,
        digest=str(receipt.get("model_digest", "")),
        model_id=str(receipt.get("model_id", "")),
        mlflow_run=str(receipt.get("mlflow_run", "")),
        note=str(receipt.get("note", "")),
        source="receipt",
    )


def read_made(workspace: Workspace, folder: Path, gaps: list[Gap]) -> Made | None:
    """What the run says of itself; each step's params are those of the run that executed it."""
    try:
        run = read_run(folder)
    except FlightdeckError as error:
        gaps.append(Gap(error.message, "How the model was made can't be shown; its notebooks are on disk."))
        return None
    runs = _bases(workspace, folder, run, gaps)
    params: dict[str, dict[str, Any]] = {}
    made_by: dict[str, str] = {}
    for place, each in runs:
        try:
            kept = read_params(place)
        except FlightdeckError as error:
            gaps.append(Gap(error.message, f"The params of {', '.join(each.steps)} can't be shown."))
            kept = {}
        for step in each.steps:
            if step not in made_by and step in LIFECYCLE.names:
                made_by[step] = each.run_id
                params |= {step: kept[step]} if step in kept else {}
    notebooks = {step: path for step in LIFECYCLE.names if (path := _notebook(folder, step)) is not None}
    for step in TELLING:
        if step not in notebooks:
            means = "The cells and plots of that step can't be opened any more."
            gaps.append(Gap(f"The executed notebook of step '{step}' is not kept.", means))
    ordered = {step: params[step] for step in LIFECYCLE.names if step in params}
    return Made(
        run.run_id,
        folder,
        run.created_at,
        run.seed,
        run.code,
        dict(run.libraries),
        run.base,
        ordered,
        made_by,
        notebooks,
    )


def read_card(folder: Path, gaps: list[Gap]) -> dict[str, Any]:
    """What training wrote about the model: its features in order, its threshold. Empty when it is gone."""
    card = read_json(folder / MODEL.path / "model.json")
    if card is None:
        gaps.append(Gap("The model's card is not kept.", "Its threshold is not known here."))
    return card or {}


def find_data(
    workspace: Workspace, scenario: str, found: registry.Version | None, folder: Path | None, gaps: list[Gap]
) -> Data | None:
    """The version of the data, and whether its rows are still what was kept."""
    receipt = (read_json(folder / SNAPSHOT.path) if folder else None) or {}
    number = found.data_version if found and found.data_version is not None else receipt.get("version")
    digest = str((found.snapshot if found else "") or receipt.get("digest", ""))
    if not isinstance(number, int):
        gaps.append(Gap("No version of the data is named.", "Which rows it learnt from can't be told."))
        return Data(None, digest) if digest else None
    named = Data(number, digest, rows=receipt.get("rows"))
    try:
        version = versioning.find_version(workspace, scenario, number)
    except FlightdeckError as error:
        gaps.append(Gap(error.message, "Its digest is known, but its rows can't be had again."))
        return named
    named = replace(
        named, tag=version.tag, commit=version.commit, rows=version.rows, days=version.days, whole=True
    )
    try:
        versioning.verify(workspace, version)
    except Damaged as error:
        gaps.append(Gap(error.message, f"The model can't be trained again on the same rows. {error.hint}"))
        named = replace(named, whole=False)
    if digest and version.digest != digest:
        means = "The number was given to other rows; the rows of the run itself may be in its folder."
        gaps.append(Gap(f"{version.tag} holds digest {version.digest}, but the run used {digest}.", means))
        named = replace(named, whole=False)
    return replace(named, digest=digest or version.digest)


def _bases(workspace: Workspace, folder: Path, run: Run, gaps: list[Gap]) -> list[tuple[Path, Run]]:
    """The run and those it started from, nearest first, as far back as they are kept."""
    found = [(folder, run)]
    while (base := found[-1][1].base) is not None and all(base != each.run_id for _, each in found):
        try:
            place = workspace.run_folder(base)
            found.append((place, read_run(place)))
        except FlightdeckError:
            means = "The params of the steps it did are not known; what they wrote is kept."
            gaps.append(Gap(f"Run '{base}', which '{found[-1][1].run_id}' started from, is gone.", means))
            break
    return found


def _notebook(folder: Path, step: str) -> Path | None:
    """The notebook of the attempt whose outputs count."""
    attempt = str((read_json(folder / "steps" / step / "done.json") or {}).get("attempt", ""))
    path = folder / "steps" / step / attempt / "notebook.ipynb"
    return path if attempt.startswith("attempt-") and path.is_file() else None

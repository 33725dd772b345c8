"""Registered versions: what a run's model becomes when it is meant to be used.

In: a step's model and evaluation, or a version's number. Out: a version in the registry of the
learner's MLflow workspace, with its gate's verdict and digest as tags; or the model of a version,
checked against that digest. Which version serves is not kept here, but in the promotion ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from pipelines.artifacts import StepFiles, digest
from pipelines.errors import Damaged, Missing, Refused
from pipelines.lifecycle import MODEL
from pipelines.mlflow_models import fetch_model, find_models
from pipelines.mlflow_server import call, read_tags, search

if TYPE_CHECKING:
    import pandas as pd

    from pipelines.training import FittedModel

Gate = Literal["passed", "failed"]

# MLflow keeps at most 5,000 characters of a version's tag.
REASONS_CHARS = 4000


@dataclass(frozen=True)
class Version:
    """One registered version, as read from the registry.

    Attributes
    ----------
    model, number : str, int
        Its name (the scenario's) and number, 1, 2, …
    gate : {"passed", "failed"}
        What the evaluation's gate said.
    reasons : tuple of str
        The gate's rules that were not met, each as a sentence.
    model_digest, model_id : str
        What the model is, and MLflow's id of it.
    run_id, mlflow_run : str
        The pipeline run that registered it, and the MLflow run that trained it.
    note : str
        Why it exists, in its maker's words.
    snapshot, data_version : str, int or None
        Digest and number of the version of the data it was made from; empty for one made before data had
        versions.
    created_at : float
        Seconds since the epoch.
    aliases : tuple of str
        Projected from the promotion ledger: champion, challenger, shadow.
    """

    model: str
    number: int
    gate: Gate
    reasons: tuple[str, ...]
    model_digest: str
    model_id: str
    run_id: str
    mlflow_run: str
    note: str
    created_at: float
    aliases: tuple[str, ...] = ()
    snapshot: str = ""
    data_version: int | None = None


@dataclass(frozen=True)
class ServedModel:
    """A version's model, ready to score.

    Attributes
    ----------
    model : fitted scikit-learn estimator with predict_proba
    card : dict
        What training wrote about it: scenario, features in order, windows, threshold.
    version, run_id, model_digest
        Which one it is, who made it, what it holds.
    """

    model: Any
    card: dict[str, Any]
    version: int
    run_id: str
    model_digest: str


def register(step: StepFiles, note: str = "") -> dict[str, Any]:
    """Make the run's model a registered version, once: repeated, the version there is returned.

    Parameters
    ----------
    step : StepFiles
        Of a step that reads the model, its evaluation and the snapshot of the data.
    note : str
        Why this version exists.

    Returns
    -------
    dict
        The receipt: model, version, model_digest, gate, mlflow_run, model_id, run_id, note, snapshot and
        data_version (which data it was made from).

    Raises
    ------
    Missing
        No model of that digest has been logged in this workspace.
    Unavailable
        MLflow is not answering.
    """
    run, name = step.run, step.run.scenario
    found = digest(MODEL, step.path(MODEL.name))
    gate = step.read("evaluation")["gate"]
    tags = {"run_id": run.run_id, "step": step.step.name, "model_digest": found}
    # A runner killed after the version was made and before its receipt was kept comes by again.
    made = _find(run.workspace, name, tags)
    if made is None:
        logged = _logged_model(step, found)
        tags |= {"gate": "passed" if gate["passed"] else "failed", "seed": str(run.seed)}
        tags |= {"reasons": "\n".join(_failed_rules(gate))[:REASONS_CHARS]} | _data_of(step)
        _make_model(run.workspace, name)
        call(
            run.workspace,
            "POST",
            "model-versions/create",
            name=name,
            source=f"models:/{logged['model_id']}",
            model_id=logged["model_id"],
            run_id=logged.get("source_run_id"),
            description=_describe(gate, note),
            tags=[{"key": key, "value": value} for key, value in (tags | {"note": note}).items() if value],
        )
        made = _find(run.workspace, name, {key: tags[key] for key in ("run_id", "step", "model_digest")})
    if made is None:
        raise Missing(f"'{name}' was registered but can't be found again.", "Run the step again.")
    return {
        "model": name,
        "version": made.number,
        "model_digest": found,
        "gate": made.gate,
        "mlflow_run": made.mlflow_run,
        "model_id": made.model_id,
        "run_id": run.run_id,
        "note": made.note,
        "snapshot": made.snapshot,
        "data_version": made.data_version,
    }


def rebuild(workspace: str, model: str, number: int, made_for: str, note: str) -> int:
    """Make another version of the same model, as when its package is built anew; its number.

    Parameters
    ----------
    made_for : str
        Asked for again for the same, it is the same version.

    Raises
    ------
    Missing
        There is no such version.
    Unavailable
        MLflow is not answering.
    """
    made = _find(workspace, model, {"made_for": made_for})
    if made is None:
        entry = call(workspace, "GET", "model-versions/get", {"name": model, "version": str(number)})
        entry = entry["model_version"]
        tags = read_tags(entry) | {"made_for": made_for, "note": note}
        call(
            workspace,
            "POST",
            "model-versions/create",
            name=model,
            source=entry["source"],
            model_id=entry["source"].rpartition("/")[2],
            run_id=entry.get("run_id"),
            description=note,
            tags=[{"key": key, "value": value} for key, value in tags.items()],
        )
        made = _find(workspace, model, {"made_for": made_for})
    if made is None:
        raise Missing(f"'{model}' was registered but can't be found again.", "Try again.")
    return made.number


def versions(workspace: str, model: str) -> list[Version]:
    """All versions of a model, newest first; none when nothing was registered yet."""
    try:
        found = _search(workspace, f"name = '{model}'")
    except Missing:
        return []
    numbered = _aliases(workspace, model) if found else {}
    return sorted(
        (_read(entry, numbered) for entry in found), key=lambda version: version.number, reverse=True
    )


def version(workspace: str, model: str, number: int) -> Version:
    """One version.

    Raises
    ------
    Missing
        There is none of that number; says which there are.
    """
    try:
        entry = call(workspace, "GET", "model-versions/get", {"name": model, "version": str(number)})
    except Missing:
        there = ", ".join(str(other.number) for other in versions(workspace, model)) or "none yet"
        raise Missing(
            f"'{model}' has no version {number} in workspace '{workspace}'.",
            f"Versions there are: {there}.",
        ) from None
    return _read(entry["model_version"], _aliases(workspace, model))


def load(workspace: str, model: str, number: int) -> ServedModel:
    """A version's model and card, from our own registry alone.

    The files must have the digest that the version was registered with, and the model must give its
    golden rows the scores on its card: another model is never handed out.

    Raises
    ------
    Missing
        There is no such version, or its files are gone.
    Damaged
        What is stored is not what was registered.
    Unavailable
        MLflow is not answering.
    """
    wanted, fitted, found = _fetch(workspace, model, number)
    return ServedModel(fitted.model, fitted.card, number, wanted.run_id, found)


def golden(workspace: str, model: str, number: int) -> tuple[pd.DataFrame, list[float]]:
    """The rows of features that a version's training kept, and what its notebook's model said of them.

    Raises
    ------
    Missing, Damaged, Unavailable
        As `load`.
    """
    _, fitted, _ = _fetch(workspace, model, number)
    return fitted.golden, [float(value) for value in fitted.card["golden_scores"]]


def project_alias(workspace: str, model: str, alias: str, number: int | None) -> None:
    """Let the registry show `alias` at a version, or nowhere: a copy of what the ledger says.

    Raises
    ------
    Missing
        There is no such version.
    Unavailable
        MLflow is not answering.
    """
    if number is None:
        call(workspace, "DELETE", "registered-models/alias", name=model, alias=alias)
    else:
        call(workspace, "POST", "registered-models/alias", name=model, alias=alias, version=str(number))


def _fetch(workspace: str, model: str, number: int) -> tuple[Version, FittedModel, str]:
    """A version, what is stored of it, and the digest of that; see `load`."""
    # Only who loads a model pays for scikit-learn: pages and the CLI ask for versions alone.
    from pipelines.training import load_model

    wanted = version(workspace, model, number)
    with TemporaryDirectory() as name:
        folder = Path(name)
        fetch_model(workspace, wanted.model_id, folder)
        try:
            found = digest(MODEL, folder)
            if found != wanted.model_digest:
                raise Damaged(f"Its digest is {found}, not {wanted.model_digest}.")
            return wanted, load_model(folder), found
        except Damaged as error:
            raise Damaged(
                f"Version {number} of '{model}' is not what was registered. {error.message}",
                "Roll back, or register the model again.",
            ) from error


def _data_of(step: StepFiles) -> dict[str, str]:
    """Tags that say which version of the data the run was made from."""
    snapshot = step.read("snapshot")
    return {"snapshot": str(snapshot["digest"]), "data_version": str(snapshot["version"])}


def _logged_model(step: StepFiles, wanted: str) -> dict[str, Any]:
    """The newest model of that digest, this run's own before another's."""
    found = find_models(step.run.workspace, step.run.scenario, wanted)
    if not found:
        raise Missing(
            f"No model with digest {wanted} has been logged in workspace '{step.run.workspace}'.",
            "Run step 'train' again while MLflow is running.",
        )
    own = [model for model in found if model["tags"].get("run_id") == step.run.run_id]
    return (own or found)[0]


def _make_model(workspace: str, name: str) -> None:
    """Make the registered model that versions belong to, unless it is there."""
    try:
        call(workspace, "POST", "registered-models/create", name=name)
    except Refused:
        return


def _find(workspace: str, name: str, tags: Mapping[str, str]) -> Version | None:
    """The first version of that name with all these tags."""
    conditions = [f"name = '{name}'"] + [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
    found = _search(workspace, " and ".join(conditions))
    return min((_read(entry, {}) for entry in found), key=lambda version: version.number, default=None)


def _search(workspace: str, condition: str) -> list[dict[str, Any]]:
    return search(
        workspace, "GET", "model-versions/search", "model_versions", filter=condition, max_results="1000"
    )


def _aliases(workspace: str, model: str) -> dict[int, tuple[str, ...]]:
    """Aliases by version number. Over HTTP MLflow gives the number as text."""
    entry = call(workspace, "GET", "registered-models/get", {"name": model})["registered_model"]
    found: dict[int, tuple[str, ...]] = {}
    for alias in entry.get("aliases", []):
        number = int(alias["version"])
        found[number] = (*found.get(number, ()), alias["alias"])
    return found


def _read(entry: Mapping[str, Any], aliases: Mapping[int, tuple[str, ...]]) -> Version:
    tags = read_tags(entry)
    number = int(entry["version"])
    return Version(
        model=entry["name"],
        number=number,
        gate="passed" if tags.get("gate") == "passed" else "failed",
        reasons=tuple(tags.get("reasons", "").splitlines()),
        model_digest=tags.get("model_digest", ""),
        # The entry's own field for it comes back empty.
        model_id=entry["source"].rpartition("/")[2],
        run_id=tags.get("run_id", ""),
        mlflow_run=entry.get("run_id", ""),
        note=tags.get("note", ""),
        created_at=int(entry["creation_timestamp"]) / 1000,
        aliases=aliases.get(number, ()),
        snapshot=tags.get("snapshot", ""),
        data_version=int(tags["data_version"]) if tags.get("data_version", "").isdigit() else None,
    )


def _failed_rules(gate: Mapping[str, Any]) -> list[str]:
    """The gate's rules that were not met, as sentences."""
    return [
        f"{reason['rule']}: found {reason['found']}, expected {reason['expected']}"
        for reason in gate["reasons"]
        if not reason["passed"]
    ]


def _describe(gate: Mapping[str, Any], note: str) -> str:
    """The version's description in MLflow's pages: why it exists and what the gate said."""
    verdict = "Gate passed." if gate["passed"] else "Gate failed: " + "; ".join(_failed_rules(gate)) + "."
    return f"{note}\n\n{verdict}".strip()

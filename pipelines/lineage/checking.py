"""Checking a lineage: what can be computed again is, and held against what was written down.

Comes in: a lineage. Goes out: checks. Loading the registered model is asked for, because it takes MLflow.
"""

from __future__ import annotations

from pipelines import registry
from pipelines.artifacts import digest
from pipelines.errors import FlightdeckError
from pipelines.lifecycle import EVENTS, REGISTRATION
from pipelines.lineage.records import Check, Lineage
from pipelines.run import read_json
from pipelines.serving import champions, prediction_log
from pipelines.workspace import Workspace

# Scores of one model on two processors differ by a rounding in the last place, never by this.
TOLERANCE = 1e-9


def check(workspace: Workspace, lineage: Lineage, *, verify: bool) -> tuple[Check, ...]:
    """What holds and what does not; the score and the events are computed again only when asked for."""
    prediction, threshold = lineage.prediction, lineage.threshold
    derived = prediction.prediction_id == lineage.prediction_id
    found = [
        Check(
            "id",
            derived,
            "The id follows from the row's facts."
            if derived
            else "The row's facts give another id: the row was changed.",
        )
    ]
    if threshold is not None:
        right = prediction.decision == (prediction.score >= threshold)
        found.append(
            Check(
                "decision",
                right,
                f"{prediction.score:.6g} against {threshold:.6g} gives "
                f"{'what was decided' if right else 'another decision than was given'}.",
            )
        )
    if (model := _same_model(lineage)) is not None:
        found.append(model)
    if not verify:
        return (*found, Check("score", None, "Not verified: the model was not asked again."))
    return (*found, *_events(lineage), _score(workspace, lineage))


def _same_model(lineage: Lineage) -> Check | None:
    """The registry's digest against the one that the run kept."""
    receipt = read_json(lineage.run.folder / REGISTRATION.path) if lineage.run else None
    kept = (receipt or {}).get("model_digest")
    if lineage.version.source != "registry" or not kept:
        return None
    if kept == lineage.version.digest:
        return Check("model", True, f"Registry and run name the same model, {kept}.")
    return Check("model", False, f"The registry names {lineage.version.digest}, its run {kept}.")


def _events(lineage: Lineage) -> list[Check]:
    """The run's own events against the digest of the data's version."""
    if lineage.run is None or lineage.data is None or not lineage.data.digest:
        return []
    path = lineage.run.folder / EVENTS.path
    if not path.is_file():
        return [Check("events", None, "Not verified: the run's own events are not kept.")]
    try:
        found = digest(EVENTS, path)
    except FlightdeckError as error:
        return [Check("events", False, error.message)]
    if found == lineage.data.digest:
        return [Check("events", True, f"The run's events have digest {found}.")]
    return [Check("events", False, f"The run's events have digest {found}, not {lineage.data.digest}.")]


def _score(workspace: Workspace, lineage: Lineage) -> Check:
    """The registered model's answer to the logged row, against the logged answer."""
    prediction = lineage.prediction
    if not lineage.features:
        return Check("score", None, "Not verified: the row that the model saw is not whole.")
    try:
        served = registry.load(workspace.name, prediction.stream.scenario, prediction.version)
        row = prediction_log.features_of(prediction).reshape(1, -1)
        again = float(champions.score(served, row)[0])
    except FlightdeckError as error:
        return Check("score", None, f"Not verified: {error.message}")
    apart = abs(again - prediction.score)
    if apart <= TOLERANCE:
        return Check("score", True, f"The registered model gives {again:.9g} again.")
    return Check("score", False, f"The registered model gives {again:.9g}, {apart:.2g} apart from the log.")

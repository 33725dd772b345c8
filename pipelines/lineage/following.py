"""Following one prediction: from the logged answer to its version, run and data, and on to its label.

Comes in: a prediction's id. Goes out: its lineage. Only what the log itself does not know is an error;
whatever else is gone is said in the lineage, because an audit of what is left is still an audit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipelines import promotion
from pipelines.errors import Damaged, FlightdeckError
from pipelines.lifecycle import REGISTRATION
from pipelines.lineage import origins
from pipelines.lineage.checking import check
from pipelines.lineage.records import Gap, Lineage, Truth, Worth
from pipelines.production import clock as clocks
from pipelines.promotion import Promotion
from pipelines.run import read_json
from pipelines.scenarios import SCENARIOS
from pipelines.scenarios.scenario import DAY_S, Scenario
from pipelines.serving import labelling, logged, prediction_log
from pipelines.serving.open_inference import FIRST_GIVEN_ID
from pipelines.serving.predictions import Prediction, Stream
from pipelines.serving.rollout import Route
from pipelines.tasks.money import price
from pipelines.workspace import Workspace

# Which stage lets a version answer by that route; whoever names a version needs no approval.
STAGES: Mapping[Route, promotion.Stage] = {"champion": "production", "canary": "canary", "shadow": "shadow"}
RUN_PREFIX = "run:"


def follow(workspace: Workspace, prediction_id: str, *, verify: bool = False) -> Lineage:
    """Where the answer of that id came from, and what became of it.

    Parameters
    ----------
    verify : bool
        Also load the registered model and score the logged row again; takes MLflow and a second or two.

    Raises
    ------
    Missing
        Nothing was logged under this id.
    Unavailable, Damaged
        The workspace's database, or this row of it, can't be read.
    """
    prediction = _trace(workspace, prediction_id.strip())
    gaps: list[Gap] = []
    scenario = SCENARIOS.get(prediction.stream.scenario)
    if scenario is None:
        means = "Its features have no names here, and its label and worth can't be told."
        gaps.append(Gap(f"There is no scenario '{prediction.stream.scenario}' any more.", means))
    approval = find_approval(workspace, prediction, gaps)
    name, number = prediction.stream.scenario, prediction.version
    found, version = origins.find_version(workspace, name, number, gaps)
    named = [found.run_id] if found else []
    folder = origins.find_run(workspace, name, number, named or _deciding(approval, number, workspace), gaps)
    made, card = None, {}
    if folder is not None:
        version = origins.with_receipt(version, folder)
        made, card = origins.read_made(workspace, folder, gaps), origins.read_card(folder, gaps)
    if version.source == "nowhere":
        means = "Whether its gate let it through can't be shown, nor which model it was."
        gaps.append(Gap(f"Nobody knows version {number} any more.", means))
    threshold = card.get("threshold")
    truth = find_truth(workspace, prediction, scenario)
    lineage = Lineage(
        prediction_id=prediction_id.strip(),
        prediction=prediction,
        features=_features(prediction, card, scenario, gaps),
        threshold=float(threshold) if isinstance(threshold, int | float) else None,
        version=version,
        approval=approval,
        run=made,
        data=origins.find_data(workspace, name, found, folder, gaps),
        mlflow_run=version.mlflow_run,
        truth=truth,
        worth=_worth(prediction, scenario, truth),
    )
    return replace(lineage, checks=check(workspace, lineage, verify=verify), gaps=tuple(gaps))


def find_approval(workspace: Workspace, prediction: Prediction, gaps: list[Gap]) -> Promotion | None:
    """The ledger's row by which the version held its stage when it answered."""
    stage = STAGES.get(prediction.route)
    if stage is None:
        return None
    try:
        # A branch has rows of its own for what was decided before it left another.
        rows = promotion.history(workspace, prediction.stream.scenario, prediction.stream.branch)
    except sqlite3.Error as error:
        gaps.append(Gap(f"The promotion ledger can't be read: {error}.", "Who let it serve can't be shown."))
        return None
    own = [row for row in rows if row.at <= prediction.at and row.stage == stage]
    by = [row for row in own if row.version == prediction.version]
    if not by:
        what = f"No row of the ledger before this answer puts version {prediction.version} into {stage}."
        gaps.append(Gap(what, "Nobody's decision can be named for it."))
        return None
    if own[-1] is not by[-1]:
        what = f"Row {own[-1].promotion_id} had already taken {stage} from version {prediction.version}."
        gaps.append(Gap(what, "It answered while the gateway changed over, by the decision before."))
    return by[-1]


def find_truth(workspace: Workspace, prediction: Prediction, scenario: Scenario | None) -> Truth:
    """The label, or since when it is awaited and when it is due."""
    stream = prediction.stream
    told = logged.label_of(workspace, stream, prediction.event_id)
    today = _today(workspace, stream)
    due_s = prediction.event_time + scenario.label_delay_days * DAY_S if scenario else None
    if told is not None:
        return Truth("known", told[0], told[1], due_s, today)
    if prediction.event_id >= FIRST_GIVEN_ID:
        return Truth("unasked", today=today)
    if due_s is None:
        return Truth("unknown", today=today)
    rules = labelling.rules(workspace, stream.scenario, stream.branch)
    held = labelling.rule_on(rules, prediction.day)
    if not held.weight(prediction.event_id, prediction.decision):
        return Truth("never", today=today)
    # The labels of a day are told on it; day 70 means that days 0 to 69 have passed.
    late = today is not None and due_s < today * DAY_S
    return Truth("overdue" if late else "awaited", due_s=due_s, today=today)


def _trace(workspace: Workspace, prediction_id: str) -> Prediction:
    # SQLite takes no half of a surrogate pair, and ours are plain letters and digits.
    if not (prediction_id.isascii() and prediction_id.isprintable()):
        raise prediction_log.unknown_prediction(ascii(prediction_id)[1:-1])
    try:
        return prediction_log.trace(workspace, prediction_id)
    except ValueError as error:
        raise Damaged(
            f"The row of prediction '{prediction_id[:40]}' can't be read: {error}.",
            "Restore the workspace from a backup.",
        ) from error


def _deciding(approval: Promotion | None, number: int, workspace: Workspace) -> list[str]:
    """The run whose own step promoted the version, when that is how it was decided."""
    source = (approval.source or "") if approval else ""
    run_id = source.removeprefix(RUN_PREFIX).partition("/")[0] if source.startswith(RUN_PREFIX) else ""
    try:
        receipt = read_json(workspace.run_folder(run_id) / REGISTRATION.path) or {}
    except FlightdeckError:
        return []
    return [run_id] if receipt.get("version") == number and receipt.get("run_id") == run_id else []


def _features(
    prediction: Prediction, card: Mapping[str, Any], scenario: Scenario | None, gaps: list[Gap]
) -> dict[str, float]:
    try:
        values = prediction_log.features_of(prediction).tolist()
    except ValueError:
        gaps.append(Gap("The row that the model saw was cut short.", "Its score can't be repeated."))
        return {}
    names = card.get("features") or [feature.name for feature in (scenario.features if scenario else ())]
    if len(names) != len(values):
        what = f"{len(values)} features were logged, and {len(names)} names are known."
        gaps.append(Gap(what, "They are numbered instead, in the order that the model saw."))
        names = [f"feature {place}" for place in range(1, len(values) + 1)]
    return dict(zip(names, values, strict=True))


def _today(workspace: Workspace, stream: Stream) -> int | None:
    """The day it is in the world that the event is of; None where no clock tells."""
    try:
        clock = clocks.read(workspace, stream.scenario, stream.branch)
    except sqlite3.Error:
        return None
    if clock is not None and clock.world == stream.world:
        return clock.day
    return None


def _worth(prediction: Prediction, scenario: Scenario | None, truth: Truth) -> Worth | None:
    """What the decision cost and saved, by the scenario's prices; None while the truth is not known."""
    if scenario is None or truth.label is None:
        return None
    column = scenario.prices.missed_column
    stake = prediction.event.get(column) if column else 1.0
    if not isinstance(stake, int | float):
        return None
    bill = price(scenario.prices, [truth.label], [prediction.decision], [stake])
    return Worth(
        round(bill.saved, 2), bill.total, bill.without, scenario.prices.unit, prediction.route != "shadow"
    )

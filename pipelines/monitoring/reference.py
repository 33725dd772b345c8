"""The reference: what the champion was made from and promised, against which production is held.

Comes in: a workspace and a scenario. Goes out: the newest days that the champion's run collected, its
scores on rows it has not learnt from, its evaluation, and how much each column swings from week to week
without anything having happened.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression

from pipelines import promotion
from pipelines.artifacts import read_artifact
from pipelines.errors import Missing
from pipelines.ingestion import known
from pipelines.lifecycle import EVALUATION, FEATURES, MODEL, REGISTRATION
from pipelines.monitoring.drift import compare
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S, Scenario
from pipelines.training import load_model, score, today
from pipelines.workspace import Workspace

# Whole weeks, so that weekends weigh the same on both sides.
REFERENCE_DAYS = 28
WEEK_DAYS = 7
SCORE = "score"
# A week may differ from others by chance so many times as much as the reference's own weeks did: with 2 it
# did in one of 20 weeks of the machines' world, whose air grows warmer and colder by itself; with 3, of 80.
SWING_FACTOR = 4.0
# Two samples of one distribution lie apart by chance alone: of ten measurements of biopsies, held against the
# reference for two weeks, the furthest came to 2.1 times √(1/n + 1/m), and in none of 30 worlds to 3.8.
CHANCE = 4.5
# Fewer answers than this say nothing about a distribution.
LEAST_ANSWERS = 100


@dataclass(frozen=True)
class Reference:
    """What the champion's run knew.

    Attributes
    ----------
    version : int
        The champion's.
    from_day, until_day : int
        Which days the features are of; the last is not included.
    features : DataFrame
        Rows of these days as `features.offline` makes them, and `score`, missing where the model has
        learnt from the row.
    card, evaluation : mapping
        What training and evaluation wrote.
    thresholds : mapping
        For each feature, and the score: from which drift score on it differs by more than it does by itself.
    calibration : IsotonicRegression or None
        From score to the share that was positive, on rows the model has not learnt from.
    known_positives : DataFrame
        alert entity and label_time of the positives that were known.
    """

    version: int
    from_day: int
    until_day: int
    features: pd.DataFrame
    card: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    thresholds: Mapping[str, float]
    calibration: IsotonicRegression | None
    known_positives: pd.DataFrame


def find_reference(workspace: Workspace, scenario: Scenario, branch: str | None = None) -> Reference:
    """The reference of whoever is the champion now; read once and then kept.

    Raises
    ------
    Missing
        Nothing serves, or the champion's run is gone.
    Damaged
        Its files can't be read.
    """
    champion = promotion.serving(workspace, scenario.name, branch).champion
    if champion is None:
        raise Missing(
            f"No version of '{scenario.name}' serves yet, so there is nothing to monitor.",
            f"Run the lifecycle: python -m pipelines run {scenario.name}",
        )
    folder = _folder_of(workspace, scenario.name, champion)
    return read_reference(
        scenario.name,
        champion,
        *(folder / artifact.path for artifact in (FEATURES, MODEL)),
        folder / EVALUATION.path,
    )


@lru_cache(maxsize=4)
def read_reference(
    scenario_name: str, version: int, features_path: Path, model_path: Path, evaluation_path: Path | None
) -> Reference:
    """The reference in these files, which never change once their run has completed.

    Parameters
    ----------
    evaluation_path : Path or None
        Where there is none, there is nothing to hold the performance against.
    """
    scenario = find_scenario(scenario_name)
    features: pd.DataFrame = read_artifact(FEATURES, features_path)
    fitted = load_model(model_path)
    evaluation: dict[str, Any] = {}
    if evaluation_path is not None and evaluation_path.is_file():
        evaluation = read_artifact(EVALUATION, evaluation_path)
    now_s = today(features)
    until_day = now_s // DAY_S
    first_day = int(features["event_time"].iloc[0]) // DAY_S
    from_day = max(first_day, until_day - REFERENCE_DAYS)
    newest = features[features["event_time"] >= from_day * DAY_S].reset_index(drop=True)
    unseen = (newest["event_time"] >= fitted.card["train"]["until"]).to_numpy()
    scores = np.full(len(newest), np.nan)
    scores[unseen] = score(fitted.model, newest.loc[unseen, fitted.card["features"]])
    newest = newest.assign(**{SCORE: scores})
    labelled = known(features, now_s)
    positives = labelled.loc[labelled["label"] == 1, [scenario.alert_entity, "label_time"]]
    return Reference(
        version,
        from_day,
        until_day,
        newest,
        fitted.card,
        evaluation,
        swings(newest, [*fitted.card["features"], SCORE]),
        _calibrate(newest[unseen], now_s),
        positives.reset_index(drop=True),
    )


def swings(newest: pd.DataFrame, names: list[str]) -> dict[str, float]:
    """From which drift score on each column differs from the reference by more than weeks do by themselves.

    Each week of the reference is held against its other weeks. The threshold is `SWING_FACTOR` times the
    largest score found so, and never below the method's own: what varies much by itself must vary more
    before somebody is called. Weeks of too few rows differ by chance, which `by_chance` allows for.
    """
    week = (newest["event_time"] // DAY_S - int(newest["event_time"].iloc[0]) // DAY_S) // WEEK_DAYS
    thresholds: dict[str, float] = {}
    for each, rows in week.value_counts().items():
        if rows < LEAST_ANSWERS:
            continue
        apart = (
            compare(newest[week != each], newest[week == each], columns=names, distances=True)
            if week.nunique() > 1
            else None
        )
        for column in apart.columns if apart else ():
            if column.score is not None and column.threshold is not None:
                swing = max(column.threshold, SWING_FACTOR * column.score)
                thresholds[column.name] = max(thresholds.get(column.name, 0.0), swing)
    return thresholds


def by_chance(reference_rows: int, current_rows: int) -> float:
    """How far apart, as a distance, two samples of one distribution lie at most, with few exceptions."""
    return CHANCE * math.sqrt(sum(1 / max(1, rows) for rows in (reference_rows, current_rows)))


def _calibrate(rows: pd.DataFrame, now_s: int) -> IsotonicRegression | None:
    labelled = known(rows, now_s)
    if labelled["label"].nunique() < 2:
        return None
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    return fitted.fit(labelled[SCORE].to_numpy(), labelled["label"].to_numpy())


def _folder_of(workspace: Workspace, scenario: str, version: int) -> Path:
    """The folder of the run that made the version: named by the ledger, else found by its receipt."""
    named = [
        row.source.removeprefix("run:").partition("/")[0]
        for row in promotion.history(workspace, scenario)
        if row.version == version and row.source and row.source.startswith("run:")
    ]
    for run_id in [*reversed(named), *workspace.run_ids()]:
        folder = workspace.runs / run_id
        try:
            receipt = json.loads((folder / REGISTRATION.path).read_text("utf-8"))
        except (OSError, ValueError):
            continue
        made = receipt.get("model") == scenario and receipt.get("version") == version
        if made and (folder / FEATURES.path).is_file():
            return folder
    raise Missing(
        f"The run that made version {version} of '{scenario}' is gone, and with it what to compare with.",
        f"Run again and deploy: python -m pipelines run {scenario}",
    )

"""Comparison: is the model of a run better than the one that serves now?

Comes in: a step's model, and the version that the promotion ledger names as champion. Goes out: the
paired comparison of the two, or why there is none. It is for people to read: the gate does not ask it,
and no report holds it, for what serves may change while a run stays as it is.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipelines import promotion, registry
from pipelines.artifacts import StepFiles
from pipelines.errors import FlightdeckError
from pipelines.evaluation import compare_models
from pipelines.scenarios.scenario import Scenario
from pipelines.training import FittedModel
from pipelines.workspace import open_workspace

THIS = "this model"


def with_champion(
    step: StepFiles, scenario: Scenario, features: pd.DataFrame, fitted: FittedModel
) -> dict[str, Any]:
    """This model beside the version that serves, on this model's test.

    Returns
    -------
    dict
        What `evaluation.compare_models` returns. With no champion, or one that can't be loaded or
        compared, figures is empty and words say why.

    Raises
    ------
    Damaged
        The workspace's database can't be read.
    """
    champion = promotion.serving(open_workspace(step.run.workspace), scenario.name).champion
    if champion is None:
        return {
            "figures": {},
            "words": "No version serves yet, so there is nothing to compare this model with.",
        }
    try:
        loaded = registry.load(step.run.workspace, scenario.name, champion)
        serving = FittedModel(loaded.model, loaded.card, fitted.golden)
        return compare_models(
            scenario, features, {f"version {champion}": serving, THIS: fitted}, seed=step.run.seed
        )
    except FlightdeckError as error:
        return {
            "figures": {},
            "words": f"Version {champion} serves, but can't be compared with this model. {error.message}",
        }

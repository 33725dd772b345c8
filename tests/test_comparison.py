"""The model of a run beside the version that serves: on a real registry and ledger."""

from __future__ import annotations

import pytest
import small_model

from pipelines import comparison, promotion, registry, tracking, training
from pipelines.artifacts import StepFiles
from pipelines.features import offline
from pipelines.ingestion import collect
from pipelines.lifecycle import Train
from pipelines.scenarios.fraud import FRAUD
from pipelines.training import FittedModel
from pipelines.workspace import Workspace

pytestmark = pytest.mark.usefixtures("mlflow")


@pytest.fixture(scope="module")
def features():
    """Features of a small world of card payments."""
    return offline.compute(FRAUD, collect(FRAUD, "small", 3, 60))


@pytest.fixture(scope="module")
def fitted(features) -> FittedModel:
    """A model of that world."""
    return training.fit(FRAUD, features, Train(model="logistic"), seed=3)


def serve(workspace: Workspace, fitted: FittedModel) -> StepFiles:
    """Register that model as a version of FRAUD and let it serve; the step that registered it."""
    run = small_model.new_run(workspace)
    step = small_model.begin(workspace, run, "train")
    training.save_model(step.path("model"), fitted)
    tracking.log_model(step, fitted.model, fitted.card, fitted.golden)
    small_model.publish(workspace, run, fitted)
    step = small_model.begin(workspace, run, "register")
    receipt = registry.register(step, "")
    promotion.promote(workspace, FRAUD.name, receipt["version"], stage="production", reason="first")
    return step


def test_without_a_champion_it_says_so(workspace, features, fitted):
    run = small_model.new_run(workspace)
    step = small_model.begin(workspace, run, "train")

    found = comparison.with_champion(step, FRAUD, features, fitted)

    assert found["figures"] == {}
    assert "No version serves yet" in found["words"]


def test_the_champion_beside_itself_is_no_different(workspace, features, fitted):
    step = serve(workspace, fitted)

    found = comparison.with_champion(step, FRAUD, features, fitted)

    assert found["names"] == ["version 1", "this model"]
    assert {figure["difference"] for figure in found["figures"].values()} == {0}
    assert "no difference between version 1 and this model" in found["words"]


def test_a_champion_of_other_features_is_told_and_not_compared(workspace, features, fitted):
    step = serve(workspace, fitted)

    found = comparison.with_champion(step, FRAUD, features.drop(columns="night"), fitted)

    assert found["figures"] == {}
    assert "can't be compared" in found["words"]
    assert "'night'" in found["words"]

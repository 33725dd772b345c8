"""Staging over real HTTP: a good version passes, a bad one fails the check that is about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from real_gateway import SCENARIO, Gateway, make_version, produce

from pipelines import registry
from pipelines.errors import BadInput, Missing, Refused
from pipelines.serving import client, staging
from pipelines.serving.prediction_log import recent
from pipelines.settings import settings
from pipelines.workspace import Home, Workspace


@pytest.fixture
def made(gateway: Gateway, workspace: Workspace) -> Workspace:
    """A workspace with a version that serves, and another one."""
    produce(workspace, make_version(workspace))
    make_version(workspace, "forest")
    return workspace


def names(checked: staging.Checked) -> list[str]:
    return [each.name for each in checked.failed]


@contextmanager
def otherwise(by: float) -> Iterator[None]:
    """The notebook had scored its first golden row otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        true = registry.golden

        def golden(workspace: str, model: str, number: int) -> tuple[Any, list[float]]:
            rows, scores = true(workspace, model, number)
            return rows, [scores[0] + by, *scores[1:]]

        patch.setattr(registry, "golden", golden)
        yield


def test_a_good_version_passes_and_production_does_not_notice(made: Workspace) -> None:
    checked = staging.check(made, SCENARIO, 2)
    assert names(checked) == []
    assert [each.name for each in checked.checks] == ["Gate", "Protocol", "Golden rows", "Time"]
    assert "5 inputs, ready" in checked.checks[1].found
    assert checked.checks[2].found.startswith("100 rows, at most 0.0e+00 apart")
    assert staging.read(made, SCENARIO, 2) == checked
    assert recent(made, SCENARIO) == []


def test_a_model_that_scores_otherwise_than_its_notebook_is_not_let_through(made: Workspace) -> None:
    found = "did not pass staging. Golden rows: found 100 rows, at most 1.0e-08 apart"
    with otherwise(1e-8), pytest.raises(Refused, match=found):
        staging.admit(made, SCENARIO, 2)
    # one that is mended is checked anew, and let through
    admitted = staging.admit(made, SCENARIO, 2)
    assert admitted is not None
    assert names(admitted) == []


def test_a_slow_model_fails_on_time(made: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "SLOWEST_MS", 0.0)
    assert names(staging.check(made, SCENARIO, 2)) == ["Time"]


def test_what_can_not_be_checked_has_failed(made: Workspace, home: Home) -> None:
    newest = max(home.mlflow_artifacts.rglob("model.skops"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(b"")
    checked = staging.check(made, SCENARIO, 2)
    assert names(checked) == ["Protocol", "Golden rows", "Time"]
    assert all("not what was registered" in each.found for each in checked.failed)
    with pytest.raises(Missing, match="no version 9"):
        staging.check(made, SCENARIO, 9)


def test_without_a_gateway_nothing_is_checked_and_it_says_so(
    workspace: Workspace, mlflow: str, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_version(workspace)
    monkeypatch.setenv("FLIGHTDECK_GATEWAY_PORT", str(free_port))
    settings.cache_clear()
    try:
        assert staging.admit(workspace, SCENARIO, 1) is None
        assert staging.read(workspace, SCENARIO, 1) is None
    finally:
        monkeypatch.undo()
        settings.cache_clear()


@pytest.mark.parametrize(
    ("features", "match"),
    [
        ({"amount": [1.0]}, "are not the version's features"),
        ({"nonsense": [1.0]}, "are not the version's features"),
    ],
)
def test_a_trial_of_other_features_is_refused(made: Workspace, features: dict, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        client.try_features(made.name, SCENARIO, 2, features)


def test_a_trial_of_anything_but_numbers_is_refused(made: Workspace) -> None:
    names_of = [feature.name for feature in staging.find_scenario(SCENARIO).features]
    for values, match in (
        ([True], "no number"),
        (["a"], "no number"),
        ([], "0 rows"),
        ([1.0] * 1001, "1001 rows"),
    ):
        with pytest.raises(BadInput, match=match):
            client.try_features(made.name, SCENARIO, 2, dict.fromkeys(names_of, values))

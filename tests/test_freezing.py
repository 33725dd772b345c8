"""A freeze refuses what is new and allows what is a way out, on the line of time on which it holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_model
from world_samples import begun, now

from pipelines import freezing, promotion
from pipelines.errors import BadInput, Refused
from pipelines.production import clock as clocks
from pipelines.production import policies
from pipelines.production.rewinding import rewind, switch
from pipelines.workspace import Workspace


@pytest.fixture
def world(tmp_path: Path) -> Workspace:
    """A world on day 60, in which days can pass."""
    return begun(tmp_path, 5)


def test_it_needs_a_reason_and_holds_once(world: Workspace) -> None:
    with pytest.raises(BadInput, match="needs a reason"):
        freezing.freeze(world, "fraud", "  ")
    assert freezing.holding(world, "fraud") is None
    made = freezing.freeze(world, "fraud", " an  audit ", 60)
    assert made.in_words() == "frozen since day 60: an audit"
    with pytest.raises(Refused, match="'fraud' is frozen since day 60: an audit"):
        freezing.freeze(world, "fraud", "again")
    assert freezing.holding(world, "biopsies") is None
    assert freezing.lift(world, "fraud", 61).until_day == 61
    with pytest.raises(Refused, match="is not frozen"):
        freezing.lift(world, "fraud")


def test_while_it_holds_no_policy_retrains(world: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = now(world)
    policies.choose(world, clock, "scheduled")
    monkeypatch.setattr(policies, "reason_to_retrain", lambda *_: "it is time")
    freezing.freeze(world, "fraud", "an audit", 60)
    policies.morning(world, clock)
    assert policies.retrainings(world, "fraud") == []
    freezing.lift(world, "fraud", 60)
    with pytest.raises(policies.Waiting):
        policies.morning(world, clock)


def test_going_back_finds_it_as_it_stood(world: Workspace) -> None:
    # given a freeze from day 61 to day 63
    clocks.pass_day(world, now(world))
    freezing.freeze(world, "fraud", "an audit", 61)
    for _ in range(2):
        clocks.pass_day(world, now(world))
    freezing.lift(world, "fraud", 63)
    clocks.pause(world, "fraud")
    # then on day 62 it holds, on day 61's morning it is not decided yet, and what was left is as it was
    rewind(world, "fraud", 62)
    held = freezing.holding(world, "fraud")
    assert held is not None
    assert held.since_day == 61
    switch(world, "fraud", "main")
    assert freezing.holding(world, "fraud") is None
    rewind(world, "fraud", 61)
    assert freezing.holding(world, "fraud") is None


def test_nothing_is_promoted_but_rolling_back_is_allowed(workspace: Workspace, mlflow: str) -> None:
    small_model.register(workspace, 2)
    promotion.promote(workspace, "fraud", 1, stage="production", reason="test")
    promotion.promote(workspace, "fraud", 2, stage="production", reason="test")
    freezing.freeze(workspace, "fraud", "an audit")
    for stage in ("production", "canary", "shadow"):
        with pytest.raises(Refused, match="Nothing is promoted in 'fraud' now: it is frozen: an audit"):
            promotion.promote(workspace, "fraud", 1, stage=stage, reason="test")  # type: ignore[arg-type]
    promotion.promote(workspace, "fraud", 1, stage="staging", reason="it answers nobody there")
    assert promotion.rollback(workspace, "fraud", reason="trouble").version == 1

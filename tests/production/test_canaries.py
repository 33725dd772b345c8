"""Canaries: looked at on their mornings, decided by the test or by nobody, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import world_samples
from world_samples import now

from pipelines import promotion, promotion_rows
from pipelines.production import canaries
from pipelines.production import clock as clocks
from pipelines.production.canaries import LOOK_DAYS, LOOKS, Look
from pipelines.production.rewinding import rewind
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving.prediction_log import PredictionLog
from pipelines.serving.predictions import Label, Prediction, Stream
from pipelines.workspace import Workspace

FRAUD = find_scenario("fraud")
FIRST, A_DAY = 60, 80


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A world on day 60 with version 2 as the canary of version 1; the registry is not asked."""
    workspace = world_samples.begun(tmp_path, 100)
    with promotion_rows.writing(workspace, "fraud", "main") as page:
        page.append("promote", "canary", 2, "test", FIRST, share=0.5)

    def promote(of: Workspace, scenario: str, version: int, **asked: object) -> None:
        with promotion_rows.writing(of, scenario, str(asked["branch"])) as page:
            page.append(
                "promote", "production", version, str(asked["reason"]), FIRST, source=str(asked["source"])
            )

    monkeypatch.setattr(promotion, "promote", promote)
    monkeypatch.setattr(promotion, "project", lambda *_: None)
    return workspace


def live(workspace: Workspace, days: int, caught_by: dict[str, float], seed: int = 1) -> list[Look]:
    """Let days pass: half of all events is the canary's, and each side catches that part of the frauds."""
    draw, log = np.random.default_rng(seed), PredictionLog(workspace)
    found = []
    for _ in range(days):
        clock = now(workspace)
        look = canaries.morning(workspace, clock)
        found += [look] if look else []
        predictions, labels = [], []
        for place in range(A_DAY):
            event_id, fraud = clock.day * 1000 + place, draw.random() < 0.1
            has_canary = promotion.serving(workspace, "fraud", clock.branch).canary is not None
            route = "canary" if place % 2 and has_canary else "champion"
            stream = Stream(workspace.name, clock.branch, "fraud", clock.world)
            made = Prediction(
                *(stream, event_id, clock.day * DAY_S + place),
                {"customer_id": int(draw.integers(0, 500)), "terminal_id": 1, "amount": 100.0},
                *(
                    2 if route == "canary" else 1,
                    route,
                    0.5,
                    bool(fraud and draw.random() < caught_by[route]),
                ),
                *("", np.zeros(len(FRAUD.features)).tobytes(), 0.0, 1.0),
            )
            predictions.append(made)
            known = made.event_time + FRAUD.label_delay_days * DAY_S
            labels.append(Label(made.prediction_id, stream, event_id, int(fraud), known, 0.0))
        log.write(predictions, labels)
        clocks.pass_day(workspace, clock)
    log.close()
    return found


def test_a_better_canary_is_promoted_at_the_first_look_that_shows_it(begun: Workspace) -> None:
    found = live(begun, 20, {"canary": 0.9, "champion": 0.1})
    # then it was looked at once a week of labels was there: 7 days, and 7 until the last of them is known
    (look,) = found
    assert (look.look, look.day, look.verdict) == (1, FIRST + 14, "better")
    assert look.canary_events + look.champion_events == LOOK_DAYS * A_DAY
    serving = promotion.serving(begun, "fraud")
    assert (serving.champion, serving.canary) == (2, None)
    reason = promotion.history(begun, "fraud")[-1].reason
    assert "Look 1 of 4, day 74: an event was worth" in reason
    assert "more under the canary" in reason


def test_a_worse_canary_is_withdrawn(begun: Workspace) -> None:
    (look,) = live(begun, 20, {"canary": 0.1, "champion": 0.9})
    assert look.verdict == "worse"
    serving = promotion.serving(begun, "fraud")
    assert (serving.champion, serving.canary) == (1, None)


def test_after_the_last_look_without_a_difference_it_ends(begun: Workspace) -> None:
    found = live(begun, 50, {"canary": 0.5, "champion": 0.5}, seed=3)
    assert [(each.look, each.day) for each in found] == [
        (number, FIRST + 7 * number + 7) for number in range(1, LOOKS + 1)
    ]
    assert [each.verdict for each in found] == ["open", "open", "open", "not shown"]
    serving = promotion.serving(begun, "fraud")
    assert (serving.champion, serving.canary) == (1, None)


def test_a_human_may_keep_the_decision(begun: Workspace) -> None:
    canaries.decide_by_test(begun, "fraud", automatic=False)
    found = live(begun, 20, {"canary": 0.9, "champion": 0.1})
    assert found[0].verdict == "better"
    assert promotion.serving(begun, "fraud").canary == 2


def test_the_same_morning_twice_is_one_look_and_one_decision(begun: Workspace) -> None:
    canaries.decide_by_test(begun, "fraud", automatic=False)
    live(begun, 14, {"canary": 0.9, "champion": 0.1})
    first, second = (canaries.morning(begun, now(begun)) for _ in range(2))
    assert first == second
    # as after a kill between the look and the act
    canaries.decide_by_test(begun, "fraud", automatic=True)
    canaries.morning(begun, now(begun))
    canaries.morning(begun, now(begun))
    rows = [row for row in promotion.history(begun, "fraud") if row.stage == "production"]
    assert [row.version for row in rows] == [1, 2]


def test_with_few_events_nothing_is_decided(begun: Workspace) -> None:
    with begun.connect() as connection:  # only some of them are the canary's
        live(begun, 14, {"canary": 0.9, "champion": 0.1})
        connection.execute("DELETE FROM predictions WHERE route = 'canary' AND event_id % 10 != 1")
    look = canaries.morning(begun, now(begun))
    assert look is not None
    assert look.canary_events < canaries.LEAST_EVENTS
    assert look.verdict == "open"


def test_a_branch_has_the_looks_of_before(begun: Workspace) -> None:
    canaries.decide_by_test(begun, "fraud", automatic=False)
    live(begun, 23, {"canary": 0.6, "champion": 0.5})
    clocks.pause(begun, "fraud")
    rewind(begun, "fraud", 75)
    row = canaries.canary_row(begun, now(begun))
    assert row is not None
    assert [each.look for each in canaries.looks(begun, now(begun), row)] == [1]
    assert not canaries.is_automatic(begun, "fraud")

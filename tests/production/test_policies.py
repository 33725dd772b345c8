"""Policies: each retrains when it says so, the day waits for it, and a crash begins nothing twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import page_samples as samples
import pytest
import world_samples
from world_samples import now

from pipelines import events
from pipelines.errors import BadInput
from pipelines.monitoring import alerts, diary
from pipelines.production import clock as clocks
from pipelines.production import policies, retraining, world
from pipelines.production.clock import Clock
from pipelines.production.policies import REST_DAYS, SCHEDULE_DAYS, Waiting
from pipelines.production.rewinding import rewind
from pipelines.production.world import Player
from pipelines.run import Run, create_run, made_on
from pipelines.workspace import Workspace, open_workspace


@pytest.fixture
def begun(tmp_path: Path) -> Workspace:
    """A world on day 60, to be played for a long time."""
    return world_samples.begun(tmp_path, 100)


def live(workspace: Workspace, days: int, ends: bool = True) -> None:
    """Let days pass as the world does, without traffic; each run that is begun ends at once."""
    for _ in range(days):
        try:
            policies.morning(workspace, now(workspace))
        except Waiting:
            if not ends:
                return
            end_runs(workspace)
            policies.morning(workspace, now(workspace))
        clocks.pass_day(workspace, now(workspace))


def end_runs(workspace: Workspace) -> None:
    for run_id in workspace.run_ids():
        folder = workspace.run_folder(run_id)
        if not any(each["kind"] == "run_finished" for each in events.read(folder)):
            events.append(folder, "run_finished", status="completed")


def open_alert(workspace: Workspace, rule: str, day: int) -> None:
    """An alert of that rule, as an evening would open it."""
    with alerts._writing(workspace) as connection:
        alerts._open(connection, alerts.RULES[rule], "fraud", "main", 1, day, "0.9", "below 0.2")


def days_of(workspace: Workspace) -> list[int]:
    return [each.day for each in policies.retrainings(workspace, "fraud")]


def test_without_a_policy_nobody_retrains(begun: Workspace) -> None:
    open_alert(begun, "performance", 60)
    live(begun, 40)
    assert days_of(begun) == []
    assert policies.holding(begun, "fraud").name == "never"


def test_a_schedule_counts_from_the_day_it_was_chosen_on(begun: Workspace) -> None:
    live(begun, 3)
    policies.choose(begun, now(begun), "scheduled")
    live(begun, 2 * SCHEDULE_DAYS + 1)
    assert days_of(begun) == [63 + SCHEDULE_DAYS, 63 + 2 * SCHEDULE_DAYS]
    # the runs collect the world as it was on their morning
    assert made_on(begun, policies.retrainings(begun, "fraud")[0].run_id) == 63 + SCHEDULE_DAYS


@pytest.mark.parametrize(
    ("policy", "rule", "acts"),
    [
        ("drift", "input_drift", True),
        ("drift", "score_drift", True),
        ("drift", "performance", False),
        ("performance", "performance", True),
        ("performance", "input_drift", False),
        ("performance", "quality", False),
    ],
)
def test_each_policy_listens_to_its_own_alerts(begun: Workspace, policy: str, rule: str, acts: bool) -> None:
    policies.choose(begun, now(begun), policy)
    live(begun, 2)
    open_alert(begun, rule, 62)
    live(begun, REST_DAYS + 2)
    assert days_of(begun) == ([62, 62 + REST_DAYS] if acts else [])


def test_the_day_waits_for_the_run_and_a_killed_world_finds_it(begun: Workspace) -> None:
    # given a morning on which a policy retrains
    policies.choose(begun, now(begun), "performance")
    open_alert(begun, "performance", 60)
    before = set(begun.run_ids())
    for _ in range(3):  # as after a kill, each time
        with pytest.raises(Waiting, match="Retraining on the morning of day 60: the model is less right"):
            policies.morning(begun, now(begun))
    # then it is one run, and the day begins once it has ended
    assert len(set(begun.run_ids()) - before) == 1
    end_runs(begun)
    policies.morning(begun, now(begun))


def test_a_world_that_was_killed_before_it_asked_for_the_run_asks_for_that_one(
    begun: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies.choose(begun, now(begun), "performance")
    open_alert(begun, "performance", 60)

    def killed(*_: object, **__: object) -> Run:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(retraining, "retrain", killed)
        with pytest.raises(KeyboardInterrupt):
            policies.morning(begun, now(begun))
    with pytest.raises(Waiting):
        policies.morning(begun, now(begun))
    (done,) = policies.retrainings(begun, "fraud")
    assert done.run_id in begun.run_ids()


def test_the_world_plays_others_meanwhile_and_says_nothing(
    begun: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given one world that retrains, and another
    policies.choose(begun, now(begun), "performance")
    open_alert(begun, "performance", 60)
    other = open_workspace("bob", begun.home)
    run = create_run(other, "fraud", {"ingest": {"size": "small"}})
    samples.promote(other, 1, run.run_id)
    clocks.advance(other, "fraud", 2)

    def play(workspace: Workspace, clock: Clock, **_: Any) -> None:
        policies.morning(workspace, clock)
        clocks.pass_day(workspace, clock)

    monkeypatch.setattr("pipelines.production.day.play_day", play)
    player = Player(begun.home)
    seconds = 0.0
    monkeypatch.setattr(world.time, "monotonic", lambda: seconds)
    while player.play_next():
        pass
    # then the other's days have passed, and it waits without a word, and not in a hurry
    assert (now(other).day, now(begun).day) == (62, 60)
    assert (now(begun).state, now(begun).problem) == ("playing", "")
    end_runs(begun)
    assert not player.play_next()
    seconds = 1.0
    assert player.play_next()
    assert now(begun).day == 61


def test_a_branch_has_the_policy_and_what_it_had_begun(begun: Workspace) -> None:
    policies.choose(begun, now(begun), "scheduled")
    live(begun, SCHEDULE_DAYS + 5)
    clocks.pause(begun, "fraud")
    rewind(begun, "fraud", 60 + SCHEDULE_DAYS)
    assert (policies.holding(begun, "fraud").name, days_of(begun)) == ("scheduled", [])
    rewind(begun, "fraud", 60 + SCHEDULE_DAYS)
    with pytest.raises(Waiting):
        policies.morning(begun, now(begun))


def test_a_policy_that_is_none_is_refused(begun: Workspace) -> None:
    with pytest.raises(BadInput, match="never, scheduled, drift, performance"):
        policies.choose(begun, now(begun), "sometimes")


def test_a_damaged_run_does_not_stop_time(begun: Workspace) -> None:
    policies.choose(begun, now(begun), "performance")
    open_alert(begun, "performance", 60)
    with pytest.raises(Waiting):
        policies.morning(begun, now(begun))
    (done,) = policies.retrainings(begun, "fraud")
    (begun.run_folder(done.run_id) / "run.json").write_text("{")
    policies.morning(begun, now(begun))


def test_alerts_of_another_branch_are_no_reason(begun: Workspace) -> None:
    policies.choose(begun, now(begun), "performance")
    open_alert(begun, "performance", 60)
    assert policies.reason_to_retrain(begun, now(begun))
    diary.keep(begun, "fraud", "main", {"day": 60})
    clocks.pause(begun, "fraud")
    rewind(begun, "fraud", 60)
    with alerts._writing(begun) as connection:
        connection.execute("DELETE FROM alerts WHERE branch != 'main'")
    assert policies.reason_to_retrain(begun, now(begun)) is None

"""Retraining: when it can learn from a change, and what it submits."""

from __future__ import annotations

from pathlib import Path

import page_samples as samples
import pytest
from world_samples import begun, now

from pipelines import events
from pipelines.errors import Missing
from pipelines.lifecycle import LIFECYCLE, Train
from pipelines.production import clock as clocks
from pipelines.production import retraining
from pipelines.production.retraining import learnable_from, retrain, worth_retraining
from pipelines.production.rewinding import rewind
from pipelines.run import create_run, read_params
from pipelines.scenarios import SCENARIOS, find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.training import windows
from pipelines.workspace import Workspace

FRAUD = find_scenario("fraud")


@pytest.fixture
def playing(workspace: Workspace) -> Workspace:
    """A world in which prices double on day 70, begun behind a model with params of its own."""
    params = {"ingest": {"size": "small"}, "train": {"model": "forest", "train_days": 14}}
    run = create_run(workspace, "fraud", params, seed=3)
    samples.promote(workspace, 1, run.run_id)
    clocks.begin(workspace, "fraud", episodes="inflation@70")
    return workspace


def pass_until(workspace: Workspace, day: int) -> None:
    while (clock := clocks.read(workspace, "fraud")) is not None and clock.day < day:
        clocks.pass_day(workspace, clock)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_day_from_which_it_learns_is_that_of_the_training_window(name: str) -> None:
    # given the windows of runs made on the days around
    scenario, params = find_scenario(name), Train()
    found = learnable_from(scenario, params.model_dump(), since_day=30)
    for today, days in ((found.first_day - 1, 0), (found.first_day, 1), (found.worth_day, 7)):
        span = windows(today * DAY_S, scenario.label_delay_days, params.train_days, params.test_days)
        last = span.train_until // DAY_S
        assert max(0, last - 30) == days
        assert found.days_after(today) == days
    assert found.days_after(found.whole_day) == found.days_after(10_000) == params.train_days


def test_a_short_window_is_worth_it_when_it_is_all_after() -> None:
    found = learnable_from(FRAUD, {"train_days": 3, "test_days": 7}, since_day=70)
    assert (found.first_day, found.worth_day, found.whole_day) == (92, 94, 94)


def test_it_says_when_it_is_worth_it_and_why_not_yet(playing: Workspace) -> None:
    early, why = worth_retraining(playing, FRAUD, since_day=70)
    assert not early
    assert "0 of its 14 training days come from after day 70: labels come after 7 days" in why
    assert "From day 98 on" in why
    pass_until(playing, 98)
    assert worth_retraining(playing, FRAUD, since_day=70) == (
        True,
        "Retrained today, 7 of its 14 training days come from after day 70.",
    )


def test_it_is_the_road_with_the_champions_params_on_todays_world(playing: Workspace) -> None:
    # given a world that has come to day 98
    pass_until(playing, 98)

    # when it is retrained
    run = retrain(playing, "fraud", "precision fell")

    # then the run waits in the queue, with the champion's params, today's world and the reason
    params = read_params(playing.run_folder(run.run_id))
    assert (run.steps, run.seed) == (LIFECYCLE.road, 3)
    assert params["ingest"]["until_day"] == 98
    assert params["ingest"]["episodes"] == "inflation@70"
    assert params["ingest"]["size"] == "small"
    assert (params["train"]["model"], params["train"]["train_days"]) == ("forest", 14)
    assert params["register"]["note"] == "precision fell"
    assert events.read_state(playing.run_folder(run.run_id), run.steps).status == "queued"


def test_asked_for_twice_it_is_one_run_until_it_has_ended(playing: Workspace) -> None:
    first = retrain(playing, "fraud", "precision fell")
    assert retrain(playing, "fraud", "another reason").run_id == first.run_id
    events.append(playing.run_folder(first.run_id), "run_finished", status="failed")
    assert retrain(playing, "fraud", "again").run_id != first.run_id


def test_where_nothing_serves_there_is_nothing_to_retrain(workspace: Workspace) -> None:
    with pytest.raises(Missing, match="No version of 'fraud' is in production"):
        retrain(workspace, "fraud", "why not")


def test_each_training_since_the_world_began_is_paid_for_on_its_own_line_of_time(tmp_path: Path) -> None:
    # given a world that was begun behind a run of day 60, and trainings on days 62 and 64
    workspace = begun(tmp_path, 5)
    clock = now(workspace)
    for day in range(60, 65):
        if day in (62, 64):
            create_run(workspace, "fraud", {"ingest": {"size": "small", "until_day": day}})
        clocks.pass_day(workspace, now(workspace))
    create_run(workspace, "biopsies", {"ingest": {"until_day": 63}})
    assert retraining.paid_days(workspace, now(workspace)) == [62, 64]
    assert retraining.paid_days(workspace, clock) == []  # it was day 60: neither was made

    # and one that learns from older days is paid for when it is made
    create_run(workspace, "fraud", {"ingest": {"size": "small", "until_day": 61}})
    assert retraining.paid_days(workspace, now(workspace)) == [62, 64, 65]

    # when it is lived again from day 63 on, then only what was made before is on that line too
    rewind(workspace, "fraud", 63)
    assert retraining.paid_days(workspace, now(workspace)) == [62]
    create_run(workspace, "fraud", {"ingest": {"size": "small", "until_day": 63}})
    assert retraining.paid_days(workspace, now(workspace)) == [62, 63]
    main = clocks.read(workspace, "fraud", "main")
    assert main is not None
    assert retraining.paid_days(workspace, main) == [62, 64, 65]

"""The clock: what day it is, how far it is to go, and what it refuses."""

from __future__ import annotations

import page_samples as samples
import pytest

from pipelines import branches
from pipelines.errors import BadInput, Missing, Refused
from pipelines.production import clock as clocks
from pipelines.run import create_run
from pipelines.scenarios import find_scenario
from pipelines.workspace import Workspace


def deploy(
    workspace: Workspace, version: int = 1, seed: int = 1, base: str | None = None, **ingest: object
) -> str:
    """A run that the ledger says has deployed `version`; its steps were not executed."""
    params = {"ingest": {"size": "small", "until_day": 60} | ingest}
    run = create_run(workspace, "fraud", params, seed=seed)
    samples.promote(workspace, version, run.run_id)
    return run.run_id


def test_looking_for_a_clock_makes_no_file(workspace: Workspace) -> None:
    assert clocks.read(workspace, "fraud") is None
    assert branches.today(workspace, "fraud") is None
    assert not workspace.database.exists()


def test_a_world_begins_on_the_day_its_run_was_made(workspace: Workspace) -> None:
    # given a deployed run
    run_id = deploy(workspace, seed=3, until_day=61)

    # when its world is begun, twice
    first = clocks.begin(workspace, "fraud")
    second = clocks.begin(workspace, "fraud")

    # then it is one, with the run's size, seed and day
    assert first == second
    assert (first.size, first.seed, first.run_id, first.world) == ("small", 3, run_id, "small-3")
    assert (first.first_day, first.day, first.target_day, first.state) == (61, 61, 61, "idle")
    assert branches.today(workspace, "fraud") == 61
    assert clocks.date_of(find_scenario("fraud"), 61).isoformat() == "2018-06-01"


def test_nothing_begins_where_nothing_serves(workspace: Workspace) -> None:
    with pytest.raises(Missing, match="No version of 'fraud' is in production"):
        clocks.advance(workspace, "fraud", 1)
    with pytest.raises(Missing, match="No world of 'fraud'"):
        clocks.pause(workspace, "fraud")


def test_time_goes_on_as_far_as_was_asked(workspace: Workspace) -> None:
    # given a world that was asked to go on by a day and then by a week
    deploy(workspace)
    clocks.advance(workspace, "fraud", 1)
    clock = clocks.advance(workspace, "fraud", 7)
    assert (clock.from_day, clock.day, clock.target_day, clock.state) == (60, 60, 68, "playing")

    # when a day has passed, said twice, then it is one day later
    clocks.pass_day(workspace, clock)
    clocks.pass_day(workspace, clock)
    now = clocks.read(workspace, "fraud")
    assert now is not None
    assert (now.from_day, now.day, now.target_day) == (60, 61, 68)

    # and paused, it has nowhere to go
    assert clocks.pause(workspace, "fraud").state == "idle"


def test_a_day_that_was_under_way_when_paused_passes(workspace: Workspace) -> None:
    deploy(workspace)
    playing = clocks.advance(workspace, "fraud", 5)
    clocks.pause(workspace, "fraud")
    clocks.pass_day(workspace, playing)
    now = clocks.read(workspace, "fraud")
    assert now is not None
    assert (now.day, now.target_day, now.state) == (61, 61, "idle")


def test_a_problem_stops_the_clock_until_the_day_passes(workspace: Workspace) -> None:
    # given a clock that could not go on, and events that were sent in vain
    deploy(workspace)
    clock = clocks.advance(workspace, "fraud", 2)
    clocks.count_errors(workspace, clock, 400)
    clocks.count_errors(workspace, clock, 100)
    clocks.stop(workspace, clock, "The gateway is not answering.", "Start it.")
    stopped = clocks.read(workspace, "fraud")
    assert stopped is not None
    assert (stopped.state, stopped.problem, stopped.errors) == (
        "stopped",
        "The gateway is not answering.",
        500,
    )

    # when the day has passed after all, then nothing is left of it
    clocks.pass_day(workspace, stopped)
    now = clocks.read(workspace, "fraud")
    assert now is not None
    assert (now.state, now.problem, now.errors) == ("playing", "", 0)


@pytest.mark.parametrize(("scenario", "until_day", "last"), [("fraud", 364, 365), ("biopsies", 89, 90)])
def test_the_end_of_the_world_is_refused(
    workspace: Workspace, scenario: str, until_day: int, last: int
) -> None:
    # given a world that has one day left
    run = create_run(workspace, scenario, {"ingest": {"size": "small", "until_day": until_day}})
    with samples.promotion_rows.writing(workspace, scenario, "main") as page:
        page.append("promote", "production", 1, "test", None, source=f"run:{run.run_id}/deploy")

    # when more are asked for, then it says how long the world lasts and how many are left
    with pytest.raises(Refused, match=f"lasts {last} days.* 2 more can't be played. Ask for at most 1"):
        clocks.advance(workspace, scenario, 2)
    clock = clocks.advance(workspace, scenario, 1)
    assert clock.target_day == clock.last_day == last
    with pytest.raises(Refused, match="Begin again"):
        clocks.advance(workspace, scenario, 1)


@pytest.mark.parametrize("days", [0, -3])
def test_time_does_not_run_backwards(workspace: Workspace, days: int) -> None:
    deploy(workspace)
    with pytest.raises(BadInput, match="1 or more"):
        clocks.advance(workspace, "fraud", days)


def test_what_will_happen_can_be_told_when_a_world_begins(workspace: Workspace) -> None:
    deploy(workspace)
    clock = clocks.begin(workspace, "fraud", episodes=" inflation@70 ")
    assert clock.episodes == "inflation@70"
    assert clock.ingest() == {"size": "small", "until_day": 60, "episodes": "inflation@70"}
    with pytest.raises(Refused, match="plays the small world with seed 1 and inflation@70"):
        clocks.begin(workspace, "fraud", episodes="inflation@80")


@pytest.mark.parametrize(
    ("seen", "happens"), [("", "inflation@50"), ("inflation@50", ""), ("inflation@50", "inflation@51")]
)
def test_the_past_is_the_one_that_the_run_saw(workspace: Workspace, seen: str, happens: str) -> None:
    deploy(workspace, episodes=seen)
    with pytest.raises(BadInput, match="Let episodes begin on day 60 or later"):
        clocks.begin(workspace, "fraud", episodes=happens)


def test_an_unknown_episode_is_refused(workspace: Workspace) -> None:
    deploy(workspace)
    with pytest.raises(BadInput, match="no episode of fraud"):
        clocks.begin(workspace, "fraud", episodes="flood@70")


def test_another_world_is_not_begun_beside_the_first(workspace: Workspace) -> None:
    deploy(workspace)
    clocks.begin(workspace, "fraud")
    deploy(workspace, version=2, seed=2)
    with pytest.raises(Refused, match="plays the small world with seed 1"):
        clocks.begin(workspace, "fraud")

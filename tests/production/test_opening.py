"""The ready-made world: begun once, in an empty home, and gone on with wherever it was cut short."""

from __future__ import annotations

from pathlib import Path

import page_samples as samples
import pytest

from pipelines import branches, events
from pipelines.production import clock as clocks
from pipelines.production import opening
from pipelines.production.opening import go_on
from pipelines.run import create_run, read_params, read_run
from pipelines.workspace import Home, Workspace, open_workspace


@pytest.fixture
def own_home(tmp_path: Path) -> Home:
    """A home that nobody has used, as the app leaves it when it is first looked at."""
    home = Home(tmp_path)
    open_workspace(home=home)
    return home


def me(home: Home) -> Workspace:
    return Workspace(home, "me")


def finish_run(home: Home, status: str = "completed") -> None:
    """What the worker leaves: the run has ended, and its version serves."""
    (run_id,) = me(home).run_ids()
    events.append(me(home).run_folder(run_id), "run_started")
    events.append(me(home).run_folder(run_id), "run_finished", status=status)
    if status == "completed":
        samples.promote(me(home), 1, run_id)


def test_an_empty_home_gets_a_model_and_then_a_world_that_plays(own_home: Home) -> None:
    # when it is gone on with, again and again, as the service does
    found = [go_on(own_home) for _ in range(3)]

    # then there is one run, on day 60, that does not know what will happen
    (run_id,) = me(own_home).run_ids()
    assert [each.part for each in found if each] == ["making"] * 3
    folder = me(own_home).run_folder(run_id)
    ingest = read_params(folder)["ingest"]
    assert (ingest["size"], ingest["until_day"], ingest["episodes"]) == ("teaching", 60, "")
    assert read_run(folder).seed == 1

    # when the run is completed, then the world is begun and is to be played to day 98
    finish_run(own_home)
    parts = [each.part for each in (go_on(own_home) for _ in range(4)) if each]
    assert parts == ["playing"] * 4
    clock = clocks.read(me(own_home), "fraud")
    assert clock is not None
    assert (clock.day, clock.target_day, clock.episodes) == (60, 98, "inflation@70")

    # when all days have passed, then it is done, and stays so
    while clock.day < 98:
        clocks.pass_day(me(own_home), clock)
        clock = clocks.read(me(own_home), "fraud") or clock
    assert [each.part for each in (go_on(own_home) for _ in range(2)) if each] == ["done"] * 2
    assert len(me(own_home).run_ids()) == 1


def test_it_goes_on_where_it_was_cut_short(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a process that dies after its run was decided on, before it was submitted
    with monkeypatch.context() as patch:
        patch.setattr(opening, "_make", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            go_on(own_home)
    decided = opening.read(me(own_home))
    assert decided is not None
    assert me(own_home).run_ids() == []

    # when another one goes on, then it is that run
    go_on(own_home)
    assert me(own_home).run_ids() == [decided.run_id]

    # given one that dies after the world was begun, before it was asked to go on
    finish_run(own_home)
    go_on(own_home)
    with monkeypatch.context() as patch:
        patch.setattr(clocks, "advance", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            go_on(own_home)

    # when another one goes on, then the world plays, once
    go_on(own_home)
    go_on(own_home)
    clock = clocks.read(me(own_home), "fraud")
    assert clock is not None
    assert clock.target_day == 98


def test_who_pauses_it_has_taken_over(own_home: Home) -> None:
    go_on(own_home)
    finish_run(own_home)
    go_on(own_home)
    go_on(own_home)
    clock = clocks.read(me(own_home), "fraud")
    assert clock is not None
    clocks.pass_day(me(own_home), clock)
    clocks.pause(me(own_home), "fraud")
    found = go_on(own_home)
    assert found is not None
    assert found.part == "done"
    assert branches.today(me(own_home), "fraud") == 61


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_run_that_does_not_end_well_ends_it(own_home: Home, status: str) -> None:
    go_on(own_home)
    finish_run(own_home, status)
    for _ in range(2):
        found = go_on(own_home)
        assert found is not None
        assert found.part == "failed"
    assert len(me(own_home).run_ids()) == 1


def test_it_is_never_begun_where_somebody_has_done_something(own_home: Home) -> None:
    # not where it is not wanted
    assert go_on(own_home, allowed=False) is None

    # not beside another learner's runs
    create_run(open_workspace("ada", own_home), "fraud")
    assert go_on(own_home) is None
    assert opening.read(me(own_home)) is None
    assert me(own_home).run_ids() == []


def test_it_does_not_come_back_to_a_workspace_that_was_reset(own_home: Home) -> None:
    (own_home.root / "removed").mkdir()
    assert go_on(own_home) is None


def test_once_begun_it_goes_on_also_where_it_is_not_wanted(own_home: Home) -> None:
    go_on(own_home)
    found = go_on(own_home, allowed=False)
    assert found is not None
    assert found.part == "making"

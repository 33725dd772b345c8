"""The world's service: fair between workspaces, and stopped by nobody else's problem."""

from __future__ import annotations

import os
from pathlib import Path

import page_samples as samples
import pytest

from pipelines import branches
from pipelines.errors import Refused, Unavailable
from pipelines.production import clock as clocks
from pipelines.production import day, world
from pipelines.production.clock import Clock
from pipelines.production.world import Player
from pipelines.run import create_run
from pipelines.workspace import Home, Workspace, open_workspace


@pytest.fixture
def three(tmp_path: Path) -> list[Workspace]:
    """Three workspaces of one home whose worlds are to be played for some days."""
    made = []
    for name in ("ada", "bob", "eve"):
        workspace = open_workspace(name, Home(tmp_path))
        run = create_run(workspace, "fraud", {"ingest": {"size": "small"}})
        samples.promote(workspace, 1, run.run_id)
        clocks.advance(workspace, "fraud", 3)
        made.append(workspace)
    return made


def played(monkeypatch: pytest.MonkeyPatch, broken: str = "") -> list[str]:
    """Whose days are played from now on; traffic is left out."""
    order: list[str] = []

    def play(workspace: Workspace, clock: Clock, loading_s: float) -> None:
        assert loading_s == world.TURN_S  # others wait meanwhile
        order.append(workspace.name)
        if workspace.name == broken:
            raise Unavailable("The gateway is not answering.", "Start it.")
        clocks.pass_day(workspace, clock)

    monkeypatch.setattr(day, "play_day", play)
    return order


def test_workspaces_are_played_in_turn(three: list[Workspace], monkeypatch: pytest.MonkeyPatch) -> None:
    order = played(monkeypatch)
    player = Player(three[0].home)
    while player.play_next():
        pass
    assert order == ["ada", "bob", "eve"] * 3
    assert all(branches.today(workspace, "fraud") == 63 for workspace in three)


def test_a_day_takes_as_long_as_was_asked_and_the_others_do_not_wait_for_it(
    three: list[Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a world that goes on at two seconds a day, beside others that go as fast as they can
    clocks.pause(three[0], "fraud")
    clocks.advance(three[0], "fraud", 3, pace_s=2.0)
    order, seconds = played(monkeypatch), 0.0
    monkeypatch.setattr(world.time, "monotonic", lambda: seconds)
    player = Player(three[0].home)
    while player.play_next():
        pass
    assert order == ["ada", "bob", "eve", "bob", "eve", "bob", "eve"]

    # when time goes on, then so does it, and no faster
    for seconds, days in ((1.9, 1), (2.1, 2), (4.0, 2), (4.2, 3)):
        player.play_next()
        assert order.count("ada") == days, seconds

    # and asked for without a pace it goes as fast as it can again
    assert clocks.advance(three[0], "fraud", 2).pace_s == 0
    seconds = 6.3
    assert player.play_next()
    assert player.play_next()


def test_a_problem_stops_its_own_clock_and_is_tried_again(
    three: list[Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a workspace whose days can't be played
    order = played(monkeypatch, broken="bob")
    seconds = 0.0
    monkeypatch.setattr(world.time, "monotonic", lambda: seconds)
    player = Player(three[0].home)
    while player.play_next():
        pass

    # then the others' are, and its clock says why
    assert (order.count("ada"), order.count("bob"), order.count("eve")) == (3, 1, 3)
    stopped = clocks.read(three[1], "fraud")
    assert stopped is not None
    assert (stopped.state, stopped.day, stopped.hint) == ("stopped", 60, "Start it.")

    # after a while it is tried again, later each time, and at once when somebody asks
    for seconds, tries in ((0.9, 1), (1.1, 2), (2.9, 2), (3.2, 3)):
        player.play_next()
        assert order.count("bob") == tries, seconds
    clocks.advance(three[1], "fraud", 1)
    assert player.play_next()
    assert order.count("bob") == 4


def test_a_defect_in_one_world_does_not_end_the_service(
    three: list[Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(day, "play_day", fail)
    assert Player(three[0].home).play_next()
    stopped = clocks.read(three[0], "fraud")
    assert stopped is not None
    assert "ZeroDivisionError" in stopped.problem


def test_a_damaged_workspace_is_passed_over(three: list[Workspace], monkeypatch: pytest.MonkeyPatch) -> None:
    order = played(monkeypatch)
    three[0].database.write_bytes(b"this is no database" * 100)
    player = Player(three[0].home)
    while player.play_next():
        pass
    assert order == ["bob", "eve"] * 3


def test_one_process_plays_a_home(tmp_path: Path) -> None:
    with world.FileLock(tmp_path / "world.lock"), pytest.raises(Refused, match="Another process plays"):
        world.serve(Home(tmp_path))


def test_a_workspace_that_has_not_changed_is_not_opened_again(
    three: list[Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given worlds that are all played, since a while
    order, seconds = played(monkeypatch), 0.0
    monkeypatch.setattr(world.time, "monotonic", lambda: seconds)
    player = Player(three[0].home)
    while player.play_next():
        pass
    seconds = world.SETTLED_S + 1
    player.play_next()
    opened: list[str] = []
    read = clocks.clocks

    def watched(workspace: Workspace) -> list[Clock]:
        opened.append(workspace.name)
        return read(workspace)

    monkeypatch.setattr(clocks, "clocks", watched)

    # when they are looked at again, then none is opened until somebody asks one to go on
    assert not player.play_next()
    assert opened == []
    clocks.advance(three[1], "fraud", 1)
    opened.clear()
    assert player.play_next()
    assert opened == ["bob"]
    assert order[-1] == "bob"


def test_a_wish_that_was_written_but_not_yet_to_be_read_is_not_missed(
    three: list[Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given worlds that are all played
    played(monkeypatch)
    player = Player(three[0].home)
    while player.play_next():
        pass
    # when one is looked at while a commit is being written: the files are new, what they say is old
    before = {workspace.name: clocks.clocks(workspace) for workspace in three}
    clocks.advance(three[1], "fraud", 1)
    with monkeypatch.context() as patch:
        patch.setattr(clocks, "clocks", lambda workspace: before[workspace.name])
        assert not player.play_next()
    # then the next look finds it
    assert player.play_next()


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a process can't become another")
def test_it_lets_go_of_its_memory_when_nothing_is_to_be_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a service that has played, which pandas shows, and that has waited long enough
    asked: list[list[str]] = []

    def become(_program: str, words: list[str]) -> None:
        asked.append(words)
        raise SystemExit

    monkeypatch.setattr(world.os, "execv", become)
    monkeypatch.setattr(world, "FORGET_S", -1.0)
    monkeypatch.setattr(world, "POLL_S", 0.001)
    monkeypatch.setattr(world.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit):
        world.serve(Home(tmp_path))
    assert asked[0][1:] == ["-m", "pipelines.production.world"]

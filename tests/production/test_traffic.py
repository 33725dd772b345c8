"""Traffic over real HTTP: played days have the features of training, and interruptions double nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest
from real_gateway import UNTIL_DAY, Gateway, collected, make_version, produce
from world_samples import now, play

from pipelines.errors import Missing, Refused, Unavailable
from pipelines.features import offline
from pipelines.production import clock as clocks
from pipelines.production import day, ledger, traffic
from pipelines.production.clock import Clock
from pipelines.production.day import play_day
from pipelines.production.worlds import open_world
from pipelines.promotion import promote
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving import client
from pipelines.settings import REPOSITORY, settings
from pipelines.workspace import Home, Workspace

FRAUD = find_scenario("fraud")
NAMES = [feature.name for feature in FRAUD.features]
WAIT_S = 90.0


@pytest.fixture
def own_gateway(
    home: Home, mlflow: str, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Gateway]:
    """A gateway that a test may kill, where settings say."""
    monkeypatch.setenv("FLIGHTDECK_GATEWAY_PORT", str(free_port))
    settings.cache_clear()
    running = Gateway(home, free_port)
    yield running
    running.stop()
    monkeypatch.undo()
    settings.cache_clear()


def counts(workspace: Workspace) -> tuple[int, int, int]:
    """Predictions, labels, and events that were answered more than once."""
    with workspace.connect() as connection:
        return tuple(
            int(connection.execute(query).fetchone()[0])
            for query in (
                "SELECT count(*) FROM predictions",
                "SELECT count(*) FROM feedback",
                "SELECT count(*) - count(DISTINCT event_id) FROM predictions",
            )
        )  # type: ignore[return-value]


def test_a_played_week_has_exactly_the_features_of_training(gateway: Gateway, deployed: Workspace) -> None:
    # when nine days are played, so that labels of events from before serving come, and of those served
    play(deployed, 9)

    # then every feature of every event is what is computed for training, to the last bit
    world = collected(until_day=UNTIL_DAY + 9)
    expected = offline.compute(FRAUD, world)
    expected = expected[expected["event_time"] >= UNTIL_DAY * DAY_S]
    with deployed.connect() as connection:
        rows = connection.execute("SELECT event_id, features FROM predictions ORDER BY event_id").fetchall()
    found = np.array([np.frombuffer(row["features"], dtype="<f8") for row in rows])
    assert [row["event_id"] for row in rows] == expected["event_id"].tolist()
    assert len(rows) > 8000
    assert np.array_equal(found, expected[NAMES].to_numpy(np.float64))
    # and they hold labels of both kinds
    assert (found[:, NAMES.index("terminal_labelled_1d")] > 0).any()


def test_the_days_are_in_the_ledger(gateway: Gateway, deployed: Workspace) -> None:
    # given the day before the labels of the first played day, and that day
    clock = play(deployed, 8)
    days = ledger.days(deployed, "fraud")

    # then each day has its events, and the first one is priced
    events = collected(until_day=UNTIL_DAY + 8)
    per_day = events.groupby(events["event_time"] // DAY_S).size()
    assert [day.day for day in days] == list(range(UNTIL_DAY, clock.day))
    assert [day.requests for day in days] == per_day.loc[UNTIL_DAY:].tolist()
    assert all(day.errors == 0 and (day.p95_ms or 0) >= (day.p50_ms or 0) > 0 for day in days)
    known = collected(until_day=UNTIL_DAY + 8)
    arrived = known["label_time"].floordiv(DAY_S) == UNTIL_DAY + 3
    assert days[3].labels == pytest.approx(arrived.sum(), abs=1)
    assert [day.bill is not None for day in days] == [True] + [False] * 7


def test_the_same_seed_and_actions_give_the_same_log(
    gateway: Gateway, deployed: Workspace, second: Workspace
) -> None:
    # given the same two days in two workspaces
    play(deployed, 2)
    play(second, 1)
    assert ledger.log_hash(deployed, "fraud") != ledger.log_hash(second, "fraud")
    play(second, 1)

    # then the logs are the same, until one of them is asked something
    assert ledger.log_hash(deployed, "fraud") == ledger.log_hash(second, "fraud")
    client.predict(second.name, "fraud", {"customer_id": 1, "terminal_id": 2, "amount": 3.0})
    assert ledger.log_hash(deployed, "fraud") != ledger.log_hash(second, "fraud")


def test_a_day_that_is_played_twice_is_one_day(gateway: Gateway, deployed: Workspace) -> None:
    # given a day that was played, but whose end was cut off before the clock went on
    clock = clocks.advance(deployed, "fraud", 1)
    world = open_world(deployed.home, FRAUD, "small", 1, "")
    sent = traffic.play(deployed, clock, world)
    before, log = counts(deployed), ledger.log_hash(deployed, "fraud")

    # when it is played again
    play_day(deployed, clock)

    # then nothing is doubled
    assert counts(deployed) == before == (sent.events, sent.labels, 0)
    assert ledger.log_hash(deployed, "fraud") == log
    assert now(deployed).day == UNTIL_DAY + 1
    assert len(ledger.days(deployed, "fraud")) == 1


def test_a_gateway_that_dies_in_mid_day_doubles_and_loses_nothing(
    own_gateway: Gateway, deployed: Workspace, second: Workspace
) -> None:
    # given a day during which the gateway is killed after some of its requests
    clock = clocks.advance(deployed, "fraud", 1)
    asked = 0

    def die() -> None:
        nonlocal asked
        asked += 1
        if asked == 5:
            own_gateway.kill()

    with pytest.raises(Unavailable, match="not answering"):
        play_day(deployed, clock, alive=die)
    assert 0 < counts(deployed)[0] < 900
    failed = now(deployed)

    # when it is back, and the day is played again
    own_gateway.restart()
    played = play_day(deployed, failed)

    # then the log is that of a world in which nothing happened; only the errors remember it
    play(second, 1)
    assert ledger.log_hash(deployed, "fraud") == ledger.log_hash(second, "fraud")
    assert counts(deployed)[2] == 0
    assert played.errors == failed.errors


def test_a_world_that_is_killed_in_mid_day_doubles_and_loses_nothing(
    gateway: Gateway, home: Home, deployed: Workspace, second: Workspace
) -> None:
    # given the service of the world, killed while it plays a day
    clocks.advance(deployed, "fraud", 3)
    first = start_world(home)
    wait_for(lambda: counts_or_none(deployed) > 1100, first)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert now(deployed).day < UNTIL_DAY + 3

    # when it is started again
    again = start_world(home)
    wait_for(lambda: now(deployed).state == "idle", again)
    again.terminate()
    assert again.wait(20) == 0

    # then the log is that of a world that was never interrupted
    play(second, 3)
    assert ledger.log_hash(deployed, "fraud") == ledger.log_hash(second, "fraud")
    assert counts(deployed) == counts(second)
    assert [day.requests for day in ledger.days(deployed, "fraud")] == [
        day.requests for day in ledger.days(second, "fraud")
    ]


def test_a_defect_of_monitoring_leaves_a_day_unwatched_and_stops_nothing(
    gateway: Gateway, deployed: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given monitoring that fails inside, then one that can't read its files
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    def lack(*_: object) -> None:
        raise Unavailable("The log can't be read.", "Check the disk.")

    monkeypatch.setattr(day.evening, "watch", fail)
    played = play(deployed, 1)
    assert ledger.days(deployed, "fraud")[-1].alerts is None
    assert played.day == UNTIL_DAY + 1

    # then what may be over soon is waited for: no day is lost to the diary
    monkeypatch.setattr(day.evening, "watch", lack)
    with pytest.raises(Unavailable, match="can't be read"):
        play(deployed, 1)
    assert now(deployed).day == UNTIL_DAY + 1


def test_a_day_is_answered_by_what_was_promoted_before_it(gateway: Gateway, deployed: Workspace) -> None:
    # given a day answered by version 1
    play(deployed, 1)

    # when others are promoted, and the next days are played at once
    for version, kind in ((2, "boosting"), (3, "forest")):
        make_version(deployed, kind)
        produce(deployed, version)
        play(deployed, 1)

    # then no event of those days was answered by the version before
    assert [day.versions for day in ledger.days(deployed, "fraud")] == [(1,), (2,), (3,)]


def test_a_canary_that_can_t_be_loaded_keeps_no_day_from_being_played(
    gateway: Gateway, deployed: Workspace, home: Home
) -> None:
    # given a canary whose stored model is cut short
    make_version(deployed, "boosting")
    newest = max(home.mlflow_artifacts.rglob("model.skops"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(b"")
    promote(deployed, "fraud", 2, stage="canary", share=0.5, reason="test")

    # then the champion answers the day alone
    play(deployed, 1)
    assert ledger.days(deployed, "fraud")[0].versions == (1,)


def test_a_champion_that_can_t_be_loaded_stops_the_world_and_says_why(
    gateway: Gateway, deployed: Workspace, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(deployed, 1)
    make_version(deployed, "boosting")
    newest = max(home.mlflow_artifacts.rglob("model.skops"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(b"")
    produce(deployed, 2)
    monkeypatch.setattr(day, "LOADING_S", 3.0)
    with pytest.raises(
        Unavailable, match=r"Version 2 of 'fraud' is not loaded yet\. .*not what was registered"
    ):
        play(deployed, 1)
    assert len(ledger.days(deployed, "fraud")) == 1


def test_what_serves_must_know_this_world(gateway: Gateway, deployed: Workspace) -> None:
    clock = clocks.advance(deployed, "fraud", 2)

    # a version of another world, of a day that has not come, and of this world's next day
    for changes, match in (
        ({"seed": 2}, "trained in world small-2, but this world is small-1.*--set ingest.size=small"),
        ({"until_day": 52}, "up to day 52, but it is only day 45"),
    ):
        produce(deployed, make_version(deployed, **changes))  # type: ignore[arg-type]
        with pytest.raises(Refused, match=match):
            play_day(deployed, clock)
    assert now(deployed).day == UNTIL_DAY

    # rolled back, it goes on
    promote(deployed, "fraud", 1, stage="production", reason="back")
    client.wait_until_serving(deployed.name, "fraud", 1)
    play_day(deployed, clock)
    assert now(deployed).day == UNTIL_DAY + 1


def test_nothing_is_played_where_nothing_serves(workspace: Workspace) -> None:
    clock = Clock(workspace.name, "fraud", "main", "small", 1, "", "run", 45, 45, 45, 46, 0, "", "", 0.0)
    with pytest.raises(Missing, match="No version of 'fraud' is in production"):
        play_day(workspace, clock)


def start_world(home: Home) -> subprocess.Popen[bytes]:
    """The service, as it is started by its supervisor."""
    with (home.root / "world.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines.production.world"],
            cwd=REPOSITORY,
            env=os.environ | settings().environment() | {"OMP_NUM_THREADS": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def counts_or_none(workspace: Workspace) -> int:
    with workspace.connect() as connection:
        there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'predictions'").fetchone()
        return int(connection.execute("SELECT count(*) FROM predictions").fetchone()[0]) if there else 0


def wait_for(condition, process: subprocess.Popen[bytes]) -> None:
    """Until it holds, as long as the process lives."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert process.poll() is None, "the world has ended"
        assert time.monotonic() < deadline
        time.sleep(0.01)

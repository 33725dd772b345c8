"""The policy lab: each policy has the same past and the same days, whatever is killed meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import world_samples

from pipelines import branches, events
from pipelines.errors import BadInput, Refused
from pipelines.monitoring import alerts
from pipelines.production import clock as clocks
from pipelines.production import ledger, policies, policy_lab
from pipelines.production.clock import Clock
from pipelines.production.policies import Waiting
from pipelines.production.world import Player
from pipelines.scenarios import find_scenario
from pipelines.workspace import Workspace

NAMES = ("never", "scheduled", "performance")


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A world that was played from day 60 to day 70, and is played without traffic from now on."""
    workspace = world_samples.begun(tmp_path, 10)

    def play(of: Workspace, clock: Clock, **_: Any) -> None:
        """A day on which a performance alert opens every tenth day, and in which a run takes no time."""
        try:
            policies.morning(of, clock)
        except Waiting:
            for run_id in of.run_ids():
                events.append(of.run_folder(run_id), "run_finished", status="completed")
        if clock.day == 75:
            with alerts._writing(of) as connection:
                rule = alerts.RULES["performance"]
                alerts._open(connection, rule, "fraud", clock.branch, 1, clock.day, "0.1", "0.6")
        with ledger._TABLES.writing(of) as connection:
            connection.execute(
                "INSERT OR REPLACE INTO ledger (scenario, branch, world, day, first_event, last_event, "
                "requests, errors, flagged, labels, versions, missed, reviews, false_alarms, without, right) "
                "VALUES ('fraud', ?, 'small-1', ?, 0, -1, 0, 0, 0, 0, '1', 10, 0, 0, 110, 1)",
                (clock.branch, clock.day),
            )
        clocks.pass_day(of, clock)

    monkeypatch.setattr("pipelines.production.day.play_day", play)
    live(workspace)
    return workspace


def live(workspace: Workspace, killed_after: int = 10**6) -> None:
    """Play until nothing is left; begun anew after so many days each time, as after a kill."""
    while True:
        player = Player(workspace.home)
        for _ in range(killed_after):
            if not player.play_next():
                return


@pytest.mark.parametrize("killed_after", [10**6, 1, 7])
def test_each_policy_lives_the_same_days_and_its_retrainings_are_paid_for(
    begun: Workspace, killed_after: int
) -> None:
    # when three policies are compared over 30 days from a day in the past on
    plan = policy_lab.begin(begun, "fraud", 65, 30, NAMES)
    live(begun, killed_after)

    # then each has lived them, and begins as the branch that they came from
    found = {each.policy: each for each in policy_lab.outcomes(begun, plan)}
    assert list(found) == list(NAMES)
    assert len(branches.known(begun, "fraud")) == 4
    for each in found.values():
        assert each.day == 95
        days = [day.day for day in ledger.days(begun, "fraud", each.branch)]
        assert days == list(range(60, 95))
        # nobody knows yet what the days that were still open on the morning of day 65 have cost
        assert [day for day, _ in each.saved] == list(range(65, 95))
    assert {name: each.retrained for name, each in found.items()} == {
        "never": [],
        "scheduled": [93],
        "performance": [76, 90],
    }
    price = find_scenario("fraud").prices.retraining
    assert price > 0
    assert {name: each.net for name, each in found.items()} == {
        "never": 3000.0,
        "scheduled": 3000.0 - price,
        "performance": 3000.0 - 2 * price,
    }
    # and it is again the branch from which it was begun that is lived in, as it was left
    assert branches.live(begun, "fraud") == "main"
    assert branches.today(begun, "fraud") == 70
    after = policy_lab.read(begun, "fraud")
    assert after is not None
    assert (after.state, after.problem) == ("done", "")


def test_it_can_be_ended_early_and_begun_again(begun: Workspace) -> None:
    plan = policy_lab.begin(begun, "fraud", 65, 30, NAMES)
    player = Player(begun.home)
    for _ in range(5):
        player.play_next()
    policy_lab.end(begun, "fraud")
    live(begun)
    first, *others = policy_lab.outcomes(begun, plan)
    assert (first.day < 95, [each.branch for each in others]) == (True, [None, None])
    again = policy_lab.begin(begun, "fraud", 65, 7, ("never", "drift"))
    live(begun)
    assert {each.day for each in policy_lab.outcomes(begun, again)} == {72}


def test_what_can_not_be_compared_is_refused(begun: Workspace) -> None:
    for from_day, days, names, said in (
        (65, 30, ("never",), "One policy"),
        (65, 30, ("never", "never"), "One policy"),
        (65, 30, ("never", "sometimes"), "no policy"),
        (71, 30, NAMES, "has the days 60 to 70"),
        (65, 3, NAMES, "Choose 7 to"),
        (65, 9999, NAMES, "world lasts"),
    ):
        with pytest.raises(BadInput, match=said):
            policy_lab.begin(begun, "fraud", from_day, days, names)
    policy_lab.begin(begun, "fraud", 65, 30, NAMES)
    with pytest.raises(Refused, match="A comparison goes on"):
        policy_lab.begin(begun, "fraud", 65, 30, NAMES)


def test_a_problem_ends_it_and_is_told(begun: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    policy_lab.begin(begun, "fraud", 65, 30, NAMES)

    def refuse(*_: object) -> None:
        raise Refused("The disk is full.", "Free some space.")

    monkeypatch.setattr("pipelines.production.rewinding.rewind", refuse)
    live(begun)
    plan = policy_lab.read(begun, "fraud")
    assert plan is not None
    assert (plan.state, "The disk is full." in plan.problem) == ("done", True)

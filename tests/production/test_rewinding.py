"""Rewinding over real HTTP: a branch repeats what it shares, and nothing that was left is changed."""

from __future__ import annotations

from typing import Any

import page_samples as samples
import pytest
import world_samples
from real_gateway import EVENT, UNTIL_DAY, Gateway, make_version
from world_samples import now, play

from pipelines import branches, promotion
from pipelines.branches import Branch
from pipelines.errors import BadInput, Missing, Refused
from pipelines.monitoring import alerts, diary
from pipelines.production import clock as clocks
from pipelines.production import ledger
from pipelines.production.rewinding import rewind, switch
from pipelines.promotion import promote
from pipelines.run import create_run, made_on
from pipelines.serving import client, prediction_log
from pipelines.workspace import Home, Workspace, open_workspace

FORK = UNTIL_DAY + 2


def table(workspace: Workspace, name: str, branch: str) -> list[tuple[Any, ...]]:
    with workspace.connect() as connection:
        query = f"SELECT * FROM {name} WHERE branch = ? ORDER BY 1, 2, 3, 4"
        return [tuple(row) for row in connection.execute(query, (branch,))]


def test_the_same_actions_after_a_rewind_give_the_same_production(
    gateway: Gateway, deployed: Workspace
) -> None:
    # given four days, and the log as it was in the middle of them
    play(deployed, 2)
    in_the_middle = ledger.log_hash(deployed, "fraud")
    play(deployed, 2)
    whole = ledger.log_hash(deployed, "fraud")
    left = {name: table(deployed, name, "main") for name in ("predictions", "feedback", "ledger")}

    # when it is rewound, then the branch begins with exactly what had happened
    branch = rewind(deployed, "fraud", FORK)
    assert (now(deployed).branch, now(deployed).day) == (branch.name, FORK)
    assert ledger.log_hash(deployed, "fraud") == in_the_middle
    assert ledger.log_hash(deployed, "fraud", "main", until_day=FORK) == in_the_middle
    assert [day.day for day in ledger.days(deployed, "fraud")] == [UNTIL_DAY, UNTIL_DAY + 1]

    # and the same actions lead to the same, answer by answer
    play(deployed, 2)
    assert ledger.log_hash(deployed, "fraud") == whole
    # what was left is untouched, to the byte
    assert {name: table(deployed, name, "main") for name in left} == left


def test_another_decision_makes_another_future_and_both_can_be_lived_in(
    gateway: Gateway, deployed: Workspace
) -> None:
    # given two days under version 1
    play(deployed, 4)
    whole = ledger.log_hash(deployed, "fraud")
    # when another version answers from the middle on
    branch = rewind(deployed, "fraud", FORK, title="a forest instead")
    second = make_version(deployed, "forest")
    promote(deployed, "fraud", second, stage="production", reason="what if", day=FORK)
    play(deployed, 2)
    versions = [day.versions for day in ledger.days(deployed, "fraud")]
    assert versions == [(1,), (1,), (second,), (second,)]
    assert ledger.log_hash(deployed, "fraud") != whole

    # then the first line still ends as it did, and its version answers there
    switch(deployed, "fraud", "main")
    assert ledger.log_hash(deployed, "fraud") == whole
    assert promotion.serving(deployed, "fraud").champion == 1
    answer = client.predict(deployed.name, "fraud", EVENT)
    assert answer.version == 1
    logged = prediction_log.trace(deployed, answer.prediction_id)
    assert (logged.stream.branch, logged.day) == ("main", UNTIL_DAY + 3)
    # and back again the other
    switch(deployed, "fraud", branch.name)
    answer = client.predict(deployed.name, "fraud", EVENT)
    assert answer.version == second
    assert prediction_log.trace(deployed, answer.prediction_id).stream.branch == branch.name
    assert branches.find(deployed, "fraud", branch.name).title == "a forest instead"


def test_what_the_copies_are_called_by_is_derived_like_any_other(
    gateway: Gateway, deployed: Workspace
) -> None:
    play(deployed, 9)  # so long that labels of answered events have come
    branch = rewind(deployed, "fraud", UNTIL_DAY + 9)
    with deployed.connect() as connection:
        query = "SELECT * FROM predictions WHERE branch = ?"
        copies = connection.execute(query, (branch.name,)).fetchall()
        told = connection.execute(
            "SELECT f.branch AS mine, p.branch AS its "
            "FROM feedback f JOIN predictions p USING (prediction_id)"
        ).fetchall()
    assert len(copies) > 8000
    for row in copies[::500]:
        found = prediction_log.trace(deployed, row["prediction_id"])
        assert found.prediction_id == row["prediction_id"]
    assert {row["mine"] for row in told} == {"main", branch.name}
    assert all(row["mine"] == row["its"] for row in told)


@pytest.fixture
def begun(tmp_path: Any) -> Workspace:
    """A world on day 64, of which four days are in the books; nothing serves over HTTP."""
    workspace = world_samples.begun(tmp_path, 4)
    for _ in range(4):
        clocks.pass_day(workspace, now(workspace))
    return workspace


def report(day: int, drifted: float | None) -> dict[str, Any]:
    """A day's report in which amounts have drifted so far, or nothing has."""
    column = {"name": "amount", "alarm": drifted is not None, "method": "psi", "alarm_from": 0.2}
    return {
        "day": day,
        "version": 1,
        "quality": [],
        "performance": {"status": "waiting"},
        "drift": {"columns": [column | {"score": drifted or 0.0}]},
    }


def test_alerts_and_reports_are_as_they_stood_that_day(begun: Workspace) -> None:
    # given an alert that was opened on day 61, acknowledged on day 63 and is over on day 64
    for day, drifted in ((61, 0.5), (62, 0.7), (63, 0.9), (64, None), (65, None), (66, None)):
        diary.keep(begun, "fraud", "main", report(day, drifted))
        alerts.update(begun, "fraud", "main", report(day, drifted))
        if day == 63:
            (alert,) = alerts.all_alerts(begun, "fraud")
            alerts.acknowledge(begun, alert.alert_id, day)
    (over,) = alerts.all_alerts(begun, "fraud")
    assert (over.state, over.last_seen) == ("resolved", 63)

    # when it is day 62 again, then it is open, and says what was found until then
    rewind(begun, "fraud", 62)
    (then,) = alerts.all_alerts(begun, "fraud")
    assert (then.state, then.opened, then.last_seen, then.acknowledged) == ("open", 61, 62, None)
    assert (then.resolved, then.ended) == (None, "")
    assert "0.70" in then.found
    assert [each["day"] for each in diary.read(begun, "fraud")] == [61, 62]
    # and where it was left, it is over
    switch(begun, "fraud", "main")
    assert alerts.all_alerts(begun, "fraud") == [over]


def test_decisions_of_that_day_and_later_are_still_to_be_taken(begun: Workspace) -> None:
    for version, day in ((2, 61), (3, 62), (4, 63)):
        with samples.promotion_rows.writing(begun, "fraud", "main") as page:
            page.append("promote", "production", version, "test", day)
    rewind(begun, "fraud", 62)
    assert promotion.serving(begun, "fraud").champion == 2
    assert promotion.champions(begun, "fraud") == [1, 2]
    rewind(begun, "fraud", 60)
    assert promotion.serving(begun, "fraud").champion == 1
    switch(begun, "fraud", "main")
    assert promotion.serving(begun, "fraud").champion == 4


def test_a_run_deploys_on_the_branch_that_it_was_begun_on(begun: Workspace) -> None:
    run = create_run(begun, "fraud", {})
    branch = rewind(begun, "fraud", 62)
    assert (run.branch, create_run(begun, "fraud", {}).branch) == ("main", branch.name)


def test_a_model_of_older_data_is_of_the_day_on_which_it_was_made(begun: Workspace) -> None:
    # given a run on day 64 that learns from events up to day 60, as a run by hand does by default
    assert branches.today(begun, "fraud") == 64
    run = create_run(begun, "fraud", {"ingest": {"size": "small", "until_day": 60}})
    assert (run.day, made_on(begun, run.run_id)) == (64, 64)
    with samples.promotion_rows.writing(begun, "fraud", "main") as page:
        page.append("promote", "production", 2, "test", made_on(begun, run.run_id))
    # then on the morning of day 62 it was not there yet
    rewind(begun, "fraud", 62)
    assert promotion.serving(begun, "fraud").champion == 1
    assert promotion.serving(begun, "fraud", "main").champion == 2


def test_money_that_was_not_known_yet_is_unknown_again(begun: Workspace) -> None:
    # given days that were all priced in the end
    with ledger._TABLES.writing(begun) as connection:
        for day in range(40, 64):
            connection.execute(
                "INSERT INTO ledger (scenario, branch, world, day, first_event, last_event, requests, "
                "errors, flagged, labels, versions, missed, reviews, false_alarms, without, right) "
                "VALUES ('fraud', 'main', 'small-1', ?, 0, -1, 0, 0, 0, 0, '1', 1, 2, 3, 4, 5)",
                (day,),
            )
    rewind(begun, "fraud", 62)
    found = {day.day: day for day in ledger.days(begun, "fraud")}
    # then on the morning of day 62 the outcomes of day 54 and before are known: labels take seven days
    assert [day for day in found if found[day].bill is not None] == list(range(40, 55))
    assert {found[day].right for day in range(55, 62)} == {None}
    assert max(found) == 61


@pytest.mark.parametrize("day", [59, 65, -1])
def test_a_day_that_was_not_played_is_refused(begun: Workspace, day: int) -> None:
    with pytest.raises(BadInput, match="has the days 60 to 64"):
        rewind(begun, "fraud", day)
    assert branches.known(begun, "fraud") == [Branch("fraud", "main")]


def test_nothing_is_rewound_while_days_are_played(begun: Workspace) -> None:
    clocks.advance(begun, "fraud", 1)
    for act in (lambda: rewind(begun, "fraud", 62), lambda: switch(begun, "fraud", "main")):
        with pytest.raises(Refused, match="Days are being played"):
            act()


def test_without_a_world_or_a_branch_it_says_so(begun: Workspace, tmp_path: Any) -> None:
    with pytest.raises(Missing, match="No world of 'fraud'"):
        rewind(open_workspace("bob", Home(tmp_path)), "fraud", 3)
    with pytest.raises(Missing, match="There are: main"):
        switch(begun, "fraud", "elsewhere")


def test_a_crash_in_the_middle_changes_nothing(begun: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(ledger, "copy_branch", fail)
    with pytest.raises(OSError, match="full"):
        rewind(begun, "fraud", 62)
    assert branches.live(begun, "fraud") == "main"
    assert len(branches.known(begun, "fraud")) == 1
    assert {clock.branch for clock in clocks.clocks(begun)} == {"main"}


def test_a_day_that_could_not_be_played_is_not_tried_again_on_a_branch_that_was_left(
    begun: Workspace,
) -> None:
    clocks.advance(begun, "fraud", 3)
    clocks.stop(begun, now(begun), "The gateway is not answering.", "Start it.")
    rewind(begun, "fraud", 62)
    assert {clock.branch: clock.state for clock in clocks.clocks(begun)} == {
        "branch-1": "idle",
        "main": "idle",
    }


def test_a_branch_sees_what_was_made_before_it_left() -> None:
    there = [Branch("fraud", "main"), Branch("fraud", "b1", "main", 41), Branch("fraud", "b2", "b1", 60)]
    seen = {
        (made_on, day): branches.sees(there, "b2", made_on, day)
        for made_on, day in (("main", 40), ("main", 41), ("b1", 59), ("b1", 60), ("b2", 99), ("main", None))
    }
    assert list(seen.values()) == [True, False, True, False, True, True]
    # a branch that went back further than its parent began sees less of it
    there = [Branch("fraud", "main"), Branch("fraud", "b1", "main", 41), Branch("fraud", "b2", "b1", 30)]
    assert not branches.sees(there, "b2", "main", 35)

"""Incidents over real HTTP: each shows where its lesson says, and what is right ends it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from incident_samples import DAY, watched
from real_gateway import Gateway
from world_samples import now, play

from pipelines.errors import BadInput, Refused
from pipelines.monitoring import alerts, diary
from pipelines.monitoring.rules import findings
from pipelines.production import clock as clocks
from pipelines.production import ledger, retraining
from pipelines.production.champion import ChampionRun
from pipelines.production.incidents import acting, levers, records, signs
from pipelines.production.incidents.library import LIBRARY, possible_in
from pipelines.production.rewinding import rewind
from pipelines.scenarios import SCENARIOS, find_scenario
from pipelines.serving import client
from pipelines.serving.faults import Broken
from pipelines.workspace import Workspace

FRAUD = find_scenario("fraud")
FIRST = DAY + 1
# Fraud's are tried each time, those of other industries among the long tests.
BREAKDOWNS = [
    pytest.param(
        scenario, each.name, id=f"{scenario}-{each.name}", marks=[pytest.mark.deep] * (scenario != "fraud")
    )
    for scenario in SCENARIOS
    for each in possible_in(find_scenario(scenario))
    if not each.episode
]


def begins_on(name: str, scenario: str) -> int:
    # Of labels nobody can miss any before those of events that were answered here are due.
    return DAY + find_scenario(scenario).label_delay_days + 2 if LIBRARY[name].labels else FIRST


def played_until(workspace: Workspace, day: int, scenario: str = "fraud") -> None:
    """Put a version into production and play up to that day's morning."""
    watched(workspace, scenario=scenario)
    play(workspace, day - DAY, scenario)


def found_today(workspace: Workspace, scenario: str = "fraud") -> set[str]:
    """The rules that the newest report meets."""
    reports = diary.read(workspace, scenario)
    return set(findings(reports[-1], reports[:-1]))


def odd_today(workspace: Workspace, before_day: int, scenario: str = "fraud") -> list[str]:
    """What is unusual about the newest day."""
    days = ledger.days(workspace, scenario)
    usual = signs.usual(days, before_day)
    assert usual is not None
    return signs.unusual(find_scenario(scenario), days, days[-1], usual)


def features_of_day(workspace: Workspace, day: int) -> dict[int, bytes]:
    with workspace.connect() as connection:
        rows = connection.execute("SELECT event_id, features FROM predictions WHERE day = ?", (day,))
        return {row["event_id"]: row["features"] for row in rows}


@pytest.mark.parametrize(("scenario", "name"), BREAKDOWNS)
def test_it_shows_where_its_lesson_says_and_the_right_lever_ends_it(
    gateway: Gateway, workspace: Workspace, scenario: str, name: str
) -> None:
    # given usual days, on which nothing is found
    definition, begins = LIBRARY[name], begins_on(name, scenario)
    played_until(workspace, begins, scenario)
    assert not found_today(workspace, scenario)
    assert not odd_today(workspace, begins, scenario)

    # when it begins, then one of its rules finds it in time
    records.add(workspace, scenario, "main", name, begins)
    for _ in range(definition.within_days):
        play(workspace, 1, scenario)
        if found_today(workspace, scenario) & set(definition.shows):
            break
    opened = {alert.rule for alert in alerts.open_alerts(workspace, scenario)}
    assert opened & set(definition.shows), opened

    # and no lever but the right ones ends it
    wrong = [
        lever.name
        for lever in levers.usable_in(find_scenario(scenario))
        if lever.name not in definition.fixes and not lever.releases and lever.name != levers.STOP
    ]
    for lever in wrong:
        acting.pull(workspace, now(workspace, scenario), lever)
    (incident,) = records.of_branch(workspace, scenario)
    assert incident.acts_on(now(workspace, scenario).day)

    # when the right one is pulled, then the next days are usual ones again
    acting.pull(workspace, now(workspace, scenario), definition.fixes[0])
    (incident,) = records.of_branch(workspace, scenario)
    assert incident.until_day == now(workspace, scenario).day or definition.lasts_days
    for _ in range(2):
        play(workspace, 1, scenario)
        if not definition.lasts_days:  # a crowd is still there, and all of it is answered
            assert not odd_today(workspace, begins, scenario)
        assert ledger.days(workspace, scenario)[-1].lost == 0


def test_every_incident_can_be_ended_in_every_world_it_can_happen_in() -> None:
    for scenario in SCENARIOS.values():
        there = {lever.name for lever in levers.usable_in(scenario)}
        possible = possible_in(scenario)
        assert len(possible) >= 10
        for each in possible:
            assert set(each.fixes) & there, (scenario.name, each.name)
            assert set(each.shows) <= set(alerts.RULES)
    assert len(possible_in(FRAUD)) >= 17


@pytest.mark.parametrize("name", ["unit_change", "duplicates"])
def test_what_the_source_sends_again_is_what_features_are_made_of(
    gateway: Gateway, workspace: Workspace, second: Workspace, name: str
) -> None:
    # given two days of it, mended, and the same days without it
    played_until(workspace, FIRST)
    records.add(workspace, "fraud", "main", name, FIRST)
    play(workspace, 2)
    acting.pull(workspace, now(workspace), "source_back")
    play(workspace, 1)
    played_until(second, FIRST + 3)

    # then the next day's features are those of a world in which it had not been
    found, expected = (features_of_day(each, FIRST + 2) for each in (workspace, second))
    assert len(found) > 1500
    assert found.keys() == expected.keys()
    same = np.mean([found[event] == expected[event] for event in found])
    # Of another unit a seventh of the events were beyond what the gateway takes, and were never answered.
    assert same == 1.0 if name == "duplicates" else same > 0.6


def test_the_same_incident_and_levers_give_the_same_log_and_so_does_living_it_again(
    gateway: Gateway, workspace: Workspace
) -> None:
    # given a week with an incident in its middle, ended after two days
    played_until(workspace, FIRST)
    records.add(workspace, "fraud", "main", "unit_change", FIRST + 1)
    play(workspace, 3)
    acting.pull(workspace, now(workspace), "source_back")
    play(workspace, 1)
    whole = ledger.log_hash(workspace, "fraud")

    # when it is lived again from before it began, with the same lever on the same day
    rewind(workspace, "fraud", FIRST)
    (again,) = records.of_branch(workspace, "fraud")
    assert (again.begun, again.until_day, again.again) == (False, None, True)
    play(workspace, 3)
    acting.pull(workspace, now(workspace), "source_back")
    play(workspace, 1)

    # then it is the same, answer by answer; and from its middle on too
    assert ledger.log_hash(workspace, "fraud") == whole
    rewind(workspace, "fraud", FIRST + 2)
    (again,) = records.of_branch(workspace, "fraud")
    assert (again.begun, again.until_day) == (True, None)
    play(workspace, 1)
    acting.pull(workspace, now(workspace), "source_back")
    play(workspace, 1)
    assert ledger.log_hash(workspace, "fraud") == whole


def test_a_broken_route_says_so_to_its_own_workspace_alone(
    gateway: Gateway, workspace: Workspace, deployed: Workspace
) -> None:
    played_until(workspace, FIRST)
    records.add(workspace, "fraud", "main", "gateway_crash", FIRST)
    play(workspace, 1)
    event = {"customer_id": 7, "terminal_id": 42, "amount": 62.5, "event_time": FIRST * 86_400 + 5}
    with pytest.raises(Broken, match="out of memory"):
        client.predict(workspace.name, "fraud", event)
    assert client.predict(deployed.name, "fraud", {**event, "event_time": 45 * 86_400}).version == 1


def test_a_day_that_was_cut_short_loses_the_same_events(
    gateway: Gateway, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a day of an incident, cut off before its end was written
    played_until(workspace, FIRST)
    records.add(workspace, "fraud", "main", "null_flood", FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(clocks, "pass_day", lambda *_: (_ for _ in ()).throw(OSError("cut")))
        with pytest.raises(OSError, match="cut"):
            play(workspace, 1)
    first = ledger.days(workspace, "fraud")[-1]
    # when it is played again, then as many are lost, and as many answered
    clocks.pause(workspace, "fraud")
    play(workspace, 1)
    again = ledger.days(workspace, "fraud")[-1]
    assert (again.day, again.lost, again.requests) == (FIRST, first.lost, first.requests)
    assert again.lost > 500


def test_a_new_kind_of_fraud_is_stopped_by_rule(gateway: Gateway, workspace: Workspace) -> None:
    # given thieves who pay with one copied card after another
    played_until(workspace, FIRST)
    records.add(workspace, "fraud", "main", "changed_pattern", FIRST)
    play(workspace, 2)
    assert now(workspace).episodes == f"changed_pattern@{FIRST}"
    acting.pull(workspace, now(workspace), levers.STOP)
    (incident,) = records.of_branch(workspace, "fraud")
    assert incident.until_day == FIRST + 2

    # when more days pass until all are priced, then what can be lost by fraud is a fraction of what it was
    play(workspace, 10)
    at_stake = {day.day: day.bill.without for day in ledger.days(workspace, "fraud") if day.bill}
    assert at_stake[FIRST + 2] < 0.2 * at_stake[FIRST + 1]


def test_only_a_model_that_has_seen_enough_of_the_new_world_ends_a_change(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, mlflow: str
) -> None:
    watched(workspace)
    clock = clocks.begin(workspace, "fraud")
    made = records.add(workspace, "fraud", "main", "inflation", 70)
    with records.TABLES.writing(workspace) as connection:
        records.mark_begun(connection, made, 70, {})
    learns = retraining.learnable_from(FRAUD, {"train_days": 21, "test_days": 7}, 70)

    def champion(day: int) -> None:
        run = ChampionRun(2, "run", {"train": {"train_days": 21, "test_days": 7}}, {"until_day": day}, 1)
        monkeypatch.setattr(acting, "read_champion", lambda *_: run)

    for day, ended in ((71, False), (learns.worth_day - 1, False), (learns.worth_day, True)):
        champion(day)
        acting.morning(workspace, replace(clock, day=day + 1))
        (found,) = records.of_branch(workspace, "fraud")
        assert found.until_day == (day + 1 if ended else None), day


def test_levers_that_can_not_be_pulled_say_why(gateway: Gateway, workspace: Workspace) -> None:
    played_until(workspace, FIRST)
    for name, error, match in (
        ("rollback", Refused, "no earlier champion"),
        ("end_canary", Refused, "No version of 'fraud' is in canary"),
        ("pray", BadInput, "There is nothing to do called 'pray'"),
    ):
        with pytest.raises(error, match=match):
            acting.pull(workspace, now(workspace), name)
    assert records.moves(workspace, "fraud") == []


def test_what_is_found_is_kept_as_values_that_json_has(gateway: Gateway, workspace: Workspace) -> None:
    played_until(workspace, FIRST)
    report: dict[str, Any] = diary.read(workspace, "fraud")[-1]
    assert json.loads(json.dumps(report)) == report
    assert report["operations"] == {"sent": 1878, "lost": 0, "refusals": [], "slow_ms": None}

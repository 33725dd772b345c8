"""Solving an incident: declared, ended, understood, confirmed, written down; and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from incident_samples import DAY, watched
from real_gateway import Gateway
from world_samples import begun as begun_world
from world_samples import now, play

from pipelines.errors import BadInput, Missing, Refused
from pipelines.production import clock as clocks
from pipelines.production import ledger
from pipelines.production.incidents import acting, post_mortem, records, scoring, signs, solving
from pipelines.production.incidents.library import find, possible_in
from pipelines.production.incidents.scoring import Way
from pipelines.scenarios import find_scenario
from pipelines.workspace import Workspace

FRAUD = find_scenario("fraud")
HYPOTHESIS = "Everything is refused since day 61, and the message speaks of memory: the process has died."


@pytest.fixture
def begun(tmp_path) -> Workspace:
    """A world on day 60 that nobody plays."""
    workspace = begun_world(tmp_path, 1)
    clocks.pause(workspace, "fraud")
    return workspace


def running(workspace: Workspace, name: str = "gateway_crash", days: int = 2) -> None:
    """Let an incident have begun, and days pass without being played."""
    clock = now(workspace)
    made = records.add(workspace, "fraud", "main", name, clock.day)
    with records.TABLES.writing(workspace) as connection:
        records.mark_begun(connection, made, clock.day, {})
    pass_days(workspace, days)


def pass_days(workspace: Workspace, days: int) -> None:
    for _ in range(days):
        clocks.pass_day(workspace, now(workspace))


def test_an_incident_is_solved_from_alarm_to_post_mortem(gateway: Gateway, workspace: Workspace) -> None:
    # given usual days, a false alarm, and then the incident
    watched(workspace)
    play(workspace, 1)
    assert solving.declare(workspace, "fraud") is None
    solving.inject(workspace, "fraud", "gateway_crash")
    play(workspace, 1)

    # when it is declared on the next morning, and something is done in vain
    case = solving.declare(workspace, "fraud")
    assert case is not None
    assert (case.incident.name, case.declared) == ("gateway_crash", DAY + 2)
    solving.pull(workspace, "fraud", "scale_out")
    # and a cause is named: first what it is not
    with pytest.raises(Refused, match="No hypothesis is written yet"):
        solving.name_cause(workspace, "fraud", "gateway_crash")
    solving.suppose(workspace, "fraud", HYPOTHESIS)
    assert not solving.name_cause(workspace, "fraud", "expired_artifact").solved
    assert solving.name_cause(workspace, "fraud", "gateway_crash").solved
    # then it is not over
    with pytest.raises(Refused, match=r"Day 61 was not a usual one: 1,821 of 1,821 payments got no answer\."):
        solving.close(workspace, "fraud")

    # when the right lever is pulled, it takes three healthy days
    solving.pull(workspace, "fraud", "restart")
    play(workspace, 1)
    with pytest.raises(Refused, match="1 of 3 healthy days have passed"):
        solving.close(workspace, "fraud")
    play(workspace, 2)
    closed = solving.close(workspace, "fraud")
    assert (closed.closed, closed.tries, closed.incident.until_day) == (DAY + 5, 2, DAY + 2)

    # then each part of the score says why
    parts = {part.name: part for part in solving.score(workspace, closed)}
    assert {name: part.points for name, part in parts.items() if name != "money"} == {
        "noticed": 20,
        "ended": 30,
        "calm": 10 - 2 * scoring.IN_VAIN,
        "cause": 10,
    }
    # and the post-mortem tells the story
    text = post_mortem.write(workspace, closed)
    for words in (
        "# The process that serves has died",
        "- Day 61: it begins; nobody knows",
        "- Day 62: alert: Requests get no answer (1,821 of 1,821 got no answer",
        "- Day 62: an incident is declared",
        f"> {HYPOTHESIS}",
        "In vain: “Add workers to the route”",
        "- [ ] Let a supervisor start what has died again.",
        "| cause | 10 of 20 | Named at try 2. |",
    ):
        assert words in text, text
    assert solving.open_case(workspace, "fraud") is None


def test_what_a_lost_day_cost_is_known_once_it_is_priced(gateway: Gateway, workspace: Workspace) -> None:
    # given a day without answers, in the second week, and a usual week after it
    watched(workspace)
    play(workspace, 8)
    solving.inject(workspace, "fraud", "gateway_crash")
    play(workspace, 1)
    case = solving.declare(workspace, "fraud")
    assert case is not None
    solving.pull(workspace, "fraud", "restart")
    assert solving.lost(workspace, solving.cases(workspace, "fraud")[0])[2] == 1
    play(workspace, 7)
    # then it cost what usual days save, and what those without an answer cost besides
    cost, usual, unknown = solving.lost(workspace, solving.cases(workspace, "fraud")[0])
    day = next(day for day in ledger.days(workspace, "fraud") if day.day == DAY + 8)
    assert day.bill is not None
    assert (day.requests, day.bill.downtime) == (0, 0.5 * day.lost)
    assert (cost, unknown) == (pytest.approx((usual or 0) + day.bill.downtime), 0)


def test_one_case_is_open_at_a_time(begun: Workspace) -> None:
    running(begun)
    assert solving.declare(begun, "fraud") is not None
    with pytest.raises(Refused, match="declared already"):
        solving.declare(begun, "fraud")


def test_what_has_begun_this_morning_can_not_have_been_seen(begun: Workspace) -> None:
    running(begun, days=0)
    assert solving.declare(begun, "fraud") is None
    pass_days(begun, 1)
    assert solving.declare(begun, "fraud") is not None


def test_a_lever_pulled_before_it_is_declared_belongs_to_the_case(begun: Workspace) -> None:
    acting.pull(begun, now(begun), "move_route")  # before it began
    running(begun)
    acting.pull(begun, now(begun), "restart")
    case = solving.declare(begun, "fraud")
    assert case is not None
    assert [made.what for made in case.pulled] == ["restart"]


@pytest.mark.parametrize(("text", "match"), [("short", "has 5 characters"), ("x" * 501, "has 501")])
def test_a_hypothesis_is_a_sentence(begun: Workspace, text: str, match: str) -> None:
    running(begun)
    solving.declare(begun, "fraud")
    with pytest.raises(BadInput, match=match):
        solving.suppose(begun, "fraud", text)


def test_nothing_is_done_while_days_are_played_or_without_a_case(begun: Workspace) -> None:
    for act in (
        lambda: solving.suppose(begun, "fraud", HYPOTHESIS),
        lambda: solving.name_cause(begun, "fraud", "skew"),
        lambda: solving.close(begun, "fraud"),
    ):
        with pytest.raises(Refused, match="No incident is declared"):
            act()
    running(begun)
    clocks.advance(begun, "fraud", 1)
    for act in (
        lambda: solving.declare(begun, "fraud"),
        lambda: solving.pull(begun, "fraud", "restart"),
    ):
        with pytest.raises(Refused, match="Days are being played"):
            act()


def test_who_gives_up_is_told_and_gets_no_points_for_the_cause(begun: Workspace) -> None:
    running(begun)
    solving.declare(begun, "fraud")
    solving.suppose(begun, "fraud", HYPOTHESIS)
    case = solving.close(begun, "fraud", give_up=True)
    parts = {part.name: part.points for part in solving.score(begun, case)}
    assert (parts["cause"], parts["ended"]) == (0, 0)
    text = post_mortem.write(begun, case)
    assert "Nothing yet: it still has an effect. What would end it: “Restart the route”." in text


def test_a_drill_is_the_same_for_the_same_seed_and_hides_what_it_is(begun: Workspace) -> None:
    first = solving.drill(begun, "fraud", 3)
    assert first.hidden
    assert now(begun).day <= first.begins < now(begun).day + solving.DRILL_DAYS
    with pytest.raises(Refused, match="on its way"):
        solving.drill(begun, "fraud", 4)
    # nobody can miss labels before some have come
    assert not first.definition.labels


def test_seeds_choose_among_all_that_can_happen(begun: Workspace) -> None:
    chosen = set()
    for seed in range(120):
        made = solving.drill(begun, "fraud", seed)
        chosen.add(made.name)
        with records.TABLES.writing(begun) as connection:
            connection.execute("DELETE FROM incidents")
    there = {each.name for each in possible_in(FRAUD) if not each.labels}
    assert chosen == there


@pytest.mark.parametrize("day", [59, 365])
def test_an_incident_can_not_begin_in_the_past_or_after_the_end(begun: Workspace, day: int) -> None:
    with pytest.raises(BadInput, match="Choose a day from 60 to 364"):
        solving.inject(begun, "fraud", "skew", day)
    with pytest.raises(BadInput, match="There is no incident 'flood'"):
        solving.inject(begun, "fraud", "flood")
    with pytest.raises(BadInput, match="There is no incident 'skew' in biopsies"):
        find(find_scenario("biopsies"), "skew")


def test_without_a_world_it_says_so(workspace: Workspace) -> None:
    with pytest.raises(Missing, match="No world of 'fraud'"):
        solving.inject(workspace, "fraud", "skew")
    assert solving.cases(workspace, "fraud") == []
    assert not workspace.database.exists()


def test_points_fade_with_days_and_money(begun: Workspace) -> None:
    best = Way(1, 1, 2, False, 0.0, 900.0, 0, 1)

    def points(**changes: object) -> int:
        return scoring.total(scoring.score(replace(best, **changes)))  # type: ignore[arg-type]

    assert points() == 100
    assert points(noticed_after=8) == 90  # seven of fourteen days late
    assert points(noticed_after=99) == 80
    assert points(ended_after=None) == 70
    assert points(slow_to_end=True, ended_after=32) == 100
    assert points(lost=900.0 * scoring.WORST_DAYS) == 80
    assert points(lost=-50.0) == 100
    assert points(in_vain=9, causes_named=0) == 70
    assert points(usual=None) == 100


def test_signs_are_told_against_usual_days() -> None:
    usual = signs.Usual(1900.0, 30.0, 30 / 1900, 1900.0)
    day = ledger.Day(70, 1900, 0, 5.0, 20.0, 30, 1900, (1,), 0, 0, None, None, None)
    assert signs.unusual(FRAUD, [day], day, usual) == []
    for changes, words in (
        ({"lost": 100, "requests": 1800}, "100 of 1,900 payments got no answer"),
        ({"p95_ms": 2400.0}, "of 20 answers one took 2.4 s or more"),
        ({"labels": 0}, "no label came; 1,900 a day are usual"),
        ({"flagged": 400}, "400 alerts; 30 a day are usual"),
        ({"flagged": 3}, "only 3 alerts; 30 a day are usual"),
    ):
        odd = replace(day, **changes)  # type: ignore[arg-type]
        assert signs.unusual(FRAUD, [odd], odd, usual) == [words]


def test_no_label_is_missed_of_a_day_on_which_nobody_was_answered() -> None:
    usual = signs.Usual(1900.0, 30.0, 30 / 1900, 1900.0)
    today = ledger.Day(70, 1900, 0, 5.0, 20.0, 30, 0, (1,), 0, 0, None, None, None)
    for answered, found in ((1900, ["no label came; 1,900 a day are usual"]), (0, [])):
        a_week_ago = replace(today, day=63, requests=answered, lost=1900 - answered)
        assert signs.unusual(FRAUD, [a_week_ago, today], today, usual) == found

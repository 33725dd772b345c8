"""Production and Policy lab: time goes on, back and sideways from a page, and what came of it is told."""

from __future__ import annotations

import page_samples as samples
import pytest
from streamlit.testing.v1 import AppTest
from test_pages import press, show, words, workspace  # noqa: F401  (the fixture)
from world_samples import played

from pages.parts import control_room, policy_lines, versions
from pipelines import branches
from pipelines.production import canaries, ledger, policies, policy_lab, rewinding
from pipelines.production import clock as clocks
from pipelines.production.policy_lab import Outcome
from pipelines.scenarios import find_scenario
from pipelines.workspace import Workspace

FRAUD = find_scenario("fraud")
LOSING = [400.0] * 10 + [-1200.0] * 21


@pytest.fixture
def losing(workspace: Workspace) -> Workspace:  # noqa: F811
    """A world on day 98 that has lost money for three weeks; its first day is 60."""
    played(workspace, samples.completed(workspace), LOSING)
    return workspace


def said(app: AppTest) -> str:
    return words(app).replace("\\", "")


def primary(app: AppTest) -> list[str]:
    return [each.label for each in app.button if each.proto.type == "primary"]


def test_it_says_where_time_is_and_what_it_was_worth_in_four_numbers(losing: Workspace) -> None:
    app = show("production")
    assert app.title[0].value == "Day 98: your model lost €8,400 in a week"
    assert [each.value for each in app.subheader] == ["−€8,400", "25 of 100", "0 errors", "0 alerts"]
    assert "lost, days 84 to 90" in said(app)
    assert "in 13,300 requests of a week" in said(app)
    assert len(primary(app)) == 1


def test_before_a_world_it_says_what_will_be_here(workspace: Workspace) -> None:  # noqa: F811
    app = show("production")
    assert app.title[0].value == "No day has passed yet"
    assert "Here will be your production" in said(app)
    assert len(primary(app)) == 1


def test_going_back_is_one_click_and_keeps_what_was_left(losing: Workspace) -> None:
    # given a page on which an earlier day is chosen
    app = show("production")
    app.number_input(key="way:main:98").set_value(75).run()
    assert "It is the morning of day 75 again" in said(app)
    app.text_input[0].input("roll back at once").run()
    # when
    press(app, "Go back to day 75")
    # then it is that day, on a line of its own, and the other can be chosen
    assert (branches.live(losing, "fraud"), branches.today(losing, "fraud")) == ("branch-1", 75)
    app = show("production")
    assert app.title[0].value.startswith("Day 75")
    (box,) = [each for each in app.selectbox if each.label == "Line of time"]
    assert list(box.options) == ["the first line", "roll back at once"]
    box.select_index(0).run()
    assert (branches.live(losing, "fraud"), branches.today(losing, "fraud")) == ("main", 98)


def test_a_later_day_is_played_up_to(losing: Workspace) -> None:
    app = show("production")
    app.number_input(key="way:main:98").set_value(120).run()
    press(app, "Play up to day 120")
    clock = clocks.read(losing, "fraud")
    assert clock is not None
    assert (clock.day, clock.target_day) == (98, 120)


def test_the_policy_is_chosen_here_and_holds_for_this_line(losing: Workspace) -> None:
    app = show("production")
    (box,) = [each for each in app.selectbox if each.label == "Retrain"]
    assert box.value == "never"
    box.select("performance").run()
    assert policies.holding(losing, "fraud").name == "performance"


def test_while_days_pass_the_title_says_up_to_which(workspace: Workspace) -> None:  # noqa: F811
    played(workspace, samples.completed(workspace), LOSING, going_on=5)
    app = show("production")
    assert app.title[0].value == "Days pass, up to day 103"


def test_lines_of_time_are_compared_in_one_plot(losing: Workspace) -> None:
    # given a branch on which no day is lost
    rewinding.rewind(losing, "fraud", 80, "no model")
    with ledger._TABLES.writing(losing) as connection:
        connection.execute("UPDATE ledger SET reviews = 0 WHERE branch = 'branch-1'")
    facts = control_room.look(losing, FRAUD)
    figure = control_room.lines(losing, facts)
    assert figure is not None
    # then the branch is known up to day 72, as it was on the morning of day 80
    ends = {trace.name: (trace.x[-1], trace.y[-1]) for trace in figure.data}
    assert ends == {"the first line": (90, -21200.0), "no model (here)": (72, 4000.0)}
    assert "no model, €4,000" in figure.layout.title.text


def test_the_strip_tells_what_happened_on_this_line(losing: Workspace) -> None:
    samples.promote(losing, 1, losing.run_ids()[0])
    with samples.promotion_rows.writing(losing, "fraud", "main") as page:
        page.append("promote", "production", 2, "test", 70)
        page.append("rollback", "production", 1, "test", 90)
    told = control_room.strip(control_room.look(losing, FRAUD)).layout.meta["alt"]
    assert "day 70: version 2; day 90: back to version 1" in told
    rewinding.rewind(losing, "fraud", 80)
    told = control_room.strip(control_room.look(losing, FRAUD)).layout.meta["alt"]
    assert "day 70: version 2; day 80: another way" in told
    assert "back to" not in told


def test_a_version_that_was_made_later_is_none_to_promote_after_a_rewind(losing: Workspace) -> None:
    # given a version that was made on day 90
    params = {"ingest": {"size": "small", "until_day": 90}, "train": {"model": "logistic"}}
    samples.completed(losing, version=2, params=params, serve=False)
    assert [box.options for box in show("deploy").selectbox if box.label == "Version"] == [["2"]]
    # when it is day 80 again, then it is shown as what it is, and can't be promoted
    rewinding.rewind(losing, "fraud", 80)
    shelf = versions.gather(losing, FRAUD)
    assert [entry.elsewhere for entry in shelf.entries] == ["the first line, later", ""]
    assert versions.table(shelf)["Stage"].tolist() == ["made elsewhere: the first line, later", "production"]
    app = show("deploy")
    assert [box.options for box in app.selectbox if box.label == "Version"] == []
    assert "Version 1 answers, and there is no other." in said(app)
    # and on the first line all is as it was
    rewinding.switch(losing, "fraud", "main")
    assert {entry.elsewhere for entry in versions.gather(losing, FRAUD).entries} == {""}


def test_a_canarys_lane_says_what_was_seen_and_who_decides(losing: Workspace) -> None:
    # given a canary since day 70, and its first look
    with samples.promotion_rows.writing(losing, "fraud", "main") as page:
        page.append("promote", "canary", 2, "test", 70, share=0.1)
    with canaries._TABLES.writing(losing) as connection:
        connection.execute(
            "INSERT INTO canary_looks VALUES ('fraud', 'main', 2, 70, 1, 84, 0.25, 0.2, 1300, 11000, 'open')"
        )
    app = show("deploy")
    assert (
        "Look 1 of 4, day 84: an event was worth 0.25 EUR more under the canary (1.2 standard errors"
        in said(app)
    )
    assert "Look 2 of 4 comes on day 91" in said(app)
    # when a human keeps the decision
    next(each for each in app.toggle if each.label == "The test decides").set_value(False).run()
    assert not canaries.is_automatic(losing, "fraud")


def test_the_lab_begins_what_the_form_says_and_ends_it(losing: Workspace) -> None:
    app = show("policies")
    assert app.title[0].value == "When should a model be retrained?"
    assert primary(app) == ["Compare policies"]
    app.number_input[0].set_value(70).run()
    press(app, "Compare policies")
    plan = policy_lab.read(losing, "fraud")
    assert plan is not None
    assert (plan.from_day, plan.days, plan.policies) == (70, 60, tuple(policies.POLICIES))
    app = show("policies")
    assert app.title[0].value == "Comparing 4 policies"
    assert primary(app) == ["End it"]
    press(app, "End it")
    assert primary(show("policies")) == ["Compare policies"]


def test_the_lab_refuses_on_the_page_and_begins_nothing(losing: Workspace) -> None:
    app = show("policies")
    app.multiselect[0].set_value(["never"]).run()
    press(app, "Compare policies")
    assert "One policy can" in said(app) or any("One policy" in each.value for each in app.error)
    assert policy_lab.read(losing, "fraud") is None


def test_the_lab_says_which_was_worth_most_beside_never(losing: Workspace) -> None:
    plan = policy_lab.begin(losing, "fraud", 70, 60, ("never", "performance"))
    policy_lab.end(losing, "fraud")
    found = [
        Outcome("never", "branch-1", 130, [(70, -100.0), (123, -9000.0)], [], 0.0),
        Outcome("performance", "branch-2", 130, [(70, -100.0), (92, -250.0), (123, 1000.0)], [92], 250.0),
    ]
    title, _ = policy_lines.headline(FRAUD, policy_lab.read(losing, "fraud"), found)
    assert title == "Worth most here: on performance, €10,000 more than never"
    table = policy_lines.table(FRAUD, found)
    assert table.iloc[1].tolist() == ["On performance", "1 (day 92)", "€250", "€1,250", "€1,000"]
    assert table.iloc[0]["Left"] == "−€9,000"
    figure = policy_lines.figure(FRAUD, plan, found)
    assert [list(trace.x) for trace in figure.data if trace.mode == "markers"] == [[], [92]]
    assert "on performance €1,000 with 1 retraining" in figure.layout.meta["alt"]

    # and two that lived alike share a line, which names both
    found.append(Outcome("drift", "branch-3", 130, found[0].saved, [], 0.0))
    figure = policy_lines.figure(FRAUD, plan, found)
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert [trace.name for trace in lines] == ["never, on drift", "on performance"]


def test_without_a_world_the_lab_says_what_it_needs(workspace: Workspace) -> None:  # noqa: F811
    assert "the lab needs a world" in said(show("policies"))

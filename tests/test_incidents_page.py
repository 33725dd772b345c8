"""The room Incidents: what it says at each step, and that it gives nothing away before the end."""

from __future__ import annotations

import page_samples as samples
import pytest
from streamlit.testing.v1 import AppTest
from test_pages import press, show, words, workspace  # noqa: F401  (the fixture)
from world_samples import played

from pages.parts import incident_figures, incident_room
from pipelines.production import clock as clocks
from pipelines.production.incidents import records, solving
from pipelines.production.incidents.library import LIBRARY
from pipelines.scenarios import find_scenario
from pipelines.workspace import Workspace

FRAUD = find_scenario("fraud")
HYPOTHESIS = "Means are zero since day 97, and amounts are as they were."


@pytest.fixture
def world(workspace: Workspace) -> Workspace:  # noqa: F811
    """A world on day 98 in which nothing has gone wrong; its first day is 60."""
    played(workspace, samples.completed(workspace), [400.0] * 31)
    return workspace


@pytest.fixture
def broken(world: Workspace) -> Workspace:
    """The same, in which features have been wrong for a day."""
    made = records.add(world, "fraud", "main", "skew", 97)
    with records.TABLES.writing(world) as connection:
        records.mark_begun(connection, made, 97, {})
    return world


def said(app: AppTest) -> str:
    return words(app).replace("\\", "")


def labels(app: AppTest) -> list[str]:
    return [each.label for each in app.button]


def test_before_a_world_it_says_what_will_be_here(workspace: Workspace) -> None:  # noqa: F811
    app = show("incidents")
    assert app.title[0].value == "No day has passed yet"
    assert "Here something will go wrong" in said(app)
    assert [each.label for each in app.button if each.proto.type == "primary"] == ["To Production"]


def test_on_a_usual_morning_a_drill_can_be_begun_and_an_alarm_can_be_false(world: Workspace) -> None:
    app = show("incidents")
    assert app.title[0].value == "Day 98: nothing is wrong that anybody knows of"
    press(app, "Declare an incident")
    assert records.moves(world, "fraud")[-1].move == "false alarm"
    assert "A false alarm of yours." in said(show("incidents"))

    app = show("incidents")
    press(app, "Start a drill")
    (made,) = records.of_branch(world, "fraud")
    assert made.hidden
    app = show("incidents")
    assert app.title[0].value == "Day 98: a drill is on"
    assert "Start a drill" not in labels(app)
    # what it is stands nowhere on the page
    assert made.definition.title not in said(app)
    assert made.definition.cause not in said(app)


def test_a_case_is_ended_then_understood_then_confirmed(broken: Workspace) -> None:
    app = show("incidents")
    press(app, "Declare an incident")
    app = show("incidents")
    assert app.title[0].value == "Day 98: an incident is declared"
    for hidden in (LIBRARY["skew"].title, LIBRARY["skew"].cause, "Cause"):
        assert hidden not in said(app) + " ".join(each.label for each in app.selectbox)

    # when a lever is pulled
    app.selectbox(key="lever").set_value("features_back").run()
    assert "Features are computed as they were." in said(app)
    press(app, "Do it")
    app = show("incidents")
    assert "Put the last release of the feature code back: done this morning." in said(app)

    # and a hypothesis is written, then causes can be chosen, one of them wrong
    app.text_area[0].input(HYPOTHESIS).run()
    press(app, "Keep it")
    app = show("incidents")
    (box,) = [each for each in app.selectbox if each.label == "Cause"]
    box.set_value("unit_change").run()
    press(app, "Name it")
    app = show("incidents")
    assert "that is not what happened" in said(app)
    (box,) = [each for each in app.selectbox if each.label == "Cause"]
    box.set_value("skew").run()
    press(app, "Name it")
    app = show("incidents")
    assert "that is what happened" in said(app)

    # then it is confirmed once three days have passed, and told
    assert "0 of 3 healthy days have passed since it was ended." in said(app)
    press(app, "Confirm that it is over")
    assert "0 of 3 healthy days" in said(app)
    for _ in range(3):
        clock = clocks.must_read(broken, "fraud")
        clocks.pass_day(broken, clock)
    app = show("incidents")
    press(app, "Confirm that it is over")
    app = show("incidents")
    assert app.title[0].value.startswith("Day 101: it is over, ")
    assert "It began on day 97, was declared on day 98 and ended on day 98." in said(app)
    assert LIBRARY["skew"].cause in said(app)
    assert len(solving.cases(broken, "fraud")) == 1


def test_who_gives_up_is_told(broken: Workspace) -> None:
    solving.declare(broken, "fraud")
    app = show("incidents")
    app.button(key="give-up").click().run()
    assert "No cause was named." in said(show("incidents"))


def test_one_can_be_begun_by_name(world: Workspace) -> None:
    app = show("incidents")
    app.selectbox(key="inject").set_value("duplicates").run()
    press(app, "Let it begin tomorrow")
    (made,) = records.of_branch(world, "fraud")
    assert (made.name, made.begins, made.hidden) == ("duplicates", 98, False)


@pytest.mark.parametrize("view", incident_figures.VIEWS)
def test_every_view_has_a_plot_with_a_finding_or_says_what_it_waits_for(world: Workspace, view: str) -> None:
    facts = incident_room.look(world, FRAUD)
    figure = incident_figures.draw(view, facts)
    if view in ("inputs", "right"):
        assert figure is None  # these days were never monitored
    else:
        assert figure is not None
        assert figure.layout.title.text
    app = show("incidents", look=view)
    assert not app.exception


def test_lost_days_are_the_finding_of_the_plot(world: Workspace) -> None:
    with world.connect() as connection:
        connection.execute("UPDATE ledger SET requests = 0, lost = 1900 WHERE day = 97")
        connection.execute("UPDATE ledger SET p95_ms = 2400, labels = 0 WHERE day >= 96")
    facts = incident_room.look(world, FRAUD)

    def title(view: str) -> str:
        figure = incident_figures.draw(view, facts)
        assert figure is not None
        return str(figure.layout.title.text)

    assert title("requests") == "On day 97, 1,900 of 1,900 payments got no answer"
    assert title("wait") == "Since day 96 one answer in twenty takes 2.4 s or more"
    assert title("labels") == "No label comes in since day 96"
    assert title("alerts") == "40 alerts on day 97; 40 a day are usual"

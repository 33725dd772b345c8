"""Home: what it says of a model in production, of the ready-made world, and what its buttons do."""

from __future__ import annotations

import page_samples as samples
import pytest
from streamlit.testing.v1 import AppTest
from test_pages import press, show, words, workspace  # noqa: F401  (the fixture)
from world_samples import played

from pages.parts import production, stages, story
from pipelines.lifecycle import LIFECYCLE
from pipelines.production import clock as clocks
from pipelines.production import opening
from pipelines.run import read_params
from pipelines.scenarios import find_scenario
from pipelines.workspace import Workspace

FRAUD = find_scenario("fraud")
LOSING = [400.0] * 10 + [-1200.0] * 21


def primary(app: AppTest) -> list[str]:
    return [each.label for each in app.button if each.proto.type == "primary"]


def said(app: AppTest) -> str:
    return words(app).replace("\\", "")


def test_it_says_in_money_how_the_newest_known_week_went(workspace: Workspace) -> None:  # noqa: F811
    # given a world whose newest known week lost 7 × 1,200 EUR
    played(workspace, samples.completed(workspace), LOSING)

    # when
    app = show("home")

    # then title and sentence say so, for which days, and beside what
    assert app.title[0].value == "Day 98: your model lost €8,400 in a week"
    assert "days 84 to 90" in said(app)
    assert "no model at all would have cost €8,400 less" in said(app)
    assert "Worse than no model on 21 of 23 days" in said(app)
    assert "**Day 98** :gray[Sunday 8 July 2018]" in said(app)


def test_a_model_that_is_worth_something_is_told_so(workspace: Workspace) -> None:  # noqa: F811
    played(workspace, samples.completed(workspace), [400.0, 300.0])
    app = show("home")
    assert app.title[0].value == "Day 69: your model saved €700 on 2 days"
    assert "having no model would have cost **€700 more**" in said(app)


def test_days_that_are_not_known_yet_are_no_loss(workspace: Workspace) -> None:  # noqa: F811
    played(workspace, samples.completed(workspace), [])
    app = show("home")
    assert app.title[0].value == "Version 1 answers every payment"
    assert "lost" not in said(app)


def test_the_plot_ends_where_the_outcomes_do(workspace: Workspace) -> None:  # noqa: F811
    # given a world at day 98, whose outcomes are known up to day 90, with a release on day 80
    played(workspace, samples.completed(workspace), LOSING)
    found = production.look(workspace, FRAUD)
    release = samples.promotion.history(workspace)[0]
    figure = production.figure(
        found, FRAUD, [release.__class__(**{**vars(release), "day": 80, "version": 2})]
    )

    # then the line ends there, the rest is a grey zone, and the release has its line
    assert figure is not None
    (line,) = [trace for trace in figure.data if trace.mode == "lines"]
    assert (list(line.x), line.y[-1]) == (list(range(68, 91)), -1200.0)
    notes = {note.text for note in figure.layout.annotations}
    assert {"no model", "not known", "version 2"} <= notes
    assert "Later days are not known yet" in samples.figures.describe(figure)


def test_time_passes_when_it_is_let(workspace: Workspace) -> None:  # noqa: F811
    played(workspace, samples.completed(workspace), [400.0] * 3)
    app = show("home")
    assert primary(app) == ["Let a week pass"]
    press(app, "+1 day")
    clock = clocks.read(workspace, "fraud")
    assert clock is not None
    assert (clock.day, clock.target_day) == (70, 71)

    # while it passes nothing can be added, and it can be paused
    buttons = {each.label: each for each in app.button}
    assert all(buttons[label].disabled for label in ("+1 day", "+1 week", "+1 month"))
    press(app, "Pause")
    clock = clocks.read(workspace, "fraud")
    assert clock is not None
    assert clock.state == "idle"
    press(show("home"), "Let a week pass")
    assert clocks.read(workspace, "fraud").target_day == 77  # type: ignore[union-attr]
    press(show("home"), "Pause")

    # and it can be let pass until somebody pauses it
    press(show("home"), "Play")
    clock = clocks.read(workspace, "fraud")
    assert clock is not None
    assert clock.target_day == clock.last_day == 365


def test_time_can_pass_as_soon_as_a_version_serves(workspace: Workspace) -> None:  # noqa: F811
    samples.completed(workspace)
    app = show("home")
    assert "No day has passed yet" in said(app)
    press(app, "+1 week")
    clock = clocks.read(workspace, "fraud")
    assert clock is not None
    assert (clock.day, clock.target_day) == (60, 67)


def test_a_world_that_is_not_running_says_how_to_start_it(workspace: Workspace) -> None:  # noqa: F811
    played(workspace, samples.completed(workspace), [400.0] * 3, going_on=5)
    app = show("home")
    assert app.title[0].value == "Days are passing"
    assert "The world is not running. Start everything with `make run`" in said(app)


def test_a_day_that_can_not_be_played_says_why(workspace: Workspace) -> None:  # noqa: F811
    run = samples.completed(workspace)
    played(workspace, run, [400.0] * 3, going_on=5, problem="The gateway is <b>gone</b>.")
    shown = words(show("home"))
    assert "The gateway is \\<b\\>gone\\</b\\>" in shown
    assert "tried again by itself" in shown


def test_no_step_goes_beyond_the_end_of_the_world(workspace: Workspace) -> None:  # noqa: F811
    params = {"ingest": {"size": "small", "until_day": 350}, "train": {"model": "logistic"}}
    samples.completed(workspace, params=params)
    clocks.begin(workspace, "fraud")
    app = show("home")
    barred = {button.label: button.disabled for button in app.button}
    assert (barred["+1 week"], barred["+1 month"]) == (False, True)


def test_every_stage_leads_somewhere() -> None:
    for name, stage in stages.STAGES.items():
        page, query = stages.destination(name)
        assert (samples.Path(__file__).parent.parent / page).is_file(), stage
        assert set(query) <= {"step", "view"}
    assert [stages.stage_of(name) for name in LIFECYCLE.road].count("") == 0
    assert len(stages.STAGES) <= 10


# The ready-made world.


def test_while_it_is_made_home_says_which_step_and_which_day(workspace: Workspace) -> None:  # noqa: F811
    # given a home in which it was begun
    opening.go_on(workspace.home)
    app = show("home")
    assert app.title[0].value == "Your first model is about to be made"

    # when its run is at a step
    (run_id,) = workspace.run_ids()
    folder = workspace.run_folder(run_id)
    teller = samples.Clock(folder, 1000.0)
    teller.tell("run_started", mlflow_run="0" * 32)
    samples.write_outputs(folder, "ingest", run_id, 1, True)
    samples.execute(folder, LIFECYCLE.road[0], teller)
    samples.execute(folder, LIFECYCLE.road[1], teller, stop_after=1)
    app = show("home")
    assert app.title[0].value == "Your first model is being made"
    title = LIFECYCLE.step(LIFECYCLE.road[1]).title.lower()
    assert f"Step 2 of {len(LIFECYCLE.road)}: {title}" in said(app)
    assert primary(app) == ["Watch the run"]

    # when it is deployed, and its days are played
    for name in LIFECYCLE.road[1:]:
        samples.write_outputs(folder, name, run_id, 1, True)
        samples.execute(folder, name, teller)
    teller.tell("run_finished", status="completed")
    samples.promote(workspace, 1, run_id)
    opening.go_on(workspace.home)
    opening.go_on(workspace.home)
    app = show("home")
    assert app.title[0].value == "Your model meets the world"
    assert "from day 60 to 98" in said(app)
    told = story.tell(workspace, FRAUD)
    assert told.opening == pytest.approx(0.6)
    assert "Playing day 60, up to day 98" in said(app) or told.live


def test_a_run_from_home_begins_with_the_world_as_it_is(workspace: Workspace) -> None:  # noqa: F811
    played(workspace, samples.completed(workspace), LOSING)
    from pages.parts.launch import start_all

    run = start_all(workspace, FRAUD)
    ingest = read_params(workspace.run_folder(run.run_id))["ingest"]
    assert (ingest["until_day"], ingest["size"]) == (98, "small")

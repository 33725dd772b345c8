"""Monitor: is what your model meets still what it learnt from, and is it still right?"""

import streamlit as st

from pages.parts import drift_files, frame, passing, time_bar, views, watch, watch_panels
from pipelines.errors import FlightdeckError
from pipelines.monitoring import plots
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace

TICK_S = 1.0
VIEWS = {"model": "Your model", "files": "Two files"}


def main() -> None:
    workspace, room = frame.workspace(), frame.Room()
    scenario = room.choose_scenario()
    try:
        facts = watch.look(workspace, scenario)
    except FlightdeckError as error:
        room.say("Your workspace can't be read")
        frame.show_problem(error)
        return
    view = "files" if st.query_params.get("view") == "files" else "model"
    if view == "files":
        room.say("Has your data drifted?", "Compare any two files, column by column, as your model's are.")
    else:
        room.say(*watch.headline(facts))
    choose_view(view)
    if view == "files":
        drift_files.draw()
    else:
        draw_model(workspace, facts)
    if view != "files":
        watch_panels.draw_bar(workspace, scenario, facts)
    if facts.playing:
        st.fragment(follow, run_every=TICK_S)(workspace, scenario, facts.day)


def choose_view(view: str) -> None:
    chosen = views.choose(VIEWS, view)
    if chosen != view:
        st.query_params["view"] = chosen
        st.rerun()


def draw_model(workspace: Workspace, facts: watch.Facts) -> None:
    if facts.problem is not None:
        frame.show_problem(facts.problem)
    if facts.champion is not None:
        time_bar.draw(workspace, facts.scenario)
    if facts.report is None:
        draw_empty(facts)
        return
    left, right = st.columns([13, 7], gap="medium")
    with left:
        frame.show(watch.performance_figure(facts), key="performance")
    with right:
        watch_panels.draw_alerts(workspace, facts)
    left, right = st.columns([1, 1], gap="medium")
    with left:
        watch_panels.draw_drift(facts)
    with right:
        watch_panels.draw_column(workspace, facts)
    watch_panels.draw_checks(facts)
    left, right = st.columns([1, 1], gap="medium")
    with left:
        if "backlog_days" in facts.report["performance"]:  # a diary of before has none
            frame.show(plots.backlog(facts.scenario, facts.report), key="backlog")
    with right:
        estimates = plots.estimates(facts.reports)
        if estimates is not None:
            frame.show(estimates, key="estimates")


def draw_empty(facts: watch.Facts) -> None:
    with st.container(border=True, height=300, vertical_alignment="center"):
        st.markdown("**Here will be how right your model is, day by day**", text_alignment="center")
        waits = "It is measured once labels come." if facts.champion else "First a version has to answer."
        frame.note(f"With its interval, beside what you would get without a model. {waits}", centred=True)


def follow(workspace: Workspace, scenario: Scenario, day: int | None) -> None:
    """Show the next day once it has passed."""
    if passing.today(workspace, scenario) != day or not passing.is_playing(workspace, scenario):
        st.rerun()


main()

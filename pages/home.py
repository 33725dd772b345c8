"""Home: how your model stands, at a glance."""

import streamlit as st

from pages.parts import frame, loop, rooms, story
from pages.parts.launch import start_all
from pages.parts.words import clock, plain
from pipelines import figures
from pipelines.errors import FlightdeckError
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace

TICK_S = 1.0


def main() -> None:
    workspace, room = frame.workspace(), frame.Room()
    scenario = room.choose_scenario()
    try:
        told = story.tell(workspace, scenario)
    except FlightdeckError as error:
        room.say("Your workspace can't be read")
        frame.show_problem(error)
        return
    room.say(told.title, told.sentence)
    # While a run goes on its stages are drawn again each second; when its status changes, the whole page is.
    st.fragment(draw_state, run_every=TICK_S if told.live else None)(workspace, scenario, told.status)
    draw_next(told, workspace, scenario)


def draw_state(workspace: Workspace, scenario: Scenario, status: str) -> None:
    with frame.problems_shown():
        told = story.tell(workspace, scenario)
        if told.status != status:
            st.rerun()
        left, right = st.columns([11, 9], gap="medium")
        with left:
            draw_loop(told, scenario)
        with right:
            draw_test(told)
            draw_latest(told)


def draw_loop(told: story.Story, scenario: Scenario) -> None:
    chosen = loop.ring(told.nodes, told.centre, f"Lifecycle of {scenario.title}", key="loop")
    if chosen == "serve":
        query = {"scenario": scenario.name, "view": "ask"}
        st.switch_page(rooms.file_of(rooms.DEPLOY), query_params=query)
    elif chosen:
        st.switch_page(
            rooms.file_of(rooms.NOTEBOOKS), query_params={"scenario": scenario.name, "step": chosen}
        )


def draw_test(told: story.Story) -> None:
    if told.report is None:
        with st.container(border=True, height=300, vertical_alignment="center"):
            st.markdown("**Here will be how often your model is right**", text_alignment="center")
            frame.note("Each day of the test, beside what you would get without a model.", centred=True)
        return
    days = told.report["by_day"]
    known = [each for each in days if None not in (each["card_precision"], each["baseline"])]
    better = sum(each["card_precision"] > each["baseline"] for each in known)
    figure = figures.new_figure(
        f"Better than no model on {better} of {len(known)} test days",
        "Day",
        "Share of alerts that are right",
    )
    shown = [each["day"] for each in known]
    figures.line(figure, shown, [each["baseline"] for each in known], "reference", "no model")
    figures.line(figure, shown, [each["card_precision"] for each in known], "champion", "model")
    figure.update_yaxes(tickformat=".0%", range=[-0.02, 1.05 * max(each["card_precision"] for each in known)])
    figure.update_layout(height=250)
    frame.show(figure)


def draw_latest(told: story.Story) -> None:
    st.markdown("**Latest**")
    if not told.latest:
        frame.note("Nothing has happened yet.")
    with st.container(gap="xxsmall"):
        for at, words in told.latest:
            st.markdown(f":gray[{clock(at)}] {plain(words)}")


def draw_next(told: story.Story, workspace: Workspace, scenario: Scenario) -> None:
    following = told.next
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        if st.button(following.button, type="primary", icon=":material/arrow_forward:"):
            if following.starts:
                run = start_all(workspace, scenario)
                st.switch_page(following.page, query_params={"scenario": scenario.name, "run": run.run_id})
            st.switch_page(following.page, query_params=following.query)
        st.markdown(following.words, width="content")


main()

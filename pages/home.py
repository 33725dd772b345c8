"""Home: how your model stands, at a glance."""

import streamlit as st

from pages.parts import frame, loop, story, time_bar
from pages.parts.launch import start_all
from pages.parts.stages import destination
from pages.parts.words import plain
from pipelines import figures
from pipelines.errors import FlightdeckError
from pipelines.production import clock, retraining
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace

TICK_S = 1.0
WEEK_DAYS = 7


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
    notice = st.container()
    time_bar.draw(workspace, scenario)
    # While something goes on it is drawn again each second; when the title changes, the whole page is.
    live = st.fragment(draw_state, run_every=TICK_S if told.live else None)
    live(workspace, scenario, (told.status, told.sentence))
    draw_next(told, workspace, scenario, notice)


def draw_state(workspace: Workspace, scenario: Scenario, shown: tuple[str, str]) -> None:
    with frame.problems_shown():
        told = story.tell(workspace, scenario)
        if (told.status, told.sentence) != shown:
            st.rerun()
        left, right = st.columns([9, 11], gap="medium")
        with left:
            draw_worth(told)
            draw_latest(told)
        with right:
            draw_loop(told, scenario)


def draw_loop(told: story.Story, scenario: Scenario) -> None:
    chosen = loop.ring(told.nodes, told.centre, f"Lifecycle of {scenario.title}", key="loop")
    if chosen:
        page, query = destination(chosen)
        st.switch_page(page, query_params={"scenario": scenario.name} | query)


def draw_worth(told: story.Story) -> None:
    """Money once it is known; before, how often the model was right in its test, or how far the making is."""
    if told.money is not None:
        frame.show(told.money, key="money")
    elif told.opening is not None:
        with st.container(border=True, height=300, vertical_alignment="center"):
            st.markdown("**Here will be what your model is worth**", text_alignment="center")
            frame.note("Each day in money, beside having no model.", centred=True)
            st.progress(told.opening)
    elif told.report is not None:
        draw_test(told.report["by_day"])
    else:
        with st.container(border=True, height=300, vertical_alignment="center"):
            st.markdown("**Here will be how often your model is right**", text_alignment="center")
            frame.note("Each day of the test, beside what you would get without a model.", centred=True)


def draw_test(days: list[dict[str, float]]) -> None:
    known = [each for each in days if None not in (each["card_precision"], each["baseline"])]
    better = sum(each["card_precision"] > each["baseline"] for each in known)
    title = f"Better than no model on {better} of {len(known)} test days"
    figure = figures.new_figure(title, "Day", "Share of alerts that are right")
    shown = [each["day"] for each in known]
    figures.line(figure, shown, [each["baseline"] for each in known], "reference", "no model")
    figures.line(figure, shown, [each["card_precision"] for each in known], "champion", "model")
    figure.update_yaxes(tickformat=".0%", range=[-0.02, 1.05 * max(each["card_precision"] for each in known)])
    figure.update_layout(height=280)
    frame.show(figure, key="test")


def draw_latest(told: story.Story) -> None:
    st.markdown("**Latest**")
    if not told.latest:
        frame.note("Nothing has happened yet.")
    with st.container(gap="xxsmall"):
        for when, words in told.latest:
            st.markdown(f":gray[{when}] {plain(words)}")


def draw_next(told: story.Story, workspace: Workspace, scenario: Scenario, notice: object) -> None:
    following = told.next
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(following.button, type="primary", icon=":material/arrow_forward:")
        st.markdown(plain(following.words), width="content")
    if pressed:
        with notice, frame.problems_shown():
            follow(following, workspace, scenario)


def follow(following: story.Next, workspace: Workspace, scenario: Scenario) -> None:
    """Do what the button says, then go where it leads."""
    if following.does == "week":
        clock.advance(workspace, scenario.name, WEEK_DAYS)
        st.rerun()
    query = following.query
    if following.does == "run":
        query = {"scenario": scenario.name, "run": start_all(workspace, scenario).run_id}
    elif following.does == "retrain":
        run = retraining.retrain(workspace, scenario.name, "an alert is open")
        query = {"scenario": scenario.name, "run": run.run_id}
    st.switch_page(following.page, query_params=query)


main()

"""Foundations: what MLOps is and is for, shown on the learner's own runs; and what here is real."""

import pandas as pd
import streamlit as st

from pages.parts import evidence, foundation_figures, frame, rooms, two_loops
from pages.parts import foundations_text as texts
from pages.parts.words import plain
from pipelines.errors import FlightdeckError
from pipelines.scenarios.scenario import Scenario


def main() -> None:
    workspace, room = frame.workspace(), frame.Room()
    scenario = room.choose_scenario()
    try:
        found = evidence.gather(workspace, scenario)
    except FlightdeckError as error:
        room.say("Your workspace can't be read")
        frame.show_problem(error)
        return
    room.say(*headline(found))
    draw_what(found)
    draw_devops()
    draw_pains(found)
    draw_with_and_without(found)
    draw_simulated()
    draw_bar(found, scenario)


def headline(found: evidence.Evidence) -> tuple[str, str]:
    said = "What MLOps is, what it is good for, and what of it you see here."
    if found.champion is None:
        return "A model is more than a file", said
    return f"Version {found.champion.version} of yours is more than a file", said


def draw_what(found: evidence.Evidence) -> None:
    st.subheader("What MLOps is", anchor=False)
    st.markdown(texts.WHAT, width=frame.TEXT_WIDTH)
    stages = evidence.line(found)
    if stages:
        frame.show(foundation_figures.line(stages), key="line")
    else:
        draw_missing(
            "Here will be the trace of your own model", "From its data to its answers, once it serves."
        )


def draw_devops() -> None:
    st.subheader("DevOps, and what data and models add", anchor=False)
    st.markdown(texts.DEVOPS, width=frame.TEXT_WIDTH)
    left, right = st.columns(2, gap="medium")
    with left:
        frame.show(two_loops.devops(), key="devops")
    with right:
        frame.show(two_loops.mlops(), key="mlops")


def draw_pains(found: evidence.Evidence) -> None:
    st.subheader("Four old pains, and the remedy", anchor=False)
    st.markdown(texts.PAINS_INTRO, width=frame.TEXT_WIDTH)
    rows = [
        (f"**{name}**", words, plain(held.words) if held.holds else "Nothing yet.")
        for (name, words), held in zip(texts.PAINS, found.pains, strict=True)
    ]
    frame_of = pd.DataFrame(rows, columns=["Pain", "What happens", "What your workspace holds"])
    st.table(frame_of, border="horizontal", hide_index=True, alt="Four pains and the evidence against them")
    if found.traces[""] > 1:  # of a single run the table has said it all
        frame.show(foundation_figures.traces(found.traces), key="traces")
    st.markdown(texts.BENEFITS, width=frame.TEXT_WIDTH)


def draw_with_and_without(found: evidence.Evidence) -> None:
    st.subheader("With and without, on your own model", anchor=False)
    st.markdown(texts.WITH_INTRO, width=frame.TEXT_WIDTH)
    champion = found.champion
    if champion is None:
        draw_missing(
            "No version of yours serves yet", "Make a model and deploy it; then ask its file who made it."
        )
        return
    size = champion.file.stat().st_size
    rows = [tuple(plain(value) for value in row) for row in evidence.questions(found.scenario, champion)]
    columns = ["Question", f"The file alone ({size / 1e3:,.0f} kB)", "What was recorded"]
    st.table(pd.DataFrame(rows, columns=columns), border="horizontal", hide_index=True, alt="Six questions")
    st.code(f"{champion.file}", language=None, wrap_lines=True)
    if found.days:
        st.markdown(texts.MONEY, width=frame.TEXT_WIDTH)
        frame.show(foundation_figures.money(found.days, found.scenario), key="money")


def draw_simulated() -> None:
    st.subheader("What here is simulated, and what is real", anchor=False)
    st.markdown(texts.SIMULATED_INTRO, width=frame.TEXT_WIDTH)
    rows = [(name, f"**{kind}**" if kind == "real" else kind, words) for name, kind, words in texts.SIMULATED]
    table = pd.DataFrame(rows, columns=["What", "Is", "How"])
    st.table(table, border="horizontal", hide_index=True, alt="What is simulated and what is real")
    st.subheader("Sources", anchor=False)
    st.markdown(f":small[:gray[{' '.join(texts.SOURCES.split())}]]", width=frame.TEXT_WIDTH)


def draw_missing(title: str, words: str) -> None:
    with st.container(border=True, height=180, vertical_alignment="center"):
        st.markdown(f"**{title}**", text_alignment="center")
        frame.note(words, centred=True)


def draw_bar(found: evidence.Evidence, scenario: Scenario) -> None:
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        if found.champion is None:
            if st.button("Make a model", type="primary", icon=":material/arrow_forward:"):
                st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params={"scenario": scenario.name})
            st.markdown("Then this page tells of your own.", width="content")
            return
        if st.button("Read how it was made", type="primary", icon=":material/arrow_forward:"):
            st.switch_page(rooms.file_of(rooms.HISTORY), query_params={"run": found.champion.record.run_id})


main()

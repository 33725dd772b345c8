"""History: every run you ever made, its notebooks, and any two of them side by side."""

import streamlit as st

from pages.parts import frame, one_run, rooms, runs_table, side_by_side
from pages.parts.record import read_record
from pages.parts.words import plain
from pipelines.errors import FlightdeckError
from pipelines.execution import catalogue, comparison
from pipelines.execution.catalogue import Entry
from pipelines.workspace import Workspace


def main() -> None:
    workspace, room = frame.workspace(), frame.Room()
    with st.spinner("Reading all runs; the first time takes a while."):
        entries = catalogue.look(workspace)
    pair = st.query_params.get("a", ""), st.query_params.get("b", "")
    asked = st.query_params.get("run", "")
    try:
        if all(pair):
            draw_pair(workspace, room, pair)
        elif asked:
            one_run.draw(workspace, room, entries, read_record(workspace, asked))
        else:
            draw_all(room, entries)
    except FlightdeckError as error:
        room.say("This run can't be shown")
        frame.show_problem(error)
        one_run.draw_back()


def draw_all(room: frame.Room, entries: list[Entry]) -> None:
    room.say(*runs_table.headline(entries))
    if not entries:
        with st.container(border=True, height=300, vertical_alignment="center"):
            st.markdown("**Here will be your runs, newest first**", text_alignment="center")
            frame.note("With what was changed in each, how good it was, and every notebook.", centred=True)
        with st.bottom:
            if st.button("Make a model", type="primary", icon=":material/arrow_forward:"):
                st.switch_page(rooms.file_of(rooms.NOTEBOOKS))
        return
    found = catalogue.find(entries, runs_table.ask(entries))
    chosen = runs_table.draw(found)
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        names = {0: "Open", 1: "Open the run", 2: "Compare the two"}
        ready = len(chosen) in (1, 2)
        if st.button(names.get(len(chosen), "Compare"), type="primary", disabled=not ready):
            keys = ("a", "b") if len(chosen) == 2 else ("run",)
            ordered = sorted(chosen, key=lambda each: each.created_at)
            st.query_params.from_dict(dict(zip(keys, (each.run_id for each in ordered), strict=True)))
            st.rerun()
        if not ready:
            st.markdown("Choose one run in the table, or two to compare.", width="content")


def draw_pair(workspace: Workspace, room: frame.Room, pair: tuple[str, str]) -> None:
    found = comparison.compare(*(workspace.run_folder(run_id) for run_id in pair))
    room.say("Two runs side by side", side_by_side.sentence(found))
    for place, (column, run_id) in enumerate(zip(st.columns(2, gap="medium"), pair, strict=True)):
        with column, st.container(horizontal=True, vertical_alignment="center"):
            name = (side_by_side.A, side_by_side.B)[place].capitalize()
            st.markdown(f"**{name}**: {plain(run_id)}", width="content")
            if st.button("Open", key=f"open:{place}", type="tertiary", icon=":material/arrow_forward:"):
                st.query_params.from_dict({"run": run_id})
                st.rerun()
    side_by_side.draw(found)
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Change something in the second, and run it", type="primary"):
            st.query_params.from_dict({"run": pair[1]})
            st.rerun()
        one_run.draw_back()


main()

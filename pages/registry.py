"""Registry: every version of your model, which serves, and what each can tell of itself."""

import streamlit as st

from pages.parts import frame, opened_version, rooms, versions
from pages.parts.launch import start, start_all
from pages.parts.record import params_of
from pages.parts.words import clock, plain
from pipelines.errors import FlightdeckError
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace


def main() -> None:
    workspace, room = frame.workspace(), frame.Room()
    scenario = room.choose_scenario()
    try:
        shelf = versions.gather(workspace, scenario)
    except FlightdeckError as error:
        room.say("Your workspace can't be read")
        frame.show_problem(error)
        return
    room.say(*versions.headline(shelf))
    if shelf.problem is not None:
        draw_problem(shelf)
    opened, unknown = opened_version.asked(shelf)
    if unknown is not None:
        frame.show_problem(unknown)
    if not shelf.entries:
        draw_empty(shelf)
    else:
        draw_all(shelf)
        opened = opened_version.choose(shelf, opened)
        opened_version.draw(workspace, shelf, opened)
    draw_bar(workspace, scenario, shelf, opened)


def draw_problem(shelf: versions.Shelf) -> None:
    """The registry can't be asked: what is shown comes from the runs, and nothing is lost."""
    with st.container(border=True, gap="xsmall"):
        st.markdown(":orange[:material/cloud_off:] **MLflow, which keeps the registry, is not answering**")
        frame.note("What you see is what your runs keep. Nothing is lost, and what serves goes on serving.")
        frame.note(plain(shelf.problem.hint if shelf.problem else ""))


def draw_empty(shelf: versions.Shelf) -> None:
    with st.container(border=True, height=260, vertical_alignment="center", horizontal_alignment="center"):
        st.markdown("**Here will be every version of your model**", width="content")
        words = "With its gate, its test, the data it learnt from, and which of them serves."
        if shelf.candidate is not None:
            words = f"The model of {clock(shelf.candidate.began)} was evaluated. Registered, it has a number."
        frame.note(words, width="content", centred=True)


def draw_all(shelf: versions.Shelf) -> None:
    left, right = st.columns([9, 11], gap="medium")
    with left:
        figure = versions.figure(shelf)
        if figure is not None:
            frame.show(figure, key="versions")
        else:
            frame.note("The runs that made these versions are gone, and their tests with them.")
    with right:
        st.markdown(":small[**All versions**]")
        rows = versions.table(shelf)
        tall = 300 if len(rows) > versions.FIRST_ROWS else "content"
        st.table(rows, border="horizontal", hide_index=True, height=tall, alt="All versions")
        if shelf.older:
            frame.note(f"{shelf.older} older ones are in MLflow.")


def draw_bar(
    workspace: Workspace, scenario: Scenario, shelf: versions.Shelf, opened: versions.Entry | None
) -> None:
    """The one thing to do: register what waits, else bring the opened version on its way."""
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        if shelf.candidate is not None:
            if st.button("Register the newest model", type="primary", icon=":material/inventory_2:"):
                with frame.problems_shown():
                    base = shelf.candidate
                    run = start(
                        workspace,
                        scenario,
                        params_of(base),
                        ("register",),
                        seed=base.run.seed,
                        base=base.run_id,
                    )
                    st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params={"run": run.run_id})
            passed = "passed its gate" if shelf.candidate.gate else "did not pass its gate"
            st.markdown(f"It was evaluated and {passed}.", width="content")
        elif opened is None:
            draw_first(workspace, scenario, shelf)
        else:
            draw_next(scenario, opened)


def draw_first(workspace: Workspace, scenario: Scenario, shelf: versions.Shelf) -> None:
    label = "Go on to a version" if shelf.any_run else "Make a model"
    if st.button(label, type="primary", icon=":material/arrow_forward:"):
        query = {"scenario": scenario.name}
        if not shelf.any_run:
            query |= {"run": start_all(workspace, scenario).run_id}
        st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params=query)


def draw_next(scenario: Scenario, opened: versions.Entry) -> None:
    query = {"scenario": scenario.name}
    if opened.role in ("champion", "canary"):
        if st.button("See what serves", type="primary", icon=":material/arrow_forward:"):
            st.switch_page(rooms.file_of(rooms.DEPLOY), query_params=query)
        st.markdown(f"Version {opened.number} answers requests.", width="content")
    elif opened.gate == "passed":
        if st.button(f"Deploy version {opened.number}", type="primary", icon=":material/rocket_launch:"):
            version = {"version": str(opened.number)}
            st.switch_page(rooms.file_of(rooms.DEPLOY), query_params=query | version)
        st.markdown("You choose the stage next; nothing changes yet.", width="content")
    else:
        if st.button("Read its evaluation", type="primary", icon=":material/arrow_forward:"):
            step = {"run": opened.run_id, "step": "evaluate"}
            st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params=query | step)
        st.markdown("Its gate failed, so it may not serve.", width="content")


main()

"""Train: models and trials side by side, and which change beats the noise."""

import streamlit as st

from pages.parts import experiments, frame, launch, model_card, rooms
from pages.parts.models import Model, pick
from pages.parts.record import Record, params_of
from pages.parts.runs import reread
from pages.parts.words import plain
from pipelines.errors import FlightdeckError
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace

TICK_S = 1.0
SOURCES = {"model": "Models", "trial": "Trials of the last search"}


def main() -> None:
    workspace, room = frame.workspace(), frame.Room()
    scenario = room.choose_scenario()
    try:
        facts = experiments.look(workspace, scenario)
    except FlightdeckError as error:
        room.say("Your workspace can't be read")
        frame.show_problem(error)
        return
    room.say(*experiments.headline(facts))
    notice = st.container()
    if facts.problem is not None:
        with notice:
            frame.show_problem(facts.problem)
    model = pick(facts.models, st.query_params.get("run", ""), facts.serving) if facts.models else None
    searched = facts.searched
    live = facts.working
    if live is not None and live is not searched:
        st.fragment(watch, run_every=TICK_S)(workspace, live.run_id, live.state.status)
    first = searched is not None and facts.newest is searched
    if searched is not None and first:
        draw_trials(workspace, searched)
    if model is None:
        draw_empty(scenario)
    else:
        draw_models(facts, model)
        draw_shared(facts)
        if searched is not None and not first:
            draw_trials(workspace, searched)
        model_card.draw_foot(workspace, model.record, "train")
    draw_bar(workspace, facts, model, notice)


def watch(workspace: Workspace, run_id: str, status: str) -> None:
    """Draw the whole page anew once the run that trains has changed its state."""
    record = reread(workspace, run_id)
    if record is None or record.state.status != status:
        st.rerun()


def draw_trials(workspace: Workspace, record: Record) -> None:
    """The trials of a search; drawn again each second while it goes on."""
    tick = None if record.state.finished else TICK_S
    st.fragment(draw_search, run_every=tick)(workspace, record.run_id, record.state.status)


def draw_search(workspace: Workspace, run_id: str, status: str) -> None:
    record = reread(workspace, run_id)
    if record is None or record.state.status != status:
        st.rerun()
        return
    found, figure = experiments.read_search(record)
    frame.show(figure, key="search")
    if record.state.finished:
        st.markdown(plain((record.report("tuning") or {}).get("words", "The search was not ended.")))
        return
    with st.container(height=80, border=False):
        st.markdown(experiments.newest_trial(found))


def draw_empty(scenario: Scenario) -> None:
    with st.container(border=True, height=300, vertical_alignment="center"):
        st.markdown("**Here will be your models, side by side**", text_alignment="center")
        frame.note(
            f"One dot a model: how well it ranks {plain(scenario.events)}, and how far luck could move it.",
            centred=True,
        )


def draw_models(facts: experiments.Facts, model: Model) -> None:
    figure = experiments.noise_figure(facts, model.run_id)
    if figure is None:
        left, right = st.container(), st.container()
    else:
        left, right = st.columns([7, 5], gap="medium")
    with left:
        if figure is not None:
            frame.show(figure, key="noise")
            if words := experiments.other_tests(facts):
                frame.note(words)
    with right:
        model_card.draw_choice(facts.models, model)
        model_card.draw_params(model)


def draw_shared(facts: experiments.Facts) -> None:
    kinds = [kind for kind in SOURCES if len(facts.of(kind)) > 1]
    if not kinds:
        return
    kind = kinds[0]
    if len(kinds) > 1:
        kind = st.radio(
            "What to compare",
            kinds,
            format_func=SOURCES.__getitem__,
            horizontal=True,
            label_visibility="collapsed",
        )
    frame.show(experiments.parallel_figure(facts, kind), key=f"parallel:{kind}")
    frame.note("Each line is one. Drag along an axis to keep those that pass there; tap the axis to let go.")


def draw_bar(
    workspace: Workspace,
    facts: experiments.Facts,
    model: Model | None,
    notice: st.delta_generator.DeltaGenerator,
) -> None:
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        step = experiments.next_step(facts, model)
        if st.button(step.button, type="primary", icon=":material/arrow_forward:"):
            with notice, frame.problems_shown():
                if step.starts:
                    run = launch.start_all(workspace, facts.scenario)
                    st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params={"run": run.run_id})
                st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params=step.query)
        base: Record | None = experiments.search_base(facts)
        if base is not None and st.button("Search for better params", icon=":material/search:"):
            with notice, frame.problems_shown():
                launch.start(
                    workspace,
                    facts.scenario,
                    params_of(base),
                    ("tune",),
                    seed=base.run.seed,
                    base=base.run_id,
                )
                st.rerun()
        st.markdown(step.words, width="content")


main()

"""Ask it: send the model one event, and see what it answers and why it can be traced."""

from __future__ import annotations

import streamlit as st

from pages.parts import answers, form, frame, rooms, trace
from pages.parts.words import article, clock, plain
from pipelines.scenarios.scenario import Scenario
from pipelines.serving import client
from pipelines.workspace import Workspace


def draw(workspace: Workspace, scenario: Scenario, facts: answers.Facts) -> None:
    """The whole view, for a scenario of which a version serves or none does."""
    if facts.serving.champion is None:
        draw_empty(facts)
        return
    notice = st.container()
    left, right = st.columns([5, 8], gap="medium")
    with left:
        event = draw_form(facts)
    with right:
        draw_answer(facts)
    st.space("small")
    left, right = st.columns([8, 5], gap="medium")
    with left:
        draw_recent(facts)
    with right:
        draw_ledger(facts)
    draw_bar(workspace, scenario, event, facts)
    # Asked last: a gateway that hangs does not keep the page from being read.
    problem = facts.problem or answers.gateway_problem()
    if problem is not None:
        with notice:
            frame.show_problem(problem)


def draw_empty(facts: answers.Facts) -> None:
    with st.container(border=True, height=300, vertical_alignment="center", horizontal_alignment="center"):
        st.markdown(
            f"**Here you will send {article(facts.scenario.event)} and see its score**", width="content"
        )
        frame.note("A version serves once its gate is passed and it is deployed.", width="content")
    with st.bottom:
        if st.button("Make a model", type="primary", icon=":material/arrow_forward:"):
            st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params={"scenario": facts.scenario.name})


def draw_form(facts: answers.Facts) -> dict[str, object]:
    scenario, shown = facts.scenario, facts.shown
    st.subheader(f"One {scenario.event}", anchor=False)
    known = shown.event if shown else {}
    event = form.ask_event(scenario.columns, known, f"{scenario.name}:{shown.prediction_id if shown else ''}")
    source = "simulated" if scenario.origin == "simulated" else "real, replayed in time"
    frame.note(f"Its history is {source}; what you send is added to it.")
    return event


def draw_answer(facts: answers.Facts) -> None:
    st.subheader(answers.verdict(shown) if (shown := facts.shown) else "The answer", anchor=False)
    if shown is None:
        with st.container(border=True, height=260, vertical_alignment="center"):
            st.markdown("**Here will be its score**", text_alignment="center")
            frame.note(
                "With the version that gave it, the time it took, and an id to trace it by.",
                centred=True,
            )
        return
    frame.show(answers.figure(facts, shown), key="score")
    frame.note(answers.trace(shown))
    for words in answers.cold_starts(shown):
        frame.note(words)
    if st.button("Where this answer comes from", type="tertiary", icon=":material/account_tree:"):
        trace.open_view(facts.scenario, trace.VIEW, shown.prediction_id)
    with st.expander("What the model saw"):
        st.table(answers.features(facts, shown), border="horizontal", hide_index=True, alt="Features")


def draw_recent(facts: answers.Facts) -> None:
    st.markdown("**Latest answers**")
    if not facts.recent:
        frame.note(f"No {facts.scenario.event} has been sent yet.")
        return
    st.table(answers.table(facts.recent), border="horizontal", hide_index=True, alt="Latest answers")


def draw_ledger(facts: answers.Facts) -> None:
    st.markdown("**What served when**")
    with st.container(gap="xxsmall"):
        for at, words in answers.ledger(facts):
            st.markdown(f":gray[{clock(at)}] {plain(words)}")
    if facts.record is not None and st.button(
        "The run that made it", type="tertiary", icon=":material/arrow_forward:"
    ):
        st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params={"run": facts.record.run_id})
    st.link_button(
        f"Version {facts.serving.champion} in MLflow",
        facts.version_url,
        type="tertiary",
        icon=":material/open_in_new:",
    )
    frame.note("To go back to the version before:")
    st.code(f"python -m pipelines rollback {facts.scenario.name}", language=None, wrap_lines=True)


def draw_bar(
    workspace: Workspace, scenario: Scenario, event: dict[str, object], facts: answers.Facts
) -> None:
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        if st.button(f"Send the {scenario.event}", type="primary", icon=":material/send:"):
            with frame.problems_shown():
                answer = client.predict(workspace.name, scenario.name, event)
                st.query_params["prediction"] = answer.prediction_id
                st.rerun()
        if facts.serving.canary is not None:
            st.markdown(f"Version {facts.serving.canary} may answer: it is the canary.", width="content")

"""The steps of Incidents: mitigate, diagnose, confirm; and what is told once a case is closed."""

from __future__ import annotations

import streamlit as st

from pages.parts import frame, incident_figures, incident_room
from pages.parts.incident_room import Facts
from pages.parts.words import plain
from pipelines.production.incidents import levers, library, post_mortem, solving
from pipelines.production.incidents.solving import Case
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace


def draw_mitigate(workspace: Workspace, facts: Facts) -> None:
    """Choose a lever and pull it."""
    st.markdown("**1 Mitigate**")
    usable = {each.name: each for each in levers.usable_in(facts.scenario)}
    chosen = st.selectbox(
        "What to do",
        list(usable),
        format_func=lambda name: (
            f"{usable[name].group}: {usable[name].title[0].lower()}{usable[name].title[1:]}"
        ),
        index=None,
        placeholder="Choose what to do",
        label_visibility="collapsed",
        key="lever",
    )
    today = [each.what for each in facts.moves if facts.clock and each.day == facts.clock.day]
    for name in (each for each in today if each in usable):
        frame.note(f":material/check: {plain(usable[name].title)}: done this morning.")
    if chosen is None:
        if not today:
            frame.note("What stops the harm goes first, even before you know the cause.")
        return
    meaning = usable[chosen].meaning
    if chosen == levers.STOP:
        meaning = f"The rule: {facts.scenario.rule}. {meaning}"
    frame.note(plain(meaning))
    if st.button("Do it", icon=":material/build:", disabled=not facts.rests):
        with frame.problems_shown():
            solving.pull(workspace, facts.scenario.name, chosen)
            st.rerun()


def draw_diagnose(workspace: Workspace, facts: Facts, case: Case) -> None:
    """A hypothesis in the learner's words; only then causes to choose from."""
    st.markdown("**2 Diagnose**")
    text = st.text_area(
        "What do you think has happened, and what shows it?",
        case.hypothesis,
        max_chars=solving.MOST_HYPOTHESIS,
        height=104,
        key=f"hypothesis:{case.incident.key}",
        disabled=not facts.rests,
    )
    if text.strip() and " ".join(text.split()) != case.hypothesis:
        if st.button("Keep it", disabled=not facts.rests):
            with frame.problems_shown():
                solving.suppose(workspace, facts.scenario.name, text)
                st.rerun()
        return
    if not case.hypothesis:
        frame.note("Write it down first; then choose a cause.")
        return
    told = incident_room.told(case)
    if told:
        st.markdown(told)
    if not case.solved:
        causes = {each.name: each.title for each in library.possible_in(facts.scenario)}
        chosen = st.selectbox(
            "Cause", list(causes), format_func=causes.__getitem__, index=None, placeholder="Choose a cause"
        )
        if chosen is not None and st.button("Name it", disabled=not facts.rests):
            with frame.problems_shown():
                solving.name_cause(workspace, facts.scenario.name, chosen)
                st.rerun()


def draw_confirm(workspace: Workspace, facts: Facts, case: Case) -> None:
    """What is still missing before it can be closed; and a way out."""
    st.markdown("**3 Confirm**")
    with frame.problems_shown():
        assert facts.clock is not None  # a case is declared in a world
        missing = solving.not_over(workspace, facts.clock, case)
        if not case.cause:
            missing = missing or "Name a cause first."
        frame.note(plain(missing) if missing else "Three healthy days, and the cause is named.")
    with st.popover("Give up", type="tertiary"):
        st.markdown("All is told, and no cause counts. What is broken stays broken until you end it.")
        if st.button("Give up", key="give-up", disabled=not facts.rests):
            with frame.problems_shown():
                solving.close(workspace, facts.scenario.name, give_up=True)
                st.rerun()


def draw_closed(workspace: Workspace, facts: Facts) -> None:
    """The newest case with its points and its post-mortem, those before by name."""
    newest, *before = facts.closed
    text = post_mortem.write(workspace, newest)
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            heading = "How it went"
            if facts.just_closed is None:
                heading = incident_room.result(newest, facts.parts)
            st.subheader(heading, anchor=False, width="content")
            st.download_button(
                "Post-mortem",
                text,
                post_mortem.file_name(newest),
                "text/markdown",
                icon=":material/download:",
            )
        if facts.just_closed is not None:
            frame.show(incident_figures.points(facts.parts), key="points")
        with st.expander("Read the post-mortem"):
            # Its own title stands above.
            st.markdown(_shown(text.split("\n", 2)[2]), width=frame.TEXT_WIDTH)
    for case in before[:5]:
        line = incident_room.result(case, solving.score(workspace, case))
        frame.note(f"**{plain(line)}**. {plain(incident_room.story(case))}")


def draw_inject(workspace: Workspace, scenario: Scenario) -> None:
    """Choose an incident by its name: for who teaches, or wants to see one of them."""
    st.markdown("For who teaches, or wants to see one of them: then you know what it is.")
    causes = {each.name: each.title for each in library.possible_in(scenario)}
    chosen = st.selectbox("Incident", list(causes), format_func=causes.__getitem__, key="inject")
    if st.button("Let it begin tomorrow"):
        with frame.problems_shown():
            made = solving.inject(workspace, scenario.name, chosen)
            st.toast(f"It begins on the morning of day {made.begins}.", icon=":material/check:")
            st.rerun()


def _shown(text: str) -> str:
    """The post-mortem's Markdown with headings of a page's size, and dollars that are no formulas."""
    return text.replace("\n## ", "\n#### ").replace("$", "\\$")

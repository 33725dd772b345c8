"""Trace an answer: the chain behind one prediction, and what became of it."""

from __future__ import annotations

import streamlit as st

from pages.parts import chain, frame
from pages.parts.words import plain
from pipelines.lineage import Lineage, telling
from pipelines.scenarios.scenario import Scenario

VIEW = "trace"
SIGNS = {
    True: ":material/check:",
    False: ":red[:material/error:]",
    None: ":gray[:material/radio_button_unchecked:]",
}


def asked() -> str:
    """The prediction that the address names."""
    return str(st.query_params.get("prediction", "")).strip()


def draw_bar(facts: chain.Facts) -> bool:
    """The one thing to do next; whether it is to have the model asked again."""
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        if facts.lineage is None:
            if st.button("Ask the model", type="primary", icon=":material/arrow_forward:"):
                open_view(facts.scenario, "ask")
            return False
        pressed = st.button("Score it again", type="primary", icon=":material/replay:")
        st.markdown("By the registered model, from the row that was logged.", width="content")
    return pressed


def draw(facts: chain.Facts) -> None:
    """The whole view."""
    if facts.problem is not None:
        frame.show_problem(facts.problem)
    found = facts.lineage
    if found is None:
        with st.container(border=True, height=300, vertical_alignment="center"):
            st.markdown("**Here will be where an answer came from**", text_alignment="center")
            frame.note("Its version, its run with every notebook and param, and its data.", centred=True)
        return
    draw_choice(facts, found)
    draw_chain(found)
    left, right = st.columns([1, 1], gap="medium")
    with left:
        draw_outcome(found)
    with right:
        draw_checks(found)
    with st.expander("What was sent, and what the model saw"):
        st.table(chain.features(found).map(plain), border="horizontal", hide_index=True, alt="Features")
    if found.run is not None and found.run.params:
        with st.expander("The params of every step"):
            st.table(chain.params(found).map(plain), border="horizontal", hide_index=True, alt="Params")
    st.code(f"python -m pipelines lineage {found.prediction_id}", language=None, wrap_lines=True)


def draw_choice(facts: chain.Facts, found: Lineage) -> None:
    """Which answer it is about: one of the newest, or any by its id."""
    listed = chain.choices(facts)
    ids = list(listed)
    place = ids.index(found.prediction_id) if found.prediction_id in ids else None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            "Newest answers",
            ids,
            place,
            format_func=listed.__getitem__,
            placeholder="Choose one",
            width=280,
            key=f"newest:{found.prediction_id}",
        )
        typed = st.text_input(
            "Prediction id", found.prediction_id, max_chars=60, width=280, key=f"id:{found.prediction_id}"
        ).strip()
    wanted = typed if typed != found.prediction_id else chosen
    if wanted and wanted != found.prediction_id and wanted != asked():
        open_view(facts.scenario, VIEW, wanted)


def draw_chain(found: Lineage) -> None:
    """From the data to the decision; on a phone one below the other."""
    links = chain.links(found)
    for number, (column, link) in enumerate(zip(st.columns(len(links), gap="small"), links, strict=True), 1):
        with column, st.container(gap="xxsmall"):
            mark = "" if link.sound else " :orange[:material/warning:]"
            frame.note(f"{number}. {link.title}")
            st.markdown(f"**{plain(link.fact)}**{mark}")
            for words in link.notes:
                if words:
                    frame.note(words)
            for way in link.ways:
                icon = f":material/{way.icon}:"
                if st.button(way.words, type="tertiary", icon=icon, key=f"way:{number}:{way.words}"):
                    st.switch_page(way.page, query_params=way.query)


def draw_outcome(found: Lineage) -> None:
    st.markdown("**What became of it**")
    st.markdown(plain(telling.label_words(found)))
    if found.worth is not None:
        st.markdown(plain(telling.worth_words(found)))
    else:
        frame.note("What it was worth is known once the label is.")


def draw_checks(found: Lineage) -> None:
    """What was held against something else, and what is not there any more."""
    st.markdown("**What was checked**")
    with st.container(gap="xxsmall"):
        for check in found.checks:
            st.markdown(f"{SIGNS[check.ok]} :small[{plain(check.found)}]")
        for gap in found.gaps:
            st.markdown(f":orange[:material/warning:] :small[{plain(gap.what)} :gray[{plain(gap.means)}]]")


def open_view(scenario: Scenario, view: str, prediction_id: str = "") -> None:
    """Go to a view of this page."""
    query = {"scenario": scenario.name, "view": view}
    st.query_params.from_dict(query | ({"prediction": prediction_id} if prediction_id else {}))
    st.rerun()

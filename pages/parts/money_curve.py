"""The money curve with its slider, and the gate's reasons beside it."""

from __future__ import annotations

import streamlit as st

from pages.parts import verdict
from pages.parts.frame import note, show
from pages.parts.models import Model
from pages.parts.words import plain
from pipelines.scenarios.scenario import Scenario
from pipelines.tasks import plots


def draw(scenario: Scenario, model: Model) -> None:
    """The curve and the slider; only this part is drawn again when the slider moves."""
    found = model.report["money"]
    here, points = found["at_threshold"]["threshold"], verdict.thresholds(found)
    start = verdict.chosen_point(found, here)["threshold"]
    place = st.container()
    threshold = st.select_slider(
        "Raise an alert from this score on",
        points,
        start,
        format_func=lambda value: verdict.threshold_label(found, value),
        key=f"threshold:{model.run_id}",
    )
    point = verdict.chosen_point(found, threshold)
    with place:
        show(plots.cost(found, threshold if threshold != start else None), key="cost")
    with st.container(horizontal=True, gap="medium"):
        for words, number in verdict.four_figures(scenario, found, point):
            with st.container(width=112, gap=None):
                st.markdown(f"#### {plain(number)}")
                note(plain(words))
    note(plain(verdict.bill(scenario, found, point)))
    if threshold == start:
        st.markdown(plain(found["words"]))
    else:
        note("You look; nothing is changed. The model keeps the threshold it was trained with.")


def draw_gate(model: Model) -> None:
    st.markdown(f"**The gate {'says yes' if model.passed else 'says no'}**")
    for passed, rule, found, meaning in verdict.reasons(model):
        with st.container(gap="xxsmall"):
            mark = ":material/check:" if passed else ":red[:material/close:]"
            st.markdown(f"{mark} {plain(rule)}")
            note(plain(found))
            if not passed:
                st.markdown(plain(meaning))
    st.markdown(plain(model.report["summary"]))

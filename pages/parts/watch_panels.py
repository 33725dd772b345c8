"""The panels of Monitor: open alerts, what has drifted, the data checks, and the one thing to do next."""

from __future__ import annotations

import streamlit as st

from pages.parts import frame, passing, rooms, watch
from pages.parts.words import plain, several
from pipelines.monitoring import alerts
from pipelines.monitoring.reference import LEAST_ANSWERS
from pipelines.monitoring.rules import FALSE_ALARMS
from pipelines.production import clock as clocks
from pipelines.production import retraining
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace

ICONS = {"bad": ":red[:material/error:]", "attention": ":orange[:material/warning:]"}


def draw_alerts(workspace: Workspace, facts: watch.Facts) -> None:
    st.markdown("**Open alerts**")
    with st.container(height=330, border=False, gap="xsmall"):
        if not facts.open:
            often = f"{FALSE_ALARMS * 100:.0f} of 100"
            frame.note(
                "None. A rule speaks up only when something is outside what weeks do by themselves: where "
                f"nothing has changed, it does so in at most {often} weeks."
            )
        for place, each in enumerate(facts.open):
            draw_alert(workspace, facts, each, opened=place == 0)
        ended = [each for each in facts.all if each.state == "resolved"][-3:]
        for each in reversed(ended):
            frame.note(f"Day {each.opened} to {each.resolved}: {plain(each.title)}; {plain(each.ended)}.")


def draw_alert(workspace: Workspace, facts: watch.Facts, alert: alerts.Alert, *, opened: bool) -> None:
    """What was found and what was expected; what it means and what to do a tap away."""
    mark = ICONS[alert.severity] if alert.state == "open" else ":gray[:material/check:]"
    with st.expander(f"{mark} **{plain(alert.title)}**, day {alert.opened}", expanded=opened):
        frame.note(f"{plain(alert.found)}. Expected: {plain(alert.expected)}.")
        with st.container(horizontal=True):
            if alert.state == "open" and st.button("Acknowledge", key=f"alert-{alert.alert_id}"):
                with frame.problems_shown():
                    alerts.acknowledge(workspace, alert.alert_id, facts.day)
                    st.rerun()
            with st.popover("What to do", type="tertiary"):
                st.markdown(f"{plain(alert.meaning)} {plain(alert.hint)}")


def draw_drift(facts: watch.Facts) -> None:
    figure = watch.drift_figure(facts)
    if figure is None:
        with st.container(border=True, height=200, vertical_alignment="center"):
            count = facts.report["answers"] if facts.report is not None else 0
            words = f"The newest week has {count} answers of {LEAST_ANSWERS} that a distribution needs."
            frame.note(f"Here will be which columns have drifted. {words}", centred=True)
        return
    frame.show(figure, key="drift")


def draw_column(workspace: Workspace, facts: watch.Facts) -> None:
    names = watch.columns(facts)
    if not names:
        return
    chosen = st.selectbox("Look at a column", names, key=f"column:{names[0]}")
    with frame.problems_shown():
        frame.show(watch.column_figure(workspace, facts, chosen), key="column")


def draw_checks(facts: watch.Facts) -> None:
    table = watch.checks(facts)
    if table.empty:
        return
    failed = int((table[""] == "failed").sum())
    title = (
        f"{failed} of {len(table)} data checks failed" if failed else f"All {len(table)} data checks passed"
    )
    st.markdown(f"**{title}**")
    st.table(table, border="horizontal", hide_index=True, alt="Data checks")


def draw_bar(workspace: Workspace, scenario: Scenario, facts: watch.Facts) -> None:
    """The one thing to do next."""
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        query = {"scenario": scenario.name}
        if facts.champion is None:
            if st.button("Make a model", type="primary", icon=":material/arrow_forward:"):
                st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params=query)
        elif facts.retraining:
            if st.button("Watch the run", type="primary", icon=":material/arrow_forward:"):
                st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params={"run": facts.retraining})
        elif facts.decayed is not None:
            draw_retrain(workspace, scenario, facts)
        else:
            pressed = st.button(
                "Advance a week", type="primary", icon=":material/fast_forward:", disabled=facts.playing
            )
            if pressed:
                with frame.problems_shown():
                    clocks.advance(workspace, scenario.name, passing.WEEK)
                    st.rerun()
            delay = several(scenario.label_delay_days, "day", "days")
            words = f"{scenario.events.capitalize()} come in, and labels of {delay} before."
            st.markdown("Days pass." if facts.playing else words, width="content")


def draw_retrain(workspace: Workspace, scenario: Scenario, facts: watch.Facts) -> None:
    """Retrain, or wait until it can learn from the time since the change."""
    assert facts.decayed is not None  # asked only then
    since = min(each.opened for each in facts.open)
    worth, why = retraining.worth_retraining(workspace, scenario, since - 1)
    for label, icon, primary in (
        ("Retrain", "restart_alt", worth),
        ("Advance a week", "fast_forward", not worth),
    ):
        kind = "primary" if primary else "secondary"
        if st.button(label, type=kind, icon=f":material/{icon}:", disabled=facts.playing):
            with frame.problems_shown():
                if label == "Retrain":
                    run = retraining.retrain(workspace, scenario.name, f"alert: {facts.decayed.found}")
                    st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params={"run": run.run_id})
                clocks.advance(workspace, scenario.name, passing.WEEK)
                st.rerun()
    st.markdown(plain(why), width="content")

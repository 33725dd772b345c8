"""The controls of Production: which line of time is lived in, going to any day, and when to retrain."""

from __future__ import annotations

import streamlit as st

from pages.parts import frame
from pages.parts.control_room import Facts, name_of
from pages.parts.words import distinct
from pipelines.production import clock as clocks
from pipelines.production import ledger, policies, pricing, rewinding
from pipelines.scenarios.scenario import Scenario
from pipelines.serving import labelling
from pipelines.workspace import Workspace


def draw(workspace: Workspace, scenario: Scenario, facts: Facts) -> None:
    """One row: the branch, a way to any day, the policy."""
    rests = facts.clock is not None and facts.clock.state != "playing"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if len(facts.there) > 1:
            _draw_branches(workspace, scenario, facts, rests)
        _draw_policy(workspace, scenario, facts)
        with st.popover("Prices", icon=":material/payments:"):
            _draw_prices(workspace, scenario)
        with st.popover("Labels", icon=":material/label:"):
            _draw_labels(workspace, scenario, facts)
        with st.popover("Go to a day", icon=":material/history:", disabled=not rests):
            _draw_way(workspace, scenario, facts)


def _draw_branches(workspace: Workspace, scenario: Scenario, facts: Facts, rests: bool) -> None:
    labels = distinct({each.name: name_of(each) for each in facts.there})
    names, live = list(labels), facts.branch.name
    chosen = st.selectbox(
        "Line of time",
        names,
        names.index(live),
        format_func=labels.__getitem__,
        key=f"branch:{live}:{len(names)}",
        width=260,
        disabled=not rests,
    )
    if chosen != live:
        with frame.problems_shown():
            rewinding.switch(workspace, scenario.name, chosen)
            st.rerun()


def _draw_policy(workspace: Workspace, scenario: Scenario, facts: Facts) -> None:
    held, names = policies.holding(workspace, scenario.name).name, list(policies.POLICIES)
    chosen = st.selectbox(
        "Retrain",
        names,
        names.index(held),
        format_func=lambda name: policies.POLICIES[name].title,
        key=f"policy:{facts.branch.name}:{held}",
        width=200,
        help="\n".join(f"- **{each.title}**: {each.meaning}" for each in policies.POLICIES.values()),
    )
    if chosen != held and facts.clock is not None:
        with frame.problems_shown():
            policies.choose(workspace, facts.clock, chosen)
            st.rerun()


def _draw_prices(workspace: Workspace, scenario: Scenario) -> None:
    """What each outcome costs: assumptions, open to anybody's own."""
    now, unit = pricing.prices_of(workspace, scenario), scenario.prices.unit
    frame.note(scenario.prices.meaning)
    for name, title in pricing.EDITABLE.items():
        per = f" for each {now.missed_column} unit" if name == "missed" and now.missed_column else ""
        value = st.number_input(
            f"{title}, {unit}{per}",
            0.0,
            pricing.MOST,
            float(getattr(now, name)),
            key=f"price:{name}:{getattr(now, name)}",
        )
        if value != getattr(now, name):
            with frame.problems_shown():
                pricing.set_price(workspace, scenario, name, float(value))
                st.rerun()
    if now != scenario.prices and st.button("Take the scenario's prices"):
        pricing.forget_prices(workspace, scenario)
        st.rerun()


def _draw_labels(workspace: Workspace, scenario: Scenario, facts: Facts) -> None:
    """Of which events anybody finds out what they were."""
    assert facts.clock is not None  # drawn once a world was begun
    held = labelling.rule_on(labelling.rules(workspace, scenario.name), facts.clock.day)
    modes = list(labelling.MODES)
    mode = st.radio(
        f"Which {scenario.events} get a label?",
        modes,
        modes.index(held.mode),
        format_func=str.capitalize,
        captions=[labelling.MODES[each] for each in modes],
        key=f"labels:{facts.branch.name}:{held.mode}",
    )
    share = held.share if mode != "all" else 1.0
    if mode != "all":
        share = st.select_slider(
            "And of the others, this share",
            labelling.SHARES,
            share if held.mode == mode else 0.1,
            format_func=lambda each: f"{each:.0%}",
            key=f"labels:share:{facts.branch.name}:{mode}:{held.share}",
        )
    frame.note(
        "Monitoring and the test of a canary count a sampled label for those that have none. Training still "
        "learns from every outcome."
    )
    if (mode, share) != (held.mode, held.share) and st.button("From today on"):
        with frame.problems_shown():
            labelling.choose(workspace, scenario.name, facts.clock.day, mode, float(share))
            st.rerun()


def _draw_way(workspace: Workspace, scenario: Scenario, facts: Facts) -> None:
    """A day before today makes a branch; a later one is played up to."""
    clock = facts.clock
    assert clock is not None  # drawn once a world was begun
    day = int(
        st.number_input(
            "Day", clock.first_day, clock.last_day, clock.day, key=f"way:{clock.branch}:{clock.day}"
        )
    )
    if day == clock.day:
        frame.note(f"It is day {clock.day}. An earlier day can be lived again, a later one is played up to.")
        # Only when asked for: it reads every answer there ever was.
        if st.button("Hash of the log", type="tertiary", icon=":material/fingerprint:"):
            st.code(ledger.log_hash(workspace, scenario.name, clock.branch), language=None, wrap_lines=True)
            frame.note("Equal seeds and equal decisions give an equal one, on any machine.")
        return
    with frame.problems_shown():
        if day > clock.day:
            if st.button(f"Play up to day {day}"):
                clocks.advance(workspace, scenario.name, day - clock.day)
                st.rerun()
            return
        frame.note(
            f"It is the morning of day {day} again: answers, labels, alerts, decisions and money are as they "
            "were. What happened since then is kept as a line of its own, to compare."
        )
        title = st.text_input("What do you want to try?", max_chars=40, placeholder=f"from day {day} on")
        if st.button(f"Go back to day {day}"):
            rewinding.rewind(workspace, scenario.name, day, title)
            st.rerun()

"""Policy lab: when should a model be retrained? The same days of the same world under each policy."""

import streamlit as st

from pages.parts import frame, policy_lines
from pages.parts.words import money
from pipelines.errors import FlightdeckError
from pipelines.production import clock as clocks
from pipelines.production import policies, policy_lab, pricing
from pipelines.production.clock import Clock
from pipelines.production.policy_lab import Outcome, Plan
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace

TICK_S = 1.0
DAYS = 60


def main() -> None:
    workspace, room = frame.workspace(), frame.Room()
    scenario = room.choose_scenario()
    try:
        clock, plan = clocks.read(workspace, scenario.name), policy_lab.read(workspace, scenario.name)
        found = policy_lab.outcomes(workspace, plan) if plan is not None else []
    except FlightdeckError as error:
        room.say("Your workspace can't be read")
        frame.show_problem(error)
        return
    running = plan is not None and plan.state == "running"
    room.say(*policy_lines.headline(scenario, plan, found))
    notice = st.container()
    if plan is None:
        draw_empty()
    elif running:
        st.fragment(follow, run_every=TICK_S)(workspace, scenario)
    else:
        draw_outcomes(workspace, scenario, plan, found)
    if clock is None:
        frame.note("Let a day pass first: the lab needs a world. The room Production has the time bar.")
        return
    asked = draw_form(clock, plan, disabled=running)
    with st.bottom:
        label, icon = ("End it", "stop") if running else ("Compare policies", "science")
        if st.button(
            label,
            type="primary",
            icon=f":material/{icon}:",
            disabled=clock.state == "playing" and not running,
        ):
            with notice, frame.problems_shown():
                if running:
                    policy_lab.end(workspace, scenario.name)
                else:
                    policy_lab.begin(workspace, scenario.name, *asked)
                st.rerun()


def follow(workspace: Workspace, scenario: Scenario) -> None:
    """How far it is; drawn again each second while days are played."""
    with frame.problems_shown():
        plan = policy_lab.read(workspace, scenario.name)
        if plan is None or plan.state != "running":
            st.rerun()
            return
        found = policy_lab.outcomes(workspace, plan)
        st.progress(policy_lines.share(plan, found), text=policy_lines.progress(plan, found))
        draw_outcomes(workspace, scenario, plan, found)


def draw_outcomes(workspace: Workspace, scenario: Scenario, plan: Plan, found: list[Outcome]) -> None:
    """The plot and the table."""
    with frame.problems_shown():
        if plan.problem:
            frame.show_problem(FlightdeckError(plan.problem))
        frame.show(policy_lines.figure(scenario, plan, found), key="policies")
        table = policy_lines.table(scenario, found)
        st.table(table, border="horizontal", hide_index=True, alt="What each policy came to")
        price = money(pricing.prices_of(workspace, scenario).retraining, scenario.prices.unit)
        frame.note(f"A retraining is priced at {price}. {scenario.prices.meaning}")


def draw_empty() -> None:
    with st.container(border=True, height=230, vertical_alignment="center"):
        st.markdown("**Here will be what each policy is worth**", text_alignment="center")
        frame.note("One line a policy, all from the same morning on, retrainings paid for.", centred=True)


def draw_form(clock: Clock, plan: Plan | None, *, disabled: bool) -> tuple[int, int, list[str]]:
    """From which day on, for how long, and which policies."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        from_day = st.number_input(
            "From the morning of day",
            clock.first_day,
            clock.day,
            min(max(plan.from_day, clock.first_day), clock.day) if plan else clock.first_day,
            width=200,
            disabled=disabled,
        )
        most = clock.last_day - int(from_day)
        days = st.number_input(
            "Days",
            min(policy_lab.LEAST_DAYS, most),
            most,
            min(plan.days if plan else DAYS, most),
            width=140,
            disabled=disabled,
            help="A day takes about a second for each policy, a retraining about half a minute.",
        )
        names = list(policies.POLICIES)
        chosen = st.multiselect(
            "Policies",
            names,
            [name for name in (plan.policies if plan else names) if name in names],
            format_func=lambda name: policies.POLICIES[name].title,
            disabled=disabled,
        )
    return int(from_day), int(days), chosen


main()

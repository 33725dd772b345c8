"""The four views of the Data room: what came, what was wrong, what was done, and what is kept."""

from __future__ import annotations

from functools import partial

import streamlit as st

from pages.parts import data_facts, rooms, views
from pages.parts.data_facts import VIEWS, Facts
from pages.parts.frame import TEXT_WIDTH, note, problems_shown, show, show_problem
from pages.parts.words import plain, several
from pipelines import validation, versioning
from pipelines.scenarios.scenario import Column
from pipelines.tasks import data_plots
from pipelines.workspace import Workspace


def choose_view(facts: Facts) -> str:
    """The view that the address names, else the one that matters now."""
    asked = st.query_params.get("view", "")
    shown = asked if asked in VIEWS else ("validate" if facts.state == "stopped" else "collect")
    chosen = views.choose(VIEWS, shown)
    if chosen != shown:
        st.query_params["view"] = chosen
        st.rerun()
    return shown


def draw(view: str, workspace: Workspace, facts: Facts) -> None:
    """One view."""
    if view == "collect":
        draw_collected(facts)
    elif view == "validate":
        draw_checks(facts)
    elif view == "clean":
        draw_repairs(facts)
    else:
        draw_versions(workspace, facts)


def draw_collected(facts: Facts) -> None:
    scenario, record = facts.scenario, facts.record
    if record is None or not (record.done("ingest") or facts.daily):
        _empty(
            f"Here will be the {scenario.events} of each day", "And on which days labels are still to come."
        )
    elif not facts.daily:
        _empty("They came, but nobody has looked at them yet", "Run validation to see them day by day.")
    else:
        show(data_plots.volume(scenario, facts.daily), key="volume")
    source = "simulated" if scenario.origin == "simulated" else "real, but the times are made up"
    faults = "The faults of their delivery are simulated in every world."
    note(f"The {scenario.events} are {source}. {faults}")
    st.markdown("**What the columns mean**")
    st.table(data_facts.columns(scenario), border="horizontal", hide_index=True, alt="Columns")
    if st.button("Let something go wrong", type="tertiary", icon=":material/bolt:"):
        query = {"scenario": scenario.name, "step": "ingest", "view": "params"}
        query |= {"run": record.run_id} if record else {}
        st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params=query)
    note("The param *mishap* of collecting: another unit, gaps, a renamed column, a day that is late.")


def draw_checks(facts: Facts) -> None:
    if facts.report is None:
        _empty("Here will be what is wrong with your data", "Each rule, what it found, and what that means.")
        return
    left, right = st.columns(2, gap="medium")
    with left:
        show(data_plots.damage(facts.report), key="damage")
    with right:
        column = _choose_number(facts, "validate")
        if column is not None:
            show(data_plots.medians(facts.report, column), key="medians")
    found = [check for check in facts.checks if check.count]
    for place, check in enumerate(found):
        _draw_check(check, opened=place == 0 and not check.passed)
    rest = len(facts.checks) - len(found)
    with st.expander(f"{rest} checks found nothing"):
        quiet = data_facts.quiet(facts.checks)
        st.table(quiet, border="horizontal", hide_index=True, alt="Checks that found nothing")


def draw_repairs(facts: Facts) -> None:
    if facts.cleaned is None:
        _empty("Here will be what was repaired", "Each repair, how many rows it was done to, and an example.")
        return
    left, right = st.columns(2, gap="medium")
    with left:
        show(data_plots.repairs(facts.cleaned), key="repairs")
    with right:
        column = _choose_number(facts, "clean")
        if column is not None and column.name in facts.cleaned["figures"]:
            show(data_plots.means(facts.cleaned, column), key="means")
    for repair in facts.repairs:
        where = f"{repair.column}: {repair.what}" if repair.column else repair.what.capitalize()
        with st.container(gap="xxsmall"):
            count = several(repair.rows, "row", "rows")
            st.markdown(f"**{plain(where)}** in {count}: {plain(repair.how)}.")
            if repair.event_id is not None and repair.column:
                after = "left out" if repair.after == "left out" else f"now {repair.after}"
                note(f"For example event {repair.event_id}: {plain(repair.before)}, {plain(after)}.")


def draw_versions(workspace: Workspace, facts: Facts) -> None:
    if facts.problem is not None:
        show_problem(facts.problem)
        return
    if not facts.versions:
        _empty(
            "Here will be your versions", "Each keeps the same rows for ever, so that any can be had again."
        )
        return
    numbers = [version.number for version in facts.versions]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = partial("version {}".format)
        later = st.selectbox("Version", numbers, len(numbers) - 1, format_func=label, width=150, key="later")
        # A single version is shown by itself: beside itself it differs in nothing.
        earlier = later
        if len(numbers) > 1:
            before = max(0, numbers.index(later) - 1)
            earlier = st.selectbox(
                "compared with", numbers, before, format_func=label, width=150, key=f"earlier:{later}"
            )
        column = _choose_number(facts, "versions")
    with problems_shown():
        _draw_change(versioning.compare(workspace, facts.scenario, earlier, later), facts, column)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            f"Download version {later}",
            partial(versioning.read_file, workspace, facts.scenario.name, later),
            file_name=f"{facts.scenario.name}-v{later}.parquet",
            on_click="ignore",
            icon=":material/download:",
        )
        if st.button(f"Train on version {later}", icon=":material/model_training:"):
            with problems_shown():
                made = data_facts.train_on(workspace, facts, later)
                st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params={"run": made.run_id})
    st.table(data_facts.table(facts.versions), border="horizontal", hide_index=True, alt="Versions")
    note("They lie in a git repository of your own, data-repo, kept by DVC. From that folder:")
    tag = facts.versions[numbers.index(later)].tag
    line = f"dvc get . {facts.scenario.name}/events.parquet --rev {tag} -o {tag}.parquet"
    st.code(line, language=None, wrap_lines=True)


def _draw_change(change: versioning.Comparison, facts: Facts, column: Column | None) -> None:
    st.markdown(plain(data_facts.difference(change, facts.scenario)), width=TEXT_WIDTH)
    names = (f"version {change.before.number}", f"version {change.after.number}")
    left, right = st.columns(2, gap="medium")
    with left:
        show(data_plots.rows_by_day(facts.scenario, change.days, change.by_day, names), key="days")
    with right:
        for each in change.columns:
            if column is not None and each.column.name == column.name:
                spread = (each.edges, each.before, each.after, each.moved)
                show(data_plots.spreads(each.column, *spread, names), key="spreads")


def _draw_check(check: validation.Check, *, opened: bool) -> None:
    """One check that found something: found, expected, examples, meaning."""
    sign = ":orange[:material/build:]" if check.passed else ":red[:material/error:]"
    with st.expander(f"{sign} {plain(check.found)}", expanded=opened):
        verdict = "Failed: it stops the run."
        if check.passed:
            verdict = (
                f"{data_facts.share_of(check)} of the rows; up to {check.limit:.1%} is left to cleaning."
            )
        elif check.severity == "repair":
            verdict = (
                f"Failed: {data_facts.share_of(check)} of the rows; only {check.limit:.1%} is tolerated."
            )
        st.markdown(f"**Expected** {plain(check.rule)}.  \n**Meaning** {plain(check.meaning)}")
        st.markdown("  \n".join(plain(str(example)) for example in check.examples))
        note(verdict)


def _choose_number(facts: Facts, view: str) -> Column | None:
    """Which number the figure is about: the one that failed, else the first; asked when there are several."""
    numbers = {column.name: column for column in facts.scenario.columns if column.kind == "number"}
    if not numbers:
        return None
    names = list(numbers)
    failed = facts.failed.column if facts.failed else ""
    first = names.index(failed) if failed in names else 0
    if len(names) == 1:
        return numbers[names[0]]
    chosen = st.selectbox("Column", names, first, key=f"number:{view}", width=220)
    return numbers[chosen]


def _empty(title: str, words: str) -> None:
    with st.container(border=True, height=300, vertical_alignment="center"):
        st.markdown(f"**{plain(title)}**", text_alignment="center")
        note(words, centred=True)

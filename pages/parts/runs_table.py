"""What History lists: all runs, those that are looked for, and how good each was.

Comes in: entries of the catalogue. Goes out: a wish read from the address, words, a table and a figure.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.parts.frame import note, show
from pages.parts.words import clock, plain, seconds, several
from pipelines import figures
from pipelines.execution.catalogue import Entry, Wish
from pipelines.lifecycle import LIFECYCLE
from pipelines.scenarios import SCENARIOS

PAGE_ROWS = 20
# More points than this hide each other; the newest are drawn.
DRAWN = 60
STATUSES = ("completed", "failed", "cancelled", "running", "queued", "damaged")
MAIN_METRIC = "average_precision"


def headline(entries: Sequence[Entry]) -> tuple[str, str]:
    """How many runs there are, and what can be done with them."""
    if not entries:
        return "No run yet", "Here you will find every run you ever made, with its notebooks."
    bad = sum(each.status in ("failed", "damaged") for each in entries)
    title = several(len(entries), "run", "runs") + (f", {bad:,} of them failed" if bad else "")
    return title, "Open one to read its notebooks again, or choose two to see where they part."


def wish_of(query: dict[str, str], days: tuple[int, int] | None) -> Wish:
    """What the address asks for; what it can't ask is left out."""

    def known(name: str, allowed: Sequence[str]) -> str:
        return query.get(name, "") if query.get(name, "") in allowed else ""

    return Wish(
        text=query.get("q", "")[:200],
        scenario=known("scenario", list(SCENARIOS)),
        status=known("status", STATUSES),
        step=known("step", LIFECYCLE.names),
        from_day=days[0] if days else None,
        until_day=days[1] if days else None,
    )


def table(entries: Sequence[Entry]) -> pd.DataFrame:
    """One row a run, newest first."""
    columns = ["When", "What was changed", "Average precision", "State", "Scenario", "Version", "Took", "Run"]
    rows = [
        (
            clock(each.created_at),
            changes(each),
            score(each),
            state(each),
            SCENARIOS[each.scenario].title if each.scenario in SCENARIOS else each.scenario or "?",
            str(each.version) if each.version is not None else "",
            seconds(each.seconds),
            each.run_id,
        )
        for each in entries
    ]
    return pd.DataFrame(rows, columns=columns)


def state(entry: Entry) -> str:
    """How the run ended, in a word or two."""
    if entry.status == "damaged":
        return "can't be read"
    if entry.status == "failed":
        return f"failed at {entry.step}" if entry.step else "failed"
    if entry.status == "completed" and entry.gate is False:
        return "gate: no"
    return entry.status


def score(entry: Entry) -> str:
    """The main metric with its interval, of a run that tested its model."""
    value, (low, high) = _measured(entry)
    if value is None:
        return ""
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f}  ({low:.2f} to {high:.2f})"


def changes(entry: Entry) -> str:
    """What is not as by default: params, seed, steps; or why it can't be read."""
    if entry.status == "damaged":
        return entry.cause
    parts = [f"{name.partition('.')[2]} {value}" for name, value in entry.changed.items() if value != ""]
    parts += [f"seed {entry.seed}"] if entry.seed != 1 else []
    parts += [f"only {', '.join(entry.steps)}"] if entry.steps != LIFECYCLE.road else []
    return ", ".join(parts) or "nothing"


def label(entry: Entry) -> str:
    """A run in one line, for a list to choose from."""
    made = f"version {entry.version}, " if entry.version is not None else ""
    return f"{clock(entry.created_at)} {entry.scenario}: {made}{state(entry)}, {changes(entry)}"[:90]


def figure(entries: Sequence[Entry]) -> go.Figure | None:
    """How good each tested run of one scenario was, oldest to newest; None where there are fewer than two."""
    tested = [each for each in entries if "evaluate" in each.steps and _measured(each)[0] is not None]
    often = Counter(each.scenario for each in tested if each.scenario in SCENARIOS).most_common(1)
    if not often or often[0][1] < 2:
        return None
    scenario = often[0][0]
    tested = [each for each in tested if each.scenario == scenario][:DRAWN][::-1]
    best = max(tested, key=lambda each: _measured(each)[0] or 0.0)
    title = (
        f"{SCENARIOS[scenario].title}: the best of {len(tested)} tested runs is from {clock(best.created_at)}"
    )
    drawn = figures.new_figure(title, "Run, oldest to newest", "Average precision, 95% interval", height=240)
    for role, passed, name in (
        ("champion", True, "gate passed"),
        ("challenger", False, "stopped by the gate"),
    ):
        chosen = [(place, each) for place, each in enumerate(tested, 1) if bool(each.gate) is passed]
        if not chosen:
            continue
        values = [_measured(each) for _, each in chosen]
        middle = [value or 0.0 for value, _ in values]
        low = [value if span[0] is None else span[0] for value, (_, span) in zip(middle, values, strict=True)]
        high = [
            value if span[1] is None else span[1] for value, (_, span) in zip(middle, values, strict=True)
        ]
        figures.points(drawn, [place for place, _ in chosen], middle, role, name, low, high)  # type: ignore[arg-type]
        drawn.data[-1].customdata = [[clock(each.created_at), changes(each)] for _, each in chosen]
        drawn.data[
            -1
        ].hovertemplate = "%{customdata[0]}: %{y:.3f}<br>changed: %{customdata[1]}<extra></extra>"
    drawn.update_xaxes(dtick=max(1, len(tested) // 12), range=[0.5, len(tested) + 0.5])
    values_of = ", ".join(f"{_measured(each)[0]:.3f}" for each in tested[-5:])
    figures.describe_as(
        drawn, f"The newest, in order: {values_of}. Best: {_measured(best)[0]:.3f}, {changes(best)}."
    )
    return drawn


def ask(entries: Sequence[Entry]) -> Wish:
    """The search field and the filters, kept in the page's address."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "Search", key="q", bind="query-params", placeholder="trees=200, version 3, fraud, a date, a note"
        )
        with st.popover("Filter", icon=":material/filter_list:"):
            _select(
                "Scenario",
                "scenario",
                [name for name in SCENARIOS if any(each.scenario == name for each in entries)],
            )
            _select(
                "State", "status", [name for name in STATUSES if any(each.status == name for each in entries)]
            )
            _select("Executed step", "step", list(LIFECYCLE.names))
            days = _ask_days(entries)
    return wish_of(st.query_params.to_dict(), days)


def draw(found: Sequence[Entry]) -> list[Entry]:
    """What was found, a page at a time; returns the runs that are chosen in the table."""
    if not found:
        with st.container(border=True, vertical_alignment="center", height=160):
            st.markdown("**No run is like that**", text_alignment="center")
            note("Take a word out of the search, or a filter away.", centred=True)
        return []
    drawn = figure(found)
    if drawn is not None:
        show(drawn, key="runs")
    pages = (len(found) - 1) // PAGE_ROWS + 1
    page = min(max(1, int(st.session_state.get("page", 1))), pages)
    shown = found[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
    event = st.dataframe(
        table(shown),
        hide_index=True,
        height="content",
        on_select="rerun",
        selection_mode="multi-row",
        key=f"table:{page}:{shown[0].run_id}",
        column_config={"Run": st.column_config.TextColumn(width="medium")},
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        words = f"{(page - 1) * PAGE_ROWS + 1:,} to {(page - 1) * PAGE_ROWS + len(shown):,} of {len(found):,}"
        note(words, width="content")
        if pages > 1:
            st.number_input("Page", 1, pages, key="page", label_visibility="collapsed", width=140)
            note(f"of {pages:,} pages", width="content")
    rows = [place for place in event.selection.rows if place < len(shown)]
    return [shown[place] for place in rows]


def _select(title: str, name: str, options: list[str]) -> None:
    names = {"": "any"} | {each: SCENARIOS[each].title if each in SCENARIOS else each for each in options}
    asked = st.query_params.get(name, "")
    shown = asked if asked in names else ""
    chosen = st.selectbox(
        title, list(names), list(names).index(shown), format_func=names.__getitem__, key=f"{name}:{shown}"
    )
    if chosen != shown:
        if chosen:
            st.query_params[name] = chosen
        else:
            del st.query_params[name]
        st.rerun()


def _ask_days(entries: Sequence[Entry]) -> tuple[int, int] | None:
    """From which to which day of the world the data reached; None while nobody narrows it."""
    days = [each.day for each in entries if each.day is not None]
    if not days or min(days) == max(days):
        return None
    low, high = min(days), max(days)
    chosen = st.slider("Data collected until day", low, high, (low, high), key="days")
    return None if chosen == (low, high) else (int(chosen[0]), int(chosen[1]))


def facts(entry: Entry) -> str:
    """One run in a sentence or two."""
    parts = [f"Run `{plain_code(entry.run_id)}`, {_moment(entry.created_at)}"]
    parts.append(
        f"{several(len(entry.steps), 'step', 'steps')} in {seconds(entry.seconds)}" if entry.seconds else ""
    )
    parts.append(f"changed: {plain(changes(entry))}")
    parts.append(f"note: {plain(entry.note)}" if entry.note else "")
    return ". ".join(part[:1].upper() + part[1:] for part in parts if part) + "."


def plain_code(text: str) -> str:
    """`text` for between backticks."""
    return text.replace("`", "'")


def _measured(entry: Entry) -> tuple[float | None, tuple[float | None, float | None]]:
    name = MAIN_METRIC if MAIN_METRIC in entry.metrics else next(iter(entry.metrics), "")
    span = entry.intervals.get(name) or (None, None)
    return entry.metrics.get(name), (span[0], span[1])


def _moment(at: float) -> str:
    return time.strftime("%d %b %Y %H:%M", time.localtime(at)) if at else ""

"""Promoting a version from a page: the form, the confirmation in words, and what can be taken back.

What is chosen is kept in the page's address, so that a link leads to a filled form; nothing is promoted by an
address alone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages.parts import frame, rooms
from pages.parts.lanes import DOES, STAGES, Facts, Lane
from pages.parts.words import clock, plain, share
from pipelines import branches, freezing, promotion
from pipelines.errors import FlightdeckError, Unavailable
from pipelines.production import canaries
from pipelines.production import clock as clocks
from pipelines.promotion import DEFAULT_SHARE, Stage
from pipelines.serving import staging
from pipelines.workspace import Workspace

LEAST_SHARE, MOST_SHARE = 0.01, 0.5
REASON_CHARS = 200
# These change what a client gets, so they are confirmed.
ANSWERING = ("canary", "production")
CONFIRM = "confirm"
TEST = (
    f"Every {canaries.LOOK_DAYS} labelled days, {canaries.LOOKS} times at most, what an event was worth "
    "under the canary is held beside the champion's. A difference that luck makes in 5 of 100 such tests "
    "decides: the canary takes over, or ends. After the last look without one it ends too: it was not shown "
    "to be better."
)


@dataclass(frozen=True)
class Choice:
    """A promotion as the form says it."""

    version: int
    stage: Stage
    share: float | None
    reason: str

    def key(self) -> str:
        """What a confirmation is for: it does not hold for another choice."""
        return f"{self.version}:{self.stage}:{self.share}"


def draw_lanes(workspace: Workspace, facts: Facts) -> None:
    """The four stages side by side, each with what can be undone there."""
    for place, lane in zip(st.columns(len(facts.lanes), gap="small"), facts.lanes, strict=True):
        with place, st.container(border=True, height="stretch", gap="xsmall"):
            _draw_lane(workspace, facts, lane)


def _draw_lane(workspace: Workspace, facts: Facts, lane: Lane) -> None:
    st.markdown(f":small[**{lane.stage.capitalize()}**]")
    if lane.version is None or lane.row is None:
        st.markdown(":gray[Nobody]")
        frame.note(f"A version here {DOES[lane.stage]}.")
        return
    part = f" :gray[{share(lane.share)}]" if lane.stage == "canary" else ""
    st.markdown(f"**Version {lane.version}**{part}")
    frame.note(f"Since {clock(lane.row.at)}: {plain(lane.row.reason or 'no reason given')[:160]}")
    if lane.stage == "production":
        if facts.before is not None and st.button(
            f"Roll back to {facts.before}",
            icon=":material/undo:",
            key="rollback",
            help=f"Version {facts.before} answers again, from the next request on.",
        ):
            _do(lambda: promotion.rollback(workspace, facts.scenario.name, **_by_hand(workspace, facts)))
        return
    if lane.stage == "canary":
        _draw_canary(workspace, facts, lane)
    _draw_checks(workspace, facts, lane.version)
    if st.button("Withdraw", icon=":material/close:", key=f"withdraw:{lane.stage}"):
        _do(
            lambda: promotion.withdraw(
                workspace, facts.scenario.name, stage=lane.stage, **_by_hand(workspace, facts)
            )
        )


def _draw_checks(workspace: Workspace, facts: Facts, version: int) -> None:
    """What the version has shown in staging, a tap away; what it has not in sight."""
    checked = staging.read(workspace, facts.scenario.name, version)
    if checked is None:
        frame.note("Not checked yet: the gateway did not answer.")
        return
    for each in checked.failed:
        frame.note(f":red[:material/close: {each.name}: {plain(each.found)}]")
    with st.popover(f"{len(checked.checks) - len(checked.failed)} of {len(checked.checks)} checks passed"):
        for each in checked.checks:
            sign = ":material/check:" if each.passed else ":red[:material/close:]"
            st.markdown(f"{sign} **{each.name}**: {plain(each.found)}.")
            frame.note(f"Expected: {plain(each.expected)}. {plain(each.meaning)}")


def draw_frozen(workspace: Workspace, facts: Facts) -> None:
    """While promotions are frozen: since when, why, and how it is lifted."""
    name = facts.scenario.name
    held = freezing.holding(workspace, name)
    if held is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        words = f":orange[:material/ac_unit:] Promotions are {plain(held.in_words())}."
        st.markdown(words, width="content")
        if st.button("Lift the freeze"):
            _do(lambda: freezing.lift(workspace, name, branches.today(workspace, name)))


def draw_freeze(workspace: Workspace, facts: Facts) -> None:
    """Freeze promotions, for a reason."""
    name = facts.scenario.name
    if freezing.holding(workspace, name) is not None:
        return
    with st.popover("Freeze promotions", icon=":material/ac_unit:", type="tertiary"):
        st.markdown(
            "Until it is lifted nothing is promoted, by nobody and no policy. Rolling back is allowed."
        )
        reason = st.text_input("Why freeze?", max_chars=freezing.REASON_CHARS, key="freeze:why")
        if st.button("Freeze", disabled=not reason.strip()):
            _do(lambda: freezing.freeze(workspace, name, reason, branches.today(workspace, name)))


def _draw_canary(workspace: Workspace, facts: Facts, lane: Lane) -> None:
    """What the test has seen of the canary, when it looks next, and who decides."""
    name = facts.scenario.name
    world = clocks.read(workspace, name)
    if world is None or lane.row is None or lane.row.day is None:
        return
    seen = canaries.looks(workspace, world, lane.row)
    if seen:
        frame.note(plain(canaries.in_words(seen[-1], facts.scenario.prices.unit)))
    if len(seen) < canaries.LOOKS:
        day = lane.row.day + (len(seen) + 1) * canaries.LOOK_DAYS + facts.scenario.label_delay_days
        frame.note(f"Look {len(seen) + 1} of {canaries.LOOKS} comes on day {day}.")
    automatic = canaries.is_automatic(workspace, name)
    chosen = st.toggle("The test decides", automatic, key=f"canary-decides:{automatic}", help=TEST)
    if chosen != automatic:
        canaries.decide_by_test(workspace, name, chosen)
        st.rerun()


def draw_form(facts: Facts) -> Choice | None:
    """The form; None when there is nothing to promote."""
    # What was made on another line of time does not exist on this one.
    entries = [entry for entry in facts.shelf.entries if not entry.elsewhere]
    if not entries:
        frame.note("There is no version yet. Registering a model makes one.")
        return None
    # The champion is asked for nothing: it would have to leave production first.
    numbers = [each.number for each in entries if each.number != facts.serving.champion]
    if not numbers:
        frame.note(f"Version {facts.serving.champion} answers, and there is no other.")
        return None
    waiting = [each.number for each in entries if each.gate == "passed" and not each.role]
    asked = st.query_params.get("version", "")
    wanted = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else None
    if asked and wanted not in numbers:
        frame.note(f":red[There is no version {plain(asked[:40])} here; choose one that is.]")
    canary = facts.serving.canary
    start = wanted if wanted in numbers else canary if canary in numbers else (waiting or numbers)[0]
    left, right = st.columns(2)
    with left:
        version = st.selectbox("Version", numbers, numbers.index(start), key=f"promote:version:{start}")
    with right:
        asked_stage = st.query_params.get("stage", "")
        first = asked_stage if asked_stage in STAGES else _next_stage(facts)
        stage: Stage = st.selectbox(
            "Stage",
            list(STAGES),
            list(STAGES).index(first),
            format_func=str.capitalize,
            key=f"promote:stage:{first}",
        )
    part = None
    if stage == "canary":
        part = st.slider(
            "Share of the requests", LEAST_SHARE, MOST_SHARE, _asked_share(), 0.01, key="promote:share"
        )
    reason = st.text_input(
        "Why?", max_chars=REASON_CHARS, placeholder="For whoever reads the ledger", key="why"
    )
    frame.note(f"In {stage} it {DOES[stage]}.")
    entry = facts.shelf.entry(version)
    if entry is not None and entry.gate != "passed":
        broken = "; ".join(entry.reasons) or "its evaluation was not kept"
        frame.note(f":orange[Its gate failed: {plain(broken)}.] It may go to staging only.")
    return Choice(version, stage, part, reason)


def draw_bar(workspace: Workspace, facts: Facts, choice: Choice | None) -> None:
    """The primary button; what changes the answers is asked for twice."""
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        if choice is None:
            if st.button("Make a version", type="primary", icon=":material/arrow_forward:"):
                query = {"scenario": facts.scenario.name}
                st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params=query)
            return
        if st.session_state.get(CONFIRM) != choice.key():
            label = f"Promote version {choice.version} to {choice.stage}"
            if st.button(label, type="primary", icon=":material/rocket_launch:"):
                if choice.stage in ANSWERING:
                    st.session_state[CONFIRM] = choice.key()
                    st.rerun()
                _promote(workspace, facts, choice)
            return
        if st.button("Yes, do it", type="primary", icon=":material/check:"):
            _promote(workspace, facts, choice)
        if st.button("No"):
            st.session_state.pop(CONFIRM, None)
            st.rerun()
        st.markdown(_what_happens(facts, choice), width="content")


def _what_happens(facts: Facts, choice: Choice) -> str:
    """The consequence of a promotion, in a sentence."""
    event, champion = facts.scenario.events, facts.serving.champion
    if choice.stage == "canary":
        part = share(choice.share or DEFAULT_SHARE)
        return (
            f"From the next request on, version {choice.version} answers {part} of the {event}. "
            "You can withdraw it at any time."
        )
    if champion is None or champion == choice.version:
        return f"From the next request on, version {choice.version} answers every {facts.scenario.event}."
    return (
        f"From the next request on, version {choice.version} answers instead of version {champion}. "
        "One click rolls it back."
    )


def _promote(workspace: Workspace, facts: Facts, choice: Choice) -> None:
    st.session_state.pop(CONFIRM, None)
    name = facts.scenario.name

    def act() -> None:
        with st.spinner("The version is checked: its gate, the protocol, its golden rows, its time."):
            if choice.stage == "staging":
                with suppress(Unavailable):  # it waits there all the same, and says that nothing was checked
                    staging.check(workspace, name, choice.version)
            else:
                staging.admit(workspace, name, choice.version)
        promotion.promote(
            workspace,
            name,
            choice.version,
            stage=choice.stage,
            share=choice.share,
            **_by_hand(workspace, facts, choice.reason),
        )

    _do(act)


def _by_hand(workspace: Workspace, facts: Facts, reason: str = "") -> dict[str, Any]:
    """Why and on which day of the world it is done."""
    return {
        "reason": reason or "by hand, on the page",
        "day": branches.today(workspace, facts.scenario.name),
    }


def _do(act: Callable[[], object]) -> None:
    """Do it and show the page anew; what was refused is kept until it was shown."""
    try:
        act()
    except FlightdeckError as error:
        st.session_state["refused"] = error
    else:
        for name in ("version", "stage", "share"):
            st.query_params.pop(name, None)
    st.rerun()


def refused() -> FlightdeckError | None:
    """What was refused just now."""
    found: FlightdeckError | None = st.session_state.pop("refused", None)
    return found


def _asked_share() -> float:
    """The share in the address, if it is one the slider has."""
    try:
        found = float(st.query_params.get("share", DEFAULT_SHARE))
    except ValueError:
        return DEFAULT_SHARE
    return found if LEAST_SHARE <= found <= MOST_SHARE else DEFAULT_SHARE


def _next_stage(facts: Facts) -> Stage:
    """The careful next stage: production when nothing serves yet, else a canary first."""
    return "production" if facts.serving.champion is None or facts.serving.canary is not None else "canary"

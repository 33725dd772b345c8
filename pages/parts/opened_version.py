"""One version opened: its answers, its lineage, its package, and where else it can be looked at."""

from __future__ import annotations

import streamlit as st

from pages.parts import frame, rooms, versions
from pages.parts.versions import Entry, Shelf
from pages.parts.words import clock, plain, several
from pipelines import tracking
from pipelines.errors import FlightdeckError, Missing
from pipelines.lifecycle import PACKAGE
from pipelines.packaging import manifest
from pipelines.workspace import Workspace


def asked(shelf: Shelf) -> tuple[Entry | None, FlightdeckError | None]:
    """The version that the address names, or why there is none; else the newest."""
    text = st.query_params.get("version", "")
    if not text:
        return (shelf.entries[0] if shelf.entries else None), None
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
    found = shelf.entry(number)
    if found is not None:
        return found, None
    there = ", ".join(str(entry.number) for entry in shelf.entries[:8]) or "none yet"
    problem = Missing(f"There is no version '{text[:40]}' here.", f"Versions there are: {there}.")
    return (shelf.entries[0] if shelf.entries else None), problem


def choose(shelf: Shelf, first: Entry | None) -> Entry:
    """The control that opens another version."""
    numbers = [entry.number for entry in shelf.entries]
    shown = first.number if first else numbers[0]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        opened = shelf.entry(shown)
        made = f" :gray[registered {clock(opened.created_at)}]" if opened else ""
        st.subheader(f"Version {shown}{made}", anchor=False, width="content")
        chosen = st.selectbox(
            "Version",
            numbers,
            numbers.index(shown),
            format_func=lambda number: f"Version {number}",
            key=f"version:{shelf.scenario.name}:{shown}",
            label_visibility="collapsed",
            width=180,
        )
    if chosen != shown:
        st.query_params.from_dict({"scenario": shelf.scenario.name, "version": str(chosen)})
        st.rerun()
    found = shelf.entry(shown)
    assert found is not None
    return found


def draw(workspace: Workspace, shelf: Shelf, entry: Entry) -> None:
    """Everything about one version."""
    left, right = st.columns([11, 9], gap="medium")
    with left:
        st.markdown(":small[**What a file could not have told you**]")
        st.table(
            versions.answers(entry).map(plain),
            border="horizontal",
            hide_index=True,
            hide_header=True,
            alt="Its answers",
        )
        metrics = versions.metrics(entry)
        if len(metrics):
            st.table(metrics, border="horizontal", hide_index=True, alt="Its test")
    with right:
        _draw_lineage(entry)
        _draw_package(entry)
        with st.expander("Its params"):
            st.table(versions.params(entry), border="horizontal", hide_index=True, alt="Its params")
    _draw_foot(workspace, shelf, entry)


def _draw_lineage(entry: Entry) -> None:
    """From the version back to its run, its data and its notebooks."""
    st.markdown(":small[**Where it came from**]")
    record = entry.record
    with st.container(gap="xxsmall"):
        if record is None:
            frame.note(f"Its run {plain(entry.run_id)} is gone. The version goes on without it.")
            return
        query = {"run": record.run_id}
        if st.button(f"The run of {clock(record.began)}", type="tertiary", icon=":material/play_circle:"):
            st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params=query)
        data = (
            f"Data version {entry.data_version}" if entry.data_version is not None else "The data of its run"
        )
        if st.button(data, type="tertiary", icon=":material/database:"):
            st.switch_page(rooms.file_of(rooms.DATA), query_params=query | {"scenario": record.run.scenario})
        for step, words in (("train", "training"), ("evaluate", "evaluation"), ("register", "registration")):
            if record.done(step) and st.button(
                f"The notebook of its {words}", type="tertiary", icon=":material/menu_book:"
            ):
                st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params=query | {"step": step})
        if entry.snapshot:
            frame.note(f"Data digest {plain(entry.snapshot)}")


def _draw_package(entry: Entry) -> None:
    """What its package holds, to take along."""
    st.markdown(":small[**Its package**]")
    if entry.record is None or not entry.record.done("package"):
        frame.note("It was not packaged in its run. Step *package* makes an image and a folder for MLServer.")
        return
    folder = entry.record.folder / PACKAGE.path
    try:
        held = manifest.contents(folder)
        with st.expander(several(len(held), "file", "files")):
            st.code("\n".join(held), language=None)
        st.download_button(
            "Download it",
            lambda: manifest.zipped(folder),
            f"{entry.record.run.scenario}-{entry.number}.zip",
            "application/zip",
            on_click="ignore",
            icon=":material/download:",
        )
    except FlightdeckError as error:
        frame.show_problem(error)


def _draw_foot(workspace: Workspace, shelf: Shelf, entry: Entry) -> None:
    """The command line and MLflow's page."""
    name = shelf.scenario.name
    st.code(f"python -m pipelines deploy {name} --version {entry.number}", language=None, wrap_lines=True)
    if shelf.problem is None:
        st.link_button(
            "Open in MLflow",
            tracking.version_url(name, entry.number, workspace.name),
            icon=":material/open_in_new:",
        )

"""Workspace: what takes the disk, backup and restore, reset, and undoing any of it."""

import streamlit as st

from pages.parts import confirm, frame, kept, rooms
from pages.parts.words import clock, plain
from pipelines.keeping import aside
from pipelines.keeping.manifest import Manifest
from pipelines.workspace import Workspace

TICK_S = 0.5
WORKS = {"backup": "Backing up", "restore": "Restoring"}


def main() -> None:
    workspace, room = frame.workspace(), frame.Room()
    removed = aside.removed(workspace)
    found = kept.measured(workspace)
    room.say(*kept.headline(found, len(removed)))
    draw_outcomes(workspace)
    left, right = st.columns([11, 9], gap="medium")
    with left:
        busy = found is None
        st.fragment(draw_disk, run_every=TICK_S if busy else None)(workspace, busy)
        draw_removed(workspace, removed)
    with right:
        draw_backups(workspace)
        draw_restore(workspace)
    draw_bar(workspace)


def draw_outcomes(workspace: Workspace) -> None:
    """What goes on, and what came of it."""
    for name, title in WORKS.items():
        work = kept.going_on(workspace, name)
        if work is None:
            continue
        if not work.future.done():
            st.fragment(draw_progress, run_every=TICK_S)(workspace, name, title)
            continue
        with frame.problems_shown():
            made = kept.take(workspace, name)
            kept.measure_again(workspace)
            contents = made.contents if isinstance(made, Manifest) else made[0].contents
            said = "The backup is made" if name == "backup" else "Restored"
            with st.container(border=True):
                st.markdown(f":material/check: **{said}**: {plain(confirm.counted(contents))}.")


def draw_progress(workspace: Workspace, name: str, title: str) -> None:
    work = kept.going_on(workspace, name)
    if work is None or work.future.done():
        st.rerun()
    st.progress(work.share, f"{title}: {kept.size(work.done)} of {kept.size(work.total)}")


def draw_disk(workspace: Workspace, busy: bool) -> None:
    found = kept.measured(workspace)
    if found is None:
        with st.container(border=True, height=330, vertical_alignment="center"):
            st.markdown("**Counting what takes the disk**", text_alignment="center")
            frame.note("The page can be used meanwhile.", centred=True)
        return
    if busy:
        st.rerun()
    if not any(part.name == "runs" for part in found.parts):
        with st.container(border=True, height=230, vertical_alignment="center"):
            st.markdown("**Here will be what takes your disk**", text_alignment="center")
            frame.note("Runs, versions of data, models, backups: largest first.", centred=True)
        st.code(str(workspace.root), language=None, wrap_lines=True)
        return
    frame.show(kept.figure(found), key="disk")
    shared = " *Shared by all workspaces of this home." if any(part.shared for part in found.parts) else ""
    frame.note(f"{kept.size(found.free)} of the disk are free.{plain(shared)}")
    st.code(str(workspace.root), language=None, wrap_lines=True)


def draw_removed(workspace: Workspace, removed: list[aside.Removed]) -> None:
    st.subheader("Go back", anchor=False)
    if not removed:
        frame.note("Nothing was moved aside yet. What a reset or a restore replaces can be put back here.")
    for each in removed[:10]:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(plain(kept.moved(each)), width="content")
            if st.button("Put back", key=f"undo:{each.name}", icon=":material/undo:"):
                with frame.problems_shown():
                    aside.undo(workspace, each.name)
                    kept.measure_again(workspace)
                    st.rerun()
    frame.note("To take back the last promotion of a version instead, roll back: your runs stay as they are.")
    st.code("python -m pipelines rollback fraud", language=None, wrap_lines=True)
    if st.button("Roll back in Deploy", type="tertiary", icon=":material/arrow_forward:"):
        st.switch_page(rooms.file_of(rooms.DEPLOY))


def draw_backups(workspace: Workspace) -> None:
    st.subheader("Backups", anchor=False)
    frame.note("One file with your runs, versions, ledger, predictions and all MLflow keeps of them.")
    found = kept.backups(workspace)
    for path in found[:5]:
        size = path.stat().st_size
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f"{clock(path.stat().st_mtime)}, {kept.size(size)}", width="content")
            with st.container(horizontal=True, width="content"):
                if size <= kept.DOWNLOAD_BYTES:
                    st.download_button(
                        "Download",
                        path.read_bytes,
                        path.name,
                        "application/zip",
                        key=f"download:{path.name}",
                        on_click="ignore",
                    )
                if st.button("Restore", key=f"restore:{path.name}"):
                    confirm.restore(workspace, path, False)
    if found:
        frame.note(f"They lie in `{found[0].parent}`.")
    st.code("python -m pipelines backup FILE\npython -m pipelines restore FILE", language=None)


def draw_restore(workspace: Workspace) -> None:
    content = st.file_uploader("Restore a file", type="zip", max_upload_size=2000, key="upload")
    if content is not None and st.button("Look into it", icon=":material/search:"):
        with frame.problems_shown():
            path, _ = kept.uploaded(content)
            confirm.restore(workspace, path, True)


def draw_bar(workspace: Workspace) -> None:
    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        busy = any((work := kept.going_on(workspace, name)) and not work.future.done() for name in WORKS)
        if st.button("Back up", type="primary", icon=":material/archive:", disabled=busy):
            with frame.problems_shown():
                kept.back_up(workspace)
                st.rerun()
        if st.button("Reset", icon=":material/restart_alt:", disabled=busy):
            confirm.reset(workspace)


main()

"""What Workspace asks before it replaces anything: what will be there, and that nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from pages.parts import frame, kept
from pages.parts.words import clock, plain, several
from pipelines.keeping import aside, unpacking
from pipelines.workspace import Workspace


@st.dialog("Restore this backup?")
def restore(workspace: Workspace, path: Path, temporary: bool) -> None:
    with frame.problems_shown():
        found = unpacking.inspect(path)
        said = f"as of {clock(found.made_at)}: {plain(counted(found.contents))}."
        st.markdown(f"Workspace **{plain(found.workspace)}**, {said}")
        frame.note(
            "What your workspace holds now is moved aside, and can be put back. A backup holds models, which "
            "are programs: restore only what you, or somebody you trust, has made."
        )
        if st.button("Restore it", type="primary"):
            kept.restore(workspace, path, temporary=temporary)
            st.rerun()


@st.dialog("Empty your workspace?")
def reset(workspace: Workspace) -> None:
    st.markdown(
        f"{several(len(workspace.run_ids()), 'run', 'runs')}, all versions, the ledger and the predictions "
        "are moved aside. You can put them back on this page."
    )
    if st.button("Empty it", type="primary"):
        with frame.problems_shown():
            aside.reset(workspace)
            kept.measure_again(workspace)
            st.rerun()


def counted(contents: Mapping[str, int]) -> str:
    """What a backup holds, in words."""
    names = ("run", "version", "prediction")
    return ", ".join(several(contents.get(f"{name}s", 0), name, f"{name}s") for name in names)

"""The control that chooses among the views of a room; which one is shown stands in the page's address."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st


def choose(views: Mapping[str, str], shown: str, *, label: str = "What to show") -> str:
    """The view that was chosen; joined buttons tell it from the choice of the scenario above."""
    chosen = st.segmented_control(
        label,
        list(views),
        default=shown,
        format_func=views.__getitem__,
        # Its place is named for what is shown: an address that asks for another view is obeyed.
        key=f"view:{shown}",
        label_visibility="collapsed",
        required=True,
    )
    return shown if chosen is None else str(chosen)

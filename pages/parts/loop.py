"""The steps of the lifecycle to look at and to choose from: a ring, or a list where there is no room.

Drawn by a component of ours without a frame, so that it has the page's theme, fonts and keyboard.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import streamlit as st

NodeState = Literal["none", "next", "running", "done", "failed"]


@dataclass(frozen=True)
class Node:
    """One stage: what it is called, how it stands, and one fact about it; `apart` from the road or on it."""

    name: str
    title: str
    state: NodeState
    fact: str = ""
    apart: bool = False


@dataclass(frozen=True)
class Centre:
    """What stands in the middle: one number, what it means, and how sure it is."""

    number: str
    meaning: str
    detail: str = ""


def ring(nodes: list[Node], centre: Centre, label: str, key: str) -> str | None:
    """Show the stages as a loop; returns the name of the one that was just chosen."""
    return _mount(nodes, label, key, centre=asdict(centre))


def steps(nodes: list[Node], chosen: str, label: str, key: str) -> str | None:
    """Show the stages as a list with one of them open; returns the one that was just chosen.

    Those apart come last, under a heading of their own. On a phone the list is folded to the open one.
    """
    ordered = [node for node in nodes if not node.apart] + [node for node in nodes if node.apart]
    return _mount(ordered, label, key, chosen=chosen)


def _mount(nodes: list[Node], label: str, key: str, **data: Any) -> str | None:
    found = _component()(
        key=key,
        data={"nodes": [asdict(node) for node in nodes], "label": label, **data},
        on_chosen_change=lambda: None,
    )
    chosen: str | None = found.chosen
    return chosen


@cache
def _component() -> Any:
    here = Path(__file__).parent
    return st.components.v2.component(
        "flightdeck_loop",
        css=(here / "loop.css").read_text("utf-8"),
        js=(here / "loop.js").read_text("utf-8"),
    )

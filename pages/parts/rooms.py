"""The rooms: which there are, in which order they stand in the sidebar, and how one is reached."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

HOME, FOUNDATIONS, DATA, TRAIN, EVALUATE, REGISTRY, DEPLOY = (
    "home",
    "foundations",
    "data",
    "train",
    "evaluate",
    "registry",
    "deploy",
)
PRODUCTION, MONITOR, INCIDENTS, POLICIES, NOTEBOOKS, HISTORY, WORKSPACE = (
    "production",
    "monitor",
    "incidents",
    "policies",
    "notebooks",
    "history",
    "workspace",
)


@dataclass(frozen=True)
class Place:
    """One room's file in pages/, its title in the sidebar, its Material symbol and what it belongs to."""

    name: str
    title: str
    icon: str
    section: str

    @property
    def file(self) -> str:
        """As st.switch_page and st.Page take it."""
        return file_of(self.name)

    @property
    def address(self) -> str:
        """Differs from the file's name: Streamlit would open that file without the frame."""
        return f"{self.name}-room"


ROOMS: tuple[Place, ...] = (
    Place(HOME, "Home", "home", "Start"),
    Place(FOUNDATIONS, "Foundations", "foundation", "Start"),
    Place(DATA, "Data", "database", "Build"),
    Place(NOTEBOOKS, "Notebooks", "menu_book", "Build"),
    Place(TRAIN, "Train", "model_training", "Build"),
    Place(EVALUATE, "Evaluate", "balance", "Build"),
    Place(REGISTRY, "Registry", "inventory_2", "Release"),
    Place(DEPLOY, "Deploy", "rocket_launch", "Release"),
    Place(PRODUCTION, "Production", "cell_tower", "Run"),
    Place(MONITOR, "Monitor", "monitoring", "Run"),
    Place(INCIDENTS, "Incidents", "emergency_home", "Run"),
    Place(POLICIES, "Policy lab", "science", "Run"),
    Place(HISTORY, "History", "history", "Keep"),
    Place(WORKSPACE, "Workspace", "folder", "Keep"),
)


def file_of(name: str) -> str:
    """Path of a room's file, relative to the app."""
    return f"pages/{name}.py"


def pages() -> dict[str, list[st.Page]]:
    """All rooms by section, as Streamlit's navigation takes them; Home is where the app opens."""
    found: dict[str, list[st.Page]] = {}
    for room in ROOMS:
        page = st.Page(
            room.file,
            title=room.title,
            icon=f":material/{room.icon}:",
            url_path=room.address,
            default=room.name == HOME,
        )
        found.setdefault(room.section, []).append(page)
    return found

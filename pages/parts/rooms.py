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
    """One room's file in pages/, its title in the sidebar and its Material symbol."""

    name: str
    title: str
    icon: str

    @property
    def file(self) -> str:
        """As st.switch_page and st.Page take it."""
        return file_of(self.name)

    @property
    def address(self) -> str:
        """Differs from the file's name: Streamlit would open that file without the frame."""
        return f"{self.name}-room"


ROOMS: tuple[Place, ...] = (
    Place(HOME, "Home", "home"),
    Place(FOUNDATIONS, "Foundations", "foundation"),
    Place(DATA, "Data", "database"),
    Place(TRAIN, "Train", "model_training"),
    Place(EVALUATE, "Evaluate", "balance"),
    Place(REGISTRY, "Registry", "inventory_2"),
    Place(DEPLOY, "Deploy", "rocket_launch"),
    Place(PRODUCTION, "Production", "cell_tower"),
    Place(MONITOR, "Monitor", "monitoring"),
    Place(INCIDENTS, "Incidents", "emergency_home"),
    Place(POLICIES, "Policy lab", "science"),
    Place(NOTEBOOKS, "Notebooks", "menu_book"),
    Place(HISTORY, "History", "history"),
    Place(WORKSPACE, "Workspace", "folder"),
)


def file_of(name: str) -> str:
    """Path of a room's file, relative to the app."""
    return f"pages/{name}.py"


def pages() -> list[st.Page]:
    """All rooms, as Streamlit's navigation takes them; Home is where the app opens."""
    return [
        st.Page(
            room.file,
            title=room.title,
            icon=f":material/{room.icon}:",
            url_path=room.address,
            default=room.name == HOME,
        )
        for room in ROOMS
    ]

"""What every room shares: the page's width, its title, figures, problems, and numbers in words."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from pages.parts import theme
from pages.parts.words import plain
from pipelines import figures
from pipelines.errors import FlightdeckError, Refused
from pipelines.keeping import aside
from pipelines.scenarios import SCENARIOS
from pipelines.scenarios.scenario import Scenario
from pipelines.settings import REPOSITORY
from pipelines.workspace import Workspace, open_workspace

STATIC = REPOSITORY / "static"
ICON = str(STATIC / "icon.png")

_SEEN = "scenario:seen"
TEXT_WIDTH = 640  # Pixels: about 68 characters, the longest line that is easy to read.
PLOTLY_CONFIG = {"displayModeBar": False}

# The two rules of our own: no page is wider, however wide the screen;
_WIDTH = "<style>.stMainBlockContainer, [data-testid=stBottomBlockContainer] {max-width: 1180px}</style>"
# and in the dark, what is chosen is written in the colour of links. Streamlit takes the primary colour, which
# there is dark enough for white words on a button, and so too dark to be read by itself (3.6:1).
_CHOSEN = """<style>
.stSlider [data-testid=stSliderThumbValue],
.stButtonGroup button[data-variant][aria-checked=true] {color: #8CB4F5}
</style>"""


class Room:
    """The head of a page: the state of your model in words, and which scenario it is about.

    The title is known last, but stands first; so its place is kept.
    """

    def __init__(self) -> None:
        _settle()
        st.html(_WIDTH + _CHOSEN if theme.is_dark() else _WIDTH)
        with st.container(gap="xxsmall"):
            self._row = st.container(
                horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
            )
            self._sentence = st.container()
        self._title = self._row.container(width="content", gap=None)
        with self._title:
            theme.watch()

    def choose_scenario(self, current: str | None = None) -> Scenario:
        """The scenario of this page, kept in its address, with the control that changes it.

        A room that is entered by the sidebar, whose links name none, goes on with the one seen last.

        Parameters
        ----------
        current : str, optional
            The one that the rest of the address asks for, over its own `scenario`.
        """
        names = list(SCENARIOS)
        asked = current or st.query_params.get("scenario", "") or st.session_state.get(_SEEN, "")
        shown = asked if asked in names else names[0]
        if shown != names[0] and "scenario" not in st.query_params and current is None:
            st.query_params["scenario"] = shown  # so that a reload, or a copied address, shows the same
        st.session_state[_SEEN] = shown
        chosen = self._row.radio(
            "Scenario",
            names,
            names.index(shown),
            format_func=lambda name: SCENARIOS[name].title,
            horizontal=True,
            key=f"scenario:{shown}",
            label_visibility="collapsed",
        )
        if chosen != shown:
            st.query_params.from_dict({"scenario": str(chosen)})
            st.rerun()
        return SCENARIOS[shown]

    def say(self, title: str, sentence: str = "") -> None:
        """The title, and one sentence that says what matters."""
        self._title.title(title, anchor=False)
        if sentence:
            self._sentence.markdown(sentence, width=TEXT_WIDTH)


def workspace() -> Workspace:
    """The learner's workspace; a restore that was killed is carried to its end before anybody looks."""
    found = open_workspace()
    if aside.is_cut_short(found.home):
        with suppress(Refused):  # it is not killed, but goes on
            aside.recover(found.home)
    return found


def logo() -> None:
    """Our name at the top of the sidebar."""
    st.logo(
        str(STATIC / f"flightdeck-{'dark' if theme.is_dark() else 'light'}.svg"),
        size="large",
        icon_image=ICON,
    )


def show(figure: go.Figure, key: str | None = None) -> None:
    """A figure at full width in the reader's theme; its title as text, which wraps on a phone."""
    dressed = figures.dress(figure, theme.is_dark())
    title = str(dressed.layout.title.text or "")
    words = figures.describe(dressed)
    dressed.update_layout(title_text="", margin_t=_room_above(dressed), hoverlabel_font_family=figures.FONT)
    with st.container(gap="xxsmall"):
        if title:
            st.markdown(f":small[**{plain(title)}**]")
        st.plotly_chart(dressed, theme=None, config=PLOTLY_CONFIG, key=key, alt=words)


def _room_above(figure: go.Figure) -> int:
    """Pixels for what is written above the axes; parallel axes have their names there."""
    if any(trace.type == "parcoords" for trace in figure.data):
        return 52
    return 28 if has_unit(figure) else 12


def has_unit(figure: go.Figure) -> bool:
    """Whether something is written above the axes."""
    return any(note.name in ("y", "event", "zone") for note in figure.layout.annotations)


def note(words: str, *, centred: bool = False, width: Any = "stretch") -> None:
    """Small words beside something; Streamlit's own caption is too pale on paper to be read by all."""
    st.markdown(f":small[:gray[{words}]]", text_alignment="center" if centred else "left", width=width)


def show_problem(error: FlightdeckError, *, border: bool = True) -> None:
    """What happened and what to do, in place of what can't be shown."""
    with st.container(border=border, gap="xsmall"):
        st.markdown(f":red[:material/error:] **{plain(error.message)}**")
        if error.hint:
            st.markdown(plain(error.hint))


@contextmanager
def problems_shown() -> Iterator[None]:
    """Show an error of ours where it happened; the rest of the page goes on."""
    try:
        yield
    except FlightdeckError as error:
        show_problem(error)


@st.cache_resource
def _settle() -> Path:
    """Take what is imported out of the garbage collector's sight, once: its passes get 20 times cheaper."""
    gc.collect()
    gc.freeze()
    return STATIC

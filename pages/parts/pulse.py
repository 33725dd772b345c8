"""A pulse: what makes a page look again while something goes on, and draw anew only what has changed.

A fragment with `run_every` sends all that it shows at every tick, and the browser lays all of it out
again. Under a pulse each part is a fragment of its own with a name; a beat of the pulse says which
of them are to be drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import streamlit as st

EVERY_S = 0.2
# No two are alike, so that the browser takes each for news.
_BEATS = count(1)


class Pulse:
    """Named parts of a page, and what each of them showed when it was last drawn.

    Parameters
    ----------
    look : callable
        Returns what every part has to show now, by the part's name, in values that can be compared;
        or None if the whole page is to be drawn again.
    """

    def __init__(self, look: Callable[[], Mapping[str, object] | None]) -> None:
        self._look = look
        self._shown: dict[str, object] = dict(look() or {})
        self._drawn: set[str] = set()

    def part(self, name: str, draw: Callable[..., None], *args: Any) -> None:
        """Draw one part; it is drawn again, with the same arguments, whenever what it has to show changes."""
        self._drawn.add(name)
        st.fragment(draw, key=name)(*args)

    def start(self) -> None:
        """Begin to beat; called once the parts are drawn."""
        st.fragment(self._draw, key="pulse")()

    def _draw(self) -> None:
        _component()(
            key="pulse:beat",
            data={"every": EVERY_S * 1000, "beat": next(_BEATS)},
            on_beat_change=self._beat,
        )

    def _beat(self) -> None:
        found = self._look()
        if found is None or found.keys() != self._shown.keys():
            st.rerun()
            return
        changed = [name for name in self._drawn if self._shown.get(name) != found.get(name)]
        self._shown = dict(found)
        if changed:
            st.rerun(["pulse", *changed])


@cache
def _component() -> Any:
    js = (Path(__file__).parent / "pulse.js").read_text("utf-8")
    return st.components.v2.component("flightdeck_pulse", js=js)

"""Which theme the reader has, and a new look at the page when it changes.

Streamlit repaints itself when somebody changes the theme, but does not run the page again, so figures
would keep the old theme's colours. A component without a face sees the change and asks for a run.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st

# The text's colour changes with the theme; a transition of it, however short, ends with an event.
_CSS = "i { position: absolute; color: var(--st-text-color); transition: color 1ms linear; }"
_JS = """
export default function (component) {
  const { parentElement, setTriggerValue } = component;
  let seen = parentElement.querySelector("i");
  if (!seen) {
    seen = document.createElement("i");
    seen.setAttribute("aria-hidden", "true");
    parentElement.append(seen);
  }
  const changed = () => setTriggerValue("changed", getComputedStyle(seen).color);
  seen.addEventListener("transitionend", changed);
  return () => seen.removeEventListener("transitionend", changed);
}
"""


def is_dark() -> bool:
    """Whether the reader has the dark theme."""
    return bool(st.context.theme.type == "dark")


def watch() -> None:
    """Run the page again when the reader changes the theme."""
    _component()(key="theme", on_changed_change=lambda: None)


@cache
def _component() -> Any:
    return st.components.v2.component("flightdeck_theme", css=_CSS, js=_JS)

"""The frame: name, icon and navigation. What a room shows is in pages/."""

import streamlit as st

from pages.parts.frame import ICON, logo
from pages.parts.rooms import pages

st.set_page_config(
    page_title="Flightdeck",
    page_icon=ICON,
    layout="wide",
    menu_items={"About": "Flightdeck: a flight simulator for production machine learning."},
)
logo()
st.navigation(pages(), expanded=True).run()

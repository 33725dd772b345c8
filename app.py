"""The frame: name, icon and navigation. What a room shows is in pages/."""

import streamlit as st

from pages.parts.frame import ICON, logo

st.set_page_config(
    page_title="Flightdeck",
    page_icon=ICON,
    layout="wide",
    menu_items={"About": "Flightdeck: a flight simulator for production machine learning."},
)
logo()

# Addresses differ from the file names: an address that equals one would open the file without this frame.
st.navigation(
    [
        st.Page("pages/home.py", title="Home", icon=":material/home:", url_path="start", default=True),
        st.Page("pages/train.py", title="Train", icon=":material/model_training:", url_path="training"),
        st.Page("pages/serve.py", title="Serve", icon=":material/bolt:", url_path="serving"),
    ]
).run()

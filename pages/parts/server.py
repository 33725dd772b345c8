"""The app's server: Streamlit, told beforehand what it would otherwise learn from its first visitor.

    python -m pages.parts.server run app.py …

Until a session has called st.navigation, Streamlit takes a folder named pages/ for its older kind of
app. On a fresh server, whoever opens the address of a room first would be told that it does not exist.
"""

from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.cli import main

if __name__ == "__main__":
    PagesManager.uses_pages_directory = False
    main(prog_name="streamlit")

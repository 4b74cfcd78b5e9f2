"""The script that Streamlit runs for every visitor. Importing it does nothing: the pages are elsewhere."""

import streamlit as st

from mos_app.web.admin_page import show_admin
from mos_app.web.rater_page import show_rater


def main() -> None:
    """Chooses the page by the address: the rater's, or the admin's under /admin."""
    st.set_page_config(page_title="Image quality study", page_icon="◧", layout="centered")
    page = st.navigation(
        [
            st.Page(show_rater, title="Study", default=True),
            st.Page(show_admin, title="Administration", url_path="admin"),
        ],
        position="hidden",
    )
    page.run()


if __name__ == "__main__":
    main()

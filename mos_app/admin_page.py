"""The admin's page."""

import streamlit as st


def show_admin() -> None:
    """Shows the log-in."""
    st.write("admin")

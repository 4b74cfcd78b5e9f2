"""The web server: routes for votes and pictures beside Streamlit's pages."""

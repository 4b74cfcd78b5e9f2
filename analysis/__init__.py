"""Tables, figures, statistics and the report. Reads CSV files and PNGs; knows no torch, Streamlit or SQL."""

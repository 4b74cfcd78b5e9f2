"""Tables, figures, statistics and the report. Reads CSV files and PNGs; knows no torch, Streamlit or SQL.

Reading order: :mod:`analysis.io.metrics` and :mod:`analysis.io.ratings` (what is read), :mod:`analysis.stats`
(the formulas, which ``mos_app`` imports too), :mod:`analysis.study.results` (everything computed from one
study), :mod:`analysis.judge` (what that says of the paper's values and claims), then the three that render:
``tables``, ``figures``, ``report``. Imports point downwards through :data:`LAYERS`.
"""

LAYERS = ("stats", "io", "study", "judge", "tables", "figures", "report")
"""The folders, lowest first; a module imports from its own folder and from those before it."""

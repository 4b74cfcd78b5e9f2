"""One torch-free file a paper: its printed figures, settings and tolerances."""

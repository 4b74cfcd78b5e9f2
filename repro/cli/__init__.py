"""The command line: ``python -m repro COMMAND``. Thin: it reads options and prints; the work is elsewhere."""

"""The command line: ``python -m mos_app COMMAND``. Each command imports what it needs when it runs."""

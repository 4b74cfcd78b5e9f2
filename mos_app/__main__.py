"""``python -m mos_app``."""

from mos_app.cli import main

if __name__ == "__main__":
    main()

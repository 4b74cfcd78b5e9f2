"""``python -m mos_app``."""

from mos_app.cli.main import main

if __name__ == "__main__":
    main()

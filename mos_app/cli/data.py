"""``export``, ``import``, ``backup``, ``restore``: a study's data out and in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mos_app.cli.common import DatabaseOption, ResultsOption, StudyOption, opened_study
from repro.core.paths import Results


def export(
    results: ResultsOption = Path("results"), study: StudyOption = "", database: DatabaseOption = ""
) -> None:
    """Write export/ and export.zip: ratings long and wide, sureal JSON, codebook, design, log, hashes."""
    from mos_app.files.archive import export_study

    with opened_study(results, study, database) as workspace:
        print(export_study(workspace))


def import_(
    path: Annotated[Path, typer.Argument(help="An export.zip.")],
    name: Annotated[str, typer.Option(help="Name of the new study (default: the exported one's).")] = "",
    results: ResultsOption = Path("results"),
    database: DatabaseOption = "",
) -> None:
    """Make a study from an export, for analysis; exporting it again gives the same bytes."""
    from mos_app.files.importing import import_study

    study = import_study(Results(results), path, name=name, url=database or None)
    print(f"study {study} imported")


def backup(
    target: Annotated[Path, typer.Argument(help="A new folder.")],
    results: ResultsOption = Path("results"),
    study: StudyOption = "",
    database: DatabaseOption = "",
) -> None:
    """Copy a study while it runs: database (by SQLite's own API), configuration, stimuli."""
    from mos_app.files.backup import back_up

    with opened_study(results, study, database) as workspace:
        print(back_up(workspace, target))


def restore(
    source: Annotated[Path, typer.Argument(help="A folder made by backup.")],
    name: Annotated[str, typer.Option(help="Name of the study to make.")],
    results: ResultsOption = Path("results"),
) -> None:
    """Make a study from a backup; raters' links stay valid."""
    from mos_app.files import backup as backups

    backups.restore(Results(results), source, name)
    print(f"study {name} restored")

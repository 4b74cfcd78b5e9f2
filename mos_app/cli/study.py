"""``init``, ``texts``, ``close``, ``remove``, ``upgrade``: a study from its file to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mos_app.cli.common import (
    ConfigOption,
    DatabaseOption,
    ResultsOption,
    StudyOption,
    TemplateOption,
    choose,
    opened_study,
    registry_of,
    study_file,
)
from repro.core.errors import UserError
from repro.core.paths import Results


def init(
    template: TemplateOption = "paper",
    config: ConfigOption = None,
    name: Annotated[str, typer.Option(help="Name of the study (default: as the file says).")] = "",
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Go on without methods whose images are missing.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the study file and make nothing.")] = False,
    results: ResultsOption = Path("results"),
    database: DatabaseOption = "",
) -> None:
    """Make a study from the image store: check, copy stimuli, write the design and the raters' orders."""
    from mos_app.db.studies import add_raters
    from mos_app.files.workspace import init_study, open_workspace, study_folder

    checked, text = study_file(config, template)
    if show:
        print(text, end="")
        return
    name = name or checked.name
    left_out = init_study(
        Results(results), checked, text, name=name, url=database or None, skip_missing=skip_missing
    )
    for dataset, method in left_out:
        print(f"without {dataset}/{method}: its images are missing")
    with open_workspace(Results(results), name, database or None) as workspace:
        codes = add_raters(workspace.database, workspace.study, checked.raters)
        print(
            f"study {name}: {len(codes)} raters x {workspace.study.per_rater} ratings, "
            f"in {study_folder(Results(results), name).path}"
        )
        if plan := workspace.study.config.preregistration.frozen:
            print(f"plan frozen: {len(plan.claims)} claims, SHA-256 {plan.sha256}")
        print(f"next: python -m mos_app invite --study {name}")


def texts(language: Annotated[str, typer.Option(help="en or de.")] = "en") -> None:
    """Print everything raters read, as a part of a study file to reword or to translate."""
    from mos_app.study.texts import study_file_part

    print(study_file_part(language), end="")


def close(
    reopen: Annotated[bool, typer.Option("--reopen", help="Take ratings again.")] = False,
    results: ResultsOption = Path("results"),
    study: StudyOption = "",
    database: DatabaseOption = "",
) -> None:
    """Close a study for its raters: their links say so, and no rating is taken any more."""
    with opened_study(results, study, database) as workspace:
        registry_of(workspace).close(not reopen, "command")
        print(f"study {workspace.study.name} is {'open' if reopen else 'closed'}")


def remove(
    study: Annotated[str, typer.Option("--study", help="Name of the study.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    results: ResultsOption = Path("results"),
) -> None:
    """Delete a study's folder with its SQLite database, stimuli and exports, for good."""
    import shutil

    from mos_app.files.workspace import study_folder, study_names

    if study not in study_names(Results(results)):
        raise UserError(f"no study {study!r}", "a study", "python -m mos_app status")
    folder = study_folder(Results(results), study)
    if not yes:
        typer.confirm(f"delete {folder.path} with every rating in it?", abort=True)
    sqlite = folder.database.is_file()
    shutil.rmtree(folder.path)
    print(f"{study} is removed" + ("" if sqlite else "; its database is another server's: drop it there"))


def upgrade(
    results: ResultsOption = Path("results"), study: StudyOption = "", database: DatabaseOption = ""
) -> None:
    """Bring a study's database to this version's schema (back it up first)."""
    from mos_app.files.workspace import study_database

    opened = study_database(Results(results), choose(results, study), database or None)
    opened.migrate()
    opened.dispose()
    print("the schema is current")

"""What the commands share: options, and which study is meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repro.core.errors import UserError
from repro.core.paths import Results

if TYPE_CHECKING:
    from mos_app.db.raters import Registry
    from mos_app.files.workspace import Workspace
    from mos_app.study.definition import StudyConfig

DEMO = "demo"
SYNTHETIC = "-synthetic"
"""Ending of the names that `simulate` gives."""

ResultsOption = Annotated[Path, typer.Option("--results", help="Folder with image store and studies.")]
StudyOption = Annotated[
    str, typer.Option("--study", help="Name of the study; not needed where there is only one.")
]
DatabaseOption = Annotated[
    str,
    typer.Option(
        "--database",
        envvar="MOS_DATABASE",
        help="SQLAlchemy URL; without it, a SQLite file in the study's folder.",
    ),
]
TemplateOption = Annotated[str, typer.Option(help="paper, pilot or demo.")]
ConfigOption = Annotated[Path | None, typer.Option(help="Your own study file instead of a template.")]


def choose(results: Path, study: str) -> str:
    """The study that is named, or the only one that is neither simulated nor, beside others, the demo."""
    from mos_app.files.workspace import study_names

    if study:
        return study
    names = study_names(Results(results))
    real = [name for name in names if not name.endswith(SYNTHETIC) and (name != DEMO or len(names) == 1)]
    if len(real) == 1:
        return real[0]
    if not names:
        raise UserError(f"no study in {results}", "a study", "python -m mos_app init --template demo")
    raise UserError(f"studies: {', '.join(names)}", "one of them named", "pass --study NAME")


def opened_study(results: Path, study: str, database: str) -> Workspace:
    """The study that is meant, open; to be closed again."""
    from mos_app.files.workspace import open_workspace

    return open_workspace(Results(results), choose(results, study), database or None)


def registry_of(workspace: Workspace) -> Registry:
    """The raters of an open study."""
    from mos_app.db.raters import Registry

    return Registry(workspace.database, workspace.study)


def study_file(config: Path | None, template: str) -> tuple[StudyConfig, str]:
    """A study file, checked, and its text: the leader's own, or a template that ships."""
    from mos_app.study.studyfile import read_study, read_template

    return read_study(config) if config else read_template(template)

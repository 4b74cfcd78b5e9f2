"""``python -m repro verify`` and ``crate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repro.cli import common

FolderArgument = Annotated[Path, typer.Argument(metavar="[FOLDER]", help="A results folder.")]


def verify(folder: FolderArgument = Path("results")) -> None:
    """Check a results folder against its manifests: images, scores, tables, figures, runs, weights.

    Says in one line what is wrong with a part, and ends with exit code 1 then.

    Example: python -m repro verify results/published
    """
    from repro.evaluation.verify import present, problems

    out = common.console()
    layout = common.results_layout(folder)
    found = list(problems(layout))
    for line in found:
        out.print(line, markup=False)
    if found:
        raise typer.Exit(1)
    out.print(f"{folder}: {', '.join(present(layout))}: all as their manifests say", markup=False)


def crate(folder: FolderArgument = Path("results")) -> None:
    """Write `ro-crate-metadata.json`: what the folder holds and how it was made, for archives (RO-Crate 1.1).

    Its date of publication is today's, or SOURCE_DATE_EPOCH's.
    """
    from repro.evaluation.crate import FILE, write_crate

    out = common.console()
    layout = common.results_layout(folder)
    out.print(f"{write_crate(layout)} files described")
    common.finished(out, layout.root / FILE)

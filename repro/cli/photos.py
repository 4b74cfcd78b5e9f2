"""``python -m repro upscale FILE ...``: people's own photographs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

from repro.cli import common
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.core.progress import FilesBar
from repro.imaging.tiling import OnPart
from repro.inference.methods import INTERPOLATIONS, Method, srcnn, trained
from repro.methods.config import Arithmetic

DEFAULT_METHODS = ("SRGAN-VGG54", "SRGAN-VGG22")
"""Without --method, or with SRGAN: the paper's variant, or the nearest to it that has weights."""


@dataclass(frozen=True)
class Wanted:
    """Which weights the user asked for; None where nothing was said.

    Attributes:
        method: a method's name.
        weights: a file.
        profile, seed: of the run.
        shipped: those that come with the repository, whatever runs there are.
    """

    method: str | None = None
    weights: Path | None = None
    profile: str | None = None
    seed: int | None = None
    shipped: bool = False


def photo_method(
    out: Console,
    wanted: Wanted,
    results: Results,
    data_root: Path,
    device: str,
    arithmetic: Arithmetic,
    tile: int | None,
    on_part: OnPart,
) -> Method:
    """The method of a name or a weights file; tells the weights' origin, licence and limits."""
    from repro.core import tensorfile as checkpoint
    from repro.inference.weights import Weights, find_weights, statement, trained_variants

    name = wanted.method
    if wanted.weights is None and name in INTERPOLATIONS:
        return INTERPOLATIONS[name]()
    if wanted.weights is None and name == "SRCNN":
        out.print("weights: SRCNN by its authors (research use only)")
        return srcnn(data_root, device, tile, on_part)
    if wanted.weights is not None:
        found = Weights(wanted.weights, "given")
    else:
        if name is None or name.lower() == "srgan":
            there = trained_variants(results, wanted.shipped)
            name = next((variant for variant in DEFAULT_METHODS if variant in there), DEFAULT_METHODS[0])
        found = find_weights(name, results, wanted.profile, wanted.seed, wanted.shipped)
    _, metadata = checkpoint.load(found.path)
    for line in statement(found, metadata):
        out.print(line, markup=False)
    return trained(found.path, device, arithmetic, tile, on_part=on_part)


def upscale_photos(
    inputs: list[str],
    out_folder: Path | None,
    make_method: Callable[[OnPart], Method],
    force: bool,
    dry_run: bool,
    out: Console,
) -> None:
    """Enlarges files, folders and globs into a folder; a bad file does not stop the others.

    Raises:
        UserError: options or paths that cannot be; nothing was done then.
        typer.Exit: code 1 if some file could not be enlarged.
    """
    from repro.inference.photos import find_jobs, run_job

    if out_folder is None:
        raise UserError("--out is missing", "a folder for the results", "--out enlarged")
    jobs = find_jobs(inputs, out_folder)
    if dry_run:
        for job in jobs:
            out.print(f"{job.source} -> {job.target}", markup=False)
        return
    failed = 0
    files = FilesBar(out, len(jobs))
    method = make_method(files.part)
    with files.progress:
        for job in jobs:
            files.next_file(job.source.name)
            try:
                (height, width), remarks = run_job(job, method, force)
                about = "".join(f" ({remark})" for remark in remarks)
                out.print(f"{job.target}: {width} x {height}{about}", markup=False)
            except (UserError, OSError, MemoryError, RuntimeError) as error:
                failed += 1
                text = (
                    str(error)
                    if isinstance(error, UserError)
                    else f"{job.source}: {type(error).__name__}: {error}"
                )
                Console(stderr=True, soft_wrap=True, highlight=False).print(
                    f"[bold red]failed[/] {escape(text)}"
                )
    out.print(f"{len(jobs) - failed} of {len(jobs)} enlarged by {method.name}")
    if failed:
        raise typer.Exit(1)
    common.finished(out, out_folder)

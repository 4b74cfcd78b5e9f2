"""``python -m repro upscale FILE ...``: people's own photographs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

from repro.cli import common
from repro.cli.upscalers import Wanted, named_upscaler
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.core.progress import FilesBar
from repro.imaging.tiling import OnPart
from repro.inference.upscaler import Options, Upscaler

DEFAULT_METHODS = ("SRGAN-VGG54", "SRGAN-VGG22")
"""Without --method, or with SRGAN: the paper's variant, or the nearest to it that has weights."""


def photo_upscaler(
    out: Console,
    name: str | None,
    weights: Path | None,
    wanted: Wanted,
    results: Results,
    data_root: Path,
    options: Options,
) -> Upscaler:
    """The upscaler of a name or a weights file; tells the weights' origin, licence and limits."""
    from repro.inference.loading import metadata_of, trained_upscaler
    from repro.inference.weights import Weights, statement, trained_variants

    found: Weights | None
    if weights is not None:
        found = Weights(weights, "given")
        upscaler: Upscaler = trained_upscaler(weights, options)
    else:
        if name is None or name.lower() == "srgan":
            have = trained_variants(results, wanted.shipped)
            name = next((variant for variant in DEFAULT_METHODS if variant in have), DEFAULT_METHODS[0])
        upscaler, found = named_upscaler(name, results, data_root, options, wanted)
        if name == "SRCNN":
            out.print("weights: SRCNN by its authors (research use only)")
    if found is not None:
        for line in statement(found, metadata_of(found.path)):
            out.print(line, markup=False)
    for reference, sha256 in upscaler.inputs.items():
        if reference.startswith("reference "):
            out.print(f"{reference}: SHA-256 {sha256}", markup=False)
    return upscaler


def upscale_photos(
    inputs: list[str],
    out_folder: Path | None,
    make: Callable[[OnPart], Upscaler],
    force: bool,
    dry_run: bool,
    out: Console,
    every_step: bool = False,
) -> None:
    """Upscales files, folders and globs into a folder; a bad file does not stop the others.

    Raises:
        UserError: options or paths that cannot be; nothing was done then.
        typer.Exit: code 1 if some file could not be upscaled.
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
    upscaler = make(files.part)
    with files.progress:
        for job in jobs:
            files.next_file(job.source.name)
            try:
                (height, width), remarks = run_job(job, upscaler, force, every_step)
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
    out.print(f"{len(jobs) - failed} of {len(jobs)} upscaled by {upscaler.name}")
    if failed:
        raise typer.Exit(1)
    common.finished(out, out_folder)

"""``python -m repro upscale FILE ...``: people's own photographs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

from repro.cli import common
from repro.errors import UserError
from repro.methods import INTERPOLATIONS, Method, srcnn, trained
from repro.paths import Results
from repro.progress import FilesBar
from repro.tiling import OnPart

DEFAULT_METHOD = "SRGAN-VGG54"


def photo_method(
    out: Console,
    name: str | None,
    weights: Path | None,
    profile: str | None,
    seed: int | None,
    results: Results,
    data_root: Path,
    device: str,
    bfloat16: bool,
    tile: int | None,
    on_part: OnPart,
) -> Method:
    """The method of a name or a weights file; tells the weights' origin, licence and limits."""
    from repro import checkpoint
    from repro.weights import Weights, find_weights, statement

    if weights is None and name in INTERPOLATIONS:
        return INTERPOLATIONS[name]()
    if weights is None and name == "SRCNN":
        out.print("weights: SRCNN by its authors (research use only)")
        return srcnn(data_root, device, tile, on_part)
    found = (
        Weights(weights, "given") if weights else find_weights(name or DEFAULT_METHOD, results, profile, seed)
    )
    _, metadata = checkpoint.load(found.path)
    for line in statement(found, metadata):
        out.print(line, markup=False)
    return trained(found.path, device, bfloat16, tile, on_part=on_part)


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
    from repro.photos import find_jobs, run_job

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

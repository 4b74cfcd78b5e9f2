"""``python -m repro upscale FILE ...``: people's own photographs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

from repro.cli import common
from repro.cli.upscalers import Wanted, named_upscaler, takes_references
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.core.progress import FilesBar
from repro.imaging.tiling import OnPart
from repro.inference.upscaler import Options, Upscaler

if TYPE_CHECKING:
    from repro.inference.jobs import How, Job, Naming

WATCH_SECONDS = 2
"""Between looks into watched folders; a file is taken when it has not changed from one to the next."""


def photo_upscaler(
    out: Console,
    name: str | None,
    weights: Path | None,
    wanted: Wanted,
    results: Results,
    data_root: Path,
    options: Options,
    consistent: bool | None = None,
) -> Upscaler:
    """The upscaler of a name or a weights file; tells the weights' origin, licence and limits.

    Args:
        out: for what is told.
        name: a method; None is the best generator of the published table, with the weights published.
        weights: a file, instead; of the method, where that is named too.
        wanted, results, data_root, options: as for :func:`named_upscaler`.
        consistent: back-project results; None does where a network gives whole scales.
    """
    from repro.inference.consistent import ConsistentUpscaler
    from repro.inference.loading import metadata_of, trained_upscaler
    from repro.inference.weights import Weights, statement

    found: Weights | None
    if weights is not None:
        found = Weights(weights, "given")
        upscaler: Upscaler = trained_upscaler(weights, options)
        if name is not None:
            _check_method(name, upscaler, weights)
    else:
        if name is None:
            name, why, wanted = _default(results, wanted)
            out.print(f"--method {name}{why}", markup=False)
        upscaler, found = named_upscaler(name, results, data_root, options, wanted)
        if name == "SRCNN":
            out.print("weights: SRCNN by its authors (research use only)")
    if found is not None:
        metadata = metadata_of(found.path)
        for line in statement(found, metadata):
            out.print(line, markup=False)
        for note in upscaler.notes:
            if note not in metadata.get("notes", []):
                out.print(f"note: {note}", markup=False)
    for reference, sha256 in upscaler.inputs.items():
        if reference.startswith("reference "):
            out.print(f"{reference}: SHA-256 {sha256}", markup=False)
    if consistent is None:
        consistent = "weights" in upscaler.inputs and upscaler.scale == int(upscaler.scale)
    if consistent:
        upscaler = ConsistentUpscaler(upscaler)
        out.print(f"note: {upscaler.notes[-1]} (--no-consistent leaves it out)", markup=False)
    return upscaler


def _check_method(name: str, upscaler: Upscaler, weights: Path) -> None:
    """That a file holds the method that was named: its variant, or where it tells none, one of its family."""
    from repro.methods.variants import canonical_variant, trainable

    of, variant = upscaler.method, upscaler.name.removesuffix("+")
    if name.lower() in {of, variant.lower()}:
        return
    wanted = canonical_variant(name)
    if wanted != variant and (variant in trainable() or trainable()[wanted].method != of):
        holds = variant if variant in trainable() else of or variant
        got = f"--method {name} with {weights}, which holds {holds}"
        raise UserError(got, "weights of that method", "leave --method out")


def _default(results: Results, wanted: Wanted) -> tuple[str, str, Wanted]:
    """A method for photographs, why it, and which weights."""
    from repro.evaluation.choice import best_generator
    from repro.inference.weights import NEAREST, SHIPPED, trained_variants

    shipped = [name for name in trained_variants(results, shipped=True) if not takes_references(name)]
    best = best_generator(SHIPPED.parent / "metrics.csv", shipped)
    if best is not None and wanted.profile is None and wanted.seed is None:
        return best[0], f": {best[1]}", replace(wanted, shipped=True)
    have = [name for name in trained_variants(results, wanted.shipped) if not takes_references(name)]
    return next((name for name in (*NEAREST, *have) if name in have), "SRGAN"), "", wanted


def upscale_photos(
    inputs: list[str],
    naming: Naming,
    make: Callable[[OnPart], Upscaler],
    how: How,
    dry_run: bool,
    out: Console,
    watch: bool = False,
) -> None:
    """Upscales files, folders and globs; a bad file does not stop the others.

    Args:
        inputs: what to upscale.
        naming: of results.
        make: the upscaler, called when there is work.
        how: what is done with files.
        dry_run: say what would be done.
        out: for what is told.
        watch: go on with files that come, until Ctrl-C.

    Raises:
        UserError: options or paths that cannot be; nothing was done then.
        typer.Exit: code 1 if some file could not be upscaled, or a folder not be read.
    """
    from repro.inference.jobs import check_writable, find_jobs, state

    if watch:
        _check_watched(inputs, naming)
    found = find_jobs(inputs, naming, at_least=0 if watch else 1)
    check_writable([job.target for job in found.jobs])
    for line in found.remarks():
        out.print(line, markup=False)
    if dry_run:
        for job in found.jobs:
            out.print(f"{job.source} -> {job.target}", markup=False)
        return
    if not found.jobs and not watch:
        return
    told: list[OnPart] = [lambda done, total: None]
    upscaler = make(lambda done, total: told[0](done, total))
    if how.scale is None and upscaler.scale != naming.scale:
        naming = replace(naming, scale=upscaler.scale)
        found = find_jobs(inputs, naming, at_least=0)
    done = {job.source: state(job.source) for job in found.jobs}  # before: a file may still be growing
    failed = _run(found.jobs, upscaler, how, out, told)
    if watch:
        _watch(inputs, naming, done, lambda jobs: _run(jobs, upscaler, how, out, told), out)
    if failed or found.unreadable:
        raise typer.Exit(1)
    common.finished(out, naming.out if naming.out is not None else "beside the originals")


def _run(jobs: Sequence[Job], upscaler: Upscaler, how: How, out: Console, told: list[OnPart]) -> int:
    """Upscales files one after another; the number that failed."""
    from repro.inference.jobs import pixels, run_job

    failed = kept = 0
    files = FilesBar(out, [pixels(job.source) for job in jobs])
    told[0] = files.part
    with files.progress:
        for job in jobs:
            files.next_file(job.source.name)
            try:
                size, remarks = run_job(job, upscaler, how)
                about = "".join(f" ({remark})" for remark in remarks)
                kept += size is None
                what = "kept" if size is None else f"{size[1]} x {size[0]}"
                out.print(f"{job.target}: {what}{about}", markup=False)
            except (UserError, OSError, MemoryError, RuntimeError) as error:
                failed += 1
                if isinstance(error, OSError) and error.errno in common.FULL:
                    raise UserError(
                        f"{job.target}: {error.strerror}",
                        "room for the results",
                        "make room and start again: what is done is kept",
                    ) from None
                _failed(job, error)
    done = len(jobs) - failed - kept
    out.print(f"{done} of {len(jobs)} upscaled by {upscaler.name}" + (f", {kept} kept" if kept else ""))
    return failed


def _failed(job: Job, error: Exception) -> None:
    text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    if str(job.source) not in text:
        text = f"{job.source}: {text}"
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold red]failed[/] {escape(text)}")


def _check_watched(inputs: Sequence[str], naming: Naming) -> None:
    if naming.is_file() or not all(Path(text).is_dir() for text in inputs):
        raise UserError("--watch", "folders to watch, and none or a folder as --out", "name a folder")


def _watch(
    inputs: Sequence[str],
    naming: Naming,
    done: dict[Path, tuple[int, int]],
    run: Callable[[Sequence[Job]], int],
    out: Console,
) -> None:
    """Upscales what comes into folders, as soon as it is whole, until Ctrl-C.

    Args:
        inputs, naming: as for :func:`upscale_photos`.
        done: the states in which files were taken before.
        run: upscales.
        out: for what is told.
    """
    from repro.inference.jobs import find_jobs, state

    out.print(f"watching {', '.join(inputs)}; Ctrl-C ends it", markup=False)
    before: dict[Path, tuple[int, int]] = {}
    try:
        while True:
            time.sleep(WATCH_SECONDS)
            jobs = {job.source: job for job in find_jobs(inputs, naming, at_least=0).jobs}
            now = {source: state(source) for source in jobs}
            ready = [source for source, at in now.items() if done.get(source) != at == before.get(source)]
            before = now
            if ready:
                run([jobs[source] for source in ready])
                done |= {source: now[source] for source in ready}
    except KeyboardInterrupt:
        out.print("watching ended")

"""``python -m repro data``: what images the suite uses, getting them, and checking them."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from repro.cli.common import (
    DataOption,
    DryRunOption,
    ResultsOption,
    SeedOption,
    TrainRootOption,
    console,
    data_root,
    finished,
    results_layout,
)
from repro.core.progress import bar
from repro.data.sources import BASE_URL, DataFile, Registry, load_registry
from repro.data.verify import State, verify

if TYPE_CHECKING:
    from repro.data.fetch import Fetched

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="List, download and check the images: test sets, training sets, reference results, SRCNN's weights.",
)

OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", help="One source, as named by `data list`; may be given several times."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]

SHOWN_PROBLEMS = 20


@app.command("list")
def list_sources(data: DataOption = None, only: OnlyOption = None, as_json: JsonOption = False) -> None:
    """Print the sources: repository, commit, licence, purpose, and how many files are present.

    Nothing is read but the file names and sizes; `data verify` reads the contents. The licence column is a
    reminder, not advice: the images belong to their owners. Every file with its SHA-256 is in
    repro/data/files.csv.

    Example: python -m repro data list --only Set5
    """
    root = data_root(data)
    registry = load_registry().select(only)
    rows = []
    for source in registry.sources:
        files = [file for file in registry.files if file.source == source]
        present = sum(1 for file in files if _right_size(file, root))
        rows.append((source, files, present))
    if as_json:
        _print_json(
            {
                "sources": [
                    asdict(source)
                    | {"files": len(files), "bytes": sum(file.size for file in files), "present": present}
                    for source, files, present in rows
                ]
            }
        )
        return
    console = Console()
    files_table = Table(box=None, pad_edge=False, header_style="bold")
    files_table.add_column("source", no_wrap=True)
    files_table.add_column("there", justify="right", no_wrap=True)
    files_table.add_column("size", justify="right", no_wrap=True)
    files_table.add_column("for")
    for source, files, present in rows:
        size = decimal(sum(file.size for file in files))
        files_table.add_row(source.name, f"{present}/{len(files)}", size, escape(source.purpose))
    console.print(files_table)
    console.print()
    upstream = Table(box=None, pad_edge=False, header_style="bold")
    upstream.add_column("repository", no_wrap=True)
    upstream.add_column("commit", no_wrap=True)
    upstream.add_column("licence")
    for repository, commit, licence in dict.fromkeys(
        (source.repository, source.commit, source.licence) for source in registry.sources
    ):
        upstream.add_row(repository, commit[:7], escape(licence))
    console.print(upstream)
    console.print()
    present = sum(row[2] for row in rows)
    _say(f"{present} of {len(registry.files)} files ({decimal(registry.size)} in all) are in {root}")


@app.command("fetch")
def fetch_files(
    data: DataOption = None,
    only: OnlyOption = None,
    dry_run: DryRunOption = False,
    base_url: Annotated[
        str,
        typer.Option(
            "--base-url",
            envvar="SRGAN_DATA_URL",
            help="A mirror that serves the same /owner/repository/commit/path.",
        ),
    ] = BASE_URL,
    connections: Annotated[int, typer.Option(min=1, max=32, help="Files downloaded at once.")] = 8,
) -> None:
    """Download what is missing, file by file, from the upstream repositories at their pinned commits.

    Files that are there with the right content are left alone, without a word to the network; a file whose
    content is wrong is replaced. Every file is checked by SHA-256 before it gets its name. Interrupted?
    Run the command again: it goes on with the next file.

    Exit code 0 when everything asked for is there in the end, 1 when something could not be had (no
    network, or a file that the server does not give), 2 for bad input.

    Example: python -m repro data fetch --only Set5 --only BSDS500-train
    """
    # pooch and its HTTP client are only loaded where they are needed
    from repro.data.fetch import checked_base_url, missing_files

    root = data_root(data)
    if not dry_run:
        if not fetch_missing(root, only, base_url, connections).complete:
            raise typer.Exit(1)
        return
    registry = load_registry().select(only)
    checked_base_url(base_url)
    with bar(Console(stderr=True), "checking", len(registry.files)) as advance:
        wanted = missing_files(registry.files, root, lambda file: advance(1))
    size = sum(file.size for file in wanted)
    _say(f"{len(registry.files) - len(wanted)} of {len(registry.files)} files are in {root}")
    for name, count in Counter(file.source.name for file in wanted).items():
        total = sum(file.size for file in wanted if file.source.name == name)
        _say(f"  {name}: {count} files, {decimal(total)}")
    _say(f"to download: {len(wanted)} files, {decimal(size)} ({size} bytes), from {base_url}")


def fetch_missing(root: Path, only: list[str] | None, base_url: str, connections: int = 8) -> Fetched:
    """Downloads what is missing and says in one line how that went; contacts nobody when nothing is."""
    from repro.data.fetch import checked_base_url, fetch, missing_files

    registry = load_registry().select(only)
    checked_base_url(base_url)
    console = Console(stderr=True)
    with bar(console, "checking", len(registry.files)) as advance:
        wanted = missing_files(registry.files, root, lambda file: advance(1))
    with _bytes_bar(console, wanted) as at:
        result = fetch(
            wanted,
            root,
            present=len(registry.files) - len(wanted),
            base_url=base_url,
            connections=connections,
            at=at,
        )
    _report(result, registry, root)
    return result


def _report(result: Fetched, registry: Registry, data: Path) -> None:
    there = result.present + result.fetched
    total = f"{there} of {len(registry.files)} files are in {data}"
    if result.offline:
        _say(f"no network: {result.offline}; going on with what is there: {total}")
        return
    for path, reason in list(result.failed.items())[:SHOWN_PROBLEMS]:
        _say(f"not fetched: {path}: {reason}")
    if len(result.failed) > SHOWN_PROBLEMS:
        _say(f"... and {len(result.failed) - SHOWN_PROBLEMS} more")
    _say(f"{result.fetched} fetched ({decimal(result.received)}), {len(result.failed)} failed; {total}")


@app.command("verify")
def verify_files(data: DataOption = None, only: OnlyOption = None, as_json: JsonOption = False) -> None:
    """Name every missing, changed or surplus file, by SHA-256, on all cores.

    Surplus means: in a source's folder without being listed. Other folders of the data root are yours.

    Exit code 0 when all is as listed, 1 when anything is missing, changed or surplus, 2 for bad input.

    Example: python -m repro data verify --only Set14 --json
    """
    root = data_root(data)
    registry = load_registry().select(only)
    with bar(Console(stderr=True), "hashing", len(registry.files)) as advance:
        problems = verify(registry, root, lambda file: advance(1))
    counts = Counter(problem.state for problem in problems)
    intact = len(registry.files) - counts[State.MISSING] - counts[State.CHANGED]
    if as_json:
        _print_json(
            {
                "ok": not problems,
                "files": len(registry.files),
                "intact": intact,
                "problems": [
                    {name: value for name, value in asdict(problem).items() if value} for problem in problems
                ],
            }
        )
    else:
        for problem in problems:
            _say(f"{problem.state}: {problem.path}" + (f" ({problem.detail})" if problem.detail else ""))
        faults = (
            ", ".join(f"{count} {state}" for state, count in counts.items()) or "nothing missing or changed"
        )
        _say(f"{intact} of {len(registry.files)} files in {root} are intact; {faults}")
        if counts[State.MISSING] or counts[State.CHANGED]:
            _say("next: python -m repro data fetch" + "".join(f" --only {name}" for name in only or ()))
    if problems:
        raise typer.Exit(1)


@app.command("pack")
def pack_images(
    data: DataOption = None,
    train_root: TrainRootOption = None,
    results: ResultsOption = Path("results"),
    validation_images: Annotated[
        int, typer.Option("--validation-images", min=0, help="How many to hold out, as the profile says.")
    ] = 24,
    dry_run: DryRunOption = False,
) -> None:
    """Decode the training images once, on all cores, into the memory-mapped dataset that `train` reads.

    `train` and `reproduce` do this by themselves; for ImageNet's 350 thousand it is worth a night of its
    own. Interrupted, the same command goes on where it was. No image of a test set gets in: that is
    checked by hash.

    Example: python -m repro data pack --train-root ILSVRC2012/train
    """
    from repro.data.facts import default_cache
    from repro.data.prepare import prepare_data
    from repro.data.training import training_images
    from repro.papers.srgan import CROP_HR

    out = console()
    root = data_root(data)
    if dry_run:
        images = training_images(train_root, root, cache=default_cache(), console=out)
        out.print(f"{len(images):,} images would be packed into {results / 'bank'}", markup=False)
        return
    made = prepare_data(results_layout(results), root, train_root, validation_images, CROP_HR, out)
    for name, packed in (("training", made.training), ("validation", made.validation)):
        size = f"{packed.nbytes / 2**20:,.0f} MiB"
        out.print(f"{name}: {len(packed):,} images, {size}, {len(packed.skipped)} left out")
        for line in packed.skipped[:SHOWN_PROBLEMS]:
            out.print(f"  left out: {escape(line)}")
    finished(out, results / "bank")


@app.command("subset")
def write_travelling_subset(
    out: Annotated[Path, typer.Argument(help="A new folder for the crops.")],
    side: Annotated[int, typer.Option("--side", min=96, max=4096, help="Of the crops in pixels.")] = 192,
    mib: Annotated[float, typer.Option("--mib", min=0.1, max=1e6, help="Of all crops together.")] = 60,
    seed: SeedOption = 0,
    data: DataOption = None,
    train_root: TrainRootOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Cut one crop of each training image into a folder of small files, to train where the images are not.

    A rented GPU often takes small files alone; there, `train --train-root FOLDER` goes on with them.

    Example: python -m repro data subset travelling --mib 60
    """
    from repro.data.facts import default_cache
    from repro.data.prepare import scored_images
    from repro.data.subset import write_subset
    from repro.data.training import assert_disjoint, training_images

    told = console()
    root, cache = data_root(data), default_cache()
    images = training_images(train_root, root, cache=cache, console=told)
    if dry_run:
        told.print(f"{len(images):,} images would be cropped into {out}", markup=False)
        return
    assert_disjoint(images, scored_images(root), cache=cache, console=told)
    with bar(told, "cutting crops", len(images)) as advance:
        count, size = write_subset(images, out, side, int(mib * 2**20), seed, advance)
    told.print(f"{count:,} crops, {size / 2**20:.1f} MiB")
    finished(told, out)


def _right_size(file: DataFile, data: Path) -> bool:
    path = file.under(data)
    return path.is_file() and path.stat().st_size == file.size


def _say(text: str) -> None:
    """One plain line on standard output, however narrow the terminal is."""
    typer.echo(text)


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


@contextmanager
def _bytes_bar(console: Console, files: list[DataFile]) -> Iterator[Callable[[DataFile, int], None]]:
    """A bar over the bytes of ``files``, with the time left; fed from several threads."""
    columns = (
        TextColumn("downloading"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    lock = threading.Lock()
    sizes: dict[str, int] = {}
    total = sum(file.size for file in files)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("downloading", total=total)

        def at(file: DataFile, size: int) -> None:
            with lock:
                change = size - sizes.get(file.path, 0)
                sizes[file.path] = size
                progress.advance(task, change)

        yield at

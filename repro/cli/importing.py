"""``python -m repro import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from repro.cli import common
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.data.benchmarks import DATASET_NAMES


def import_(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="The images. Not needed with --all.")
    ] = None,
    method: Annotated[
        str | None, typer.Option("--method", help="What made them, e.g. SRGAN-VGG54, SelfExSR, DRCN.")
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", help="Set5, Set14, ...; several times.")
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            help="File names, with {image} (img_001), {name} (baby), {number} (001), {method}. Default: "
            "the namings of Huang, of the SRGAN authors and of DRCN are tried.",
        ),
    ] = None,
    origin: Annotated[
        str | None, typer.Option("--origin", help="Whose images they are (default: told from the folder).")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All rows of Tables 2 and S whose images the data root holds.")
    ] = False,
    data: common.DataOption = None,
    results: common.ResultsOption = Path("results"),
    dry_run: common.DryRunOption = False,
) -> None:
    """Bring result images that others made into the image store, checked and under their origin's name.

    They become `results/images/<dataset>/<METHOD> (<origin>)/`, are scored by `evaluate` like everything in
    the store, and are never mixed with results of this program. Every image of the data set must be there
    and have the original's size.

    Example: python -m repro import data/Super-Resolution/result/SRGAN/images --method SRGAN --dataset Set5
    """
    out = common.console()
    layout = common.results_layout(results)
    root = common.data_root(data)
    if everything:
        if any(value is not None for value in (folder, method, pattern, origin)) or dataset:
            raise UserError("--all with a folder, method or other choice", "--all alone", "leave one out")
        found = import_references(out, layout, root, dry_run)
        if not found:
            raise UserError(
                f"no reference images under {root}",
                "a data root that holds some",
                "python -m repro data fetch",
            )
        common.finished(out, layout.images)
        return
    if folder is None or method is None or not dataset:
        raise UserError(
            "FOLDER, --method or --dataset is missing",
            "all three, or --all",
            f"--dataset takes {', '.join(DATASET_NAMES)}",
        )
    from repro.data.benchmarks import load_dataset
    from repro.inference.imported import import_images, matched_images, origin_of

    for name in dataset:
        if dry_run:
            files = matched_images(folder, load_dataset(name, root), [method], pattern)
            out.print(f"{name}: {len(files)} images by {method} ({origin_of(folder, root, origin).label})")
            continue
        stored, written = import_images(layout, folder, method, name, root, origin, pattern)
        out.print(f"{name}/{stored}: {'imported' if written else 'kept'}", markup=False)
    common.finished(out, layout.images)


def import_references(out: Console, results: Results, data_root: Path, dry_run: bool = False) -> int:
    """Imports all of :func:`repro.inference.imported.references_there`; gives their number."""
    from repro.data.benchmarks import available_datasets
    from repro.inference.imported import import_images, references_there

    count = 0
    there = available_datasets(data_root)
    for reference, folder in references_there(data_root):
        for dataset in reference.datasets:
            if dataset not in there:
                out.print(f"{dataset}: no originals, so {reference.method} of {reference.source} is left out")
                continue
            count += 1
            if dry_run:
                out.print(f"{dataset}: {reference.method} from {reference.source}")
                continue
            stored, written = import_images(
                results,
                folder,
                reference.method,
                dataset,
                data_root,
                pattern=reference.pattern,
                only=reference.images,
            )
            out.print(f"{dataset}/{stored}: {'imported' if written else 'kept'}", markup=False)
    return count

"""``python -m repro upscale``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from repro.cli import common
from repro.cli.enlarging import enlarge_datasets, shown_methods
from repro.cli.photos import Wanted, photo_method, upscale_photos
from repro.core.errors import UserError
from repro.imaging.tiling import OnPart
from repro.inference.methods import INTERPOLATIONS, Method, has_srcnn, srcnn, trained
from repro.methods.config import Arithmetic


def upscale(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE|FOLDER|GLOB]...", help="Images of your own; without any, a data set is enlarged."
        ),
    ] = None,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for the results of your own images.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite results of your own images.")] = False,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset", help="Set5, Set14, BSD100 or sample; several times (default: all there are)."
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", help="nearest, bicubic or a trained variant; several times (default: all there are)."
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="A generator's file, instead of a run's.")
    ] = None,
    shipped: Annotated[
        bool, typer.Option("--shipped", help="The weights that come with the repository, not a run's.")
    ] = False,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Of the run, where there are several.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the run, where there are several.")] = None,
    data: common.DataOption = None,
    results: common.ResultsOption = Path("results"),
    device: common.DeviceOption = "auto",
    arithmetic: Annotated[
        str,
        typer.Option(
            "--arithmetic",
            help="float32; bfloat16 (faster, off by a grey level here and there); float64 (the same bytes on "
            "every processor). Default: float64 for data sets, float32 for your own files.",
        ),
    ] = "",
    tile: Annotated[
        int | None, typer.Option("--tile", help="Side of a tile in LR pixels; 0 for none.")
    ] = None,
    dry_run: common.DryRunOption = False,
) -> None:
    """Enlarge images fourfold: files of your own into --out, or else a data set into the image store.

    Your own files: PNG, JPEG, WebP, TIFF, BMP; rotation by EXIF, alpha, greyscale and colour profiles are
    kept, 16-bit PNGs stay so under bicubic and nearest. Nothing is overwritten without --force. A bad file
    does not stop the others; the exit code is then 1. --method: SRGAN (the default), SRResNet, bicubic,
    nearest, SRCNN, ESPCN, DRCN, ...; weights are those of a finished run, else (or with --shipped) those that
    come with the repository, or --weights.

    Data sets go into `results/images/<dataset>/<method>/<image>.png`, where `evaluate` finds them.

    Example: python -m repro upscale photo.jpg holiday/ --method SRGAN --out enlarged
    """
    from repro.core.paths import checked_name
    from repro.data.benchmarks import available_datasets, load_dataset
    from repro.inference.weights import find_weights, trained_variants

    out = common.console()
    layout = common.results_layout(results)
    root = common.data_root(data)
    if inputs:
        if dataset:
            raise UserError("files and --dataset", "one of them", "leave one out")
        if method is not None and len(method) != 1:
            raise UserError(f"{len(method)} methods for files", "one --method", "start once for each")
        name = method[0] if method else None

        def make_method(on_part: OnPart) -> Method:
            kind = _arithmetic(arithmetic or "float32")
            which = Wanted(name, weights, profile, seed, shipped)
            return photo_method(out, which, layout, root, device, kind, tile, on_part)

        upscale_photos(inputs, out_folder, make_method, force, dry_run, out)
        return
    if out_folder is not None or force:
        raise UserError("--out or --force without files", "the files to enlarge", "name them first")
    datasets = dataset or list(available_datasets(root))
    names = method or [
        *INTERPOLATIONS,
        *(["SRCNN"] if has_srcnn(root) else []),
        *trained_variants(layout, shipped),
    ]
    kind = _arithmetic(arithmetic or "float64")
    methods: list[Method] = []
    if weights is not None:
        if method is not None and len(method) != 1:
            raise UserError(
                f"--weights with {len(method)} methods", "one --method to name the results", "--method NAME"
            )
        name = checked_name(method[0], "method") if method else ""
        methods = [trained(weights, device, kind, tile, name)]
    else:
        for name in dict.fromkeys(names):
            if name in INTERPOLATIONS:
                methods.append(INTERPOLATIONS[name]())
            elif name == "SRCNN":
                methods.append(srcnn(root, device, tile))
            else:
                found = find_weights(name, layout, profile, seed, shipped)
                out.print(f"{name}: weights {found.origin}", markup=False)
                methods.append(trained(found.path, device, kind, tile))
    if dry_run:
        for name in datasets:
            by = ", ".join(method.name for method in shown_methods(name, methods))
            out.print(f"{name}: {len(load_dataset(name, root))} images by {by}, and the originals")
        return
    enlarge_datasets(out, layout, root, datasets, methods)
    common.finished(out, layout.images)


def _arithmetic(name: str) -> Arithmetic:
    for kind in get_args(Arithmetic):
        if name == kind:
            return kind
    raise UserError(
        f"--arithmetic {name}", f"one of {', '.join(get_args(Arithmetic))}", "--arithmetic float32"
    )

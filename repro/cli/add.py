"""``python -m repro add``: anyone's model, or its finished images, as a row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from repro.cli import common
from repro.cli.upscalers import score_store, upscale_datasets
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.data.benchmarks import CALIBRATION
from repro.inference.upscaler import Options, direct_upscaler
from repro.methods import INTERPOLATIONS
from repro.papers.protocols import PSNR_SSIM


def add(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|FOLDER", help=".pth, .safetensors, .onnx, or a folder of finished PNGs."
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="Of the row; default: the file's or folder's.")] = "",
    dataset: Annotated[
        list[str] | None,
        typer.Option("--dataset", help="Several times; default: all there are, of a folder all it has."),
    ] = None,
    pattern: Annotated[
        str | None, typer.Option("--pattern", help="Of a folder's file names, as for `import`.")
    ] = None,
    origin: Annotated[str, typer.Option("--origin", help="Whose images a folder holds.")] = "added",
    force: Annotated[
        bool, typer.Option("--force", help="Replace what has this name by other weights.")
    ] = False,
    data: common.DataOption = None,
    results: common.ResultsOption = Path("results"),
    device: common.DeviceOption = "auto",
    tile: Annotated[int | None, typer.Option("--tile", help="As for `upscale`.")] = None,
    dask: common.DaskOption = "",
) -> None:
    """Make a model of your own a row: upscale the benchmarks with it, score them under every protocol.

    Layouts of this program and those in circulation of its methods are known; other networks need the extra
    `models` (spandrel, some 50 architectures) or come as ONNX (RGB, dynamic sizes; extra `export`). A test
    card tells scale and range first. Nothing in a file is run but its network, and a file of another
    program is tried in a process of its own.

    A folder's images are checked against the benchmark and named `NAME (origin)`. From then on the row
    stands in Table S, the plane, all scores and the report, and a study file may name it.

    Example: python -m repro add mymodel.pth --name MyNet
    """
    from repro.data.benchmarks import available_datasets

    out = common.console()
    layout = common.results_layout(results)
    root = common.data_root(data)
    name = name or re.sub(r"[^A-Za-z0-9_.+-]+", "-", source.stem).strip("-.") or "model"
    there = dataset or list(available_datasets(root))
    if source.is_dir():
        stored, used = _images(out, layout, source, name, there, root, pattern, origin, bool(dataset))
    else:
        if pattern is not None:
            raise UserError("--pattern with a file", "a folder of images", "leave it out")
        options = Options(device, "float64", tile)
        stored, used = name, _weights(out, layout, source, name, there, root, options, force, dask)
    score_store(out, layout)
    _tell(out, layout, stored, used)
    common.finished(out, layout.images)


def _weights(
    out: Console, layout: Results, source: Path, name: str, datasets: list[str], root: Path, options: Options,
    force: bool, dask: str,
) -> list[str]:  # fmt: skip
    from repro.inference.card import check_upscaler
    from repro.inference.loading import trained_upscaler
    from repro.inference.store import check_free

    if not source.is_file():
        raise UserError(f"{source}: no such file", "weights, ONNX or a folder of images", "check the path")
    check_free(name)
    upscaler = trained_upscaler(source, options, name)
    if upscaler.scale != 4:
        raise UserError(
            f"{source}: x{upscaler.scale:g}", "x4, as the benchmarks' LR images are", "another file"
        )
    sha256 = upscaler.inputs["weights"]
    for each in datasets:
        check_free(name, layout.method_manifest(each, name), "" if force else sha256)
    off = check_upscaler(upscaler)
    out.print(f"{name}: SHA-256 {sha256}", markup=False)
    out.print(f"test card: x{upscaler.scale:g}, reduced again {off:.1f} grey levels off on average")
    for note in upscaler.notes:
        out.print(f"note: {note}", markup=False)
    upscalers = [*(direct_upscaler(each) for each in INTERPOLATIONS), upscaler]
    upscale_datasets(out, layout, root, datasets, upscalers, dask)
    return [each for each in datasets if each != CALIBRATION]


def _images(
    out: Console, layout: Results, folder: Path, name: str, datasets: list[str], root: Path,
    pattern: str | None, origin: str, asked: bool,
) -> tuple[str, list[str]]:  # fmt: skip
    """Those data sets whose images the folder, or one of the data set's name in it, holds."""
    from repro.data.benchmarks import load_dataset
    from repro.imaging.io import read_rgb_u8
    from repro.inference.card import MAX_OFF, levels_off
    from repro.inference.imported import import_images, matched_images
    from repro.inference.store import check_free

    check_free(name)
    found: dict[str, Path] = {}
    problem: UserError | None = None
    for each in datasets:
        place = folder / each if (folder / each).is_dir() else folder
        images = load_dataset(each, root)
        try:
            files = matched_images(place, images, [name], pattern)
        except UserError as error:
            problem = error
            if asked:
                raise
            continue
        for image in images:
            sr = read_rgb_u8(files[image.image])
            off = levels_off(image.lr_u8(), sr) if sr.shape == image.hr_u8().shape else 0.0  # import tells
            if off > MAX_OFF:
                got = f"{files[image.image]}: reduced, {off:.0f} grey levels from {each}'s {image.image}"
                raise UserError(got, f"its x4 result: at most {MAX_OFF:.0f}", "check names and --pattern")
        found[each] = place
    if not found:
        raise problem or UserError(f"{folder}: nothing to compare with", "a data set", "--data FOLDER")
    stored = name
    for each, place in found.items():
        stored, written = import_images(layout, place, name, each, root, origin, pattern)
        out.print(f"{each}/{stored}: {'imported' if written else 'kept'}", markup=False)
    upscale_datasets(out, layout, root, list(found), [direct_upscaler(each) for each in INTERPOLATIONS])
    return stored, list(found)


def _tell(out: Console, layout: Results, name: str, datasets: list[str]) -> None:
    """The means of every data set under every protocol."""
    from repro.evaluation.evaluate import mean_scores
    from repro.evaluation.rows import read_rows

    rows = read_rows(layout.metrics_csv)
    for protocol in PSNR_SSIM:
        scores = mean_scores(rows, name, protocol)
        told = (f"{each} {scores[each].psnr_db:.2f} dB / {scores[each].ssim:.4f}" for each in datasets)
        out.print(f"{name} ({protocol}): {', '.join(told)}", markup=False)

"""``python -m repro upscale``."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.console import Console

from repro.cli import common
from repro.cli.photos import photo_upscaler, upscale_photos
from repro.cli.upscalers import Wanted, named_upscaler, shown, upscale_datasets, upscaler_names
from repro.core.errors import UserError
from repro.core.settings import Arithmetic
from repro.imaging.tiling import OnPart
from repro.inference.upscaler import Options, Upscaler

LARGEST_SCALE = 16
"""Of photographs."""


def upscale(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE|FOLDER|GLOB]...", help="Images of your own; without any, a data set is upscaled."
        ),
    ] = None,
    out_path: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="For your own images: a folder, or the one result's name (.png .jpg .webp .tif). Default: "
            "beside each image, as NAME_x4.png.",
        ),
    ] = None,
    kind: Annotated[
        str, typer.Option("--format", help="Of your own images' results: png, jpg, webp or tif.")
    ] = "png",
    quality: Annotated[int, typer.Option("--quality", min=1, max=100, help="Of jpg and webp.")] = 95,
    force: Annotated[bool, typer.Option("--force", help="Overwrite results of your own images.")] = False,
    skip_existing: Annotated[
        bool,
        typer.Option("--skip-existing", help="Keep results that exist, even of other settings or sources."),
    ] = False,
    keep_location: Annotated[
        bool,
        typer.Option("--keep-location", help="Keep where photographs were taken; other EXIF data always is."),
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with images that come into the folders, until Ctrl-C.")
    ] = False,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset", help="Set5, Set14, BSD100 or sample; several times (default: all there are)."
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="nearest, bicubic, SelfExSR or a trained variant; several times (default: all else).",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            help="A generator's file, instead of a run's; or a .pth of the authors of ESRGAN, RankSRGAN, "
            "SRFBN, SAN or Meta-SR; or ONNX, or what spandrel reads (extra `models`).",
        ),
    ] = None,
    shipped: Annotated[
        bool, typer.Option("--shipped", help="The weights that come with the repository, not a run's.")
    ] = False,
    alpha: Annotated[
        float | None,
        typer.Option(
            "--alpha", help="Interpolate a GAN's network with its PSNR model's: 0 is the latter, 1 the GAN."
        ),
    ] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(
            "--reference",
            help="Image whose textures SRNTT takes (several times: the best patch of all); for CrossNet one.",
        ),
    ] = None,
    profile: common.RunProfileOption = None,
    seed: common.RunSeedOption = None,
    data: common.DataOption = None,
    results: common.ResultsOption = Path("results"),
    device: common.DeviceOption = "auto",
    arithmetic: Annotated[
        str,
        typer.Option(
            "--arithmetic",
            help="float32; bfloat16 (off by a grey level here and there, faster where the processor has it); "
            "float64 (the same bytes on every processor). Default: float64 for data sets, float32 for your "
            "own files.",
        ),
    ] = "",
    tile: Annotated[
        int | None,
        typer.Option(
            "--tile",
            help="Side of a tile in LR pixels; 0 for none. Default: what fits the memory, halved where that "
            "runs out. Changes no result, but for SAN's, which takes statistics of what it sees.",
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(
            "--scale",
            help="Of your own images' results, 1 to 16, in hundredths: the network, then exact resizing "
            "(Meta-SR and interpolations give it themselves).",
        ),
    ] = None,
    self_ensemble: Annotated[
        bool,
        typer.Option(
            "--self-ensemble",
            help="The mean over the square's eight symmetries: 8 times the work; papers' `SRFBN+`.",
        ),
    ] = False,
    chop: Annotated[
        bool,
        typer.Option(
            "--chop",
            help="Four overlapping quadrants instead of tiles, as the authors of SRFBN and SAN test.",
        ),
    ] = False,
    all_steps: Annotated[
        bool,
        typer.Option(
            "--all-steps",
            help="Also write what SRFBN gives after each of its earlier steps, and a sheet of the changes.",
        ),
    ] = False,
    consistent: Annotated[
        bool | None,
        typer.Option(
            "--consistent/--no-consistent",
            help="Back-projection: move each result until, reduced again, it is its input within a level. "
            "Default: networks on your own images do, data sets do not.",
        ),
    ] = None,
    dask: common.DaskOption = "",
    dry_run: common.DryRunOption = False,
) -> None:
    """Upscale images fourfold: files of your own, or else a data set into the image store.

    Your own files: PNG, JPEG, WebP, TIFF, BMP, AVIF, HEIC (extra `heic`), of an MPO the first frame. Rotation
    by EXIF, alpha, greyscale, colour profiles and EXIF are kept, the location on request; CMYK becomes sRGB;
    16 bits stay so under bicubic and nearest. Nothing is overwritten without --force; started again, the
    command goes on with what is missing. A bad file does not stop the others; the exit code is then 1.

    --method: by default the best generator of the published table; SRGAN, SRResNet, bicubic, nearest,
    SelfExSR (no weights, 0.4 s for 1000 pixels on a core), SRCNN, ESPCN, DRCN, ESRGAN, ...; weights are those
    of a finished run, else (or with --shipped) those that come with the repository, or --weights: a file of
    this program, or of ESRGAN, Real-ESRGAN, MSRResNet or RankSRGAN as they circulate.

    Data sets go into `results/images/<dataset>/<method>/<image>.png`, where `evaluate` finds them.

    SRNTT and CrossNet need --reference; the manifest lists the files with their hashes.

    Example: python -m repro upscale photo.jpg holiday/
    """
    from repro.core.paths import checked_name
    from repro.data.benchmarks import available_datasets, load_dataset

    out = common.console()
    layout = common.results_layout(results)
    root = common.data_root(data)
    wanted = Wanted(profile, seed, shipped, alpha)
    if alpha is not None and weights is not None:
        raise UserError(
            "--alpha with --weights",
            "one of them",
            "python -m repro interpolate PSNR.pth GAN.pth --alpha 0.8",
        )
    run = {"--shipped": shipped, "--profile": profile is not None, "--seed": seed is not None}
    if weights is not None and any(run.values()):
        got = " and ".join(option for option, given in run.items() if given)
        raise UserError(f"{got} with --weights", "a file, or which of the runs", "leave one out")
    references = tuple(reference or ())
    if consistent and all_steps:
        raise UserError("--consistent with --all-steps", "one of them", "leave one out")
    if scale is not None and all_steps:
        raise UserError("--scale with --all-steps", "the network's own scale", "leave --scale out")
    if inputs:
        from repro.inference.jobs import How, Naming

        if dataset or dask:
            raise UserError("files and --dataset or --dask", "one of them", "leave one out")
        if method is not None and len(method) != 1:
            raise UserError(f"{len(method)} methods for files", "one --method", "start once for each")
        if force and skip_existing:
            raise UserError("--force with --skip-existing", "one of them", "leave one out")
        wanted_scale = None if scale is None else _checked_scale(scale)

        def make(on_part: OnPart) -> Upscaler:
            numbers = _arithmetic(arithmetic or "float32")
            if numbers == "bfloat16":
                _say_if_slow(out, device)
            tell = partial(out.print, markup=False)
            options = Options(
                device, numbers, tile, on_part, tell, wanted_scale, self_ensemble, chop, references
            )
            name = method[0] if method else None
            back = False if all_steps else consistent
            return photo_upscaler(out, name, weights, wanted, layout, root, options, back)

        naming = Naming(out_path, 4 if scale is None else scale, f".{_checked_format(kind)}")
        how = How(wanted_scale, force, skip_existing, quality, keep_location, all_steps)
        upscale_photos(inputs, naming, make, how, dry_run, out, watch)
        return
    if out_path is not None or force or skip_existing or watch:
        raise UserError(
            "--out, --force, --skip-existing or --watch without files",
            "the files to upscale",
            "name them first",
        )
    if scale is not None or all_steps:
        raise UserError("--scale or --all-steps without files", "files of your own", "name them first")
    datasets = dataset or list(available_datasets(root))
    numbers = _arithmetic(arithmetic or "float64")
    options = Options(device, numbers, tile, self_ensemble=self_ensemble, chop=chop, references=references)
    upscalers: list[Upscaler] = []
    if weights is not None:
        from repro.inference.loading import trained_upscaler

        if method is not None and len(method) != 1:
            raise UserError(
                f"--weights with {len(method)} methods", "one --method to name the results", "--method NAME"
            )
        upscalers = [trained_upscaler(weights, options, checked_name(method[0], "method") if method else "")]
    else:
        for name in dict.fromkeys(method or upscaler_names(layout, root, shipped, bool(references))):
            upscaler, found = named_upscaler(name, layout, root, options, wanted)
            if found is not None:
                out.print(f"{name}: weights {found.origin}", markup=False)
            upscalers.append(upscaler)
    if consistent:
        from repro.inference.consistent import ConsistentUpscaler

        upscalers = [ConsistentUpscaler(upscaler) for upscaler in upscalers]
    if dry_run:
        for name in datasets:
            by = ", ".join(upscaler.name for upscaler in shown(name, upscalers))
            out.print(f"{name}: {len(load_dataset(name, root))} images by {by}, and the originals")
        return
    upscale_datasets(out, layout, root, datasets, upscalers, dask)
    common.finished(out, layout.images)


def _arithmetic(name: str) -> Arithmetic:
    for kind in get_args(Arithmetic):
        if name == kind:
            return kind
    raise UserError(
        f"--arithmetic {name}", f"one of {', '.join(get_args(Arithmetic))}", "--arithmetic float32"
    )


def _say_if_slow(out: Console, device: str) -> None:
    from repro.core.device import resolve_device, use_bfloat16

    if not use_bfloat16("auto", resolve_device(device, mps=True)):
        out.print("note: this device has no bfloat16 instructions: float32 is faster on it")


def _checked_scale(scale: float) -> float:
    if not 1 <= scale <= LARGEST_SCALE or Fraction(str(scale)).denominator > 100:
        raise UserError(f"--scale {scale}", f"1 to {LARGEST_SCALE}, in hundredths", "--scale 2.5")
    return scale


def _checked_format(name: str) -> str:
    from repro.imaging.encode import FORMATS

    suffix = name.lower().removeprefix(".")
    if f".{suffix}" not in FORMATS:
        known = ", ".join(kind.removeprefix(".") for kind in FORMATS)
        raise UserError(f"--format {name}", f"one of {known}", "--format png")
    return suffix

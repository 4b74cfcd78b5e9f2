"""``python -m repro interpolate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repro.cli import common
from repro.core.errors import UserError

if TYPE_CHECKING:
    from repro.core.paths import Results
    from repro.inference.loading import Loaded

STRIP_ALPHAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def interpolate(
    psnr: Annotated[
        str, typer.Argument(metavar="PSNR", help="A weights file or a trained variant: alpha 0.")
    ],
    gan: Annotated[str, typer.Argument(metavar="GAN", help="A weights file or a trained variant: alpha 1.")],
    target: Annotated[
        Path, typer.Option("--out", help="Weights (.pth or .safetensors), or with --strip a PNG.")
    ],
    alpha: Annotated[float, typer.Option("--alpha", help="0 to 1; the paper's example is 0.8.")] = 0.8,
    strip: Annotated[
        Path | None,
        typer.Option("--strip", help="A small image: upscale it at six alphas from 0 to 1, side by side."),
    ] = None,
    profile: common.RunProfileOption = None,
    results: common.ResultsOption = Path("results"),
    device: common.DeviceOption = "auto",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file that is there.")] = False,
) -> None:
    """Interpolate two networks weight by weight (ESRGAN, Section 3.4): from the PSNR model to the GAN.

    A .pth file is written in BasicSR's layout, which other programs read; .safetensors is this program's.

    Example: python -m repro interpolate RRDB-PSNR ESRGAN --alpha 0.8 --out between.pth
    """
    suffixes = {".png"} if strip is not None else {".pth", ".safetensors"}
    if target.suffix not in suffixes:
        raise UserError(
            f"--out {target}", f"a name that ends in {' or '.join(sorted(suffixes))}", "rename it"
        )
    if target.exists() and not force:
        raise UserError(f"{target}: exists", "a new name", "--force overwrites")
    from repro.core import tensorfile
    from repro.imaging.io import read_rgb_u8, write_png
    from repro.inference.interpolate import interpolated, save_pth
    from repro.inference.interpolate import strip as side_by_side
    from repro.inference.loading import upscaler_of
    from repro.inference.upscaler import Options

    out, layout = common.console(), common.results_layout(results)
    first, last = (_loaded(name, layout, profile) for name in (psnr, gan))
    if strip is not None:
        image = read_rgb_u8(strip).copy()
        mixes = [
            upscaler_of(interpolated(first, last, a), f"{a:g}", {}, Options(device)) for a in STRIP_ALPHAS
        ]
        images = [upscaler([image])[0] for upscaler in mixes]
        write_png(target, side_by_side(images, [f"alpha {a:g}" for a in STRIP_ALPHAS]))
    elif target.suffix == ".pth":
        save_pth(interpolated(first, last, alpha).network, target)
    else:
        mixed = interpolated(first, last, alpha)
        tensorfile.save(target, tensorfile.module_state("generator", mixed.network), mixed.metadata)
    common.finished(out, target)


def _loaded(name: str, results: Results, profile: str | None) -> Loaded:
    """The network of a file, or of a trained variant."""
    from repro.inference.loading import load_network
    from repro.inference.weights import find_weights

    if Path(name).suffix in {".pth", ".pt", ".safetensors"}:
        return load_network(Path(name))
    return load_network(find_weights(name, results, profile).path)

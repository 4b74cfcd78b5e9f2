"""``python -m repro score``: PSNR and SSIM of a pair of images, or of two folders."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from repro.cli import common
from repro.core.errors import UserError
from repro.core.progress import bar
from repro.metrics.protocols import pixels_shaved, protocol_named
from repro.metrics.score import Score, matched_files, mean_score, score_files, score_many
from repro.papers.protocols import DAALA


def score(
    hr: Annotated[Path, typer.Argument(metavar="HR", help="The original: an image, or a folder of images.")],
    sr: Annotated[Path, typer.Argument(metavar="SR", help="The result: an image, or a folder of images.")],
    protocol: Annotated[
        str, typer.Option("--protocol", help="daala-1, ychannel-1, ychannel-edsr-1 or ychannel-u8-1.")
    ] = DAALA,
    scale: Annotated[
        float, typer.Option("--scale", help="Of the results; as many pixels a side are left out.")
    ] = 4,
    dask: common.DaskOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Print PSNR and SSIM of results against their originals.

    Two files are compared with each other. Of two folders, files of the same stem are (img_001.png with
    img_001.bmp), and the means over all of them are printed too. Both images must be 8-bit RGB or greyscale
    and of the same size; as many pixels a side as the scale are left out.

    --protocol daala-1 gives the values of the SRGAN paper's tables; ychannel-1 those of SAN, SRFBN, RCAN and
    most others (BT.601 luma, not rounded); ychannel-edsr-1 those of EDSR and Meta-SR; ychannel-u8-1 (rounded
    luma) those of SelfExSR. They are not comparable with each other, nor with image libraries' defaults.

    Example: python -m repro score HR SR --protocol ychannel-1 --scale 3 --json
    """
    name = protocol_named(protocol).name
    pixels_shaved(scale)  # a wrong scale is told before files are read
    for path in (hr, sr):
        if not path.exists():
            raise UserError(f"{path}: no such file or folder", "an image or a folder", "check the path")
    if hr.is_dir() != sr.is_dir():
        raise UserError(f"{hr} and {sr}: a folder and a file", "two files or two folders", "check the paths")
    if hr.is_dir():
        files = matched_files(hr, sr)
        scores = _scores(list(files.values()), name, scale, dask)
        by_image, mean = dict(zip(files, scores, strict=True)), mean_score(scores)
        images = [{"image": image, **each.as_json()} for image, each in by_image.items()]
        told: dict[str, object] = {"images": images, "mean": mean.as_json()}
    else:
        result = score_files(hr, sr, name, scale)
        by_image, mean, told = {sr.name: result}, None, result.as_json()
    if as_json:
        typer.echo(json.dumps({"protocol": name, "scale": scale, **told}, indent=2))
    else:
        _print_table(f"protocol {name}, x{scale:g}", by_image, mean)


def _scores(pairs: Sequence[tuple[Path, Path]], protocol: str, scale: float, dask: str) -> list[Score]:
    to_user = Console(stderr=True)
    with bar(to_user if to_user.is_terminal else None, "scoring", len(pairs)) as advance:
        return score_many(pairs, protocol, scale, dask=dask, on_done=lambda: advance(1))


def _print_table(title: str, scores: Mapping[str, Score], mean: Score | None) -> None:
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("image", overflow="fold")
    table.add_column("PSNR (dB)", justify="right", no_wrap=True)
    table.add_column("SSIM", justify="right", no_wrap=True)
    for image, each in scores.items():
        table.add_row(escape(image), *_figures(each))
    if mean is not None:
        table.add_section()
        table.add_row(f"mean of {len(scores)}", *_figures(mean), style="bold")
    common.console().print(table)


def _figures(each: Score) -> tuple[str, str]:
    return "inf" if math.isinf(each.psnr_db) else f"{each.psnr_db:.4f}", f"{each.ssim:.6f}"

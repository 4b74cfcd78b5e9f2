"""``python -m repro score``: PSNR and SSIM of a pair of images, or of two folders."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from repro.cli.common import console
from repro.core.errors import UserError
from repro.core.progress import bar
from repro.metrics import protocol_named
from repro.metrics.score import Score, matched_files, mean_score, score_files, score_many


def score(
    hr: Annotated[Path, typer.Argument(metavar="HR", help="The original: an image, or a folder of images.")],
    sr: Annotated[Path, typer.Argument(metavar="SR", help="The result: an image, or a folder of images.")],
    protocol: Annotated[
        str, typer.Option("--protocol", help="daala (the paper's) or wang (everyone else's).")
    ] = "daala",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Print PSNR and SSIM of results against their originals.

    Two files are compared with each other. Of two folders, files of the same stem are (img_001.png with
    img_001.bmp), and the means over all of them are printed too. Both images must be 8-bit RGB or greyscale
    and of the same size; 4 pixels a side are left out, as in the paper.

    --protocol daala gives the figures of the paper's tables; --protocol wang those that most other papers
    print. They are not comparable with each other, nor with the defaults of image libraries.

    Example: python -m repro score original.png result.png
    """
    protocol_named(protocol)
    for path in (hr, sr):
        if not path.exists():
            raise UserError(f"{path}: no such file or folder", "an image or a folder", "check the path")
    if hr.is_dir() != sr.is_dir():
        raise UserError(f"{hr} and {sr}: a folder and a file", "two files or two folders", "check the paths")
    if hr.is_dir():
        _score_folders(hr, sr, protocol, as_json)
        return
    result = score_files(hr, sr, protocol)
    if as_json:
        _print_json({"protocol": protocol, **result.as_json()})
    else:
        _print_table(protocol, {sr.name: result}, mean=None)


def _score_folders(hr: Path, sr: Path, protocol: str, as_json: bool) -> None:
    files = matched_files(hr, sr)
    to_user = Console(stderr=True)
    with bar(to_user if to_user.is_terminal else None, "scoring", len(files)) as advance:
        scores = score_many(list(files.values()), protocol, on_done=lambda: advance(1))
    by_image = dict(zip(files, scores, strict=True))
    mean = mean_score(scores)
    if as_json:
        images = [{"image": image, **each.as_json()} for image, each in by_image.items()]
        _print_json({"protocol": protocol, "images": images, "mean": mean.as_json()})
    else:
        _print_table(protocol, by_image, mean)


def _print_json(value: Mapping[str, object]) -> None:
    typer.echo(json.dumps(value, indent=2))


def _print_table(protocol: str, scores: Mapping[str, Score], mean: Score | None) -> None:
    table = Table(title=f"protocol {protocol}", title_justify="left", header_style="bold")
    table.add_column("image", overflow="fold")
    table.add_column("PSNR (dB)", justify="right", no_wrap=True)
    table.add_column("SSIM", justify="right", no_wrap=True)
    for image, each in scores.items():
        table.add_row(escape(image), *_figures(each))
    if mean is not None:
        table.add_section()
        table.add_row(f"mean of {len(scores)}", *_figures(mean), style="bold")
    console().print(table)


def _figures(each: Score) -> tuple[str, str]:
    return "inf" if math.isinf(each.psnr_db) else f"{each.psnr_db:.4f}", f"{each.ssim:.6f}"

"""``python -m repro downscale``: LR images as the literature makes them."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from repro.cli import common
from repro.core.errors import UserError
from repro.core.progress import bar
from repro.imaging.io import IMAGE_SUFFIXES, read_u8, write_png
from repro.imaging.resize import Border, downscale_u8


def downscale(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="An image, or a folder of images.")],
    lr: Annotated[Path, typer.Argument(metavar="LR", help="The PNG to write, or a folder for a folder.")],
    scale: Annotated[str, typer.Option("--scale", help="2, 3, 4, 8, or a decimal number such as 2.3.")] = "4",
    border: Annotated[
        str, typer.Option("--border", help="symmetric (MATLAB's) or replicate (the SRGAN paper's test sets).")
    ] = "symmetric",
    cropped: Annotated[
        Path | None,
        typer.Option("--cropped", help="Also write the originals, cropped to what the LR images show."),
    ] = None,
) -> None:
    """Shrink images exactly as MATLAB's imresize does, which is how the LR images of papers are made.

    Bicubic with anti-aliasing, rounded to 8 bits after each axis. The original is first cropped at right and
    bottom to a multiple of the scale; --cropped writes that original, which results are scored against.
    `--border symmetric` gives the LR images of SAN, RCAN and EDSR bit for bit, `--border replicate` those of
    the SRGAN paper's Set5, Set14 and BSD100.

    Example: python -m repro downscale photo.png lr.png --scale 3 --border symmetric
    """
    factor, edge = _checked_scale(scale), _checked_border(border)
    out = common.console()
    jobs = _jobs(photo, lr, cropped)
    with bar(out, "shrinking", len(jobs)) as advance:
        for source, target, crop in jobs:
            try:
                small, used = downscale_u8(read_u8(source), factor, edge)
            except ValueError as error:
                raise UserError(f"{source}: {error}", "a larger image", "use a smaller --scale") from None
            target.parent.mkdir(parents=True, exist_ok=True)
            write_png(target, small)
            if crop is not None:
                crop.parent.mkdir(parents=True, exist_ok=True)
                write_png(crop, used)
            advance(1)
    common.finished(out, lr)


def _checked_scale(text: str) -> Fraction:
    try:
        scale = Fraction(text)
    except (ValueError, ZeroDivisionError):
        scale = Fraction(0)
    if not 1 <= scale <= 64:
        raise UserError(f"--scale {text!r}", "a number from 1 to 64", "--scale 3")
    return scale


def _checked_border(text: str) -> Border:
    if text == "symmetric":
        return "symmetric"
    if text == "replicate":
        return "replicate"
    raise UserError(f"--border {text!r}", "symmetric or replicate", "--border symmetric")


_Job = tuple[Path, Path, Path | None]


def _jobs(photo: Path, lr: Path, cropped: Path | None) -> list[_Job]:
    """(source, LR file, file of the cropped original) of every image."""
    if not photo.is_dir():
        for target in (lr, cropped):
            if target is not None and target.suffix.lower() != ".png":
                raise UserError(f"{target}: not a PNG file's name", "a name that ends in .png", "lr.png")
        return _safe([(photo, lr, cropped)])
    found = sorted(path for path in photo.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise UserError(f"{photo}: no image in it", "a folder of image files", "check the path")
    if lr.is_file():
        raise UserError(f"{lr}: a file", "a folder for the LR images of a folder", "name a folder")
    return _safe(
        [
            (path, lr / f"{path.stem}.png", None if cropped is None else cropped / f"{path.stem}.png")
            for path in found
        ]
    )


def _safe(jobs: list[_Job]) -> list[_Job]:
    """The jobs, none of which writes over an image that is read, or over what another one writes.

    Raises:
        UserError: one does.
    """
    read = {source.resolve() for source, *_ in jobs}
    written = Counter(target.resolve() for _, *targets in jobs for target in targets if target is not None)
    for target, times in written.items():
        if times > 1 or target in read:
            got = f"{target}: an image to shrink" if target in read else f"{target}: written twice"
            raise UserError(
                got, "a file of its own for each result", "name other folders, or rename an image"
            )
    return jobs

"""Samples of 16 bits by Pillow, whose decoders give the upper 8 in colour: run again for the lower ones.

Files that mean harm go through the same decoders as all others, and none of them ends the process.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from repro.core.errors import UserError

_LOWER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
"""Byte order of a file -> the order in which the lower byte of a sample stands where the upper is taken."""


def deep_planes(path: Path, image: ImageFile.ImageFile) -> NDArray[np.uint16]:
    """(H, W, C) uint16, C = 1 to 4, as stored, of an opened PNG or TIFF of 16 bits a sample.

    Raises:
        UserError: a layout that is decoded to 8 bits only.
    """
    if image.mode.startswith("I;16"):
        plane = np.asarray(image).astype(np.uint16)
        white_is_zero = image.format == "TIFF" and getattr(image, "tag_v2", {}).get(262) == 0
        return np.where(white_is_zero, ~plane, plane)[..., None].astype(np.uint16)
    kinds = {_rawmode(tile.args) for tile in image.tile}
    if kinds == {"LA;16B"}:  # four bytes a pixel, which RGBA has too
        pairs = _decoded(path, image, {"LA;16B": "RGBA"}).astype(np.uint16)
        return np.asarray(pairs[..., 0::2] << 8 | pairs[..., 1::2], np.uint16)
    if len(kinds) != 1 or not all(kind[:-1] in {"RGB;16", "RGBA;16"} for kind in kinds):
        raise UserError(
            f"{path}: 16 bits a sample in the layout {' '.join(sorted(kinds))}",
            "RGB or greyscale, all samples of a pixel together",
            "save it with interleaved channels, or with 8 bits",
        )
    (kind,) = kinds
    upper = _decoded(path, image, {})
    lower = _decoded(path, image, {kind: kind[:-1] + _LOWER[kind[-1]]})
    return np.asarray(upper.astype(np.uint16) << 8 | lower, np.uint16)


def _rawmode(args: object) -> str:
    return str(args[0] if isinstance(args, tuple) else args)


def _decoded(path: Path, like: ImageFile.ImageFile, swapped: dict[str, str]) -> NDArray[np.uint8]:
    """(H, W, C) as 8 bits, the samples' layout called by another name."""
    with Image.open(path, formats=(str(like.format),)) as image:
        image.tile = [
            tile._replace(args=_replaced(tile.args, swapped)) if swapped else tile for tile in image.tile
        ]
        return np.array(image)


def _replaced(args: tuple[object, ...] | str | None, swapped: dict[str, str]) -> tuple[object, ...] | str:
    kind = swapped[_rawmode(args)]
    return (kind, *args[1:]) if isinstance(args, tuple) else kind

"""Images upscaled in parts, each with the neighbours that its pixels depend on, so that no seam shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

OnPart = Callable[[int, int], None]

_U = TypeVar("_U", np.uint8, np.uint16)


def exact_scale(scale: float) -> int | Fraction:
    """The scale that a decimal number means: 2.3 is 23/10, not the binary number next to it."""
    exact = Fraction(str(scale))
    return exact.numerator if exact.denominator == 1 else exact


def tiles(length: int, tile: int, margin: int) -> Iterator[tuple[slice, slice]]:
    """Parts of an axis, each with itself plus ``margin`` on both sides, cut off at the ends."""
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        yield slice(start, stop), slice(max(0, start - margin), min(length, stop + margin))


def in_tiles(
    image: NDArray[_U],
    upscale: Callable[[NDArray[_U]], NDArray[_U]],
    tile: int,
    margin: int,
    scale: int | Fraction,
    on_part: OnPart = lambda done, total: None,
) -> NDArray[_U]:
    """The image upscaled, by calls of ``upscale`` with parts of it.

    Args:
        image: (h, w) or (h, w, 3).
        upscale: from (h', w'[, c]) to (floor(s h'), floor(s w')[, c]); its pixels depend on ``margin`` input
            pixels around.
        tile: side of a part in input pixels, without its margin.
        margin: input pixels on each side of a part that are computed and thrown away.
        scale: s, exactly; tiles begin where an input and an output pixel do, for 2.7 at multiples of 10.
        on_part: called after each part with the number done and the number there are.
    """
    period = Fraction(scale).denominator
    tile, margin = (-(-length // period) * period for length in (tile, margin))
    done, total = 0, -(-image.shape[0] // tile) * -(-image.shape[1] // tile)
    out: NDArray[_U] | None = None
    height, width = image.shape[:2]
    for rows, row_context in tiles(height, tile, margin):
        for columns, column_context in tiles(width, tile, margin):
            part: NDArray[_U] = upscale(np.ascontiguousarray(image[row_context, column_context]))
            if out is None:
                out = np.empty((int(scale * height), int(scale * width), *part.shape[2:]), part.dtype)
            target = out[_upscaled(rows, scale), _upscaled(columns, scale)]
            top, left = (
                int(scale * (rows.start - row_context.start)),
                int(scale * (columns.start - column_context.start)),
            )
            target[:] = part[top : top + target.shape[0], left : left + target.shape[1]]
            done += 1
            on_part(done, total)
    assert out is not None
    return out


def _upscaled(part: slice, scale: int | Fraction) -> slice:
    return slice(int(scale * part.start), int(scale * part.stop))

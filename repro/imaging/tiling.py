"""Images upscaled in parts, each with the neighbours that its pixels depend on, so that no seam shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

OnPart = Callable[[int, int], None]

_U = TypeVar("_U", np.uint8, np.uint16)


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
    scale: int,
    on_part: OnPart = lambda done, total: None,
) -> NDArray[_U]:
    """The image upscaled, by calls of ``upscale`` with parts of it.

    Args:
        image: (h, w) or (h, w, 3).
        upscale: from (h', w'[, 3]) to (s h', s w'[, 3]); its pixels depend on ``margin`` input pixels around.
        tile: side of a part in input pixels, without its margin.
        margin: input pixels on each side of a part that are computed and thrown away.
        scale: s, a whole number.
        on_part: called after each part with the number done and the number there are.
    """
    done, total = 0, -(-image.shape[0] // tile) * -(-image.shape[1] // tile)
    out: NDArray[_U] | None = None
    height, width = image.shape[:2]
    for rows, row_context in tiles(height, tile, margin):
        for columns, column_context in tiles(width, tile, margin):
            part: NDArray[_U] = upscale(np.ascontiguousarray(image[row_context, column_context]))
            if out is None:
                out = np.empty((scale * height, scale * width, *part.shape[2:]), part.dtype)
            top, left = rows.start - row_context.start, columns.start - column_context.start
            tall, wide = rows.stop - rows.start, columns.stop - columns.start
            inner = part[scale * top : scale * (top + tall), scale * left : scale * (left + wide)]
            out[scale * rows.start : scale * rows.stop, scale * columns.start : scale * columns.stop] = inner
            done += 1
            on_part(done, total)
    assert out is not None
    return out

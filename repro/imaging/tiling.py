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


def tiled_rows(
    image: NDArray[_U],
    upscale: Callable[[NDArray[_U]], NDArray[_U]],
    tile: int,
    margin: int,
    scale: int | Fraction,
    on_part: OnPart = lambda done, total: None,
) -> Iterator[NDArray[_U]]:
    """The image upscaled, by calls of ``upscale`` with parts of it: its rows, a band at a time from the top.

    Args:
        image: (h, w) or (h, w, c).
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
    height, width = image.shape[:2]
    for rows, row_context in tiles(height, tile, margin):
        lines = _upscaled(rows, scale)
        parts: list[NDArray[_U]] = []
        for columns, column_context in tiles(width, tile, margin):
            part = upscale(np.ascontiguousarray(image[row_context, column_context]))
            top, left = (
                int(scale * (rows.start - row_context.start)),
                int(scale * (columns.start - column_context.start)),
            )
            kept = _upscaled(columns, scale)
            kept_part = part[top : top + lines.stop - lines.start, left : left + kept.stop - kept.start]
            parts.append(kept_part if total == 1 else kept_part.copy())
            done += 1
            on_part(done, total)
        yield parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def in_tiles(
    image: NDArray[_U],
    upscale: Callable[[NDArray[_U]], NDArray[_U]],
    tile: int,
    margin: int,
    scale: int | Fraction,
    on_part: OnPart = lambda done, total: None,
) -> NDArray[_U]:
    """:func:`tiled_rows` put together: (floor(s h), floor(s w)[, c])."""
    out: NDArray[_U] | None = None
    top = 0
    band: NDArray[_U]
    for band in tiled_rows(image, upscale, tile, margin, scale, on_part):
        if out is None:
            out = np.empty((int(scale * image.shape[0]), *band.shape[1:]), band.dtype)
        out[top : top + len(band)] = band
        top += len(band)
    assert out is not None
    return out


def _upscaled(part: slice, scale: int | Fraction) -> slice:
    return slice(int(scale * part.start), int(scale * part.stop))

"""Images that come as rows, a band at a time, so that no more than some bands are in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.imaging.resize import along_axis_u8, output_length, taps

BAND = 256
"""Rows that are made together where nothing else decides."""


class Window:
    """Some rows of an image whose bands come from the top; what lies above them is let go.

    Args:
        bands: (rows, W[, C]) arrays, of any heights.
    """

    def __init__(self, bands: Iterable[NDArray[Any]]) -> None:
        self._bands = iter(bands)
        self._held: NDArray[Any] | None = None
        self._top = 0

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows start to stop; no later call may ask for rows above ``start``."""
        parts = [] if self._held is None else [self._held[start - self._top :]]
        have = sum(map(len, parts))
        while have < stop - start:
            parts.append(next(self._bands))
            have += len(parts[-1])
        self._held = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self._top = start
        return self._held[: stop - start]


def bands(height: int, rows: int = BAND) -> Iterator[tuple[int, int]]:
    """(start, stop) of every band of an image."""
    return ((start, min(start + rows, height)) for start in range(0, height, rows))


def resized_rows(
    source: Iterable[NDArray[np.uint8]], height: int, width: int, scale: Fraction
) -> Iterator[NDArray[np.uint8]]:
    """The rows of :func:`repro.imaging.resize.imresize_u8`, bit for bit, of an image that comes in bands.

    Args:
        source: the image's bands, uint8.
        height, width: of the image.
        scale: output size over input size.
    """
    window = Window(source)
    down, down_weights = taps(height, scale)
    across, across_weights = taps(width, scale)
    for start, stop in bands(output_length(height, scale)):
        first, last = int(down[start:stop].min()), int(down[start:stop].max())
        part = along_axis_u8(
            window.rows(first, last + 1), 0, down[start:stop] - first, down_weights[start:stop]
        )
        yield along_axis_u8(part, 1, across, across_weights)

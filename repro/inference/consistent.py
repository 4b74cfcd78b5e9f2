"""Any upscaler with its results back-projected: `upscale --consistent`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from repro.core.errors import UserError
from repro.imaging.back_projection import INNER, REACH, ROUNDS, back_projected
from repro.imaging.io import to_rgb
from repro.imaging.rows import BAND, Window, bands
from repro.imaging.tiling import tiles
from repro.inference.upscaler import Upscaler

SUFFIX = "-consistent"
"""Of the names of such results: they are never mixed with the plain ones."""


class ConsistentUpscaler(Upscaler):
    """An upscaler whose results, reduced again, are the images that it was given, within a grey level.

    Args:
        inner: whose results are moved; its scale is a whole number.

    Raises:
        UserError: a fractional scale.
    """

    def __init__(self, inner: Upscaler) -> None:
        if inner.scale != int(inner.scale):
            raise UserError(f"--consistent at x{inner.scale:g}", "a whole scale", "leave it out")
        self.inner = inner
        self.name = f"{inner.name}{SUFFIX}"
        self.scale = inner.scale
        self.inputs = {**inner.inputs, "consistent": f"back-projection, {ROUNDS} rounds of {INNER + 1}"}
        self.notes = (
            *inner.notes,
            f"back-projected at inference: |LR - down(SR)| within a grey level where {ROUNDS} rounds "
            "reach it; not part of the method's paper",
        )
        self.run = inner.run
        self.takes_grey = inner.takes_grey

    def __call__(self, images_u8: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        results = self.inner(images_u8)
        return [
            back_projected(sr, to_rgb(lr), int(self.scale))[0]
            for sr, lr in zip(results, images_u8, strict=True)
        ]

    def rows(self, image_u8: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        """As the whole image would come out: parts see all that their pixels depend on."""
        scale = int(self.scale)
        height, width = image_u8.shape[:2]
        results = Window(self.inner.rows(image_u8))
        for start, stop in bands(height):
            top, bottom = max(0, start - REACH), min(height, stop + REACH)
            sr_u8 = results.rows(scale * top, scale * bottom)
            parts = []
            for columns, seen in tiles(width, BAND, REACH):
                part = np.ascontiguousarray(sr_u8[:, scale * seen.start : scale * seen.stop])
                done, _ = back_projected(part, to_rgb(image_u8[top:bottom, seen]), scale)
                left = scale * (columns.start - seen.start)
                kept = slice(left, left + scale * (columns.stop - columns.start))
                parts.append(done[scale * (start - top) : scale * (stop - top), kept])
            yield np.concatenate(parts, axis=1)

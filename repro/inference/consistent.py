"""Any upscaler with its results back-projected: `upscale --consistent`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from repro.core.errors import UserError
from repro.imaging.back_projection import MOST_ROUNDS, WITHIN, back_projected
from repro.imaging.io import to_rgb
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
        self.inputs = {**inner.inputs, "consistent": f"back-projection, at most {MOST_ROUNDS} rounds"}
        self.notes = (
            *inner.notes,
            f"back-projected at inference: |LR - down(SR)| within {WITHIN} grey level where {MOST_ROUNDS} "
            "rounds reach it; not part of the method's paper",
        )
        self.run = inner.run
        self.takes_grey = inner.takes_grey

    def __call__(self, images_u8: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        results = self.inner(images_u8)
        return [
            back_projected(sr, to_rgb(lr), int(self.scale))[0]
            for sr, lr in zip(results, images_u8, strict=True)
        ]

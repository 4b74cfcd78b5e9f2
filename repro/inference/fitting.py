"""Parts of images that fit the memory there is: how large they begin, and smaller ones where it runs out."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from repro.imaging.tiling import in_tiles

_BYTES_A_PIXEL = 16_000
"""Of activations for an LR pixel at x4: two layers of 64 channels of float32 at its size, and some."""

SMALLEST, LARGEST = 16, 1024
"""Sides of tiles in LR pixels that are tried."""


class Fitting:
    """A function of images; where memory runs out their results are put together from parts, from then on.

    Args:
        upscale: (H, W, 3) uint8 from (h, w[, 3]).
        margin: input pixels around a part that its result depends on; None: it depends on the whole image.
        scale: H over h, exactly.
        tell: hears of it in a sentence.
        step: parts begin at multiples of so many input pixels.
        smallest: side of a part.
    """

    def __init__(
        self,
        upscale: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
        margin: int | None,
        scale: int | Fraction,
        tell: Callable[[str], None],
        *,
        step: int = 1,
        smallest: int = SMALLEST,
    ) -> None:
        self._upscale, self._margin, self._scale, self._tell = upscale, margin, scale, tell
        self._step, self._smallest = step, smallest
        self._side = 0

    def __call__(self, image_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The result of one image, or of a tile with its margin."""
        side, margin = max(image_u8.shape[:2]), self._margin
        if self._side and margin is not None and side > self._side + 2 * margin:
            return in_tiles(image_u8, self, self._side, margin, self._scale)
        try:
            return self._upscale(image_u8)
        except (MemoryError, RuntimeError) as error:
            smaller = 0 if margin is None else (side - 2 * margin) // 2 // self._step * self._step
            if not out_of_memory(error) or smaller < self._smallest:
                raise
            self._side = smaller
        # outside of the handler, which would keep the failed attempt's tensors
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        self._tell(f"out of memory: tiles of {smaller} LR pixels from here on")
        return self(image_u8)


def fitting_tile(own: int, margin: int, free_bytes: int, grow: bool) -> int:
    """The side of a tile in LR pixels whose activations take half of the free memory at most.

    Args:
        own: that the method would have: halved where it does not fit, on a GPU doubled while it does.
        margin: LR pixels around it.
        free_bytes: of the device; 0 where that is not known.
        grow: whether larger tiles pay.
    """

    def fits(side: int) -> bool:
        return 2 * _BYTES_A_PIXEL * (side + 2 * margin) ** 2 <= free_bytes

    side = own
    if not free_bytes or not side:
        return side
    while side // 2 >= SMALLEST and not fits(side):
        side //= 2
    while grow and 2 * side <= LARGEST and fits(2 * side):
        side *= 2
    return side


def out_of_memory(error: BaseException) -> bool:
    """Whether torch, on any device, or numpy could not get the memory that they asked for."""
    words = str(error).lower()
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "out of memory" in words
        or ("allocate memory" in words)
    )

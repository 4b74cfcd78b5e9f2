"""Copies of an image at the levels of a pyramid, by MATLAB's bicubic `imresize` to an exact size."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from repro.imaging.resize import KERNEL_SUPPORT, cubic
from repro.methods.self_exemplar.settings import ALPHA, INPUT_LEVEL, LEVELS_BELOW

Image = NDArray[np.float32]
"""(H, W, 4) float32: R, G, B in [0, 1] and a zero, so that one vector instruction takes a pixel."""

Size = tuple[int, int]


def level_size(height: int, width: int, level: int) -> Size:
    """(H, W) of a level, rounded half up from the input's size."""
    scale = ALPHA ** (level - INPUT_LEVEL)
    return math.floor(height * scale + 0.5), math.floor(width * scale + 0.5)


@functools.lru_cache(maxsize=64)
def _taps(length: int, outputs: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Indices and weights, (outputs, taps), of one axis; the image is mirrored at its borders."""
    shrink = min(outputs / length, 1.0)
    support = KERNEL_SUPPORT / shrink
    centre = (np.arange(outputs) + 0.5) * length / outputs - 0.5
    position = np.floor(centre - support / 2)[:, None] + np.arange(math.ceil(support) + 2)
    weights = shrink * cubic(shrink * (centre[:, None] - position))
    weights /= weights.sum(axis=1, keepdims=True)
    mirrored = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    indices = mirrored[position.astype(np.int64) % (2 * length)]
    used = weights.any(axis=0)
    return np.ascontiguousarray(indices[:, used]), np.ascontiguousarray(weights[:, used], np.float32)


def resize(image: Image, size: Size) -> Image:
    """The image at another size: bicubic, anti-aliased where it shrinks, not rounded and not clipped."""
    from repro.methods.self_exemplar import kernels

    for axis in sorted((0, 1), key=lambda axis: size[axis] / image.shape[axis]):
        indices, weights = _taps(image.shape[axis], size[axis])
        image = (kernels.resize_columns if axis else kernels.resize_rows)(image, indices, weights)
    return image


class Pyramid:
    """The larger level's image `high`, and the same blurred to the next smaller level's detail, `low`.

    Patches are compared in `low` and taken from `high`: what the comparison lacks is what is gained.
    """

    def __init__(self, image: Image) -> None:
        self.input_size: Size = image.shape[:2]
        last = INPUT_LEVEL + LEVELS_BELOW
        self.high = {INPUT_LEVEL: image}
        for level in range(INPUT_LEVEL + 1, last + 2):
            self.high[level] = resize(image, self.size(level))
        self.low = {
            level: resize(self.high[level + 1], self.size(level)) for level in range(INPUT_LEVEL, last + 1)
        }

    def size(self, level: int) -> Size:
        """(H, W) of a level; at least one pixel."""
        height, width = level_size(*self.input_size, level)
        return max(height, 1), max(width, 1)

    def target(self, level: int) -> Image:
        """What a level is known to look like before its patches are found: the smaller one, enlarged."""
        return resize(self.high[level + 1], self.size(level))

    def add(self, level: int, image: Image) -> None:
        """Takes in the result of a level."""
        self.high[level] = image
        self.low[level] = resize(resize(image, self.size(level + 1)), self.size(level))

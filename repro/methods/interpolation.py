"""Table 2's interpolations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from repro.imaging.resize import imresize_u8, nearest_u8
from repro.methods.base import Direct


class Nearest(Direct):
    """Pixel repetition."""

    key = "nearest"
    scales = (2, 3, 4, 8)

    def apply(self, image_u8: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
        return nearest_u8(image_u8, int(scale))


class Bicubic(Direct):
    """MATLAB's imresize."""

    key = "bicubic"
    scales = (2, 3, 4, 8)

    def apply(self, image_u8: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
        return imresize_u8(image_u8, int(scale))

"""Peak signal-to-noise ratio of two planes with a peak of 255 (protocol, section 5)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def psnr_db(a: NDArray[np.uint8] | NDArray[np.float64], b: NDArray[np.uint8] | NDArray[np.float64]) -> float:
    """10 log10(255^2 / mean squared difference) in dB; +inf for identical planes.

    Args:
        a, b: (H, W) of the same size and type, uint8 or float64 0..255.
    """
    if a.dtype == np.uint8:
        difference = a.astype(np.int32) - b
        # at most 255**2 a pixel: the sum is a whole number, exact in 64 bits
        squares = float(np.sum(difference * difference, dtype=np.int64))
    else:
        squares = float(np.sum((a - b) ** 2))
    return 10 * math.log10(255**2 * a.size / squares) if squares else math.inf

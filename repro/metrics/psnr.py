"""Peak signal-to-noise ratio of two 8-bit planes (protocol, section 5)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def psnr_db(a_u8: NDArray[np.uint8], b_u8: NDArray[np.uint8]) -> float:
    """10 log10(255^2 / mean squared difference) in dB; +inf for identical planes.

    Args:
        a_u8, b_u8: uint8 (H, W) of the same size.
    """
    difference = a_u8.astype(np.int32) - b_u8
    # at most 255**2 a pixel: the sum is a whole number, exact in 64 bits
    squares = int(np.sum(difference * difference, dtype=np.int64))
    return 10 * math.log10(255**2 * difference.size / squares) if squares else math.inf

"""The pattern of single pixels that an upsampling layer leaves: the same in every cell of scale x scale."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray


def phase_pattern_rms(luma: NDArray[np.float64], period: int) -> float:
    """Root mean square of the mean cell, in grey levels: how strong a grid is.

    Each pixel is compared with its surroundings, a mean over one period in both axes that a pattern of this
    period and a linear ramp leave no trace in; the differences are averaged over all cells. Natural images
    have little of it: an original's own figure is the floor.

    Args:
        luma: float64 (H, W), 0..255, at least three periods a side.
        period: side of a cell in pixels, the scale of super-resolution; 2 or more.
    """
    window = np.full(period, 1 / period)
    if period % 2 == 0:  # symmetrical: half of a pixel at either end
        window = np.concatenate([window[:1] / 2, window[1:], window[:1] / 2])
    detail = luma
    for axis in (0, 1):
        detail = scipy.ndimage.convolve1d(detail, window, axis=axis, mode="nearest")
    detail = luma - detail
    inner = detail[period:-period, period:-period]
    rows, columns = (side // period for side in inner.shape)
    cells = inner[: rows * period, : columns * period].reshape(rows, period, columns, period)
    return float(np.sqrt(np.mean(cells.mean(axis=(0, 2)) ** 2)))

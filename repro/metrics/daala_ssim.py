"""SSIM as daala's `dump_ssim` computes it: a window that grows with the image's height, cut off at borders.

Source: protocol, section 6. Window sums are whole numbers below 2**53, so float64 holds them exactly.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from repro.metrics.compiled import kernels

C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2


def window(height: int, width: int) -> NDArray[np.float64]:
    """The Gaussian's whole-numbered weights in units of 1/256, float64 (2 L + 1,), which sum to 256.

    Args:
        height, width: of the luma plane; sigma is 1.5 * height / 256 for both axes.
    """
    sigma = 1.5 * height / 256
    t = math.sqrt(math.pi / 2) * sigma / 256
    half = 0 if t >= 1 else math.floor(sigma * math.sqrt(-2 * math.log(t)))
    half = min(half, min(width, height) - 1)
    c = np.arange(1, half + 1)
    side = np.floor(256 / (math.sqrt(2 * math.pi) * sigma) * np.exp(-(c**2) / (2 * sigma**2)) + 0.5)
    centre = 256 - 2 * side.sum()
    return np.concatenate([side[::-1], [centre], side])


def ssim(a_u8: NDArray[np.uint8], b_u8: NDArray[np.uint8], use_numba: bool = True) -> float:
    """Mean SSIM of two luma planes, each place weighted by how much of its window lies inside.

    Args:
        a_u8, b_u8: uint8 (H, W) of the same size.
        use_numba: False for numpy alone; the figure is the same to the last bit.
    """
    height, width = a_u8.shape
    weights = window(height, width)
    down, across = _inside(height, weights), _inside(width, weights)
    compiled = kernels() if use_numba else None
    ssim_map = ssim_map_numpy if compiled is None else compiled.ssim_map
    a_u8, b_u8 = np.ascontiguousarray(a_u8), np.ascontiguousarray(b_u8)
    values = ssim_map(a_u8, b_u8, weights, down, across, C1, C2)
    w = np.outer(down, across)
    return float(np.sum(w * values) / np.sum(w))


def ssim_map_numpy(
    a_u8: NDArray[np.uint8],
    b_u8: NDArray[np.uint8],
    weights: NDArray[np.float64],
    down: NDArray[np.float64],
    across: NDArray[np.float64],
    c1: float,
    c2: float,
) -> NDArray[np.float64]:
    """SSIM at every pixel, float64 (H, W), with numpy alone.

    Args:
        a_u8, b_u8: uint8 (H, W).
        weights: of the window, (2 L + 1,).
        down, across: what of the window lies inside at each row (H,) and each column (W,).
        c1, c2: the stabilising constants for a window of weight 1.
    """
    a, b = a_u8.astype(np.float64), b_u8.astype(np.float64)
    planes = np.stack([a, b, a * a, b * b, a * b])
    m1, m2, s11, s22, s12 = _window_sums(_window_sums(planes, weights, axis=1), weights, axis=2)
    w = np.outer(down, across)
    c1w, c2w = c1 * w * w, c2 * w * w
    m12 = m1 * m2
    numerator = (2 * m12 + c1w) * (2 * (s12 * w - m12) + c2w)
    denominator = (m1 * m1 + m2 * m2 + c1w) * (s11 * w - m1 * m1 + s22 * w - m2 * m2 + c2w)
    return numerator / denominator


def _inside(length: int, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights that lie inside an axis, summed, at each place along it."""
    return _window_sums(np.ones(length), weights, axis=0)


def _window_sums(planes: NDArray[np.float64], weights: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Weighted sums along an axis over what the window covers of the image, the same shape as ``planes``."""
    half, length = len(weights) // 2, planes.shape[axis]
    source = np.moveaxis(planes, axis, 0)
    sums = np.zeros_like(source)
    for tap, weight in enumerate(weights):
        shift = tap - half
        to = slice(max(0, -shift), length - max(0, shift))
        since = slice(max(0, shift), length - max(0, -shift))
        sums[to] += weight * source[since]
    return np.moveaxis(sums, 0, axis)

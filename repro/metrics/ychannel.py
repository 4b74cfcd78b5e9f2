"""PSNR's and SSIM's planes of the papers after SRGAN: BT.601 luma, rounded or not, and Wang's 11 x 11 SSIM.

Sources: protocol, section 7; SSIM of Wang et al., IEEE Trans. Image Processing 13(4), 2004. That the luma is
not rounded, and where it is rounded to single precision, follows from printed values of RCAN to six decimals.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from repro.imaging.color import EDSR_LUMA, grey_u8, luma_float, luma_u8, weighted
from repro.imaging.io import to_rgb
from repro.metrics.compiled import kernels

WINDOW = 11
SIGMA = 1.5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2

Image = NDArray[np.uint8]


def luma_planes(hr_u8: Image, sr_u8: Image) -> tuple[Image, Image]:
    """The two planes, uint8 (H, W), that `ychannel-u8-1` compares.

    Args:
        hr_u8, sr_u8: uint8 of the same size, (H, W) for greyscale or (H, W, 3).

    Returns:
        Of an original in colour, luma in 16..235, also where R = G = B. A greyscale original is used as it
        is, 0..255, and what is compared with it becomes greyscale too if it was stored in colour.
    """
    if hr_u8.ndim == 2:
        return hr_u8, grey_u8(sr_u8)
    return luma_u8(hr_u8), luma_u8(to_rgb(sr_u8))


def float_planes(hr_u8: Image, sr_u8: Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two planes of `ychannel-1`, float64 (H, W): as :func:`luma_planes`, luma not rounded to 8 bits."""
    return _unrounded(hr_u8, sr_u8, luma_float)


def edsr_planes(hr_u8: Image, sr_u8: Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two planes of `ychannel-edsr-1`, float64 (H, W): (65.738 R + 129.057 G + 25.064 B) / 256 + 16."""
    return _unrounded(hr_u8, sr_u8, lambda rgb_u8: weighted(rgb_u8, EDSR_LUMA) + 16)


def _unrounded(
    hr_u8: Image, sr_u8: Image, luma: Callable[[Image], NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if hr_u8.ndim == 2:
        return hr_u8.astype(np.float64), grey_u8(sr_u8).astype(np.float64)
    return luma(hr_u8), luma(to_rgb(sr_u8))


def ssim(a: Image | NDArray[np.float64], b: Image | NDArray[np.float64], use_numba: bool = True) -> float:
    """Mean SSIM over the places where the whole window fits.

    Args:
        a, b: (H, W) of the same size, at least 11 x 11, uint8 or float64 0..255.
        use_numba: False for numpy alone; the value differs by rounding (below 1e-12).
    """
    c = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(c**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    compiled = kernels() if use_numba else None
    if compiled is not None:
        height, width = a.shape
        pair = np.ascontiguousarray(a), np.ascontiguousarray(b)
        values = compiled.ssim_map(*pair, weights, np.ones(height), np.ones(width), C1, C2)
        inside = slice(WINDOW // 2, -(WINDOW // 2))
        return float(np.mean(values[inside, inside]))
    a, b = a.astype(np.float64), b.astype(np.float64)
    planes = np.stack([a, b, a * a, b * b, a * b])
    mu1, mu2, s11, s22, s12 = _valid_means(_valid_means(planes, weights, axis=1), weights, axis=2)
    mu11, mu22, mu12 = mu1 * mu1, mu2 * mu2, mu1 * mu2
    numerator = (2 * mu12 + C1) * (2 * (s12 - mu12) + C2)
    denominator = (mu11 + mu22 + C1) * ((s11 - mu11) + (s22 - mu22) + C2)
    return float(np.mean(numerator / denominator))


def _valid_means(planes: NDArray[np.float64], weights: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    source = np.moveaxis(planes, axis, 0)
    places = len(source) - len(weights) + 1
    means = np.zeros((places, *source.shape[1:]))
    for tap, weight in enumerate(weights):
        means += weight * source[tap : tap + places]
    return np.moveaxis(means, 0, axis)

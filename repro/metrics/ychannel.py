"""The community's PSNR and SSIM: BT.601 luma rounded to uint8, Wang's 11 x 11 window on valid places.

Source: protocol, section 7; SSIM of Wang et al., IEEE Trans. Image Processing 13(4), 2004.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from repro.imaging.color import grey_u8, luma_u8
from repro.imaging.io import to_rgb

WINDOW = 11
SIGMA = 1.5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2


def luma_planes(
    a_u8: NDArray[np.uint8], b_u8: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The two planes, uint8 (H, W), that are compared when ``a_u8`` is the original.

    Args:
        a_u8, b_u8: uint8 of the same size, (H, W) for greyscale or (H, W, 3).

    Returns:
        Of an original in colour, luma in 16..235, also where R = G = B. A greyscale original is used as it
        is, 0..255, and what is compared with it becomes greyscale too if it was stored in colour.
    """
    if a_u8.ndim == 2:
        return a_u8, grey_u8(b_u8)
    return luma_u8(a_u8), luma_u8(to_rgb(b_u8))


def ssim(a_u8: NDArray[np.uint8], b_u8: NDArray[np.uint8]) -> float:
    """Mean SSIM over the places where the whole window fits.

    Args:
        a_u8, b_u8: uint8 (H, W) of the same size, at least 11 x 11.
    """
    a, b = a_u8.astype(np.float64), b_u8.astype(np.float64)
    c = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(c**2) / (2 * SIGMA**2))
    weights /= weights.sum()
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

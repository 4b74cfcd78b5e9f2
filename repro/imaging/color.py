"""Luma and chroma of BT.601 in limited range, as MATLAB's `rgb2ycbcr` and `ycbcr2rgb` make them of uint8.

What SRCNN, ESPCN and DRCN enlarge is this luma, and the community's protocol scores it (protocol, section 7).
Light: numpy alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# divided before they are multiplied, as MATLAB's rgb2ycbcr does: exact halves decide
_TO_LUMA = tuple(coefficient * (1 / 255) for coefficient in (65.481, 128.553, 24.966))
_TO_CB = tuple(coefficient * (1 / 255) for coefficient in (-37.797, -74.203, 112.0))
_TO_CR = tuple(coefficient * (1 / 255) for coefficient in (112.0, -93.786, -18.214))
_TO_GREY = (0.298936021293775, 0.587043074451121, 0.114020904255103)
_TO_RGB = np.linalg.inv(np.array([_TO_LUMA, _TO_CB, _TO_CR]))


def luma_u8(rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) uint8 luma in 16..235 of an (H, W, 3) uint8 image, rounded half up."""
    return _rounded(_weighted(rgb_u8, _TO_LUMA) + 16)


def chroma_u8(rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 2) uint8 Cb and Cr in 16..240 of an (H, W, 3) uint8 image, rounded half up."""
    return np.stack([_rounded(_weighted(rgb_u8, row) + 128) for row in (_TO_CB, _TO_CR)], axis=2)


def rgb_u8(y_u8: NDArray[np.uint8], chroma_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 from (H, W) luma and (H, W, 2) chroma, rounded half up and clipped."""
    ycc = np.dstack([y_u8.astype(np.float64) - 16, chroma_u8.astype(np.float64) - 128])
    return _rounded(ycc @ _TO_RGB.T)


def grey_u8(image_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) uint8 of an image in any form, as MATLAB's `rgb2gray` makes it; R = G = B stays what it is."""
    if image_u8.ndim == 2:
        return image_u8
    return _rounded(_weighted(image_u8, _TO_GREY))


def _weighted(rgb: NDArray[np.uint8], row: tuple[float, ...]) -> NDArray[np.float64]:
    r, g, b = np.moveaxis(rgb.astype(np.float64), -1, 0)
    return (row[0] * r + row[1] * g) + row[2] * b


def _rounded(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)

"""Luma and chroma of BT.601 in limited range, as MATLAB's `rgb2ycbcr` and `ycbcr2rgb` make them of uint8.

What SRCNN, ESPCN and DRCN upscale is this luma, and the papers after SRGAN score it, rounded or not
(protocol, section 7). Light: numpy alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# divided before they are multiplied, as MATLAB's rgb2ycbcr does: exact halves decide
_TO_LUMA = tuple(coefficient * (1 / 255) for coefficient in (65.481, 128.553, 24.966))
_TO_CB = tuple(coefficient * (1 / 255) for coefficient in (-37.797, -74.203, 112.0))
_TO_CR = tuple(coefficient * (1 / 255) for coefficient in (112.0, -93.786, -18.214))
_TO_GREY = (0.298936021293775, 0.587043074451121, 0.114020904255103)
EDSR_LUMA = tuple(coefficient / 256 for coefficient in (65.738, 129.057, 25.064))
"""EDSR's own luma coefficients, which papers that grew from its code score with."""
_TO_RGB = np.linalg.inv(np.array([_TO_LUMA, _TO_CB, _TO_CR]))


def luma_u8(rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) uint8 luma in 16..235 of an (H, W, 3) uint8 image, rounded half up."""
    return _rounded(weighted(rgb_u8, _TO_LUMA) + 16)


def luma_float(rgb_u8: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(H, W) float64 luma in 16..235, not rounded to 8 bits but to single precision, as `ychannel-1` has it.

    In MATLAB: ``single(rgb2ycbcr(im2double(rgb)))`` times 255. Plain double precision is 1e-7 dB away from
    the papers' values, single precision throughout as much.
    """
    unit = weighted(rgb_u8, _TO_LUMA) / 255 + 16 / 255
    return (unit.astype(np.float32) * np.float32(255)).astype(np.float64)


def chroma_u8(rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 2) uint8 Cb and Cr in 16..240 of an (H, W, 3) uint8 image, rounded half up."""
    return np.stack([_rounded(weighted(rgb_u8, row) + 128) for row in (_TO_CB, _TO_CR)], axis=2)


def rgb_u8(y_u8: NDArray[np.uint8], chroma_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 from (H, W) luma and (H, W, 2) chroma, rounded half up and clipped."""
    ycc = np.dstack([y_u8.astype(np.float64) - 16, chroma_u8.astype(np.float64) - 128])
    return _rounded(ycc @ _TO_RGB.T)


def grey_u8(image_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) uint8 of an image in any form, as MATLAB's `rgb2gray` makes it; R = G = B stays what it is."""
    if image_u8.ndim == 2:
        return image_u8
    return _rounded(weighted(image_u8, _TO_GREY))


def weighted(rgb: NDArray[np.uint8], row: tuple[float, ...]) -> NDArray[np.float64]:
    """(H, W) float64: the three channels of (H, W, 3) times the row's coefficients, summed from the left."""
    r, g, b = np.moveaxis(rgb.astype(np.float64), -1, 0)
    return (row[0] * r + row[1] * g) + row[2] * b


def _rounded(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)

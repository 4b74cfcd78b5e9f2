"""MATLAB's `imresize` on uint8 images: the bicubic operation that made the LR images of the test sets.

Source: protocol, section 2. The kernel is Keys' cubic convolution (IEEE Trans. ASSP 29(6), 1981), a = -1/2.
Beyond the border MATLAB mirrors the image, and so do the LR images of SAN, RCAN and EDSR; those of the SRGAN
paper's test sets repeat the border pixel.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

KERNEL_SUPPORT = 4
"""Width of the cubic kernel in pixels of the coarser grid."""

_F = TypeVar("_F", np.float32, np.float64)

Scale = int | float | Fraction
"""Output size over input size; a Fraction (or an int) is taken exactly, 0.25 and 4.0 are exact anyway."""


def cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel k(x) with a = -1/2; zero for |x| >= 2."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def output_length(length: int, scale: Scale) -> int:
    """ceil(scale * length), the size of an axis after resizing; in double precision for a float scale."""
    return math.ceil(scale * length)


Border = Literal["replicate", "symmetric"]
"""What lies beyond the border: the border pixel again, or the image mirrored, border pixel included."""


@functools.lru_cache(maxsize=256, typed=True)
def taps(
    length: int, scale: Scale, border: Border = "replicate"
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Which input samples make each output sample of one axis, and their weights.

    Args:
        length: samples along the axis before resizing.
        scale: output size over input size.
        border: which samples stand for those beyond the border.

    Returns:
        Indices 0..length-1 and weights, both (output length, taps), read-only. Each row of weights sums
        to 1. Taps that weigh nothing anywhere are left out.

    Raises:
        ValueError: an empty axis, or a scale that is not a positive number.
    """
    if length < 1 or not (scale > 0 and math.isfinite(scale)):
        raise ValueError(f"cannot resize {length} samples by {scale}: both must be positive")
    shrink = min(float(scale), 1.0)
    support = KERNEL_SUPPORT / shrink

    outputs = output_length(length, scale)
    if isinstance(scale, float):
        u = np.arange(1, outputs + 1) / scale + 0.5 * (1 - 1 / scale)  # as MATLAB computes it
    else:
        # i q/p + (1 - q/p) / 2 for the scale p/q, in whole numbers, rounded once
        p, q = Fraction(scale).as_integer_ratio()
        u = np.array([(2 * i * q + p - q) / (2 * p) for i in range(1, outputs + 1)])
    first = np.floor(u - support / 2)
    position = first[:, None] + np.arange(math.ceil(support) + 2)
    weights = shrink * cubic(shrink * (u[:, None] - position))
    weights /= weights.sum(axis=1, keepdims=True)
    indices = position.astype(np.intp) - 1
    if border == "symmetric":
        indices %= 2 * length
        indices = np.minimum(indices, 2 * length - 1 - indices)
    else:
        indices = np.clip(indices, 0, length - 1)

    used = weights.any(axis=0)
    indices, weights = indices[:, used], weights[:, used]
    indices.flags.writeable = False
    weights.flags.writeable = False
    return indices, weights


def imresize_u16(image_u16: NDArray[np.uint16], scale: Scale) -> NDArray[np.uint16]:
    """:func:`imresize_u8` for uint16: rounded half up and clipped to 0..65535 after each axis."""
    for axis in (0, 1):
        first = np.moveaxis(image_u16, axis, 0).astype(np.float64)
        total = np.floor(_weighted_sum(first, *taps(image_u16.shape[axis], scale)) + 0.5)
        image_u16 = np.moveaxis(np.clip(total, 0, 65535).astype(np.uint16), 0, axis)
    return np.ascontiguousarray(image_u16)


def imresize_u8(image_u8: NDArray[np.uint8], scale: Scale, border: Border = "replicate") -> NDArray[np.uint8]:
    """The image resized as MATLAB's `imresize(image, scale)` resizes a uint8 array (bicubic, anti-aliased).

    Rows (the first axis) first, then columns; after each axis the result is rounded half up and clipped
    to 0..255, because MATLAB's intermediate array is uint8 too.

    Args:
        image_u8: uint8 0..255, (H, W) or (H, W, C).
        scale: 4 enlarges fourfold, Fraction(1, 4) or 0.25 shrinks to a quarter; any positive number.
        border: ``"replicate"`` for the SRGAN paper's test sets, ``"symmetric"`` for MATLAB's own.

    Returns:
        uint8, (ceil(scale * H), ceil(scale * W)) and C as before.

    Raises:
        ValueError: not uint8, not two or three axes, an empty axis, or a scale that is not positive.
    """
    if image_u8.dtype != np.uint8 or image_u8.ndim not in (2, 3):
        raise ValueError(f"expected uint8 (H, W) or (H, W, C), got {image_u8.dtype} {image_u8.shape}")
    for axis in (0, 1):
        image_u8 = along_axis_u8(image_u8, axis, *taps(image_u8.shape[axis], scale, border))
    return image_u8


def imresize_float(image: NDArray[_F], scale: Scale, border: Border = "replicate") -> NDArray[_F]:
    """The image resized as MATLAB's `imresize` resizes floating-point arrays: nothing is rounded or clipped.

    What SRCNN and DRCN take in; results of :func:`imresize_u8` differ from it by its two roundings.

    Args:
        image: float32 or float64, (H, W) or (H, W, C), any range.
        scale, border: as in :func:`imresize_u8`.

    Returns:
        The same type, (ceil(scale * H), ceil(scale * W)) and C as before.
    """
    for axis in (0, 1):
        indices, weights = taps(image.shape[axis], scale, border)
        first = np.ascontiguousarray(np.moveaxis(image, axis, 0))
        image = np.moveaxis(_weighted_sum(first, indices, weights), 0, axis)
    return np.ascontiguousarray(image)


def along_axis_u8(
    image_u8: NDArray[np.uint8], axis: int, indices: NDArray[np.intp], weights: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """One axis of a uint8 image resized by :func:`taps`, rounded half up and clipped."""
    first = np.ascontiguousarray(np.moveaxis(image_u8, axis, 0))
    # for x4 and 1/4 every weight is a multiple of 2**-12, so 8 + 12 bits make float32 sums exact
    exact_in_float32 = bool(np.all(np.ldexp(weights, 12) % 1 == 0))
    if exact_in_float32:
        total = _weighted_sum(first.astype(np.float32), indices, weights)
    else:
        total = _weighted_sum(first.astype(np.float64), indices, weights)
    total += 0.5
    np.floor(total, out=total)
    np.clip(total, 0, 255, out=total)
    return np.ascontiguousarray(np.moveaxis(total.astype(np.uint8), 0, axis))


def _weighted_sum(image: NDArray[_F], indices: NDArray[np.intp], weights: NDArray[np.float64]) -> NDArray[_F]:
    """sum_t weights[:, t] * image[indices[:, t]], along the first axis."""
    column = (-1,) + (1,) * (image.ndim - 1)
    total = np.zeros((len(indices), *image.shape[1:]), image.dtype)
    for index, weight in zip(indices.T, weights.T, strict=True):
        part = image[index]
        part *= weight.reshape(column).astype(image.dtype)
        total += part
    return total


def nearest_u8(image_u8: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Every pixel repeated factor x factor times (protocol, section 2): the table's `nearest`.

    Args:
        image_u8: uint8, (H, W) or (H, W, C).
        factor: a positive whole number.

    Returns:
        uint8, (factor * H, factor * W) and C as before.
    """
    if factor < 1:
        raise ValueError(f"factor {factor}: expected 1 or more")
    return image_u8.repeat(factor, axis=0).repeat(factor, axis=1)


def downscale_u8(
    hr_u8: NDArray[np.uint8], scale: Scale, border: Border = "replicate"
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An LR image and the part of the original that it shows.

    The LR image has floor(H / scale) rows; the original is cropped at the bottom and at the right to the
    floor(scale * rows) that upscaling gives back, for whole scales a multiple of them.

    Args:
        hr_u8: uint8, (H, W) or (H, W, C).
        scale: original size over LR size, 1 or more; an exact Fraction for decimal scales.
        border: as in :func:`imresize_u8`.

    Returns:
        The LR image and the cropped original, both uint8.

    Raises:
        ValueError: an image smaller than the scale, or a scale below 1.
    """
    exact = Fraction(scale)
    if exact < 1:
        raise ValueError(f"scale {scale}: expected 1 or more")
    rows, columns = (int(side / exact) for side in hr_u8.shape[:2])
    if min(rows, columns) < 1:
        raise ValueError(f"{hr_u8.shape[1]} x {hr_u8.shape[0]} pixels cannot be shrunk by {float(scale):g}")
    cropped = np.ascontiguousarray(hr_u8[: int(rows * exact), : int(columns * exact)])
    return imresize_u8(cropped, 1 / exact, border), cropped

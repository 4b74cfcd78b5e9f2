"""`repro.imaging.resize` for batches of images in torch, on any device: the LR images that training sees.

Sums of shifted copies instead of matrix products or convolutions: elementwise float32 is the same under
autocast and whatever precision matrix products are set to (TF32, bfloat16), and fuses into one kernel an
axis when compiled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from repro.imaging.resize import Scale, cubic, taps
from repro.papers.srgan import SCALE

MARGIN = 8
"""HR pixels around a crop that `lr_from_windows` wants on each side (6 are used; 8 keep memory aligned)."""

_QUARTER_TAPS = 16
_QUARTER_FIRST = MARGIN - 6  # output 0 starts 6 pixels before the crop
# multiples of 2**-12 below 1/4: with 8-bit pixels every float32 sum is exact, in any order
_QUARTER_WEIGHTS: tuple[float, ...] = tuple(
    (cubic((np.arange(_QUARTER_TAPS) - (_QUARTER_TAPS - 1) / 2) / SCALE) / SCALE).tolist()
)


def imresize_batch(images: Tensor, scale: Scale) -> Tensor:
    """The images resized as :func:`repro.imaging.resize.imresize_u8` resizes them, rounded after each axis.

    Equal to it bit for bit for factors like 4 and 1/4 (all weights are dyadic fractions); for others
    except where a value lies within float32 rounding (far below 1e-3) of a rounding boundary.

    Args:
        images: (N, C, H, W), uint8, or float32 or float64 that holds whole numbers 0..255.
        scale: output size over input size, as in :func:`repro.imaging.resize.imresize_u8`.

    Returns:
        (N, C, ceil(scale * H), ceil(scale * W)) of the same dtype and on the same device.

    Raises:
        ValueError: another dtype or number of axes.
    """
    _check(images)
    total = images if images.dtype == torch.float64 else images.to(torch.float32)
    for axis in (2, 3):
        indices, weights = taps(images.shape[axis], scale)
        index = torch.as_tensor(indices.copy(), device=images.device)
        weight = torch.as_tensor(weights.copy(), device=images.device, dtype=total.dtype)
        column = (-1, 1) if axis == 2 else (-1,)
        total = _rounded(
            [total.index_select(axis, index[:, t]) for t in range(index.shape[1])],
            [weight[:, t].reshape(column) for t in range(index.shape[1])],
        )
    return total.to(images.dtype)


def imresize_float_batch(images: Tensor, scale: Scale) -> Tensor:
    """The images resized as :func:`repro.imaging.resize.imresize_float` does: not rounded, not clipped.

    Args:
        images: (N, C, H, W) float32 or float64, any range.
        scale: output size over input size.
    """
    for axis in (2, 3):
        indices, weights = taps(images.shape[axis], scale)
        index = torch.as_tensor(indices.copy(), device=images.device)
        weight = torch.as_tensor(weights.copy(), device=images.device, dtype=images.dtype)
        column = (-1, 1) if axis == 2 else (-1,)
        parts = [images.index_select(axis, index[:, t]) for t in range(index.shape[1])]
        images = _sum(parts, [weight[:, t].reshape(column) for t in range(index.shape[1])])
    return images


def lr_from_windows(windows: Tensor) -> Tensor:
    """The LR crops of HR crops, as if cut out of the LR of the whole images (1/4, exact).

    A crop's own border does not leak into its LR: the window brings :data:`MARGIN` more pixels a side,
    real neighbours, or the image's border pixel repeated where the crop touches the border. The crop's
    offset in the image is a multiple of 4 in both axes. No data-dependent shape, no transfer from the host:
    it can be compiled and captured in a CUDA graph.

    Args:
        windows: (N, C, 4h + 16, 4w + 16), uint8, or float32 or float64 that holds whole numbers 0..255.

    Returns:
        (N, C, h, w) of the same dtype and on the same device.

    Raises:
        ValueError: another dtype, number of axes, or size.
    """
    _check(windows)
    height, width = ((side - 2 * MARGIN) // SCALE for side in windows.shape[2:])
    if (
        windows.shape[2:] != (SCALE * height + 2 * MARGIN, SCALE * width + 2 * MARGIN)
        or min(height, width) < 1
    ):
        raise ValueError(
            f"windows of {tuple(windows.shape[2:])}: each side is a multiple of {SCALE}, "
            f"at least {SCALE + 2 * MARGIN}"
        )
    total = windows if windows.dtype == torch.float64 else windows.to(torch.float32)
    starts = range(_QUARTER_FIRST, _QUARTER_FIRST + _QUARTER_TAPS)
    total = _rounded([total[:, :, s : s + SCALE * height : SCALE] for s in starts], _QUARTER_WEIGHTS)
    total = _rounded([total[..., s : s + SCALE * width : SCALE] for s in starts], _QUARTER_WEIGHTS)
    return total.to(windows.dtype)


def _check(images: Tensor) -> None:
    if images.ndim != 4 or images.dtype not in (torch.uint8, torch.float32, torch.float64):
        raise ValueError(
            f"expected uint8, float32 or float64 (N, C, H, W), got {images.dtype} {tuple(images.shape)}"
        )


def _rounded(parts: Sequence[Tensor], weights: Sequence[Tensor | float]) -> Tensor:
    """sum of weight * part, rounded half up and clipped to 0..255."""
    return torch.floor(_sum(parts, weights) + 0.5).clamp(0, 255)


def _sum(parts: Sequence[Tensor], weights: Sequence[Tensor | float]) -> Tensor:
    total = parts[0] * weights[0]
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total = total + part * weight
    return total

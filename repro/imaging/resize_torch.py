"""`repro.imaging.resize` for batches of images in torch, on any device: the LR images that training sees.

Sums of shifted copies instead of matrix products or convolutions: elementwise float32 is the same under
autocast and whatever precision matrix products are set to (TF32, bfloat16), and fuses into one kernel an
axis when compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from repro.imaging.resize import Scale, cubic, taps

_Total = Callable[[Sequence[Tensor], Sequence[Tensor | float]], Tensor]
"""Of parts and their weights: :func:`_sum`, or :func:`_rounded`."""


def margin(scale: int) -> int:
    """HR pixels around a crop that :func:`lr_from_windows` wants on each side (1.5 scales are used)."""
    return 2 * scale


def _reduction(scale: int) -> tuple[int, tuple[float, ...]]:
    """The first tap of output 0, relative to the crop, and the weights of one axis of a 1 / scale reduction.

    For scales 2, 4 and 8 the weights are dyadic fractions: with 8-bit pixels every float32 sum is exact.
    """
    count = 4 * scale - scale % 2  # of an odd scale the outermost of 4 scale + 1 taps weigh nothing
    weights = cubic((np.arange(count) - (count - 1) / 2) / scale) / scale
    first = (scale - count) // 2
    return first, tuple((weights / weights.sum()).tolist())


_REDUCTIONS = {scale: _reduction(scale) for scale in range(2, 9)}
"""Made once, outside of what is compiled."""


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
    wide = images if images.dtype == torch.float64 else images.to(torch.float32)
    return _resized(wide, scale, _rounded).to(images.dtype)


def imresize_float_batch(images: Tensor, scale: Scale) -> Tensor:
    """The images resized as :func:`repro.imaging.resize.imresize_float` does: not rounded, not clipped.

    Its taps are sent from the host: what calls it cannot be captured in a CUDA graph.

    Args:
        images: (N, C, H, W) float32 or float64, any range.
        scale: output size over input size.
    """
    return _resized(images, scale, _sum)


def _resized(images: Tensor, scale: Scale, total: _Total) -> Tensor:
    for axis in (2, 3):
        indices, weights = taps(images.shape[axis], scale)
        index = torch.as_tensor(indices.copy(), device=images.device)
        weight = torch.as_tensor(weights.copy(), device=images.device, dtype=images.dtype)
        column = (-1, 1) if axis == 2 else (-1,)
        parts = [images.index_select(axis, index[:, t]) for t in range(index.shape[1])]
        images = total(parts, [weight[:, t].reshape(column) for t in range(index.shape[1])])
    return images


def lr_from_windows(windows: Tensor, scale: int = 4) -> Tensor:
    """The LR crops of HR crops, as if cut out of the LR of the whole images.

    A crop's own border does not leak into its LR: the window brings :func:`margin` more pixels a side,
    real neighbours, or the image's border pixel repeated where the crop touches the border. The crop's
    offset in the image is a multiple of the scale in both axes. No data-dependent shape, no transfer from the
    host: it can be compiled and captured in a CUDA graph.

    Args:
        windows: (N, C, scale h + 2 margin, scale w + 2 margin), uint8, or float32 or float64 that holds whole
            numbers 0..255.
        scale: of the reduction, a whole number.

    Returns:
        (N, C, h, w) of the same dtype and on the same device.

    Raises:
        ValueError: another dtype, number of axes, or size.
    """
    _check(windows)
    around = margin(scale)
    height, width = ((side - 2 * around) // scale for side in windows.shape[2:])
    fits = windows.shape[2:] == (scale * height + 2 * around, scale * width + 2 * around)
    if not fits or min(height, width) < 1:
        raise ValueError(
            f"windows of {tuple(windows.shape[2:])}: each side is a multiple of {scale}, "
            f"at least {scale + 2 * around}"
        )
    total = windows if windows.dtype == torch.float64 else windows.to(torch.float32)
    return _reduced(total, scale, _rounded).to(windows.dtype)


def inner_lr(images: Tensor, scale: int = 4) -> Tensor:
    """The LR of images without its outermost two pixels a side, which no border enters; not rounded.

    Differentiable, and fit for a CUDA graph as :func:`lr_from_windows` is.

    Args:
        images: (N, C, scale h, scale w) float32 or float64, any range.
        scale: of the reduction, a whole number.

    Returns:
        (N, C, h - 4, w - 4).
    """
    return _reduced(images, scale, _sum)


def _reduced(windows: Tensor, scale: int, total: _Total) -> Tensor:
    around = margin(scale)
    if scale == 1:
        return windows[:, :, around:-around, around:-around]
    height, width = (side - 2 * around for side in windows.shape[2:])
    first, weights = _REDUCTIONS[scale]
    starts = range(around + first, around + first + len(weights))
    rows = total([windows[:, :, s : s + height : scale] for s in starts], weights)
    return total([rows[..., s : s + width : scale] for s in starts], weights)


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

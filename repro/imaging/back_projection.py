"""Back-projection: a result whose reduction is the LR image that it was made from (Irani and Peleg 1991)."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from repro.imaging.resize import Scale, imresize_u8, taps

ROUNDS, INNER = 8, 1
"""Corrections of the result, and of each correction among LR pixels before it is enlarged: always as many,
so that a pixel depends on its neighbourhood alone."""

NEGLIGIBLE = 0.5
"""Grey levels that an LR pixel may be off by and is left alone: what rounding makes."""

REACH = 32
"""LR pixels around a pixel that its value depends on; what lies further off changes less than rounding does
(of noise 12 are seen)."""


def back_projected(
    sr_u8: NDArray[np.uint8], lr_u8: NDArray[np.uint8], scale: int
) -> tuple[NDArray[np.uint8], int]:
    """The result moved by up(LR - down(SR)): |LR - down(SR)| is then one grey level but for a few pixels.

    Only what the LR image knows is changed: the low frequencies, where results of perceptual losses drift.
    The reduction is MATLAB's bicubic with replicated border, by which the LR images were made; the way up is
    the same kernel's interpolation. Clipping can keep single pixels apart.

    Args:
        sr_u8: (H, W, 3) uint8, or (H, W).
        lr_u8: (h, w, 3) uint8, or (h, w), H = scale h.
        scale: a whole number.

    Returns:
        The result, and the largest remaining |LR - down(SR)| in grey levels, both rounded.

    Raises:
        ValueError: sizes that do not belong together.
    """
    if sr_u8.shape != (scale * lr_u8.shape[0], scale * lr_u8.shape[1], *lr_u8.shape[2:]):
        raise ValueError(f"SR of {sr_u8.shape}, LR of {lr_u8.shape}, x{scale}")
    if sr_u8.ndim == 3:  # a channel at a time: float32 takes four times the bytes
        pairs = [back_projected(sr_u8[..., c], lr_u8[..., c], scale) for c in range(sr_u8.shape[2])]
        return np.stack([plane for plane, _ in pairs], axis=-1), max(left for _, left in pairs)
    ups, downs, backs = zip(*(_matrices(side, scale) for side in lr_u8.shape), strict=True)
    lr, sr = lr_u8.astype(np.float32), sr_u8.astype(np.float32)
    for _ in range(ROUNDS):
        error = lr - _applied(downs, sr)
        error[np.abs(error) <= NEGLIGIBLE] = 0
        if not error.any():
            break
        correction = error.copy()
        for _ in range(INNER):
            correction += error - _applied(backs, correction)
        sr += _applied(ups, correction)
        np.clip(sr, 0, 255, out=sr)
    result = np.floor(sr + np.float32(0.5)).astype(np.uint8)
    again = imresize_u8(result, Fraction(1, scale)).astype(int)
    return result, int(np.abs(again - lr_u8).max())


@lru_cache(maxsize=8)
def _matrices(length: int, scale: int) -> tuple[csr_array, csr_array, csr_array]:
    """Of one axis: LR to SR, SR to LR, and the one after the other."""
    up, down = _matrix(length, scale), _matrix(length * scale, Fraction(1, scale))
    return up, down, csr_array(down @ up)


def _matrix(length: int, scale: Scale) -> csr_array:
    indices, weights = taps(length, scale)
    rows = np.repeat(np.arange(len(indices)), indices.shape[1])
    entries = (weights.astype(np.float32).ravel(), (rows, indices.ravel()))
    return csr_array(entries, shape=(len(indices), length))


def _applied(axes: tuple[csr_array, ...], image: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = axes
    done: NDArray[np.float32] = (columns @ np.ascontiguousarray((rows @ image).T)).T
    return np.ascontiguousarray(done)

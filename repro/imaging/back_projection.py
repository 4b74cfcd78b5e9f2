"""Back-projection: a result whose reduction is the LR image that it was made from (Irani and Peleg 1991)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from repro.imaging.resize import imresize_float, imresize_u8

MOST_ROUNDS = 30
"""Rounds after which the result is taken as it is: clipping can keep single pixels apart for good."""

WITHIN = 1
"""Grey levels that LR and the reduced result may differ by, each rounded as the protocol rounds."""


def back_projected(
    sr_u8: NDArray[np.uint8], lr_u8: NDArray[np.uint8], scale: int
) -> tuple[NDArray[np.uint8], int]:
    """The result moved by up(LR - down(SR)) until |LR - down(SR)| is within one grey level everywhere.

    Only what the LR image knows is changed: the low frequencies, where results of perceptual losses drift.
    The reduction is MATLAB's bicubic with replicated border, by which the LR images were made; the way up is
    the same kernel's interpolation.

    Args:
        sr_u8: (H, W, 3) uint8, or (H, W).
        lr_u8: (h, w, 3) uint8, or (h, w), H = scale h.
        scale: a whole number.

    Returns:
        The result, and the largest remaining |LR - down(SR)| in grey levels.

    Raises:
        ValueError: sizes that do not belong together.
    """
    if sr_u8.shape != (scale * lr_u8.shape[0], scale * lr_u8.shape[1], *lr_u8.shape[2:]):
        raise ValueError(f"SR of {sr_u8.shape}, LR of {lr_u8.shape}, x{scale}")
    if sr_u8.ndim == 3:  # a channel at a time: float32 takes four times the bytes
        pairs = [back_projected(sr_u8[..., c], lr_u8[..., c], scale) for c in range(sr_u8.shape[2])]
        return np.stack([plane for plane, _ in pairs], axis=-1), max(left for _, left in pairs)
    down, lr = Fraction(1, scale), lr_u8.astype(np.float32)
    sr = sr_u8.astype(np.float32)
    best, least = sr_u8, _difference(sr_u8, lr_u8, down)
    for _ in range(MOST_ROUNDS):
        if least <= WITHIN:
            break
        sr += imresize_float(lr - imresize_float(sr, down), scale)
        np.clip(sr, 0, 255, out=sr)
        rounded = np.floor(sr + np.float32(0.5)).astype(np.uint8)
        difference = _difference(rounded, lr_u8, down)
        if difference < least:
            best, least = rounded, difference
    return best, least


def _difference(sr_u8: NDArray[np.uint8], lr_u8: NDArray[np.uint8], down: Fraction) -> int:
    return int(np.abs(imresize_u8(np.ascontiguousarray(sr_u8), down).astype(int) - lr_u8).max())

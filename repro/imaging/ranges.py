"""The one place where ranges change: uint8 0..255, [0, 1] and [-1, 1] (Section 3.2)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def u8_to_01(image_u8: Tensor) -> Tensor:
    """[0, 1] float32 from whole numbers 0..255 of any type: what the generator takes."""
    return image_u8.to(torch.float32) * (1 / 255)


def u8_to_pm1(image_u8: Tensor) -> Tensor:
    """[-1, 1] float32 from whole numbers 0..255 of any type: what the losses compare."""
    return image_u8.to(torch.float32) * (2 / 255) - 1


def pm1_to_u8(image_pm1: Tensor) -> Tensor:
    """uint8 0..255 from [-1, 1]: rounded half up and clipped, as imresize rounds."""
    return ((image_pm1.float() + 1) * 127.5 + 0.5).floor().clamp(0, 255).to(torch.uint8)


def rgb01_to_y01(rgb_01: Tensor) -> Tensor:
    """(N, 1, H, W) BT.601 luma in limited range over 255 from (N, 3, H, W) RGB in [0, 1], both float32.

    Rounded to whole grey levels as :func:`repro.imaging.color.luma_u8`: what the luma networks train on.
    """
    r, g, b = rgb_01.float().unbind(1)
    y = 65.481 * r + 128.553 * g + 24.966 * b + 16
    return ((y + 0.5).floor() * (1 / 255)).unsqueeze(1)


def pm1_to_01(image_pm1: Tensor) -> Tensor:
    """[0, 1] from [-1, 1], not clipped."""
    return (image_pm1 + 1) * 0.5


def hwc_to_nchw(image_u8: NDArray[np.uint8]) -> Tensor:
    """(1, 3, H, W) uint8 tensor from an (H, W, 3) array; the memory stays as it was (channels last)."""
    return torch.from_numpy(np.require(image_u8, requirements=["C", "W"])).permute(2, 0, 1)[None]


def nchw_to_hwc(image_u8: Tensor) -> list[NDArray[np.uint8]]:
    """(H, W, 3) uint8 arrays from an (N, 3, H, W) uint8 tensor."""
    return list(image_u8.permute(0, 2, 3, 1).cpu().contiguous().numpy())

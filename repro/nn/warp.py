"""Backward warping: what optical flow makes of an image or a feature map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(maps: Tensor, flow: Tensor) -> Tensor:
    """The maps sampled bilinearly at (x, y) + flow(x, y); positions outside are moved onto the border first.

    CrossNet (Zheng et al., ECCV 2018), Section 3.3. Positions are normalised for ``align_corners=False``, by
    the width itself: torch's default, which also holds for maps that are one pixel wide.

    Args:
        maps: (N, C, H, W).
        flow: (N, 2, H, W) in pixels of the maps; channel 0 is horizontal, to the right, channel 1 downwards.

    Returns:
        (N, C, H, W) of the maps' dtype.

    Raises:
        ValueError: maps and flow of different sizes.
    """
    height, width = maps.shape[2:]
    if flow.shape != (len(maps), 2, height, width):
        raise ValueError(f"flow {tuple(flow.shape)} for maps {tuple(maps.shape)}")
    # positions in float32 at least: in bfloat16 whole pixels end at 256
    exact = torch.promote_types(flow.dtype, torch.float32)
    x = flow[:, 0].to(exact) + torch.arange(width, device=flow.device)
    y = flow[:, 1].to(exact) + torch.arange(height, device=flow.device)[:, None]
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], 3)
    sampled = F.grid_sample(maps.to(exact), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled.to(maps.dtype)

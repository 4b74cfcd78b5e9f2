"""The generator of Figure 4 (SRResNet)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from repro.nn.cpu_kernels import FewOutputsConv2d, SharedPReLU, ShuffledConv2d


def _prelu(channels: int, sharing: Literal["layer", "channel"]) -> nn.PReLU:
    return nn.PReLU(channels) if sharing == "channel" else SharedPReLU()


class ResidualBlock(nn.Module):
    """conv k3n64, BN, PReLU, conv k3n64, BN, plus its input (N, 64, H, W)."""

    def __init__(self, channels: int, prelu: Literal["layer", "channel"]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.prelu = _prelu(channels, prelu)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bn2(self.conv2(self.prelu(self.bn1(self.conv1(x)))))


class UpsampleBlock(nn.Module):
    """conv k3n256, PixelShuffle x2, PReLU: (N, 64, H, W) to (N, 64, 2 H, 2 W)."""

    def __init__(self, channels: int, prelu: Literal["layer", "channel"]) -> None:
        super().__init__()
        self.conv = ShuffledConv2d(channels, channels)
        self.prelu = _prelu(channels, prelu)

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.conv(x))


class Generator(nn.Module):
    """G of Figure 4: (N, 3, h, w) in [0, 1] to (N, 3, 4 h, 4 w), trained towards [-1, 1], not clipped.

    Args:
        residual_blocks: B of the paper, 16; 0 or more.
        long_skip: the sum with the first activation after the residual blocks (supplement, section 4).
        prelu: one slope a layer (1,549,462 parameters at B = 16) or a channel (1,550,659).
    """

    def __init__(
        self,
        residual_blocks: int = 16,
        long_skip: bool = True,
        prelu: Literal["layer", "channel"] = "layer",
        channels: int = 64,
    ) -> None:
        super().__init__()
        self.long_skip = long_skip
        self.head = nn.Conv2d(3, channels, 9, padding=4)
        self.head_prelu = _prelu(channels, prelu)
        self.blocks = nn.Sequential(*(ResidualBlock(channels, prelu) for _ in range(residual_blocks)))
        self.body = nn.Conv2d(channels, channels, 3, padding=1)
        self.body_bn = nn.BatchNorm2d(channels)
        self.upsample = nn.Sequential(UpsampleBlock(channels, prelu), UpsampleBlock(channels, prelu))
        self.tail = FewOutputsConv2d(channels, 3, 9)

    def forward(self, lr_01: Tensor) -> Tensor:
        first = self.head_prelu(self.head(lr_01))
        deep = self.body_bn(self.body(self.blocks(first)))
        if self.long_skip:
            deep = deep + first
        return self.tail(self.upsample(deep))


def receptive_radius(residual_blocks: int) -> int:
    """How many LR pixels around a pixel its x4 output depends on (a tile's margin for no seam at all)."""
    at_lr = 4 + 2 * residual_blocks + 1 + 1  # head 9x9, blocks, body, first upsampling conv
    return at_lr + 1 + 1  # second conv at x2 (1/2 pixel) and tail 9x9 at x4 (1 pixel), rounded up


@torch.no_grad()
def count_parameters(module: nn.Module) -> int:
    """The number of trainable values."""
    return sum(p.numel() for p in module.parameters())

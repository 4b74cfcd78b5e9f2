"""RRDBNet, the generator of ESRGAN (Wang et al., ECCVW 2018, Section 3.1), in BasicSR's names."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.nn.initialise_he import framework_default, he_normal

RESIDUAL_SCALE = 0.2
"""beta of Section 3.1: what is added to an identity path is scaled by it."""

_SLOPE = 0.2


class DenseBlock(nn.Module):
    """Five convolutions, each fed with all before it and the input; 0.2 times the last, plus the input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, growth, 3, padding=1)
        self.conv2 = nn.Conv2d(channels + growth, growth, 3, padding=1)
        self.conv3 = nn.Conv2d(channels + 2 * growth, growth, 3, padding=1)
        self.conv4 = nn.Conv2d(channels + 3 * growth, growth, 3, padding=1)
        self.conv5 = nn.Conv2d(channels + 4 * growth, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        grown = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            grown = torch.cat((grown, F.leaky_relu(conv(grown), _SLOPE)), 1)
        return x + RESIDUAL_SCALE * self.conv5(grown)


class RRDB(nn.Module):
    """Residual in residual dense block: three dense blocks in sequence, scaled by 0.2, plus the input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(channels, growth)
        self.rdb2 = DenseBlock(channels, growth)
        self.rdb3 = DenseBlock(channels, growth)

    def forward(self, x: Tensor) -> Tensor:
        return x + RESIDUAL_SCALE * self.rdb3(self.rdb2(self.rdb1(x)))


class RRDBNet(nn.Module):
    """(N, 3, h, w) RGB in [0, 1] to (N, 3, s h, s w) in [0, 1], not clipped; 16,697,987 parameters at x4.

    At x2 and x1 it is the x4 network behind a pixel-unshuffle by 2 or 4 (Real-ESRGAN); sides that are no
    multiples of 2 or 4 are continued by reflection, and the result is cut back.

    Args:
        blocks: RRDBs; the paper's is 23.
        channels: 64.
        growth: channels that each convolution of a dense block adds; 32.
        scale: 4, 2 or 1.
    """

    def __init__(self, blocks: int = 23, channels: int = 64, growth: int = 32, scale: int = 4) -> None:
        super().__init__()
        if scale not in (1, 2, 4):
            raise ValueError(f"RRDBNet at scale {scale}")
        self.unshuffle = 4 // scale
        self.conv_first = nn.Conv2d(3 * self.unshuffle**2, channels, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(channels, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_up1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_up2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_hr = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_last = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, lr_01: Tensor) -> Tensor:
        height, width = lr_01.shape[-2:]
        if self.unshuffle > 1:
            more = -width % self.unshuffle, -height % self.unshuffle
            if any(more):
                mode = "reflect" if min(height, width) > max(more) else "replicate"
                lr_01 = F.pad(lr_01, (0, more[0], 0, more[1]), mode)
            lr_01 = F.pixel_unshuffle(lr_01, self.unshuffle)
        first = self.conv_first(lr_01)
        x = first + self.conv_body(self.body(first))
        for conv in (self.conv_up1, self.conv_up2):
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=2, mode="nearest")), _SLOPE)
        scale = 4 // self.unshuffle
        return self.conv_last(F.leaky_relu(self.conv_hr(x), _SLOPE))[..., : scale * height, : scale * width]

    @property
    def radius(self) -> int:
        """LR pixels around a pixel that its result depends on, rounded up."""
        inner = 1 + 15 * len(self.body) + 1  # at the body's resolution
        return (inner + 2) * self.unshuffle  # the four last convolutions: 1/2 + 3/4 of its pixels

    def initialise(self, seed: int, name: str) -> None:
        """As the authors' code: the dense blocks by He times 0.1, all other layers the framework's own."""
        framework_default(self, seed, name)
        for child_name, child in self.body.named_modules(prefix="body"):
            if isinstance(child, nn.Conv2d):
                he_normal(child, 0.1, seed, name, child_name)

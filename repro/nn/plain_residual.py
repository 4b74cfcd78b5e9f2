"""SRResNet without batch norm in its two forms: MSRResNet of BasicSR, and RankSRGAN's generator."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from repro.nn.initialise_he import framework_default, he_normal


class ResidualBlock(nn.Module):
    """conv3, ReLU, conv3, plus its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(x)))


class _PlainResidualNet(nn.Module):
    """What both forms have: the layers, and pixel-shuffle upsampling (once for x2 and x3, twice for x4)."""

    def __init__(self, blocks: int, channels: int, scale: int) -> None:
        super().__init__()
        if scale not in (2, 3, 4):
            raise ValueError(f"{type(self).__name__} at scale {scale}")
        self.scale = scale
        self.step = 2 if scale == 4 else scale
        self.conv_first = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.upconv1 = nn.Conv2d(channels, channels * self.step**2, 3, padding=1)
        self.shuffle1 = nn.PixelShuffle(self.step)
        if scale == 4:
            self.upconv2 = nn.Conv2d(channels, channels * self.step**2, 3, padding=1)
            self.shuffle2 = nn.PixelShuffle(self.step)
        self.conv_hr = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_last = nn.Conv2d(channels, 3, 3, padding=1)

    def _enlarged(self, x: Tensor, slope: float) -> Tensor:
        """Features (N, C, h, w) at the resolution of the result, by sub-pixel convolutions."""
        x = F.leaky_relu(self.shuffle1(self.upconv1(x)), slope)
        return F.leaky_relu(self.shuffle2(self.upconv2(x)), slope) if self.scale == 4 else x

    @property
    def radius(self) -> int:
        """LR pixels around a pixel that its result depends on, rounded up."""
        return 1 + 2 * len(self.body) + 1 + 1 + 2  # first, blocks, (body), first upsampling, the rest: < 2

    def initialise(self, seed: int, name: str) -> None:
        """The authors' code: every convolution by He times 0.1."""
        for child_name, child in self.named_modules():
            if isinstance(child, nn.Conv2d):
                he_normal(child, 0.1, seed, name, child_name)


class MSRResNet(_PlainResidualNet):
    """(N, 3, h, w) in [0, 1] to (N, 3, s h, s w) in [0, 1], not clipped; 1,517,571 parameters at x4.

    No long skip; the bilinearly enlarged input is added to the result. Leaky ReLU of slope 0.1 outside the
    blocks, ReLU inside.
    """

    def __init__(self, blocks: int = 16, channels: int = 64, scale: int = 4) -> None:
        super().__init__(blocks, channels, scale)

    def forward(self, lr_01: Tensor) -> Tensor:
        x = self._enlarged(self.body(F.leaky_relu(self.conv_first(lr_01), 0.1)), 0.1)
        base = F.interpolate(lr_01, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return self.conv_last(F.leaky_relu(self.conv_hr(x), 0.1)) + base


class RankSRGANGenerator(_PlainResidualNet):
    """(N, 3, h, w) in [0, 1] to (N, 3, s h, s w) in [0, 1], not clipped; 1,554,499 parameters at x4.

    SRResNet's long skip around the blocks, ReLU throughout, no activation after the first convolution.
    """

    def __init__(self, blocks: int = 16, channels: int = 64, scale: int = 4) -> None:
        super().__init__(blocks, channels, scale)
        self.conv_body = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, lr_01: Tensor) -> Tensor:
        first = self.conv_first(lr_01)
        x = self._enlarged(first + self.conv_body(self.body(first)), 0.0)
        return self.conv_last(F.relu(self.conv_hr(x)))

    def initialise(self, seed: int, name: str) -> None:
        """As above, but for the convolution after the blocks, which keeps the framework's own."""
        super().initialise(seed, name)
        framework_default(self.conv_body, seed, f"{name}.conv_body")

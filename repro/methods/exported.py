"""Networks as other programs run them."""

from __future__ import annotations

from torch import Tensor, nn

from repro.imaging.ranges import pm1_to_01
from repro.methods.base import Method


class RGBInRGBOut(nn.Module):
    """(N, 3, s h, s w) in [0, 1], clipped, from (N, 3, h, w) in [0, 1]."""

    def __init__(self, method: Method, network: nn.Module, scale: float) -> None:
        super().__init__()
        self.method = method
        self.generator = network
        self.scale = scale

    def forward(self, lr_01: Tensor) -> Tensor:
        return pm1_to_01(self.method.infer(self.generator, lr_01, self.scale)).clamp(0, 1)

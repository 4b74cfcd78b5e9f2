"""The range of SRFBN, SAN and Meta-SR: grey levels 0..255, less the mean colour of DIV2K."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from repro.nn.precision import full_precision, wide

RGB_MEAN = (0.4488, 0.4371, 0.4040)
"""Of DIV2K's training images, in [0, 1]."""

LEVELS = 255
HALF = LEVELS / 2
"""Grey levels in one unit of [-1, 1]."""


def mean_levels() -> Tensor:
    """(3,) float32: the mean in grey levels."""
    return LEVELS * torch.tensor(RGB_MEAN)


def levels_to_pm1(image: Tensor) -> Tensor:
    """[-1, 1] from grey levels, not clipped."""
    return image / HALF - 1


def l1_levels(sr_pm1: Tensor, hr_pm1: Tensor) -> Tensor:
    """Mean absolute difference in grey levels, the unit in which the three papers' losses are computed."""
    return (wide(sr_pm1) - wide(hr_pm1)).abs().mean() * HALF


class MeanShift(nn.Conv2d):
    """A 1 x 1 convolution that starts as ``x + sign * mean`` on (N, 3, H, W) in grey levels.

    The authors' code of SAN and Meta-SR means to freeze it and does not, so it is trained. Never in half
    precision, which has two grey levels a step from 256 and one from 128.
    """

    def __init__(self, sign: int) -> None:
        super().__init__(3, 3, 1)
        self.sign = sign
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """The values that it starts with."""
        assert self.bias is not None
        self.weight.copy_(torch.eye(3).view(3, 3, 1, 1))
        self.bias.copy_(self.sign * mean_levels())

    def forward(self, x: Tensor) -> Tensor:
        with full_precision(x):
            return super().forward(wide(x))

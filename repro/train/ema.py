"""The generator's exponential moving average."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def averaged(module: nn.Module) -> list[Tensor]:
    """What is averaged: parameters, and running statistics."""
    return [*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())]


def decay_at(decay: float, k: int) -> float:
    """The decay after update ``k``: at most (1 + k) / (10 + k).

    So the average is over the last tenth of a young run, and the start has no share in it for long.
    """
    return min(decay, (1 + k) / (10 + k))


@torch.no_grad()
def update_average(average: nn.Module, generator: nn.Module, decay: float) -> None:
    """Moves the averaged weights and running statistics a step of 1 - decay towards the generator's."""
    torch._foreach_lerp_(averaged(average), averaged(generator), 1 - decay)

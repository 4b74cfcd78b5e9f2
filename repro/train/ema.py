"""The generator's exponential moving average."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


def averaged(module: nn.Module) -> list[Tensor]:
    """What is averaged: parameters, and running statistics."""
    return [*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())]


@torch.no_grad()
def update_average(average: nn.Module, generator: nn.Module, decay: float) -> None:
    """Moves the averaged weights and running statistics a step of 1 - decay towards the generator's."""
    torch._foreach_lerp_(averaged(average), averaged(generator), 1 - decay)


@torch.no_grad()
def unbiased_average(average: nn.Module, start: nn.Module, decay: float, updates: int) -> nn.Module:
    """The average without the weight ``decay ** updates`` that its starting point still has in it.

    The same correction as Adam's moments have (Kingma and Ba, Section 3): with a decay of 0.999 the random
    weights of the start would make up a third of the average after 1,000 updates.
    """
    share = decay**updates
    if share == 1:
        return average
    out = copy.deepcopy(average)
    for value, first in zip(averaged(out), averaged(start), strict=True):
        value.copy_((value.double() - share * first.double()) / (1 - share))
    for module in out.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
            module.running_var.clamp_(min=0)  # after few updates rounding could leave less
    return out

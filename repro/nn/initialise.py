"""Initial weights, from a named stream: the paper does not give them, so the choice is declared here."""

from __future__ import annotations

import torch
from torch import nn

from repro.core.streams import stream_key


def torch_generator(seed: int, *names: str | int) -> torch.Generator:
    """A CPU generator for the named stream (63 bits of its key, which is what torch takes)."""
    return torch.Generator().manual_seed(stream_key(seed, *names) & (2**63 - 1))


@torch.no_grad()
def initialise(module: nn.Module, seed: int, name: str) -> None:
    """Initialises ``module`` in place; the values depend on (seed, name, parameter name) alone."""
    for child_name, child in module.named_modules():
        if isinstance(child, nn.Conv2d | nn.Linear):
            generator = torch_generator(seed, "init", name, child_name)
            nn.init.xavier_uniform_(child.weight, generator=generator)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
        elif isinstance(child, nn.BatchNorm2d):
            child.reset_parameters()
        elif isinstance(child, nn.PReLU):
            nn.init.constant_(child.weight, 0.25)

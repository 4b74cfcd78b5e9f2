"""Initial weights from named streams: the framework's own, and He's scaled down."""

from __future__ import annotations

import math

import torch
from torch import nn

from repro.nn.initialise import torch_generator

WeightedLayer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


@torch.no_grad()
def framework_default(module: nn.Module, seed: int, name: str) -> None:
    """PyTorch's defaults, in place: weights and biases uniform within 1 / sqrt(fan-in), norms at identity.

    Values depend on (seed, name, layer's name) alone.
    """
    for child_name, child in module.named_modules():
        if isinstance(child, WeightedLayer):
            generator = torch_generator(seed, "init", name, child_name)
            bound = 1 / math.sqrt(math.prod(child.weight.shape[1:]))
            for values in (child.weight, child.bias):
                if values is not None:
                    values.uniform_(-bound, bound, generator=generator)
        elif isinstance(child, nn.BatchNorm2d):
            child.reset_parameters()


@torch.no_grad()
def he_normal(layer: WeightedLayer, factor: float, seed: int, *names: str) -> None:
    """He et al.'s normal weights (fan-in, gain sqrt 2) times ``factor``, and zero biases, in place.

    Wang et al. 2018 (ESRGAN, Section 3.1) scale down for deep networks without batch norm; their code by 0.1
    """
    deviation = math.sqrt(2 / math.prod(layer.weight.shape[1:])) * factor
    layer.weight.normal_(0, deviation, generator=torch_generator(seed, "init", *names))
    if layer.bias is not None:
        layer.bias.zero_()

"""Batch norm folded into the convolution before it: the same function at test time, with less work."""

from __future__ import annotations

import copy

import torch
from torch import nn

from repro.methods.generator import Generator, ResidualBlock


def fold_batch_norm(conv: nn.Module, norm: nn.Module) -> nn.Conv2d:
    """One convolution that does what ``conv`` and then ``norm`` (with running statistics) do.

    Computed in float64 and rounded once, so the result differs by rounding only.
    """
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    bias = conv.bias.double() if conv.bias is not None else torch.zeros_like(scale)
    folded = copy.deepcopy(conv)
    weight = conv.weight.double() * scale.view(-1, 1, 1, 1)
    folded.weight = nn.Parameter(weight.to(conv.weight.dtype), requires_grad=False)
    shift = (bias - norm.running_mean.double()) * scale + norm.bias.double()
    folded.bias = nn.Parameter(shift.to(conv.weight.dtype), requires_grad=False)
    return folded


@torch.no_grad()
def folded(generator: Generator) -> Generator:
    """A copy of the generator for test time, without batch norm layers."""
    copied = copy.deepcopy(generator).eval().requires_grad_(False)
    for block in copied.blocks:
        assert isinstance(block, ResidualBlock)
        block.conv1 = fold_batch_norm(block.conv1, block.bn1)
        block.conv2 = fold_batch_norm(block.conv2, block.bn2)
        block.bn1 = nn.Identity()  # type: ignore[assignment]
        block.bn2 = nn.Identity()  # type: ignore[assignment]
    copied.body = fold_batch_norm(copied.body, copied.body_bn)
    copied.body_bn = nn.Identity()  # type: ignore[assignment]
    return copied

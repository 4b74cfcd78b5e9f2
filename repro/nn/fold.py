"""Batch norm folded into the convolution before it: the same function at test time, with less work."""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import nn


def fold_batch_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution that does what ``conv`` and then ``norm`` (with running statistics) do.

    Computed in float64 and rounded once, so the result differs by rounding only.
    """
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
def folded(network: nn.Module) -> nn.Module:
    """A copy of a network for test time, without the batch norms that follow a convolution.

    A batch norm that comes next after a convolution among the children of the same module is applied to it.
    """
    copied = copy.deepcopy(network).eval().requires_grad_(False)
    for parent in list(copied.modules()):
        children = list(parent.named_children())
        for (name, child), (after, following) in pairwise(children):
            if isinstance(child, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                setattr(parent, name, fold_batch_norm(child, following))
                setattr(parent, after, nn.Identity())
    return copied

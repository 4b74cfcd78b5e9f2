"""Covariance of feature maps and its square root by Newton and Schulz's iteration (Li et al., CVPR 2018).

Both want float32 at least: in half precision a covariance loses rank and the iteration diverges.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

ITERATIONS = 5
"""Products with a correction: one that starts the iteration, three, and one that ends it."""


def covariance(x: Tensor) -> Tensor:
    """(N, C, C): channels' covariance over the positions of (N, C, H, W), divided by their number."""
    values = x.flatten(2)
    centred = values - values.mean(2, keepdim=True)
    return centred @ centred.mT / values.shape[2]


class _NewtonSchulz(torch.autograd.Function):
    """The square root of matrices (N, C, C) whose trace is 1; symmetric, at least positive semidefinite.

    Y tends to the root and Z to its inverse. With its own backward pass: what autograd would give, keeping
    Y and Z of each iteration alone.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        three = 3 * torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
        z = (three - a) / 2
        y = a @ z
        saved = [a, y, z]
        for _ in range(ITERATIONS - 2):
            t = (three - z @ y) / 2
            y, z = y @ t, t @ z
            saved += [y, z]
        ctx.save_for_backward(*saved)
        return y @ (three - z @ y) / 2

    @staticmethod
    def backward(ctx: Any, of_root: Tensor) -> Tensor:
        a, *pairs = ctx.saved_tensors
        three = 3 * torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
        y, z = pairs[-2:]
        of_y = (of_root @ (three - z @ y).mT - (y @ z).mT @ of_root) / 2
        of_z = -y.mT @ of_root @ y.mT / 2
        for position in range(len(pairs) - 4, -1, -2):
            y, z = pairs[position : position + 2]
            t = (three - z @ y) / 2
            of_t = y.mT @ of_y + of_z @ z.mT
            of_y, of_z = of_y @ t.mT - z.mT @ of_t / 2, t.mT @ of_z - of_t @ y.mT / 2
        return of_y @ pairs[1].mT - (a.mT @ of_y + of_z) / 2


def square_root(matrices: Tensor) -> Tensor:
    """(N, C, C): the square roots of covariances, by :data:`ITERATIONS` iterations from A / tr A.

    Exact to the iteration's convergence only, as the method means it; a zero matrix has the root zero.
    """
    trace = matrices.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    trace = trace.clamp_min(torch.finfo(matrices.dtype).tiny)  # an image of one pixel varies in no channel
    root: Tensor = _NewtonSchulz.apply(matrices / trace)
    return root * trace.sqrt()

"""SRNTT's losses as functions (Zhang et al., CVPR 2019, Section 3.3): texture, and the critic of WGAN-GP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor


def gram(features: Tensor) -> Tensor:
    """(N, C, C) sums over the positions of products of (N, C, h, w) features."""
    flat = features.flatten(2).float()
    return flat @ flat.transpose(1, 2)


def texture(
    phi_sr: Sequence[Tensor],
    maps: Sequence[Tensor],
    weights: Sequence[Tensor],
    norm: Literal["frobenius", "squared"],
) -> Tensor:
    """L_tex: the distance of the result's Gram matrices from the swapped maps', level by level.

    Args:
        phi_sr: (N, C_l, h_l, w_l) features of the result.
        maps: the swapped features, likewise.
        weights: (N, 1, h_l, w_l) by which both are multiplied: where the reference fits, its texture counts.
        norm: ``squared``, the authors' code: the mean square over 4 (h w C)^2, averaged over levels;
            ``frobenius``, Equation 6: the length, summed over levels, each over 2 h w C^2 (the paper leaves
            the factor open; with this one a level's value is the root of the code's).
    """
    total = phi_sr[0].new_zeros((), dtype=torch.float32)
    for phi, swapped, weight in zip(phi_sr, maps, weights, strict=True):
        difference = gram(phi * weight) - gram(swapped * weight)
        size = phi[0].numel()
        if norm == "squared":
            total = total + difference.square().mean() / (4 * size**2 * len(phi_sr))
        else:  # the floor keeps the derivative finite where both are the same
            total = total + difference.square().sum((1, 2)).add(1e-8).sqrt().mean() / (
                2 * size * phi.shape[1]
            )
    return total


def code_weights(similarity: Tensor) -> Tensor:
    """The weights of the authors' code: sigmoid(0.65 - 20 s), so what fits well hardly counts."""
    return torch.sigmoid(0.65 - 20 * similarity)


def enlarged(maps: Tensor, factor: int) -> Tensor:
    """(N, 1, factor h, factor w) from (N, 1, h, w), by TensorFlow 1's bicubic interpolation.

    Position i is at i / factor, without half a pixel; cubic convolution with a = -0.75; border repeated.
    """
    for axis in (2, 3):
        length = maps.shape[axis]
        out = torch.arange(length * factor, device=maps.device)
        share = (out % factor).to(maps.dtype) / factor
        shape = [-1 if a == axis else 1 for a in range(4)]
        total = torch.zeros(())
        for tap in (-1, 0, 1, 2):
            value = maps.index_select(axis, (out // factor + tap).clamp(0, length - 1))
            total = total.to(value) + value * _cubic((share - tap).abs()).view(shape)
        maps = total
    return maps


def _cubic(x: Tensor, a: float = -0.75) -> Tensor:
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0))


def wasserstein_discriminator(logits_hr: Tensor, logits_sr: Tensor) -> Tensor:
    """E[D(SR)] - E[D(HR)], to be minimised by D."""
    return logits_sr.float().mean() - logits_hr.float().mean()


def wasserstein_generator(logits_sr: Tensor) -> Tensor:
    """L_adv = -E[D(SR)], to be minimised by G."""
    return -logits_sr.float().mean()


def gradient_penalty(
    discriminate: Callable[[Tensor], Tensor],
    hr: Tensor,
    sr: Tensor,
    alpha: Tensor,
    of: Literal["image", "pixel"],
) -> Tensor:
    """E[(|gradient of D| - 1)^2] at points between HR and SR (Gulrajani et al., NeurIPS 2017).

    Args:
        discriminate: D.
        hr, sr: (N, 3, H, W).
        alpha: (N,) in [0, 1): the share of the way from SR to HR.
        of: what the length is of: the whole ``image``'s gradient, as the paper of WGAN-GP has it, or each
            ``pixel``'s three channels, as SRNTT's code does.
    """
    between = (sr + alpha.view(-1, 1, 1, 1) * (hr - sr)).detach().requires_grad_()
    (slope,) = torch.autograd.grad(discriminate(between).sum(), between, create_graph=True)
    squares = slope.float().square().sum(1 if of == "pixel" else (1, 2, 3))
    return (squares.add(1e-12).sqrt() - 1).square().mean()

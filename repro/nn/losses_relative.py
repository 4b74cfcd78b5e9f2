"""Losses of the perceptual line after SRGAN as pure functions: relativistic GAN, ranking, masked features.

Logits and scores are (N, 1), features (N, C, h, w). Every function gives a scalar float32 tensor (float64 for
float64 arguments). D_Ra(a, b) = sigmoid(D(a) - E[D(b)]); -log sigmoid(t) = softplus(-t).
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from repro.nn.precision import wide

Relativistic = Literal["paper", "basicsr", "mmsr"]
"""Whose formulas: ``paper`` sums the two expectations (equations 1 and 2 of Wang et al. 2018) and sends
gradients through the means; ``basicsr`` halves both losses and lets no gradient of D's through the means;
``mmsr`` halves both and sends gradients through the means."""


def relativistic_generator(logits_hr: Tensor, logits_sr: Tensor, form: Relativistic = "paper") -> Tensor:
    """Equation 2: -E log(1 - D_Ra(x_r, x_f)) - E log D_Ra(x_f, x_r), without gradient for ``logits_hr``."""
    r, f = wide(logits_hr.detach()), wide(logits_sr)
    loss = F.softplus(r - f.mean()).mean() + F.softplus(r.mean() - f).mean()
    return loss if form == "paper" else loss / 2


def relativistic_discriminator(logits_hr: Tensor, logits_sr: Tensor, form: Relativistic = "paper") -> Tensor:
    """Equation 1: -E log D_Ra(x_r, x_f) - E log(1 - D_Ra(x_f, x_r)).

    BasicSR runs D a second time on SR for the second expectation; weights and batch are the same, so that the
    values and gradients are those of one run with the means detached.
    """
    r, f = wide(logits_hr), wide(logits_sr)
    mean_r, mean_f = r.mean(), f.mean()
    if form == "basicsr":
        mean_r, mean_f = mean_r.detach(), mean_f.detach()
    loss = F.softplus(mean_f - r).mean() + F.softplus(f - mean_r).mean()
    return loss if form == "paper" else loss / 2


def l1(a: Tensor, b: Tensor) -> Tensor:
    """The mean absolute difference, over all elements."""
    return (wide(a) - wide(b)).abs().mean()


def margin_ranking(
    scores_1: Tensor, scores_2: Tensor, worse_1: Tensor, margin: float, bound: float
) -> Tensor:
    """E max(0, margin - label (s1 - s2)), scores clamped to [-bound, bound] (Zhang et al. 2019, Section 3.3).

    Args:
        worse_1: label: +1 where the first image's quality index (NIQE, lower is better) is at least the
            second's, so that its score is to be the higher one; -1 elsewhere.
        margin: epsilon, 0.5.
        bound: 5; scores beyond it get no gradient.
    """
    s1, s2 = wide(scores_1).clamp(-bound, bound), wide(scores_2).clamp(-bound, bound)
    return F.relu(margin - worse_1 * (s1 - s2)).mean()


def rank_content(scores: Tensor, bias: float = 0.0) -> Tensor:
    """sigmoid(R(SR) - bias), summed over the batch, as the authors' code does."""
    return wide(scores - bias).sigmoid().sum()


def masked_square(phi_sr: Tensor, phi_hr: Tensor, mask: Tensor) -> Tensor:
    """The squared distance of features within a region, a mean over all positions and channels.

    With one tap for all regions the terms of the three regions add up to the unmasked loss.

    Args:
        mask: (N, H, W) in [0, 1], of the images; averaged down to the features' resolution.
    """
    weight = F.adaptive_avg_pool2d(wide(mask)[:, None], (phi_sr.shape[-2], phi_sr.shape[-1]))
    return (weight * (wide(phi_sr) - wide(phi_hr)).square()).mean()

"""Equations 2 to 6 of the paper as pure functions.

Images are (N, 3, H, W) in [-1, 1] (``_pm1``), features (N, C, h, w), logits (N, 1). Every function gives
a scalar float32 tensor, whatever the precision of its arguments.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from repro.imaging.resize_torch import inner_lr


def content_mse(sr_pm1: Tensor, hr_pm1: Tensor) -> Tensor:
    """Equation 4: the pixel-wise mean squared error."""
    return (sr_pm1.float() - hr_pm1.float()).square().mean()


def content_vgg(phi_sr: Tensor, phi_hr: Tensor) -> Tensor:
    """Equation 5: the mean squared distance of VGG-19 feature maps.

    The maps come normalised to unit mean activation and rescaled by 1/12.75 (Section 2.2.1); that is done
    where they are made, in :class:`repro.nn.vgg.VGGFeatures`. The mean is over channels and positions.
    """
    return (phi_sr.float() - phi_hr.float()).square().mean()


def adversarial(logits_sr: Tensor) -> Tensor:
    """Equation 6: -log D(G(x)), a mean over the batch, from logits: -log sigmoid(t) = softplus(-t)."""
    return F.softplus(-logits_sr.float()).mean()


def discriminator(logits_hr: Tensor, logits_sr: Tensor) -> Tensor:
    """Equation 2 for D, to be minimised: -log D(y) - log(1 - D(G(x))), a mean over the batch."""
    return F.softplus(-logits_hr.float()).mean() + F.softplus(logits_sr.float()).mean()


def lr_consistency(sr_pm1: Tensor, lr_01: Tensor, scale: int) -> Tensor:
    """The mean squared error of down(SR) against the LR image, in the units of :func:`content_mse`.

    Of no paper's SRGAN: VGG features hardly see colour and contrast, and an adversary rewards more detail for
    less contrast; this holds the low frequencies in place. Two LR pixels a side are left out.
    """
    lr = lr_01[:, :, 2:-2, 2:-2].float() * 2 - 1
    return (inner_lr(sr_pm1.float(), scale) - lr).square().mean()


def grid(sr_pm1: Tensor, hr_pm1: Tensor, scale: int) -> Tensor:
    """The square of the mean error at each place of a scale x scale cell, the mean over all places aside.

    Of no paper's SRGAN: the same few pixels in every cell are the cheapest detail that a network with pixel
    shuffling can make, and VGG features and adversary take it for detail at first. Texture has no mean there.
    A mean over images, channels and places, in the units of :func:`content_mse`.
    """
    error = sr_pm1.float() - hr_pm1.float()
    count, channels, height, width = error.shape
    cells = error.reshape(count, channels, height // scale, scale, width // scale, scale).mean((2, 4))
    return (cells - cells.mean((2, 3), keepdim=True)).square().mean()


def total_variation(sr_pm1: Tensor) -> Tensor:
    """The regulariser of SRResNet-VGG22: the sum over positions of the length of the image gradient.

    Forward differences, the three channels' gradients taken as one vector; a mean over the batch. A floor of
    1e-8 under the root keeps the derivative finite where the image is flat. The paper gives a weight, 2e-8,
    and no formula. With a mean over positions that term would be a ten-millionth of the content loss, which
    float32 cannot even add; with the sum, as total variation is defined, it is a hundredth of it where the
    image is noisy.
    """
    sr = sr_pm1.float()
    dx = sr[:, :, :-1, 1:] - sr[:, :, :-1, :-1]
    dy = sr[:, :, 1:, :-1] - sr[:, :, :-1, :-1]
    return (dx.square() + dy.square()).sum(1).add(1e-8).sqrt().sum((1, 2)).mean()

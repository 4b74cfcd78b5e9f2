"""Equations 2 to 6, by hand, and their gradients."""

import math

import pytest
import torch

from repro.imaging.resize_torch import lr_from_windows
from repro.nn import losses


def test_by_hand() -> None:
    assert losses.content_mse(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0])).item() == 2.5
    assert losses.content_vgg(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0])).item() == 2.5
    zero = torch.zeros(4, 1)
    assert losses.adversarial(zero).item() == pytest.approx(math.log(2))
    assert losses.discriminator(zero, zero).item() == pytest.approx(2 * math.log(2))


def test_no_overflow_on_confident_logits() -> None:
    for logit in (-1e4, 1e4):
        t = torch.full((2, 1), logit)
        assert torch.isfinite(losses.adversarial(t))
        assert torch.isfinite(losses.discriminator(t, t))
    assert losses.adversarial(torch.tensor([[-1e4]])).item() == pytest.approx(1e4)  # not saturated


def test_total_variation() -> None:
    flat = torch.full((1, 3, 4, 4), 0.3)
    assert losses.total_variation(flat).item() == pytest.approx(9e-4)  # the floor under the root
    ramp = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 3, 4, 4)
    assert losses.total_variation(ramp).item() == pytest.approx(9 * math.sqrt(3), rel=1e-5)
    both = torch.cat([flat, ramp])
    assert losses.total_variation(both).item() == pytest.approx(4.5e-4 + 4.5 * math.sqrt(3), rel=1e-5)
    flat.requires_grad_(True)
    losses.total_variation(flat).backward()
    assert torch.isfinite(flat.grad).all()


def test_float32_whatever_comes() -> None:
    half = torch.rand(2, 3, 4, 4).bfloat16()
    for value in (
        losses.content_mse(half, half),
        losses.content_vgg(half, half),
        losses.total_variation(half),
        losses.adversarial(half[:, :1, 0, 0]),
    ):
        assert value.dtype == torch.float32


def test_signs() -> None:
    """D's loss falls when it tells HR from SR; G's falls when it fools D."""
    good = losses.discriminator(torch.tensor([[3.0]]), torch.tensor([[-3.0]]))
    bad = losses.discriminator(torch.tensor([[-3.0]]), torch.tensor([[3.0]]))
    assert good < bad
    assert losses.adversarial(torch.tensor([[3.0]])) < losses.adversarial(torch.tensor([[-3.0]]))


def test_consistency_sees_colour_and_not_detail() -> None:
    torch.manual_seed(0)
    windows = torch.randint(0, 256, (2, 3, 64 + 16, 64 + 16)).float()
    lr_01 = lr_from_windows(windows) / 255
    sr_pm1 = (windows[:, :, 8:-8, 8:-8] / 127.5 - 1).requires_grad_()
    exact = losses.lr_consistency(sr_pm1, lr_01, 4)
    assert exact.item() < 1e-5  # LR is rounded after each axis
    shifted = losses.lr_consistency(sr_pm1 + 0.1, lr_01, 4)
    assert shifted.item() == pytest.approx(0.01, rel=0.05)
    sign = torch.tensor([1.0, -1.0]).repeat(32)
    board = sign[:, None] * sign
    finest = losses.lr_consistency(sr_pm1 + 0.1 * board, lr_01, 4)
    assert finest.item() < 1e-4  # a board of single pixels is gone at a quarter of the size
    (gradient,) = torch.autograd.grad(shifted, sr_pm1)
    assert torch.isfinite(gradient).all()
    assert gradient.sum() > 0


def test_a_grid_costs_and_texture_does_not() -> None:
    torch.manual_seed(0)
    hr = torch.rand(2, 3, 96, 96) * 2 - 1
    cell = torch.zeros(4, 4)
    cell[1, 2], cell[3, 0] = 0.1, -0.1
    pattern = cell.repeat(24, 24)
    assert losses.grid(hr + pattern, hr, 4).item() == pytest.approx(0.01 / 8)
    assert losses.grid(hr + 0.3, hr, 4).item() == pytest.approx(0, abs=1e-9)
    texture = pattern.flatten()[torch.randperm(96 * 96)].view(96, 96)
    assert losses.grid(hr + texture, hr, 4).item() < 0.02 * 0.01 / 8

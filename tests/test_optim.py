"""Muon against a plain loop, which parameters it takes, and the start as an interpolation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from train_helpers import host_batches, tiny_config, tiny_step

from repro.core.errors import UserError
from repro.data.benchmarks import load_dataset
from repro.data.packed import pack
from repro.data.training import training_images
from repro.imaging.ranges import hwc_to_nchw, u8_to_01
from repro.imaging.resize import imresize_u8
from repro.methods import method
from repro.methods.config import OptimiserSettings
from repro.methods.srgan import Generator
from repro.methods.variants import configure
from repro.metrics.score import score_pair
from repro.train.optim import Muon, make_optimisers, orthogonalised
from repro.train.schedule import learning_rate

CPU = torch.device("cpu")


def plain_muon(
    weights: list[Tensor], gradients: list[list[Tensor]], rate: float, momentum: float
) -> list[Tensor]:
    """One kernel at a time, as the formula reads: Nesterov momentum, Newton-Schulz, Adam's size."""
    out = []
    for weight, series in zip(weights, gradients, strict=True):
        buffer = torch.zeros_like(weight)
        for gradient in series:
            buffer = momentum * buffer + (1 - momentum) * gradient
            x = (momentum * buffer + (1 - momentum) * gradient).flatten(1)
            turned = x.shape[0] > x.shape[1]
            x = x.T if turned else x
            x = x / (x.square().sum().sqrt() + 1e-7)
            for _ in range(5):
                a = x @ x.T
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            x = x.T if turned else x
            weight = weight - rate * 0.2 * max(x.shape) ** 0.5 * x.reshape(weight.shape)
        out.append(weight)
    return out


def test_muon_is_the_plain_loop() -> None:
    torch.manual_seed(0)
    shapes = [(8, 4, 3, 3), (8, 4, 3, 3), (64, 2, 3, 3)]
    weights = [torch.randn(*shape, dtype=torch.float64) for shape in shapes]
    gradients = [[torch.randn(*shape, dtype=torch.float64) for _ in range(4)] for shape in shapes]
    expected = plain_muon(weights, gradients, 0.01, 0.9)
    parameters = [torch.nn.Parameter(weight.clone()) for weight in weights]
    muon = Muon(parameters, lr=0.01, momentum=0.9)
    for step in range(4):
        for parameter, series in zip(parameters, gradients, strict=True):
            parameter.grad = series[step]
        muon.step()
    for parameter, weight in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.data, weight, rtol=1e-9, atol=1e-12)


def test_the_step_is_nearly_orthogonal() -> None:
    torch.manual_seed(1)
    for shape in ((16, 144), (256, 64)):
        values = torch.linalg.svdvals(orthogonalised(torch.randn(*shape)))
        assert 0.3 < values.min() < values.max() < 1.3


def test_a_bad_gradient_can_be_skipped_on_the_device() -> None:
    parameter = torch.nn.Parameter(torch.ones(4, 4, 3, 3))
    muon = Muon([parameter])
    parameter.grad = torch.full_like(parameter, float("nan"))
    muon.found_inf = torch.ones(())  # type: ignore[attr-defined]
    muon.step()
    assert torch.equal(parameter.data, torch.ones(4, 4, 3, 3))
    assert torch.equal(muon.state[parameter]["momentum_buffer"], torch.zeros(4, 4, 3, 3))
    parameter.grad = torch.ones_like(parameter)
    muon.found_inf = torch.zeros(())  # type: ignore[attr-defined]
    muon.step()
    assert torch.isfinite(parameter).all()
    assert not torch.equal(parameter.data, torch.ones(4, 4, 3, 3))


def test_a_closure_is_called_first() -> None:
    parameter = torch.nn.Parameter(torch.ones(4, 4, 3, 3))
    muon = Muon([parameter])

    def closure() -> torch.Tensor:
        muon.zero_grad()
        loss = parameter.square().sum()
        loss.backward()
        return loss

    assert muon.step(closure) == 144
    assert parameter.sum() < 144
    assert muon.step() is None


def test_which_parameters_muon_takes() -> None:
    generator = Generator(1)
    settings = OptimiserSettings(optimiser="muon", muon_rate=2.0)
    parts = make_optimisers(generator, settings, 1e-3, CPU).parts
    taken = {id(p) for group in parts["muon"].param_groups for p in group["params"]}
    names = {name for name, p in generator.named_parameters() if id(p) in taken}
    assert names == {
        "blocks.0.conv1.weight", "blocks.0.conv2.weight", "body.weight",
        "upsample.0.conv.weight", "upsample.1.conv.weight",
    }  # fmt: skip
    others = sum(len(group["params"]) for group in parts["adam"].param_groups)
    assert others + len(names) == len(list(generator.parameters()))
    assert [group["lr"] for group in parts["muon"].param_groups] == [2e-3]  # separate rates


def test_it_begins_as_an_interpolation() -> None:
    config = tiny_config(initial="interpolating")
    generator = method("srgan").build(config)["generator"].eval()
    image = load_dataset("sample", None)[0]
    lr = u8_to_01(hwc_to_nchw(image.lr_u8()))
    with torch.no_grad():
        sr = method("srgan").decode(generator(lr), image.lr_u8(), 4)
    score, bicubic = (
        score_pair(image.hr_u8(), result, "daala-1").psnr_db for result in (sr, imresize_u8(image.lr_u8(), 4))
    )
    assert bicubic - 1.5 < score <= bicubic
    flat = torch.full((1, 3, 12, 12), 0.4)
    with torch.no_grad():  # a flat image stays what it is, away from the border
        torch.testing.assert_close(generator(flat)[..., 8:-8, 8:-8], torch.full((1, 3, 32, 32), -0.2))
    with pytest.raises(UserError, match="no effect"):
        method("srgan").check(configure("SRGAN-MSE").with_settings(["initial=interpolating"]))


def test_srresnet_beats_bicubic_on_crops_that_it_has_not_seen(tmp_path: Path) -> None:
    """100 updates of two blocks on scikit-image's photographs; scored on crops that were held out."""
    images = pack(training_images(None, tmp_path / "none"), tmp_path / "packed", 96, workers=1)
    config = tiny_config(
        initial="interpolating", optimiser="muon", updates=100, batch_size=4, crop_hr=48, residual_blocks=2,
        learning_rate=1e-3, decay="hold", hold_share=0.5, augmentation="dihedral",
    )  # fmt: skip
    step = tiny_step(config)
    batches = host_batches(images, config)
    for k in range(config.schedule.updates):
        step.set_learning_rate(learning_rate(config.schedule, k))
        step(k, batches.make(k))
    generator, how = step.modules["generator"].eval(), method("srgan")
    gains = []
    for image in load_dataset("sample", None):
        with torch.no_grad():
            sr = how.super_resolve(generator, image.lr_u8(), 4, CPU, torch.float32)
        ours, bicubic = (
            score_pair(image.hr_u8(), result, "daala-1").psnr_db
            for result in (sr, imresize_u8(image.lr_u8(), 4))
        )
        gains.append(ours - bicubic)
    assert np.mean(gains) > 0.15, gains

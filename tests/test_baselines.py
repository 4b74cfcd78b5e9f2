"""SRCNN, ESPCN and DRCN: architecture, their papers' losses and schedules, and that they learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from train_helpers import host_batches, small_dataset, tiny_config, tiny_step

from repro.core.errors import UserError
from repro.data.samples import Sample
from repro.imaging.color import luma_u8
from repro.imaging.ranges import pm1_to_01, rgb01_to_y01, u8_to_01, u8_to_pm1
from repro.imaging.resize import imresize_float
from repro.imaging.resize_torch import imresize_float_batch
from repro.methods import drcn, espcn, method, srcnn
from repro.methods.config import RunConfig
from repro.methods.drcn import DRCNNetwork
from repro.methods.espcn import ESPCNNetwork
from repro.methods.luma import BORDER, LumaMethod, LumaNetwork
from repro.methods.srcnn import SRCNNNetwork
from repro.methods.variants import canonical_variant, configure, deviations, trainable
from repro.papers.srgan import VARIANTS
from repro.train.schedule import learning_rate

KERNELS = {"srcnn": "conv1.weight", "espcn": "conv1.weight", "drcn": "embed1.weight"}
NAMES = ("SRCNN-scratch", "ESPCN", "DRCN")


def small(name: str, **changes: object) -> RunConfig:
    """A baseline with few filters, a batch of 2 and few updates."""
    few = {"filters": 6, "recursions": 3} if name == "DRCN" else {}
    return tiny_config(name, **(few | changes))


def luma(name: str) -> LumaMethod:
    how = method(name)
    assert isinstance(how, LumaMethod)
    return how


# --- architecture -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "parameters"), [("srcnn", 8_129), ("espcn", 24_752), ("drcn", 1_775_121)])
def test_parameter_counts(name: str, parameters: int) -> None:
    network = method(name).network(method(name).settings, 4)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_layers_of_the_papers() -> None:
    def convolutions(network: nn.Module) -> list[tuple[int, int, int]]:
        return [
            (m.in_channels, m.out_channels, m.kernel_size[0])
            for m in network.modules()
            if isinstance(m, nn.Conv2d)
        ]

    assert convolutions(SRCNNNetwork()) == [(1, 64, 9), (64, 32, 1), (32, 1, 5)]
    assert convolutions(ESPCNNetwork()) == [(1, 64, 5), (64, 32, 3), (32, 16, 3)]
    wide = [(1, 256, 3), (256, 256, 3), (256, 256, 3), (256, 256, 3), (256, 1, 3)]
    assert convolutions(DRCNNetwork()) == wide
    assert DRCNNetwork().recursions == 16


@pytest.mark.parametrize(
    "network", [SRCNNNetwork(), ESPCNNetwork(), DRCNNetwork(5, 3)], ids=lambda n: type(n).__name__
)
def test_a_pixel_depends_on_its_radius_and_no_further(network: LumaNetwork) -> None:
    for number, parameter in enumerate(network.parameters()):
        nn.init.uniform_(parameter, 0.001, 0.01, generator=torch.Generator().manual_seed(number))
    x = torch.rand(1, 1, 41, 41, generator=torch.Generator().manual_seed(1)).requires_grad_()
    middle = 82 if isinstance(network, ESPCNNetwork) else 20
    network(x)[0, 0, middle, middle].backward()
    assert x.grad is not None
    reached = x.grad[0, 0].abs().nonzero() - 20
    assert int(reached.abs().max()) == network.radius


def test_srcnn_without_borders_is_its_inside() -> None:
    network = SRCNNNetwork(narrow=False)
    network.initialise(0)
    x = torch.rand(2, 1, 30, 33)
    torch.testing.assert_close(network(x)[..., 6:-6, 6:-6], network(x, padded=False))
    assert network(torch.rand(1, 1, 33, 33), padded=False).shape == (1, 1, 21, 21)  # Dong et al., Section 4.1


def test_drcn_recurses_with_shared_weights_and_skips_the_input() -> None:
    network = DRCNNetwork(4, 5)
    network.initialise(0)
    x = torch.rand(1, 1, 12, 12)
    # the recursive layer starts as the identity: after a ReLU all recursions give the same
    outputs = network.outputs(x)
    assert len(outputs) == 5
    for output in outputs[1:]:
        torch.testing.assert_close(output, outputs[0])
    with torch.no_grad():
        network.reconstruct2.weight.zero_()
        network.weights.copy_(torch.tensor([0.5, 0.25, 0.25, 0.0, 0.0]))
    torch.testing.assert_close(network(x), x)


def test_initial_weights_follow_the_seed_alone() -> None:
    for kind in ("srcnn", "espcn", "drcn"):
        networks = [method(kind).network(method(kind).settings, 4) for _ in range(3)]
        for network, seed in zip(networks, (0, 0, 1), strict=True):
            method(kind).initialise(network, RunConfig(seed=seed))
        first, again, other = (dict(n.named_parameters())[KERNELS[kind]] for n in networks)
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
    network = SRCNNNetwork()
    network.initialise(0)
    assert float(network.conv2.weight.detach().std()) == pytest.approx(0.001, rel=0.1)


# --- configurations ---------------------------------------------------------------------------------------


def test_the_five_variants_stay_five() -> None:
    assert len(VARIANTS) == 5
    assert set(trainable()) >= {*VARIANTS, *NAMES}
    assert canonical_variant("srcnn") == "SRCNN-scratch"
    assert canonical_variant("espcn") == "ESPCN"


@pytest.mark.parametrize("name", NAMES)
def test_short_schedules_say_so(name: str) -> None:
    assert deviations(configure(name, "paper")) == []
    for profile in ("quick", "cpu"):
        notes = deviations(configure(name, profile))
        assert notes[0].startswith("shortened schedule")
    if name == "DRCN":
        assert "filters 24 (paper: 256)" in deviations(configure(name, "quick"))[1]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        *(
            (f"{name}=8", "unknown setting")
            for name in ("content", "adversarial_weight", "tv_weight", "filters")
        ),
        ("crop_hr=32", "crop_hr = 32"),
        ("crop_hr=70", "crop_hr = 70"),
    ],
)
def test_settings_that_do_not_go_together(setting: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        method("espcn").check(configure("ESPCN", "quick").with_settings([setting]))


def test_learning_rates_of_the_papers() -> None:
    schedule = configure("ESPCN", "paper").schedule
    assert learning_rate(schedule, 0) == pytest.approx(1e-2)
    assert learning_rate(schedule, schedule.updates // 2) == pytest.approx(1e-3)
    assert learning_rate(schedule, schedule.updates - 1) == pytest.approx(1e-4, rel=1e-3)
    schedule = configure("DRCN", "paper").schedule
    rates = [learning_rate(schedule, k) for k in range(0, schedule.updates, schedule.updates // 10)]
    np.testing.assert_allclose(rates, np.repeat([1e-2, 1e-3, 1e-4, 1e-5, 1e-6], 2))
    step = tiny_step(configure("SRCNN", "paper"))
    step.set_learning_rate(1e-4)
    groups = step.optimisers["generator"].parts["sgd"].param_groups
    by_size = {len(group["params"]): float(group["lr"]) for group in groups}
    assert by_size == pytest.approx({4: 1e-4, 2: 1e-5})


# --- losses -----------------------------------------------------------------------------------------------


def test_losses_by_hand() -> None:
    sr, hr = torch.full((2, 1, 3, 4), 0.5), torch.full((2, 1, 3, 4), 0.25)
    assert float(srcnn.loss(sr, hr)) == pytest.approx(12 / 16)
    assert float(espcn.loss(sr, hr)) == pytest.approx(1 / 16)
    assert float(drcn.recursions_loss((sr, hr, hr, hr), hr)) == pytest.approx(1 / 16 / 4 / 2)
    assert float(drcn.ensemble_loss((sr + 3 * hr) / 4, hr)) == pytest.approx(1 / 16 / 16 / 2)
    (update,) = method("drcn").updates(configure("DRCN", "paper"))
    weights = [term.weight for term in update.terms]
    assert all(callable(weight) for weight in weights)
    assert [[weight(share) for share in (0, 0.25, 1)] for weight in weights] == [[1, 0.75, 0], [0, 0.25, 1]]  # type: ignore[operator]


def test_luma_of_batches_is_that_of_images() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    nchw = torch.from_numpy(image).permute(2, 0, 1)[None]
    for y in (rgb01_to_y01(u8_to_01(nchw)), rgb01_to_y01(pm1_to_01(u8_to_pm1(nchw)))):
        off = (y[0, 0] * 255 - torch.from_numpy(luma_u8(image)).float()).abs()
        assert float((off > 0.01).float().mean()) < 0.001  # exact halves may fall the other way


def test_interpolation_in_torch_is_that_of_numpy() -> None:
    image = np.random.default_rng(1).random((7, 9)).astype(np.float32)
    got = imresize_float_batch(torch.from_numpy(image)[None, None], 4)[0, 0].numpy()
    np.testing.assert_allclose(got, imresize_float(image, 4), atol=1e-6)


@pytest.mark.parametrize("name", ["srcnn", "drcn"])
def test_sub_images_see_the_whole_images_interpolation(name: str) -> None:
    """What a network trains on is a part of the whole picture's interpolation, as at test time."""
    rng = np.random.default_rng(2)
    lr = rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)
    hr = rng.integers(0, 256, (120, 120, 3), dtype=np.uint8)
    how, top = luma(name), 24
    crop = next(iter(how.variants.values())).data.crop_hr
    lr_part = lr[top // 4 : (top + crop) // 4, top // 4 : (top + crop) // 4]
    sample = Sample(
        u8_to_01(torch.from_numpy(lr_part.copy()).permute(2, 0, 1)[None]),
        u8_to_pm1(torch.from_numpy(hr[top : top + crop, top : top + crop].copy()).permute(2, 0, 1)[None]),
    )
    x, y = how.planes(sample)
    first, side = top + BORDER, how.sub_image
    inner = np.s_[first : first + side, first : first + side]
    whole = imresize_float(luma_u8(lr).astype(np.float32) / 255, 4)
    np.testing.assert_allclose(x[0, 0].numpy(), whole[inner], atol=2e-3)
    np.testing.assert_allclose(y[0, 0].numpy(), luma_u8(hr)[inner] / 255, atol=2e-3)


# --- training ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "updates"), [("SRCNN-scratch", 40), ("ESPCN", 60), ("DRCN", 24)])
def test_every_network_learns(name: str, updates: int, tmp_path: Path) -> None:
    """The loss falls on crops that it has not seen."""
    few: dict[str, Any] = {"filters": 8, "recursions": 3} if name == "DRCN" else {}
    settings = [f"{n}={v}" for n, v in ({"updates": updates, "batch_size": 2} | few).items()]
    config = configure(name, "quick").with_settings(settings)
    step = tiny_step(config)
    batches = host_batches(small_dataset(tmp_path), config)
    losses = []
    for k in range(updates):
        step.set_learning_rate(learning_rate(config.schedule, k))
        values = step(k, batches.make(k))
        losses.append(float(values["recursions"] if name == "DRCN" else values["content"]))
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_gradient(name: str, tmp_path: Path) -> None:
    config = small(name)
    step = tiny_step(config)
    step(3, host_batches(small_dataset(tmp_path), config).make(0))
    for parameter_name, parameter in step.modules["generator"].named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name

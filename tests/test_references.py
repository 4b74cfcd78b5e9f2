"""SRCNN, ESPCN and DRCN: architecture, their papers' losses and schedules, and that they learn."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from train_helpers import small_bank, small_data, tiny_config

from repro.core import tensorfile as checkpoint
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.data.samples import Batch, HostBatches
from repro.imaging.color import luma_u8
from repro.imaging.ranges import pm1_to_01, rgb01_to_y01, u8_to_01, u8_to_pm1
from repro.imaging.resize import imresize_float
from repro.imaging.resize_torch import imresize_float_batch
from repro.inference.methods import trained
from repro.methods import references, variants
from repro.methods.config import _LATER_FIELDS, TrainConfig, config_from_dict
from repro.methods.generator import count_parameters
from repro.methods.luma import DRCN, ESPCN, SRCNN, LumaNetwork, make_luma_network
from repro.train import reference
from repro.train.distributed import World
from repro.train.engine import make_step
from repro.train.networks import luma_settings, make_networks
from repro.train.reference import ReferenceStep
from repro.train.run import Prepared, VGGSource, prepare, train
from repro.train.schedule import learning_rate
from repro.train.step import NonFiniteLossError, set_learning_rate

CPU = torch.device("cpu")
KERNELS = {"srcnn": "conv1.weight", "espcn": "conv1.weight", "drcn": "embed1.weight"}
NAMES = ("SRCNN-scratch", "ESPCN", "DRCN")


def small(name: str, **changes: object) -> TrainConfig:
    """A reference method with few filters, a batch of 2 and few updates."""
    return tiny_config(name, **({"filters": 6, "recursions": 3} | changes))


def make(config: TrainConfig) -> ReferenceStep:
    return ReferenceStep(config, make_networks(config, CPU, None), CPU)


# --- architecture -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "parameters"), [("srcnn", 8_129), ("espcn", 24_752), ("drcn", 1_775_121)])
def test_parameter_counts(name: str, parameters: int) -> None:
    assert count_parameters(make_luma_network(name)) == parameters


def test_layers_of_the_papers() -> None:
    def convolutions(network: nn.Module) -> list[tuple[int, int, int]]:
        return [
            (m.in_channels, m.out_channels, m.kernel_size[0])
            for m in network.modules()
            if isinstance(m, nn.Conv2d)
        ]

    assert convolutions(SRCNN()) == [(1, 64, 9), (64, 32, 1), (32, 1, 5)]
    assert convolutions(ESPCN()) == [(1, 64, 5), (64, 32, 3), (32, 16, 3)]
    wide = [(1, 256, 3), (256, 256, 3), (256, 256, 3), (256, 256, 3), (256, 1, 3)]
    assert convolutions(DRCN()) == wide
    assert DRCN().recursions == 16


@pytest.mark.parametrize("network", [SRCNN(), ESPCN(), DRCN(5, 3)], ids=lambda n: type(n).__name__)
def test_a_pixel_depends_on_its_radius_and_no_further(network: LumaNetwork) -> None:
    for number, parameter in enumerate(network.parameters()):
        nn.init.uniform_(parameter, 0.001, 0.01, generator=torch.Generator().manual_seed(number))
    x = torch.rand(1, 1, 41, 41, generator=torch.Generator().manual_seed(1)).requires_grad_()
    middle = 20 if network.interpolates else 82
    network(x)[0, 0, middle, middle].backward()
    assert x.grad is not None
    reached = x.grad[0, 0].abs().nonzero() - 20
    assert int(reached.abs().max()) == network.radius


def test_srcnn_without_borders_is_its_inside() -> None:
    network = SRCNN(narrow=False)
    network.initialise(0)
    x = torch.rand(2, 1, 30, 33)
    torch.testing.assert_close(network(x)[..., 6:-6, 6:-6], network.valid(x))
    assert network.valid(torch.rand(1, 1, 33, 33)).shape == (1, 1, 21, 21)  # Dong et al., Section 4.1


def test_drcn_recurses_with_shared_weights_and_skips_the_input() -> None:
    network = DRCN(4, 5)
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
        networks = [make_luma_network(kind, **({"filters": 8} if kind == "drcn" else {})) for _ in range(3)]
        for network, seed in zip(networks, (0, 0, 1), strict=True):
            network.initialise(seed)
        first, again, other = (dict(n.named_parameters())[KERNELS[kind]] for n in networks)
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
    srcnn = SRCNN()
    srcnn.initialise(0)
    assert float(srcnn.conv2.weight.detach().std()) == pytest.approx(0.001, rel=0.1)


# --- configurations ---------------------------------------------------------------------------------------


def test_the_five_variants_stay_five() -> None:
    assert len(variants.VARIANTS) == 5
    assert set(variants.TRAINABLE) == set(variants.VARIANTS) | set(NAMES)
    assert variants.canonical_variant("srcnn") == "SRCNN-scratch"
    assert variants.canonical_variant("espcn") == "ESPCN"


def test_fields_that_came_later_rename_no_run() -> None:
    for name in variants.VARIANTS:
        for profile in variants.PROFILES:
            identity = variants.configure(name, profile).identity()
            assert not set(identity) & set(_LATER_FIELDS)
            assert config_from_dict(identity) == variants.configure(name, profile)
    assert variants.configure("DRCN", "quick").identity()["filters"] == 24
    assert {field.name for field in fields(TrainConfig)} >= set(_LATER_FIELDS)


@pytest.mark.parametrize("name", NAMES)
def test_short_schedules_say_so(name: str) -> None:
    assert variants.deviations(variants.configure(name, "paper")) == []
    for profile in ("quick", "cpu"):
        notes = variants.deviations(variants.configure(name, profile))
        assert notes[0].startswith("shortened schedule")
    if name == "DRCN":
        assert "24 of 256 filters" in variants.deviations(variants.configure(name, "quick"))


@pytest.mark.parametrize(
    "setting",
    ["content=vgg22", "adversarial_weight=1e-3", "tv_weight=1", "crop_hr=32", "crop_hr=70", "filters=0"],
)
def test_settings_that_do_not_go_together(setting: str) -> None:
    with pytest.raises(UserError):
        variants.configure("ESPCN", "quick").with_settings([setting])


def test_learning_rates_of_the_papers() -> None:
    espcn = variants.configure("ESPCN", "paper")
    assert learning_rate(espcn, 0) == pytest.approx(1e-2)
    assert learning_rate(espcn, espcn.updates // 2) == pytest.approx(1e-3)
    assert learning_rate(espcn, espcn.updates - 1) == pytest.approx(1e-4, rel=1e-3)
    drcn = variants.configure("DRCN", "paper")
    rates = [learning_rate(drcn, k) for k in range(0, drcn.updates, drcn.updates // 10)]
    np.testing.assert_allclose(rates, np.repeat([1e-2, 1e-3, 1e-4, 1e-5, 1e-6], 2))
    step = make(variants.configure("SRCNN", "paper"))
    set_learning_rate(step.adam_g, 1e-4)
    by_size = {len(group["params"]): float(group["lr"]) for group in step.adam_g.param_groups}
    assert by_size == pytest.approx({4: 1e-4, 2: 1e-5})


# --- losses -----------------------------------------------------------------------------------------------


def test_losses_by_hand() -> None:
    sr, hr = torch.full((2, 1, 3, 4), 0.5), torch.full((2, 1, 3, 4), 0.25)
    assert float(reference.srcnn_loss(sr, hr)) == pytest.approx(12 / 16)
    assert float(reference.espcn_loss(sr, hr)) == pytest.approx(1 / 16)
    l1, l2 = reference.drcn_losses([sr, hr, hr, hr], (sr + 3 * hr) / 4, hr)
    assert float(l1) == pytest.approx(1 / 16 / 4 / 2)
    assert float(l2) == pytest.approx(1 / 16 / 16 / 2)
    assert [reference.alpha(k, 100) for k in (0, 25, 100)] == [1.0, 0.75, 0.0]


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


@pytest.mark.parametrize("name", ["SRCNN-scratch", "DRCN"])
def test_sub_images_see_the_whole_images_interpolation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a network trains on is a part of the whole picture's interpolation, as at test time."""
    rng = np.random.default_rng(2)
    lr = rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)
    hr = rng.integers(0, 256, (120, 120, 3), dtype=np.uint8)
    config = small(name)
    crop, top = config.crop_hr, 24
    part = np.s_[top : top + crop, top : top + crop]
    lr_part = lr[top // 4 : (top + crop) // 4, top // 4 : (top + crop) // 4]
    batch = Batch(
        u8_to_01(torch.from_numpy(lr_part.copy()).permute(2, 0, 1)[None]),
        u8_to_pm1(torch.from_numpy(hr[part].copy()).permute(2, 0, 1)[None]),
    )
    step = make(config)
    seen: list[Tensor] = []

    def spy(x: Tensor) -> Tensor | list[Tensor]:
        seen.append(x.detach())
        return original(x)

    method = "valid" if name.startswith("SRCNN") else "outputs"
    original = getattr(step.network, method)
    monkeypatch.setattr(step.network, method, spy)
    step(batch)
    whole = imresize_float(luma_u8(lr).astype(np.float32) / 255, 4)
    first, side = top + references.BORDER, references.SUB_IMAGE[config.network]
    np.testing.assert_allclose(
        seen[0][0, 0].numpy(), whole[first : first + side, first : first + side], atol=2e-3
    )


# --- training ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "updates"), [("SRCNN-scratch", 40), ("ESPCN", 60), ("DRCN", 24)])
def test_every_network_learns(name: str, updates: int, tmp_path: Path) -> None:
    config = replace(
        variants.configure(name, "quick"), updates=updates, batch_size=2, filters=8, recursions=3
    )
    step = make(config)
    batches = HostBatches(small_bank(tmp_path), config, CPU)
    losses = []
    for k in range(updates):
        set_learning_rate(step.adam_g, learning_rate(config, k))
        step.k = k
        losses.append(float(step(batches.make(k))["content"]))
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_gradient(name: str, tmp_path: Path) -> None:
    config = small(name)
    step = make(config)
    step.k = 3
    step(HostBatches(small_bank(tmp_path), config, CPU).make(0))
    for parameter_name, parameter in step.network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


def test_a_bad_loss_makes_no_update(tmp_path: Path) -> None:
    config = small("ESPCN")
    step = make(config)
    before = [p.clone() for p in step.network.parameters()]
    batch = HostBatches(small_bank(tmp_path), config, CPU).make(0)
    with pytest.raises(NonFiniteLossError):
        step(Batch(batch.lr_01, batch.hr_pm1 * float("nan")))
    assert all(torch.equal(a, b) for a, b in zip(before, step.network.parameters(), strict=True))


def test_one_process_only() -> None:
    config = small("ESPCN")
    with pytest.raises(UserError, match="2 processes"):
        make_step(config, make_networks(config, CPU, None), CPU, False, World(0, 2))


def _prepared(folder: Path, config: TrainConfig) -> Prepared:
    data = small_data(folder / "bank")
    return prepare(config, Results(folder / "results"), data, VGGSource(), None)


@pytest.mark.parametrize(
    ("name", "optimiser"), [("SRCNN-scratch", "sgd"), ("ESPCN", "adam"), ("DRCN", "sgd")]
)
def test_stop_and_resume_equals_the_straight_run(name: str, optimiser: str, tmp_path: Path) -> None:
    config = small(name, optimiser=optimiser, updates=5, learning_rate=1e-4, ema_decay=0.9)
    straight = _prepared(tmp_path / "straight", config)
    assert train(straight, CPU)
    stopped = _prepared(tmp_path / "stopped", config)
    while not train(stopped, CPU, max_minutes=0.0):
        pass
    for file in ("generator.safetensors", "checkpoint.safetensors", "log.jsonl"):
        assert (straight.folder / file).read_bytes() == (stopped.folder / file).read_bytes(), file
    method = trained(straight.generator, "cpu")
    assert method.name == name
    assert method.takes_grey
    assert any("shortened" in note for note in method.notes)
    image = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    colour, grey = method.enlarge([image, image[..., 0]])
    assert colour.shape == grey.shape == (36, 32, 3)
    assert (grey == grey[..., :1]).all()


@pytest.mark.parametrize(
    "metadata", [{"network": "edsr", "network_settings": {}}, {"network": "srcnn"}, {"network": []}]
)
def test_files_of_unknown_networks(metadata: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "generator.safetensors"
    checkpoint.save(path, {"generator.x": torch.zeros(1)}, metadata)
    with pytest.raises(UserError):
        trained(path, "cpu")


def test_settings_make_the_same_network_again() -> None:
    config = small("DRCN")
    network = make_luma_network("drcn", **luma_settings(config))
    assert count_parameters(network) == count_parameters(make(config).network)

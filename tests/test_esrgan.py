"""ESRGAN's networks and losses against the authors' own code, and the method on the suite's contract."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from systems_golden import Case, case, facts, fill, fill_module, relative_error
from torch import Tensor, nn
from typer.testing import CliRunner, Result

from repro.cli.main import app
from repro.core import tensorfile
from repro.core.atomic import write_json
from repro.core.errors import UserError
from repro.core.torchfile import read_state_dict
from repro.data.samples import Sample
from repro.imaging.io import read_rgb_u8, sha256_file, write_png
from repro.inference.interpolate import interpolated, save_pth
from repro.inference.loading import Loaded, load_network
from repro.methods import method
from repro.methods.base import VGGNeed
from repro.methods.config import RunConfig
from repro.methods.esrgan import LARGEST_MARGIN, ESRGANLosses, ESRGANNetwork
from repro.methods.layouts import recognise
from repro.methods.variants import configure
from repro.nn.discriminators import VGGStyleDiscriminator
from repro.nn.losses import adversarial, discriminator
from repro.nn.losses_relative import Relativistic, l1, relativistic_discriminator, relativistic_generator
from repro.nn.plain_residual import MSRResNet, RankSRGANGenerator
from repro.nn.rrdb import RRDBNet
from repro.nn.vgg import CONVOLUTIONS, VGGFeatures, VGGWeights, with_random_layers
from repro.train.execution import make_step
from repro.train.run import VGGSource, vgg_layer_weights
from repro.train.schedule import learning_rate
from repro.train.step import Step

TOLERANCES = ((torch.float64, 1e-6), (torch.float32, 1e-5))


def rrdbnet(settings: dict[str, int]) -> RRDBNet:
    return RRDBNet(
        settings["num_block"], settings["num_feat"], settings["num_grow_ch"], settings["scale"]
    ).eval()


def msrresnet(settings: dict[str, int]) -> MSRResNet:
    return MSRResNet(settings["num_block"], settings["num_feat"], settings["upscale"]).eval()


def agree(network: nn.Module, golden: Case, gain: float = 1.0) -> None:
    assert sum(p.numel() for p in network.parameters()) == golden.facts["parameters"]
    for dtype, tolerance in TOLERANCES:
        golden.check_weights(fill_module(network.to(dtype), gain=gain))
        with torch.no_grad():
            y = network(golden.given().to(dtype))
        assert relative_error(y, golden.expected()) < tolerance, dtype


@pytest.mark.parametrize("name", ["full_x4", "small_x4_0", "small_x4_1", "small_x2", "small_x1"])
def test_rrdbnet_is_the_authors(name: str) -> None:
    golden = case("rrdbnet", name)
    agree(rrdbnet(golden.settings), golden)


@pytest.mark.parametrize("name", ["full_x4", "small_x4_0", "small_x4_1", "small_x3", "small_x2"])
def test_msrresnet_is_the_authors(name: str) -> None:
    golden = case("msrresnet", name)
    agree(msrresnet(golden.settings), golden)


@pytest.mark.parametrize("name", ["full128", "small128", "small128_train", "small256"])
def test_the_discriminator_and_its_gradient_are_the_authors(name: str) -> None:
    golden = case("vggdisc", name)
    network = VGGStyleDiscriminator(golden.settings["input_size"], golden.settings["num_feat"])
    assert sum(p.numel() for p in network.parameters()) == golden.facts["parameters"]
    network.double().train("train" in golden.facts["mode"])
    golden.check_weights(fill_module(network, gain=1.5))
    x = golden.given().requires_grad_()
    y = network(2 * x - 1)
    assert relative_error(y, golden.expected()) < 1e-6
    if network.training:
        state = network.state_dict()
        for key in golden.facts["outputs"].keys() - {"y"}:
            assert relative_error(state[key], golden.expected(key)) < 1e-6, key
    else:
        (gradient,) = torch.autograd.grad(y.sum(), x)
        assert relative_error(gradient[..., :9, :9], golden.expected("dsumy_dx_corner")) < 1e-6
        with torch.no_grad():
            y = network.float()(2 * x.float() - 1)
        assert relative_error(y, golden.expected()) < 1e-5


@pytest.mark.parametrize("name", ["ragan", "ragan_weight1", "ragan_pix", "vanilla"])
def test_gan_losses_and_their_gradients_are_basicsrs(name: str) -> None:
    golden = case("gan_losses_basicsr", name)
    r, f = golden.given("r").requires_grad_(), golden.given("f").requires_grad_()
    weight, pixel = golden.facts["gan_weight"], golden.facts["pixel_l1_weight"]
    vanilla = name == "vanilla"
    of_g = weight * (adversarial(f) if vanilla else relativistic_generator(r, f, "basicsr"))
    assert relative_error(of_g, golden.expected("l_g_gan")) < 1e-6
    of_g = of_g + (pixel * l1(f, r.detach()) if pixel else 0)
    (gradient,) = torch.autograd.grad(of_g, f)
    assert relative_error(gradient, golden.expected("g_of_G_wrt_f")) < 1e-6
    of_d = discriminator(r, f) if vanilla else relativistic_discriminator(r, f, "basicsr")
    expected = golden.expected("l_d_real") + golden.expected("l_d_fake")
    assert relative_error(of_d, expected) < 1e-6
    wrt_r, wrt_f = torch.autograd.grad(of_d, (r, f))
    assert relative_error(wrt_r, golden.expected("g_of_D_wrt_r")) < 1e-6
    assert relative_error(wrt_f, golden.expected("g_of_D_wrt_f")) < 1e-6


def test_the_papers_relativistic_losses_are_its_formulas() -> None:
    r, f = torch.randn(6, 1, dtype=torch.float64), torch.randn(6, 1, dtype=torch.float64)
    real, fake = torch.sigmoid(r - f.mean()), torch.sigmoid(f - r.mean())  # D_Ra(x_r, x_f), D_Ra(x_f, x_r)
    of_d = -real.log().mean() - (1 - fake).log().mean()
    of_g = -(1 - real).log().mean() - fake.log().mean()
    torch.testing.assert_close(relativistic_discriminator(r, f), of_d)
    torch.testing.assert_close(relativistic_generator(r, f), of_g)
    torch.testing.assert_close(relativistic_generator(r, f, "basicsr"), of_g / 2)


def test_paper_and_basicsr_differ_in_ds_gradient_by_the_means() -> None:
    def gradients(form: Relativistic) -> list[Tensor]:
        generator = torch.Generator().manual_seed(1)
        r, f = (torch.randn(5, 1, dtype=torch.float64, generator=generator).requires_grad_() for _ in "rf")
        return list(torch.autograd.grad(relativistic_discriminator(r, f, form), (r, f)))

    paper, basicsr, mmsr = gradients("paper"), gradients("basicsr"), gradients("mmsr")
    for ours, theirs in zip(paper, mmsr, strict=True):
        torch.testing.assert_close(ours, 2 * theirs)
    assert not torch.allclose(paper[0], 2 * basicsr[0], rtol=1e-3)


def test_the_dense_blocks_start_at_a_tenth_of_hes() -> None:
    network = RRDBNet(blocks=2)
    network.initialise(0, "generator")
    weight = network.body[1].rdb2.conv3.weight  # type: ignore[union-attr]
    assert isinstance(weight, Tensor)
    assert float(weight.detach().std()) == pytest.approx(0.1 * (2 / (128 * 9)) ** 0.5, rel=0.02)
    assert float(network.conv_body.weight.detach().abs().max()) <= 1 / (64 * 9) ** 0.5
    again = RRDBNet(blocks=2)
    again.initialise(0, "generator")
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("network", [RRDBNet(1, 6, 4), RRDBNet(1, 6, 4, 2), MSRResNet(2, 6)])
def test_no_pixel_beyond_the_radius_is_looked_at(network: RRDBNet | MSRResNet) -> None:
    network.initialise(0, "generator")
    for p in network.parameters():
        p.data.mul_(3)  # dense blocks start small: what lies far would else drown in rounding
    radius, scale = network.radius, 2 if getattr(network, "unshuffle", 1) == 2 else 4
    side = 2 * radius + 8 - (2 * radius) % 4
    x = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    centre = network.double()(x)[..., scale * (side // 2), scale * (side // 2)].abs().sum()
    (gradient,) = torch.autograd.grad(centre, x)
    rows = gradient.abs().amax((0, 1, 3)).nonzero()
    assert side // 2 - radius <= int(rows.min()) <= side // 2 - radius + 2 * (5 - scale)
    assert int(rows.max()) <= side // 2 + radius


def test_every_layout_gives_the_authors_picture_and_settings(tmp_path: Path) -> None:
    told = facts("esrgan_layouts")
    for name, column in (("A_model_sub", 0), ("B_RRDB_trunk", 1)):
        golden = case("esrgan_layouts", name)
        state = {
            row[column]: torch.from_numpy(
                fill(row[column], tuple(row[3]), "weight" if len(row[3]) > 1 else "bias")
            )
            for row in told["keys_full_size_A_B_C_shape"]
        }
        found = recognise(state)
        assert found is not None
        assert (found.network, found.blocks, found.channels, found.growth, found.scale) == (
            "rrdb",
            23,
            64,
            32,
            4,
        )
        network = RRDBNet().eval()
        network.load_state_dict(found.tensors)
        with torch.no_grad():
            y = network.double()(golden.given())
        assert relative_error(y, golden.expected()) < 1e-6
        assert set(found.tensors) == {row[2] for row in told["keys_full_size_A_B_C_shape"]}


@pytest.mark.parametrize(("scale", "channels", "growth"), [(4, 6, 4), (2, 5, 3), (1, 4, 2)])
def test_settings_are_read_from_shapes(scale: int, channels: int, growth: int) -> None:
    found = recognise(RRDBNet(2, channels, growth, scale).state_dict())
    assert found is not None
    assert (found.blocks, found.channels, found.growth, found.scale) == (2, channels, growth, scale)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_msrresnet_and_ranksrgans_generator_are_told_by_their_names(scale: int) -> None:
    for network, name in (
        (MSRResNet(2, 6, scale), "msrresnet"),
        (RankSRGANGenerator(2, 6, scale), "ranksrgan"),
    ):
        ours = network.state_dict()
        theirs = {
            key.replace("body.", "recon_trunk.", 1) if key.startswith("body.") else
            key.replace("conv_body", "LRconv").replace("conv_hr", "HRconv"): value
            for key, value in ours.items()
        }  # fmt: skip
        for state in (ours, theirs):
            found = recognise(state)
            assert found is not None
            assert (found.network, found.blocks, found.channels, found.scale) == (name, 2, 6, scale)
            assert set(found.tensors) == set(ours)


def test_a_file_that_lacks_a_block_is_refused() -> None:
    state = RRDBNet(3, 4, 2).state_dict()
    with pytest.raises(UserError, match=r"body\.1"):
        recognise({name: value for name, value in state.items() if not name.startswith("body.1.")})
    assert recognise({"features.0.weight": torch.zeros(1)}) is None


@pytest.mark.parametrize("how", ["zip", "legacy", "params", "ema", "module", "safetensors"])
def test_every_wrapping_of_a_state_dict_is_read(how: str, tmp_path: Path) -> None:
    state = RRDBNet(1, 4, 2).state_dict()
    other = {name: value + 1 for name, value in state.items()}
    path = tmp_path / ("weights.safetensors" if how == "safetensors" else "weights.pth")
    if how == "safetensors":
        save_file(state, path)
    else:
        whole = {
            "params": {"params": state},
            "ema": {"params": other, "params_ema": state},
            "module": {f"module.{name}": value for name, value in state.items()},
        }.get(how, state)
        torch.save(whole, path, _use_new_zipfile_serialization=how != "legacy")
    found = read_state_dict(path)
    assert set(found) == set(state)
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_tensors_tagged_for_a_gpu_come_to_the_cpu(tmp_path: Path) -> None:
    state = {"conv_first.weight": torch.arange(6.0).reshape(2, 3)}
    path = tmp_path / "gpu.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    tagged = path.read_bytes().replace(b"\x03\x00\x00\x00cpu", b"\x06\x00\x00\x00cuda:0")
    assert tagged != path.read_bytes()
    path.write_bytes(tagged)
    found = read_state_dict(path)["conv_first.weight"]
    assert found.device.type == "cpu"
    assert torch.equal(found, state["conv_first.weight"])


class _Payload:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('run by a file')",)


@pytest.mark.parametrize("what", ["code", "list", "number", "text", "missing"])
def test_what_is_no_state_dict_is_refused_and_never_run(what: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    if what == "text":
        path.write_text("weights")
    elif what != "missing":
        torch.save({"code": {"a": _Payload()}, "list": [1], "number": {"lr": 0.1}}[what], path)
    with pytest.raises(UserError):
        read_state_dict(path)


def test_nothing_beyond_the_margin_of_tiles_is_seen_in_eight_bits() -> None:
    network = RRDBNet(23, 12, 6).eval()
    fill_module(network)
    margin = LARGEST_MARGIN
    x = torch.rand(1, 3, 24, 2 * 96 + 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = network(x)[..., 4 * 96 : 4 * 104]
        tile = network(x[..., 96 - margin : 104 + margin])[..., 4 * margin : 4 * margin + 32]
    assert float((tile - whole).abs().max()) < 1e-4 * float(whole.std())


def sample(config: RunConfig) -> Sample:
    generator = torch.Generator().manual_seed(0)
    count, side = config.data.batch_size, config.data.crop_hr
    hr = 2 * torch.rand(count, 3, side, side, generator=generator) - 1
    return Sample(F.avg_pool2d(hr, 4) / 2 + 0.5, hr, 4)


def small(variant: str, **losses: Any) -> tuple[RunConfig, Step]:
    config = configure(variant, "quick").but(
        losses=losses, data={"batch_size": 2, "crop_hr": 32}, network={"channels": 8}
    )
    how = method(config.method)
    how.check(config)
    modules = how.build(config)
    need = how.vgg(config)
    if need is not None:
        modules["vgg"] = VGGFeatures(with_random_layers(None, need.taps, 0), need.taps, need.before_relu)
    return config, make_step(config, how, modules, torch.device("cpu"), False).eager


def test_the_stages_are_the_papers() -> None:
    gan, psnr = configure("ESRGAN", "paper"), configure("RRDB-PSNR", "paper")
    assert gan.start == "RRDB-PSNR"
    assert (psnr.schedule.updates, psnr.schedule.learning_rate) == (1_000_000, 2e-4)
    assert (gan.schedule.updates, gan.schedule.learning_rate) == (400_000, 1e-4)
    assert [learning_rate(gan.schedule, k) for k in (0, 50_000, 399_999)] == [1e-4, 5e-5, 1e-4 / 16]
    assert gan.data.crop_hr == 128
    assert isinstance(gan.losses, ESRGANLosses)
    assert (gan.losses.adversarial_weight, gan.losses.pixel_weight, gan.losses.content_weight) == (
        5e-3,
        1e-2,
        1,
    )
    assert method("esrgan").vgg(gan) == VGGNeed(("conv5_4",), before_relu=True)
    network = method("esrgan").network(gan.network, 4)
    assert sum(p.numel() for p in network.parameters()) == 16_697_987


def test_g_learns_before_d_which_sees_the_images_that_g_made_before() -> None:
    config, step = small("ESRGAN-VGG34")
    assert [update.module for update in step.updates] == ["generator", "discriminator"]
    before = {name: copy.deepcopy(step.modules[name]) for name in ("generator", "discriminator")}
    given = sample(config)
    values = step(0, given)
    with torch.no_grad():
        sr = 2 * before["generator"](given.lr_01) - 1
        d = before["discriminator"].train()
        expected = relativistic_discriminator(d(given.hr_pm1), d(sr))
    torch.testing.assert_close(values["discriminator"], expected)
    assert values["pixel"] == pytest.approx(float((sr - given.hr_pm1).abs().mean()) / 2, rel=1e-5)


def test_the_forms_of_the_gan_are_a_setting() -> None:
    found = {}
    for form in ("paper", "basicsr", "mmsr"):
        config, step = small("ESRGAN-VGG34", relativistic=form)
        found[form] = step(0, sample(config))["discriminator"]
    torch.testing.assert_close(found["paper"], 2 * found["basicsr"])
    torch.testing.assert_close(found["basicsr"], found["mmsr"])


@pytest.mark.parametrize(
    "setting", ["relativistic=mmsr", "discriminator_channels=32", "content_weight=2", "pixel_weight=0"]
)
def test_a_setting_without_effect_is_refused(setting: str) -> None:
    with pytest.raises(UserError):
        configure("RRDB-PSNR", "quick").with_settings([setting])


def test_conv3_4_runs_under_a_name_of_its_own_and_conv5_4_asks_for_its_weights(tmp_path: Path) -> None:
    assert method("esrgan").vgg(configure("ESRGAN-VGG34")) == VGGNeed(("conv3_4",), True, True)
    weights = with_random_layers(None, ["conv3_4"], 0)
    path = tmp_path / "vgg.safetensors"
    save_file(weights.tensors, path)
    assert vgg_layer_weights(("conv3_4",), VGGSource(path), 0).random_layers == ()
    with pytest.raises(UserError, match=r"conv4_1 to conv5_4[^~]*torchvision"):
        vgg_layer_weights(("conv5_4",), VGGSource(path), 0)


@pytest.mark.parametrize("name", ["conv5_4", "conv5_4_rangenorm", "multi"])
def test_the_perceptual_loss_and_its_gradient_are_basicsrs(name: str) -> None:
    golden = case("perceptual", name)
    layers = golden.facts["settings"]["layer_weights"]
    weights = {}
    for key, shape, kind in facts("perceptual")["vgg_state_dict"]:
        caffe = next(caffe for caffe, at in CONVOLUTIONS.items() if key.startswith(f"features.{at}."))
        values = torch.from_numpy(fill(key, tuple(shape), kind, 1.5))
        weights[f"{caffe}.{key.rpartition('.')[2]}"] = values
    network = VGGFeatures(VGGWeights(weights, "torchvision", "rule"), list(layers), before_relu=True).double()
    # constants rounded to float32 would cost the digits that are compared
    mean, std = torch.tensor(MEAN, dtype=torch.float64), torch.tensor(STD, dtype=torch.float64)
    network.input_scale = (0.5 / std).view(1, 3, 1, 1)
    network.input_shift = ((0.5 - mean) / std).view(1, 3, 1, 1)
    x, gt = golden.given("x").requires_grad_(), golden.given("gt")
    pm1 = (lambda t: t) if golden.facts["settings"].get("range_norm") else (lambda t: 2 * t - 1)
    of_x, of_gt = network(pm1(x)), network(pm1(gt))
    loss = sum((weight * l1(of_x[tap], of_gt[tap]) for tap, weight in layers.items()), torch.zeros(()))
    assert relative_error(loss, golden.expected("l_percep")) < 1e-6
    (gradient,) = torch.autograd.grad(loss, x)
    assert relative_error(gradient, golden.expected("dloss_dx")) < 1e-6
    if name == "conv5_4":
        assert relative_error(of_x["conv5_4"][:, ::8], golden.expected("feat_conv5_4_x")) < 1e-6


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, for torchvision's VGG-19."""


def loaded(tensors: dict[str, Tensor], variant: str) -> Loaded:
    found = recognise(tensors)
    assert found is not None
    network = RRDBNet(found.blocks, found.channels, found.growth, found.scale).eval()
    network.load_state_dict(found.tensors)
    return Loaded(method("esrgan"), network, found.scale, {"variant": variant})


def rule_weights(prefix: str) -> dict[str, Tensor]:
    """The interpolation case's network in layout B, filled by the prefixed keys."""
    small = RRDBNet(2, 12, 6).state_dict()
    shapes = {}
    for _, b, c, _ in facts("esrgan_layouts")["keys_full_size_A_B_C_shape"]:
        if c in small:
            shapes[b] = tuple(small[c].shape)
    return {
        key: torch.from_numpy(fill(prefix + key, shape, "bias" if len(shape) == 1 else "weight"))
        for key, shape in shapes.items()
    }


@pytest.mark.parametrize("name", ["interp_00", "interp_02", "interp_08", "interp_10"])
def test_interpolated_networks_give_the_authors_pictures(name: str) -> None:
    golden = case("esrgan_layouts", name)
    psnr, gan = loaded(rule_weights("psnr/"), "RRDB-PSNR"), loaded(rule_weights("gan/"), "ESRGAN")
    mixed = interpolated(psnr, gan, golden.facts["alpha"])
    with torch.no_grad():
        y = mixed.network.double()(golden.given())
    assert relative_error(y, golden.expected()) < 1e-6


def test_the_ends_of_interpolation_are_the_two_networks_bit_for_bit() -> None:
    psnr, gan = loaded(rule_weights("psnr/"), "RRDB-PSNR"), loaded(rule_weights("gan/"), "ESRGAN")
    for alpha, end in ((0.0, psnr), (1.0, gan)):
        state = interpolated(psnr, gan, alpha).network.state_dict()
        assert all(torch.equal(state[name], value) for name, value in end.network.state_dict().items())
    for alpha in (-0.1, 1.1, float("nan")):
        with pytest.raises(UserError, match="alpha"):
            interpolated(psnr, gan, alpha)
    with pytest.raises(UserError, match="one architecture"):
        interpolated(loaded(RRDBNet(1, 12, 6).state_dict(), "other"), gan, 0.5)


def test_spandrel_reads_what_is_written(tmp_path: Path) -> None:
    spandrel = pytest.importorskip("spandrel", reason="spandrel is not installed")
    network = RRDBNet(2, 8, 32)
    network.initialise(0, "generator")
    save_pth(network, tmp_path / "out.pth")
    theirs = spandrel.ModelLoader().load_from_file(tmp_path / "out.pth")
    assert theirs.architecture.id == "ESRGAN"
    x = torch.rand(1, 3, 6, 9)
    with torch.no_grad():
        assert torch.equal(theirs.model(x), network(x))


def picture(folder: Path, height: int = 10, width: int = 14) -> tuple[Path, np.ndarray]:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    path = folder / "in.png"
    write_png(path, pixels)
    return path, pixels


def command(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def in_layout(layout: str, state: dict[str, Tensor]) -> dict[str, Any]:
    """A state dict of ours in another program's names or wrapping."""
    rows = facts("esrgan_layouts")["keys_full_size_A_B_C_shape"]
    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("body."))
    names = {c: (a.replace("sub.23.", f"sub.{blocks}."), b) for a, b, c, _ in rows}
    if layout in "AB":
        return {names[name]["AB".index(layout)]: value for name, value in state.items()}
    others = {name: torch.zeros_like(value) for name, value in state.items()}
    wrapped: dict[str, dict[str, Any]] = {
        "C": state,
        "params": {"params": state},
        "ema": {"params": others, "params_ema": state},
        "module": {f"module.{name}": value for name, value in state.items()},
    }
    return wrapped[layout]


@pytest.mark.parametrize(
    ("layout", "scale"),
    [("A", 4), ("B", 4), ("C", 4), ("params", 2), ("ema", 4), ("module", 1), ("C", 2)],
)
def test_upscale_with_weights_in_every_layout_gives_the_authors_picture(
    layout: str, scale: int, tmp_path: Path
) -> None:
    network = RRDBNet(2, 12, 6, scale).eval()
    fill_module(network)
    weights = tmp_path / "weights.pth"
    torch.save(in_layout(layout, network.state_dict()), weights, _use_new_zipfile_serialization=layout != "B")
    path, pixels = picture(tmp_path, 12, 16)
    where = ("--out", tmp_path / "out", "--device", "cpu", "--no-consistent")
    result = command("upscale", path, "--weights", weights, *where)
    assert result.exit_code == 0, result.output
    found = read_rgb_u8(next((tmp_path / "out").iterdir())).astype(int)
    with torch.no_grad():
        y = network.double()(torch.from_numpy(pixels).permute(2, 0, 1)[None].double() / 255)
    expected = (255 * y.clamp(0, 1)).round()[0].permute(1, 2, 0).numpy().astype(int)
    assert np.abs(found - expected).max() <= 1
    assert 20 < expected.mean() < 235  # neither black nor white


def test_interpolation_as_commands(tmp_path: Path) -> None:
    ends = {}
    for seed, name in ((0, "psnr"), (1, "gan")):
        network = RRDBNet(1, 6, 4)
        network.initialise(seed, "generator")
        ends[name] = tmp_path / f"{name}.pth"
        torch.save(network.state_dict(), ends[name])
    path, _ = picture(tmp_path)
    for alpha, name in ((0, "psnr"), (1, "gan")):
        for suffix in (".pth", ".safetensors"):
            target = tmp_path / f"{alpha}{suffix}"
            result = command("interpolate", ends["psnr"], ends["gan"], "--alpha", alpha, "--out", target)
            assert result.exit_code == 0, result.output
            state = load_network(target).network.state_dict()
            end = load_network(ends[name]).network.state_dict()
            assert all(torch.equal(state[key], end[key]) for key in end)
    strip = tmp_path / "strip.png"
    assert command("interpolate", ends["psnr"], ends["gan"], "--strip", path, "--out", strip).exit_code == 0
    assert read_rgb_u8(strip).shape == (40 + 22, 6 * 56 + 5 * 4, 3)
    for name, *rest in (("x.pth", "--alpha", 2), ("x.txt",), ("0.pth",)):
        result = command("interpolate", ends["psnr"], ends["gan"], "--out", tmp_path / str(name), *rest)
        assert isinstance(result.exception, UserError)


def finished(results: Path, variant: str, seed: int, **network_settings: object) -> None:
    """A finished quick run with a small network's initial weights."""
    config = configure(variant, "quick").but(network={"channels": 4, **network_settings})
    network = method("esrgan").network(config.network, 4)
    method("esrgan").initialise(network, config.but(seed=seed))
    folder = results / "runs" / f"{variant}-quick-s0-0"
    names = {"variant": variant, "profile": "quick", "seed": 0}
    about = names | method("esrgan").described(config)
    tensorfile.save(folder / "generator.safetensors", tensorfile.module_state("generator", network), about)
    outputs = {"generator.safetensors": sha256_file(folder / "generator.safetensors")}
    write_json(folder / "manifest.json", {"config": names, "outputs": outputs})


@pytest.mark.parametrize(
    ("psnr", "settings"),
    [
        ("RRDB-PSNR", {"growth": 4}),
        ("MSRResNet", {"generator": "msrresnet", "growth": ESRGANNetwork.growth, "blocks": 4}),  # --start
    ],
)
def test_alpha_at_inference(tmp_path: Path, psnr: str, settings: dict[str, object]) -> None:
    results = tmp_path / "results"
    finished(results, psnr, 0, **settings)
    finished(results, "ESRGAN", 1, **settings)
    path, _ = picture(tmp_path)
    images = {}
    for name, arguments in {
        "psnr": ["--method", psnr],
        "gan": ["--method", "ESRGAN"],
        "0": ["--method", "ESRGAN", "--alpha", 0],
        "0.8": ["--method", "ESRGAN", "--alpha", 0.8],
        "1": ["--method", "ESRGAN", "--alpha", 1],
    }.items():
        out = tmp_path / name
        result = command("upscale", path, "--results", results, "--out", out, "--no-consistent", *arguments)
        assert result.exit_code == 0, (result.output, result.exception)
        images[name] = read_rgb_u8(next(out.iterdir()))
    assert np.array_equal(images["0"], images["psnr"])
    assert np.array_equal(images["1"], images["gan"])
    assert not np.array_equal(images["0.8"], images["gan"])
    for method_name in (psnr, "bicubic"):
        result = command(
            "upscale", path, "--results", results, "--out", tmp_path / "no", "--method", method_name,
            "--alpha", 0.5,
        )  # fmt: skip
        assert isinstance(result.exception, UserError)
        assert "alpha" in str(result.exception) or "unknown variant" in str(result.exception)


def test_a_file_of_an_unknown_network_is_told_by_its_tensors(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(3)}, tmp_path / "vgg.pth")
    path, _ = picture(tmp_path)
    result = command("upscale", path, "--weights", tmp_path / "vgg.pth", "--out", tmp_path / "out")
    assert isinstance(result.exception, UserError)
    assert "vgg.pth: of no architecture" in str(result.exception)
    assert "ONNX" in str(result.exception)

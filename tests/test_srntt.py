"""SRNTT: texture swapping, networks and losses against the authors' code; memory; the wrong reference."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from repro.core.errors import UserError
from repro.data.samples import Sample
from repro.imaging.io import sha256_file, write_png
from repro.imaging.resize_torch import imresize_float_batch
from repro.inference.network import NetworkUpscaler
from repro.inference.upscaler import Options
from repro.methods import method
from repro.methods.config import RunConfig
from repro.methods.context import Context
from repro.methods.variants import configure
from repro.nn import texture
from repro.nn.swap import match, similar_enough, similarity_map, swapped
from repro.nn.transfer import Content, Discriminator, SRNTTGenerator
from repro.nn.vgg import VGGFeatures, with_random_layers
from repro.train.statistics import with_statistics
from repro.train.step import Step
from tests import systems_golden as golden

_CONTENT = {"head": "n64s1/c", "body": "n64s1/c/m", "body_bn": "n64s1/b/m", "upscale.0.0": "n256s1/1",
            "upscale.1.0": "n256s1/2", "upscale.2.0": "out"}  # fmt: skip
_LAST = {"weight": "W_conv2d", "bias": "b_conv2d"}
_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def _official(key: str) -> str:
    """TensorFlow's name of a variable of the generator."""
    module, last = key.rsplit(".", 1)
    part, _, rest = module.partition(".")
    names = _NORM if "bn" in rest.rpartition(".")[2] else _LAST
    if part == "content":
        if rest.startswith("blocks"):
            _, number, kind = rest.split(".")
            rest = f"n64s1/{kind.replace('conv', 'c').replace('bn', 'b')}/{number}"
        else:
            rest = _CONTENT[rest]
        return f"content_extractor/{rest}/{names[last]}"
    if rest == "0":
        return f"texture_transfer/out/{names[last]}"
    level, _, rest = rest.partition(".")
    if rest.startswith("blocks"):
        _, number, kind = rest.split(".")
        rest = f"resblock_{number}/{kind}"
    else:
        rest = {"conv1": "conv1", "body": "conv2", "body_bn": "bn2", "last": "conv3", "last.0": "conv3"}[rest]
    return f"texture_transfer/{level}/{rest}/{names[last]}"


def _generator(blocks: int) -> SRNTTGenerator:
    """The generator in float64 with the goldens' weights; TensorFlow's depth_to_space has channels last."""
    network = SRNTTGenerator(blocks=blocks).double()
    del network.features  # no part of the goldens
    golden.fill_module(network, lambda key: _official(key.replace("transfer.out.0", "transfer.0")), 0.5)
    for module in network.modules():
        if isinstance(module, nn.Sequential) and len(module) == 3 and isinstance(module[1], nn.PixelShuffle):
            conv = module[0]
            assert isinstance(conv, nn.Conv2d)
            for value in conv.parameters():
                value.data = value.data.unflatten(0, (4, -1)).transpose(0, 1).flatten(0, 1).contiguous()
    return network.eval()


def _maps(prefix: str, file: str = "srntt") -> list[Tensor]:
    stored = golden.tensors(file)
    return [stored[f"{prefix}map_relu{n}_1_u8div32"].double() / 32 for n in (3, 2, 1)]


@pytest.mark.parametrize(("case", "blocks"), [("full", 16), ("red4", 4), ("red4_train", 4)])
def test_networks_give_the_authors_values(case: str, blocks: int) -> None:
    stored = golden.tensors("srntt")
    network = _generator(blocks).train(case.endswith("train"))
    content = network.content.features((stored[f"{case}.lr"].double() + 1) / 2)
    assert golden.relative_error(content, stored[f"{case}.content"], 1) <= 1e-5
    assert golden.relative_error(network.content.upscale(content), stored[f"{case}.upscale"], 1) <= 1e-5
    sr = network.transfer(content, _maps(f"{case}."))
    assert golden.relative_error(sr, stored[f"{case}.out"], 1) <= 1e-5


def test_networks_have_as_many_parameters_as_the_papers() -> None:
    network = SRNTTGenerator()
    assert sum(p.numel() for p in network.parameters()) == 4_383_494
    assert sum(p.numel() for p in network.content.parameters()) == 1_518_147
    assert sum(p.numel() for p in network.transfer.parameters()) == 2_865_347
    assert sum(p.numel() for p in Discriminator((160, 160)).parameters()) == 17_823_457


def _hwc(name: str) -> Tensor:
    return golden.tensors("srntt")[name].double().permute(2, 0, 1).contiguous()


@pytest.mark.parametrize(("case", "references"), [(0, 1), (1, 2)])
@pytest.mark.parametrize("products", [10, 2_000, 2**22])
def test_swapping_gives_the_authors_patches_whatever_the_bands(
    case: int, references: int, products: int
) -> None:
    stored = golden.tensors("srntt")
    condition = [_hwc(f"swap.{case}.condition.{i}") for i in range(references)]
    matches = match(_hwc(f"swap.{case}.content"), condition, products)
    assert torch.equal(matches.patch.int(), stored[f"swap.{case}.idx"])
    assert golden.relative_error(matches.similarity, stored[f"swap.{case}.weights"], 1) <= 1e-6
    for level, name in enumerate(("style", "other1", "other2")):
        textures = [_hwc(f"swap.{case}.{name}.{i}") for i in range(references)]
        result = swapped(matches, textures, 2**level)
        assert golden.relative_error(result, _hwc(f"swap.{case}.swapped{level}"), 1) <= 1e-6


def test_swapping_equals_an_exhaustive_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    content = torch.randn(6, 8, 7, generator=generator, dtype=torch.float64).relu()
    reference = torch.randn(6, 5, 9, generator=generator, dtype=torch.float64).relu()
    reference[:, 1:4, 2:5] = 0  # an empty patch fits nothing
    texture_map = torch.randn(3, 20, 36, generator=generator, dtype=torch.float64)
    matches = match(content, [reference], 500)
    total, count = torch.zeros(3, 32, 28, dtype=torch.float64), torch.zeros(32, 28)
    for y, x in itertools.product(range(6), range(5)):
        patch, best = content[:, y : y + 3, x : x + 3], (-1.0, 0, 0)
        for v, u in itertools.product(range(3), range(7)):
            other = reference[:, v : v + 3, u : u + 3]
            if other.norm() > 0:
                value = float((patch * other).sum() / patch.norm() / other.norm())
                best = max(best, (value, v, u), key=lambda found: found[0])
        value, v, u = best
        assert matches.patch[y, x] == v * 7 + u
        assert float(matches.similarity[y, x]) == pytest.approx(value, abs=1e-12)
        rows, columns = slice(4 * y, 4 * y + 12), slice(4 * x, 4 * x + 12)
        total[:, rows, columns] += texture_map[:, 4 * v : 4 * v + 12, 4 * u : 4 * u + 12]
        count[rows, columns] += 1
    assert torch.allclose(swapped(matches, [texture_map], 4), total / count, atol=1e-12)
    edge = similarity_map(matches)
    assert edge.shape == (8, 7)
    assert edge[0, 0] == matches.similarity[0, 0]


def test_swapping_an_image_with_itself_gives_itself() -> None:
    maps = torch.rand(16, 9, 11, generator=torch.Generator().manual_seed(1))
    matches = match(maps, [torch.rand(16, 4, 5), maps])
    assert torch.allclose(swapped(matches, [torch.rand(16, 4, 5), maps], 1), maps, atol=1e-6)
    assert torch.allclose(matches.similarity, torch.ones(7, 9), atol=1e-5)


def test_patches_that_are_not_alike_are_the_contents_own() -> None:
    generator = torch.Generator().manual_seed(2)
    content, other = torch.rand(2, 16, 9, 11, generator=generator)
    content[:, :5] = other[:, :5]  # the upper rows are the reference's own
    matches = match(content, [torch.rand(16, 4, 5, generator=generator), other])
    found = similar_enough(matches, 0.999)
    assert (found.similarity[:3] > 0.999).all()
    assert (found.similarity[3:] == 0).all()
    both = [torch.zeros(1, 4, 5), torch.ones(1, 9, 11), torch.full((1, 9, 11), 2.0)]
    laid = swapped(found, both, 1)[0]
    assert (laid[:3] == 1).all()
    assert (laid[5:] == 2).all()
    own = [torch.rand(16, 4, 5), other, content]
    assert torch.allclose(swapped(similar_enough(matches, 1.1), own, 1), content, atol=1e-6)
    assert torch.equal(similar_enough(matches, 0.0).patch, matches.patch)


@torch.no_grad()
def test_a_reference_that_is_not_alike_changes_nothing() -> None:
    torch.manual_seed(0)
    network = SRNTTGenerator(8, 1, 1, least_similarity=1.0).eval()
    lr, references = torch.rand(1, 3, 8, 9), torch.rand(2, 1, 3, 24, 32) * 2 - 1
    one, other = (network(lr, [reference]) for reference in references)
    assert torch.equal(one.sr, other.sr)
    assert not one.similarity.any()
    network.least_similarity = 0.0
    assert not torch.equal(network(lr, references[:1]).sr, one.sr)


@torch.no_grad()
def test_the_networks_start_as_an_interpolation_and_as_the_content_extractor() -> None:
    content = _networks(_small("SRNTT-content", "channels=24"))["generator"].eval()
    smooth = torch.linspace(0.02, 0.98, 16).repeat(1, 3, 16, 1)
    wanted = imresize_float_batch(smooth * 2 - 1, 4)
    inner = (..., slice(8, -8), slice(8, -8))
    assert (content(smooth) - wanted)[inner].abs().max() < 0.05
    config = _small("SRNTT-rec", "channels=24")
    how, networks = method(config.method), _networks(config)
    networks["content"].load_state_dict(content.state_dict())
    how.complete(networks | {"vgg": networks["generator"].get_submodule("features")}, config)
    generator = networks["generator"].eval()
    lr = torch.rand(1, 3, 8, 9)
    sr = generator(lr, [torch.rand(1, 3, 24, 32)]).sr
    assert torch.allclose(sr, content(lr), atol=1e-5)
    with pytest.raises(UserError, match="initial"):
        method("srntt").check(configure("SRNTT", "cpu").with_settings(["initial=interpolating"]))
    with pytest.raises(UserError, match="6 or more"):
        _small("SRNTT-rec", "channels=4")


@torch.no_grad()
def test_estimating_statistics_leaves_the_content_extractor_alone() -> None:
    config = _small("SRNTT-rec", "crop_hr=32")
    networks = _networks(config)
    networks["content"].get_submodule("body_bn").get_buffer("running_mean").fill_(3)
    found = with_statistics(networks["generator"], method("srntt"), [_sample(32)], nullcontext)
    assert (found.get_submodule("content.body_bn").get_buffer("running_mean") == 3).all()
    assert found.get_submodule("transfer.small.body_bn").get_buffer("running_mean").any()


_MEMORY = """
import re, sys, torch
from pathlib import Path
from repro.nn.swap import match, swapped
torch.set_num_threads(1)
def used(side):
    maps = [torch.rand(c, side * f, side * f) for c, f in ((256, 1), (128, 2), (64, 4))]
    matches = match(maps[0], [maps[0]])
    for level in range(3):
        swapped(matches, [maps[level]], 2**level)
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
start = used(8)
print(used(int(sys.argv[1])) - start)
"""


def test_memory_of_swapping_grows_no_faster_than_the_images() -> None:
    """All pairs of patches would take 16 times the memory at twice the side; pixels are 4 times as many.

    The C library is told to give every freed block back: by default its arenas move the peak by 100 MB.
    """
    plain = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    used = [
        int(
            subprocess.run(
                [sys.executable, "-c", _MEMORY, side],
                capture_output=True,
                check=True,
                env={**os.environ, **plain},
            ).stdout
        )
        for side in ("48", "96")
    ]
    assert used[1] < 4.5 * used[0], used
    assert used[1] < 400 * 1024, used  # the products of all pairs of positions alone are 340 MB


def test_small_references_and_none_are_refused() -> None:
    network = SRNTTGenerator(channels=4, content_blocks=1, blocks=1).eval()
    with pytest.raises(UserError, match="12 x 12"):
        network(torch.rand(1, 3, 4, 4), [torch.rand(1, 3, 11, 40)])
    with pytest.raises(UserError, match="no reference"):
        network(torch.rand(1, 3, 4, 4), [])


class _TensorFlowNorm(nn.BatchNorm2d):
    """Batch norm whose second derivative is TensorFlow 1's: its variance takes the mean as a constant."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((0, 2, 3), keepdim=True)
        variance = (x - mean.detach()).square().mean((0, 2, 3), keepdim=True)
        x = (x - mean) / torch.sqrt(variance + self.eps)
        return x * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


def test_losses_give_the_authors_values() -> None:
    stored = {key[5:]: value.double() for key, value in golden.tensors("srntt").items() if key[:5] == "loss."}
    network = Discriminator((40, 24)).double()

    def official(key: str) -> str:
        module, last = key.rsplit(".", 1)
        part, number = module.split(".")
        if part == "dense":
            return (
                f"discriminator/{'fc2014' if number == '1' else 'output'}/{'W' if last == 'weight' else 'b'}"
            )
        position, kind = divmod(int(number), 3)
        name = f"discriminator/n{32 * 2 ** (position // 2)}s{position % 2 + 1}"
        return f"{name}/c/W_conv2d" if kind == 0 else f"{name}/b/{_NORM[last]}"

    golden.fill_module(network, official)
    dense = network.dense[1]
    assert isinstance(dense, nn.Linear)
    dense.weight.data = (
        dense.weight.data.unflatten(1, (2, 1, 512)).permute(0, 3, 1, 2).flatten(1).contiguous()
    )
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = _TensorFlowNorm
    hr, sr = stored["hr"], stored["sr"].requires_grad_()
    logits_hr, logits_sr = network(hr), network(sr)
    assert golden.relative_error(logits_hr, stored["d_real_logits"], 1) <= 1e-5
    assert golden.relative_error(logits_sr, stored["d_fake_logits"], 1) <= 1e-5
    penalty = texture.gradient_penalty(network, hr, sr.detach(), stored["alpha"], "pixel")
    assert golden.relative_error(penalty[None], stored["gradient_penalty"], 1) <= 1e-5
    adversarial = texture.wasserstein_generator(logits_sr)
    assert golden.relative_error(adversarial[None], stored["loss_g"], 1) <= 1e-5
    (gradient,) = torch.autograd.grad(adversarial, sr, retain_graph=True)
    assert golden.relative_error(gradient, stored["grad_loss_g_sr"], 1) <= 1e-5
    loss = texture.wasserstein_discriminator(logits_hr, logits_sr) + 10 * penalty
    assert golden.relative_error(loss[None], stored["loss_d"], 1) <= 1e-5
    loss.backward()
    first, last = network.features[0], network.dense[3]
    assert isinstance(first, nn.Conv2d)
    assert isinstance(last, nn.Linear)
    assert first.weight.grad is not None
    assert last.weight.grad is not None
    assert golden.relative_error(first.weight.grad, stored["grad_loss_d_conv0"], 1) <= 1e-5
    assert golden.relative_error(last.weight.grad, stored["grad_loss_d_output"], 1) <= 1e-5

    phi = [stored[f"vggsr_relu{n}_1_u8div32"] / 32 for n in (3, 2, 1)]
    maps = [stored[f"map_relu{n}_1_u8div32"] / 32 for n in (3, 2, 1)]
    ones = [torch.ones(1, 1, 1, 1, dtype=torch.float64)] * 3
    value = texture.texture(phi, maps, ones, "squared") * 1e6
    assert golden.relative_error(value[None], stored["loss_texture_times_1e6"], 0) <= 1e-4
    levels = [texture.texture([a], [b], [w], "squared") for a, b, w in zip(phi, maps, ones, strict=True)]
    root = sum(float(level) ** 0.5 for level in levels)  # of two images' mean, so not quite the mean of roots
    assert float(texture.texture(phi, maps, ones, "frobenius")) == pytest.approx(root, rel=0.05)
    similarity = stored["weights"][:, None]
    weights = [texture.code_weights(texture.enlarged(similarity, factor)) for factor in (1, 2, 4)]
    value = texture.texture(phi, maps, weights, "squared") * 1e6
    assert golden.relative_error(value[None], stored["loss_texture_weighted_times_1e6"], 0) <= 1e-4


def test_enlarging_weights_is_tensorflows() -> None:
    stored = golden.tensors("srntt")
    given = stored["tf_bicubic.in"].double()[None, None]
    for factor in (2, 4):
        value = texture.enlarged(given, factor)[0, 0]
        assert golden.relative_error(value, stored[f"tf_bicubic.x{factor}"], 1) <= 1e-6


def test_the_penalty_of_wgan_gp_is_of_whole_images() -> None:
    """A linear D of known slope: |gradient| = sqrt(3 h w) / 2 of the image, sqrt(3) / 2 of each pixel."""
    hr, sr, alpha = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5), torch.tensor([0.1, 0.9])
    value = texture.gradient_penalty(lambda x: x.sum((1, 2, 3)) / 2, hr, sr, alpha, "image")
    assert float(value) == pytest.approx((60**0.5 / 2 - 1) ** 2, rel=1e-5)
    value = texture.gradient_penalty(lambda x: x.sum((1, 2, 3)) / 2, hr, sr, alpha, "pixel")
    assert float(value) == pytest.approx((3**0.5 / 2 - 1) ** 2, rel=1e-5)


def _small(variant: str, *settings: str) -> RunConfig:
    small = ("channels=8", "content_blocks=1", "transfer_blocks=1") if variant != "CrossNet" else ("width=4",)
    return configure(variant, "quick").with_settings([*small, "precision=float32", *settings])


def _sample(crop: int, count: int = 2) -> Sample:
    hr, reference = torch.rand(2, count, 3, crop, crop, generator=torch.Generator().manual_seed(3)) * 2 - 1
    lr = torch.rand(count, 3, crop // 4, crop // 4, generator=torch.Generator().manual_seed(4))
    return Sample(lr, hr, 4, reference)


def _networks(config: RunConfig) -> dict[str, nn.Module]:
    how = method(config.method)
    networks = how.build(config)
    need = how.vgg(config)
    if need is not None:
        weights = with_random_layers(None, need.taps, 0)
        networks["vgg"] = VGGFeatures(weights, need.taps, need.before_relu)
        how.complete(networks, config)
    return networks


def test_a_step_trains_all_but_the_content_extractor_and_the_features() -> None:
    config = _small("SRNTT", "crop_hr=32")
    networks = _networks(config)
    step = Step(config, method("srntt"), networks, torch.device("cpu"))
    before = {name: value.clone() for name, value in networks["generator"].state_dict().items()}
    critic = [value.clone() for value in networks["discriminator"].parameters()]
    values = step(0, _sample(32))
    assert set(values) == {"critic", "penalty", "reconstruction", "perceptual", "texture", "adversarial"}
    assert all(torch.isfinite(value) and value != 0 for value in values.values()), values
    after = networks["generator"].state_dict()
    changed = {name.partition(".")[0] for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"transfer"}
    unchanged = [n for n in after if "transfer" in n and torch.equal(after[n], before[n])]
    assert not unchanged
    after_critic = list(networks["discriminator"].parameters())
    # but for the last bias, which a difference of logits does not feel
    assert all(not torch.equal(a, b) for a, b in zip(after_critic[:-1], critic[:-1], strict=True))


@pytest.mark.parametrize("name", ["perceptual", "texture", "adversarial", "reconstruction"])
def test_every_term_reaches_the_generator(name: str) -> None:
    config = _small("SRNTT", "crop_hr=32")
    how, networks, sample = method("srntt"), _networks(config), _sample(32)
    outputs = how.forward(networks, sample)
    context = Context(outputs, sample, networks, nullcontext, 0)
    (term,) = (term for term in how.updates(config)[-1].terms if term.name == name)
    term.of(context).backward()
    gradient = networks["generator"].get_submodule("transfer.small.conv1").get_parameter("weight").grad
    assert gradient is not None
    assert gradient.abs().max() > 0


def test_the_content_extractors_weights_find_their_place() -> None:
    """What the first stage writes is what the second takes, under the same names."""
    first = _networks(_small("SRNTT-content"))["generator"].state_dict()
    networks = _networks(_small("SRNTT-rec"))
    networks["content"].load_state_dict(first)
    state = networks["generator"].state_dict()
    assert all(torch.equal(state[f"content.{name}"], value) for name, value in first.items())
    assert _count(networks["generator"]) == _count(networks["generator"].get_submodule("transfer"))
    networks["generator"].train()
    assert not networks["content"].training


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _upscaler(references: tuple[Path, ...], tile: int | None = None) -> NetworkUpscaler:
    torch.manual_seed(0)
    network = SRNTTGenerator(8, 1, 1).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    return NetworkUpscaler("SRNTT", method("srntt"), network, 4, Options(tile=tile, references=references))


def _picture(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_upscaling_takes_several_references_of_any_size_and_tells_their_hashes(tmp_path: Path) -> None:
    paths = (tmp_path / "a.png", tmp_path / "b.png")
    write_png(paths[0], _picture(1, 12, 41)[:, :, 0])  # grey, and as small as can be
    write_png(paths[1], _picture(2, 60, 53))
    lr = _picture(3, 9, 11)
    upscaler = _upscaler(paths)
    assert dict(upscaler.inputs) == {f"reference {p.name}": sha256_file(p) for p in paths}
    (both,) = upscaler([lr])
    assert both.shape == (36, 44, 3)
    (one,) = _upscaler(paths[:1])([lr])
    assert not np.array_equal(one, both)
    again = _upscaler(paths)([lr, lr])  # together
    assert np.abs(again[1].astype(int) - both).max() <= 1


def test_tiles_give_the_whole_image(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", _picture(1, 40, 40))
    lr = _picture(5, 40, 64)
    (whole,) = _upscaler((tmp_path / "a.png",), 0)([lr])
    (tiled,) = _upscaler((tmp_path / "a.png",), 24)([lr])
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_wrong_references_are_answered(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="without a reference"):
        _upscaler(())
    with pytest.raises(UserError, match="no such file"):
        _upscaler((tmp_path / "missing.png",))
    write_png(tmp_path / "tiny.png", _picture(1, 11, 40))
    with pytest.raises(UserError, match="40 x 11"):
        _upscaler((tmp_path / "tiny.png",))
    Image.new("RGBA", (40, 40)).save(tmp_path / "alpha.png")
    with pytest.raises(UserError, match="alpha"):
        _upscaler((tmp_path / "alpha.png",))
    Image.new("I;16", (40, 40)).save(tmp_path / "deep.png")
    with pytest.raises(UserError, match="8 bits"):
        _upscaler((tmp_path / "deep.png",))
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(UserError, match="not an image"):
        _upscaler((tmp_path / "text.png",))
    write_png(tmp_path / "good.png", _picture(1, 40, 40))
    with pytest.raises(UserError, match="takes one"):
        content = Content(8, 1)
        NetworkUpscaler(
            "x", method("srntt_content"), content, 4, Options(references=(tmp_path / "good.png",))
        )

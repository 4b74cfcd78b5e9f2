"""Architectures: parameter counts of the paper, shapes, initialisation, VGG conventions, folding."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from repro.core.errors import UserError
from repro.methods import method
from repro.methods.srgan import Discriminator, Generator
from repro.nn import vgg
from repro.nn.fold import folded
from repro.nn.initialise import initialise
from repro.papers import srgan as paper


def count_parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("blocks", "parameters"), paper.GENERATOR_PARAMETERS.items())
def test_generator_parameters(blocks: int, parameters: int) -> None:
    assert count_parameters(Generator(blocks)) == parameters


def test_other_parameter_counts() -> None:
    assert count_parameters(Generator(16, prelu="channel")) == paper.GENERATOR_PARAMETERS_PER_CHANNEL_PRELU
    assert count_parameters(Discriminator()) == paper.DISCRIMINATOR_PARAMETERS


def test_shapes_and_skip() -> None:
    lr_01 = torch.rand(2, 3, 9, 7)
    for long_skip in (True, False):
        generator = Generator(2, long_skip=long_skip)
        initialise(generator, 0, "generator")
        assert generator(lr_01).shape == (2, 3, 36, 28)
    plain, skipping = Generator(1, long_skip=False).eval(), Generator(1).eval()
    skipping.load_state_dict(plain.state_dict())
    assert not torch.equal(plain(lr_01), skipping(lr_01))
    assert Discriminator()(torch.rand(2, 3, 96, 96)).shape == (2, 1)


def test_receptive_radius_is_enough_and_needed() -> None:
    generator = Generator(2).eval()
    initialise(generator, 0, "generator")
    radius = method("srgan").radius(generator)
    assert radius is not None
    lr = torch.rand(1, 3, 2 * radius + 9, 8)
    other = lr.clone()
    middle = lr.shape[2] // 2
    other[:, :, : middle - radius] += 1
    rows = slice(4 * middle, 4 * middle + 4)
    assert torch.equal(generator(lr)[:, :, rows], generator(other)[:, :, rows])
    near = lr.clone()
    near[:, :, middle - radius] += 1
    assert not torch.equal(generator(lr)[:, :, rows], generator(near)[:, :, rows])


def test_initialisation_is_a_function_of_the_seed() -> None:
    first, again, other = Generator(1), Generator(1), Generator(1)
    torch.manual_seed(1)
    initialise(first, 0, "generator")
    torch.manual_seed(2)
    initialise(again, 0, "generator")
    initialise(other, 1, "generator")
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.head.weight, other.head.weight)


@torch.no_grad()
def test_folded_generator_is_the_same_function() -> None:
    generator = Generator(16)
    initialise(generator, 0, "generator")
    generator.train()
    for _ in range(3):
        generator(torch.rand(2, 3, 24, 24))  # running statistics that are not the identity
    generator.eval()
    lr = torch.rand(1, 3, 24, 24)
    expected = generator(lr)
    difference = (folded(generator)(lr) - expected).abs().max() / expected.abs().max()
    assert difference < 1e-5
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded(generator).modules())


# --- VGG-19 ---


def _random_weights(tap: str = "conv5_4") -> vgg.VGGWeights:
    return vgg.with_random_layers(None, (tap,), 0)


def _phi(weights: vgg.VGGWeights, tap: str, image: torch.Tensor) -> torch.Tensor:
    return vgg.VGGFeatures(weights, (tap,))(image)[tap]


def test_taps() -> None:
    image = torch.rand(1, 3, 96, 96) * 2 - 1
    assert _phi(_random_weights("conv2_2"), "conv2_2", image).shape == (1, 128, 48, 48)
    assert _phi(_random_weights(), "conv5_4", image).shape == (1, 512, 6, 6)
    assert (_phi(_random_weights(), "conv5_4", image) >= 0).all()  # after the ReLU
    several = vgg.VGGFeatures(_random_weights(), ("conv1_1", "conv5_4"), before_relu=True)(image)
    assert {tap: maps.shape[1] for tap, maps in several.items()} == {"conv1_1": 64, "conv5_4": 512}
    assert (several["conv5_4"] < 0).any()
    torch.testing.assert_close(several["conv5_4"].relu(), _phi(_random_weights(), "conv5_4", image))


def test_the_tapped_layers_are_torchvisions() -> None:
    from torchvision.models import vgg19

    state = {k: v for k, v in vgg19(weights=None).state_dict().items() if k.startswith("features")}
    weights = vgg.VGGWeights(vgg._by_caffe_name(state, Path("x")), "torchvision", "test")
    features = torch.nn.Sequential()
    theirs = vgg19(weights=None)
    theirs.load_state_dict(state, strict=False)
    image = torch.rand(1, 3, 32, 32)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    for tap, end in (("conv2_2", 9), ("conv5_4", 36)):
        features = theirs.features[:end]
        expected = features((image - mean) / std)
        ours = _phi(weights, tap, image * 2 - 1)
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_both_input_conventions(tmp_path: Path) -> None:
    """One first layer, written for torchvision's RGB and for Caffe's BGR, gives one answer."""
    torch.manual_seed(0)
    tensors = dict(_random_weights("conv2_2").tensors)
    rgb = vgg.VGGWeights(tensors, "torchvision", "test")
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    caffe_mean = torch.tensor([123.68, 116.779, 103.939])
    caffe = dict(tensors)
    # w (x/255 - mean) / std = w / (255 std) (x - caffe_mean) + constant; interior pixels only (padding)
    weight = tensors["conv1_1.weight"] / (255 * std).view(1, 3, 1, 1)
    constant = (tensors["conv1_1.weight"] * ((caffe_mean / 255 - mean) / std).view(1, 3, 1, 1)).sum((1, 2, 3))
    caffe["conv1_1.weight"] = weight.flip(1)
    caffe["conv1_1.bias"] = tensors["conv1_1.bias"] + constant
    save_file(
        {
            f"features.{vgg.CONVOLUTIONS[k.split('.')[0]]}.{k.split('.')[1]}": v.contiguous()
            for k, v in caffe.items()
        },
        tmp_path / "caffe.safetensors",
    )
    loaded = vgg.load_weights(tmp_path / "caffe.safetensors")
    assert loaded.convention == "caffe"
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    a, b = _phi(rgb, "conv2_2", image), _phi(loaded, "conv2_2", image)
    inner = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(a[inner], b[inner], rtol=1e-3, atol=1e-4)


def test_normalisation_gives_unit_means() -> None:
    weights = _random_weights("conv2_2")
    batches = [torch.rand(4, 3, 32, 32) * 2 - 1 for _ in range(3)]
    means = vgg.mean_activations(weights, ("conv2_2",), False, batches)
    features = vgg.VGGFeatures(weights, ("conv2_2",), channel_means=means)
    maps = torch.cat([features(b)["conv2_2"] for b in batches]) / paper.VGG_RESCALE
    alive = means["conv2_2"] > 1e-6
    torch.testing.assert_close(
        maps.mean((0, 2, 3))[alive], torch.ones(int(alive.sum())), rtol=1e-4, atol=1e-4
    )


def test_vgg_is_frozen() -> None:
    features = vgg.VGGFeatures(_random_weights("conv2_2"), ("conv2_2",))
    assert not any(p.requires_grad for p in features.parameters())
    assert not features.training


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x80\x04\x95pickle"])
def test_hostile_weight_files_are_refused(tmp_path: Path, content: bytes) -> None:
    for name in ("w.safetensors", "w.pth"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError):
            vgg.load_weights(tmp_path / name)
    with pytest.raises(UserError, match="no such"):
        vgg.load_weights(tmp_path / "missing.safetensors")


def test_a_pickled_program_is_not_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "exploded",))  # type: ignore[return-value]

    torch.save({"features.0.weight": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(UserError):
        vgg.load_weights(tmp_path / "bomb.pth")
    assert not (tmp_path / "exploded").exists()


def test_wrong_shapes_are_named(tmp_path: Path) -> None:
    save_file(
        {"features.0.weight": torch.zeros(64, 3, 5, 5), "features.0.bias": torch.zeros(64)},
        tmp_path / "w.safetensors",
    )
    with pytest.raises(UserError, match="conv1_1"):
        vgg.load_weights(tmp_path / "w.safetensors")


def test_random_layers_are_named() -> None:
    lower = vgg.VGGWeights(dict(_random_weights("conv2_2").tensors), "caffe", "lower half")
    completed = vgg.with_random_layers(lower, ("conv5_4",), 0)
    assert completed.random_layers[0] == "conv3_1"
    assert completed.random_layers[-1] == "conv5_4"
    assert "random" in completed.origin
    assert vgg.with_random_layers(lower, ("conv2_2",), 0).random_layers == ()

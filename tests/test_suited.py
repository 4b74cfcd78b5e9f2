"""The layers that suit a processor are the ordinary layers: same values, same gradients, same parameters."""

import copy

import pytest
import torch
from torch import nn

from repro.methods.srgan import Generator
from repro.nn.initialise import initialise
from repro.nn.suited import (
    DeviceSharedPReLU,
    FewOutputsConv2d,
    SharedPReLU,
    ShuffledConv2d,
    freeze_half,
    suit_cpu,
    suit_gpu,
)
from repro.nn.vgg import VGGFeatures, with_random_layers


class Shuffling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 32, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shuffle(self.conv(x))


LAYERS = {
    "prelu": (lambda: nn.Sequential(nn.PReLU()), suit_cpu, SharedPReLU),
    "prelu of a GPU": (lambda: nn.Sequential(nn.PReLU()), suit_gpu, DeviceSharedPReLU),
    "few outputs": (lambda: nn.Sequential(nn.Conv2d(16, 3, 9, padding=4)), suit_cpu, FewOutputsConv2d),
    "few outputs of a GPU": (
        lambda: nn.Sequential(nn.Conv2d(16, 3, 9, padding=4)),
        suit_gpu,
        FewOutputsConv2d,
    ),
    "few outputs, small": (lambda: nn.Sequential(nn.Conv2d(16, 2, 5, padding=2)), suit_cpu, FewOutputsConv2d),
    "shuffled": (Shuffling, suit_cpu, ShuffledConv2d),
}


@pytest.mark.parametrize("size", [(12, 9), (3, 5), (1, 1)])
@pytest.mark.parametrize("name", list(LAYERS))
def test_values_and_gradients_are_those_of_the_plain_layer(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    make, suit, kind = LAYERS[name]
    plain = make().double()
    ours = suit(copy.deepcopy(plain))
    assert any(type(layer) is kind for layer in ours.modules())
    x = torch.randn(2, 16, *size, dtype=torch.float64, requires_grad=True)
    y, expected = ours(x), plain(x)
    # sums are made in float32 where half precision is meant to be summed
    torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-5)
    weights = torch.randn_like(expected)
    got = torch.autograd.grad((y.double() * weights).sum(), [x, *ours.parameters()])
    wanted = torch.autograd.grad((expected * weights).sum(), [x, *plain.parameters()])
    assert all(g.abs().sum() > 0 for g in wanted)
    for g, w in zip(got, wanted, strict=True):
        torch.testing.assert_close(g.double(), w, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [SharedPReLU, DeviceSharedPReLU])
def test_a_negative_or_zero_slope_is_no_special_case(kind: type[nn.PReLU]) -> None:
    for slope in (-0.5, 0.0, 1.0, 2.0):
        layer = kind()
        nn.init.constant_(layer.weight, slope)
        x = torch.tensor([[-2.0, 0.0, 3.0]], requires_grad=True)
        y = layer(x)
        assert y.tolist() == [[-2 * slope, 0.0, 3.0]]
        y.sum().backward()
        assert layer.weight.grad is not None
        assert layer.weight.grad.item() == -2.0


def test_the_generator_has_the_plain_ones_keys_and_function() -> None:
    plain = Generator(2)
    initialise(plain, 0, "generator")
    ours = suit_cpu(copy.deepcopy(plain))
    kinds = [type(layer) for layer in ours.modules()]
    assert (kinds.count(FewOutputsConv2d), kinds.count(ShuffledConv2d)) == (1, 2)
    assert list(ours.state_dict()) == list(plain.state_dict())
    assert {"tail.weight", "upsample.0.conv.weight", "head_prelu.weight"} <= set(ours.state_dict())
    lr = torch.rand(2, 3, 10, 12)
    torch.testing.assert_close(ours(lr), plain(lr), rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        half, plain_half = ours(lr), plain(lr)
    error = (half.float() - plain(lr)).abs().mean()
    plain_error = (plain_half.float() - plain(lr)).abs().mean()
    assert error < 1.2 * plain_error  # no less exact in half precision than the ordinary layers


def test_a_frozen_network_in_bfloat16_has_the_bits_of_autocast() -> None:
    taps = ("conv1_2", "conv2_2")
    features = VGGFeatures(with_random_layers(None, taps, seed=0), taps)
    half = freeze_half(copy.deepcopy(features))
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert half.input_scale.dtype == torch.float32
    image = torch.rand(1, 3, 20, 20, requires_grad=True)
    found = []
    for network in (features, half):
        with torch.autocast("cpu", torch.bfloat16):
            maps = network(image)
        sums = [m.float().square().sum() for m in maps.values()]
        found.append([*maps.values(), *torch.autograd.grad(sum(sums), image)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_what_learns_is_left_in_float32() -> None:
    network = freeze_half(nn.Sequential(nn.Conv2d(3, 4, 3)))
    assert next(network.parameters()).dtype == torch.float32


@pytest.mark.parametrize("kind", ["prelu of a GPU", "few outputs of a GPU"])
def test_a_gpus_layers_can_be_traced(kind: str) -> None:
    make, suit, _ = LAYERS[kind]
    layer = suit(make())
    x = torch.randn(1, 16, 8, 8)
    traced = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(traced(x), layer(x))

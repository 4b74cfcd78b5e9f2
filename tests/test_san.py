"""SAN against the authors' own code: the root and its gradient, attention, regions, chop; bfloat16."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from systems_golden import facts, fill, fill_module, relative_error, tensors
from torch import Tensor, nn

from repro.core.errors import UserError
from repro.inference.ensemble import chopped
from repro.methods.san import (
    SAN,
    RegionNonLocal,
    SANNetwork,
    SANSettings,
    SecondOrderAttention,
)
from repro.nn.covariance import covariance, square_root
from repro.nn.levels import HALF, LEVELS, mean_levels

REDUCED = {"channels": 16, "groups": 2, "blocks": 2, "reduction": 4}


def _authors_tensors(scale: int, full: bool = False) -> dict[str, Tensor]:
    """A state dict in the authors' layout, filled by the goldens' rule, in float64."""
    shapes = dict(facts("san")["state_dict_full" if full else "state_dict_reduced_x4"])
    if scale != 4:  # the JSON lists x4 only
        channels = shapes["tail.1.weight"][1]
        shapes = {name: shape for name, shape in shapes.items() if not name.startswith("tail.0.2")}
        outputs = scale * scale * channels
        shapes |= {"tail.0.0.weight": [outputs, channels, 3, 3], "tail.0.0.bias": [outputs]}
    filled = {}
    for name, shape in shapes.items():
        kind = "weight" if len(shape) > 1 else "bias"
        filled[name] = torch.from_numpy(fill(name, tuple(shape), kind, 0.5)).double()
    # as the goldens' run constructed it, in float64
    mean = LEVELS * torch.tensor((0.4488, 0.4371, 0.4040), dtype=torch.float64)
    for sign, name in ((-1, "sub_mean"), (1, "add_mean")):
        filled[f"{name}.weight"], filled[f"{name}.bias"] = torch.eye(3).double().view(3, 3, 1, 1), sign * mean
    return filled


def _network(scale: int = 4, full: bool = False, dtype: torch.dtype = torch.float64) -> SANNetwork:
    recognised = SAN().recognise(_authors_tensors(scale, full))
    assert recognised is not None
    metadata, ours = recognised
    network, found = SAN().from_description(metadata)
    assert isinstance(network, SANNetwork)
    assert found == scale
    assert full or {k: metadata["network"][k] for k in REDUCED} == REDUCED
    network.double().load_state_dict(ours)
    return network.to(dtype)


def _levels(network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return (network(x / LEVELS) + 1) * HALF


@pytest.mark.parametrize(
    ("name", "scale"), [("full", 4), ("red_x2.0", 2), ("red_x3.0", 3), ("red_x4.0", 4), ("red_x4.1", 4)]
)
def test_results_are_the_authors(name: str, scale: int) -> None:
    given, expected = tensors("san")[f"{name}.in"], tensors("san")[f"{name}.out"]
    for dtype, tolerance in ((torch.float64, 1e-6), (torch.float32, 1e-5)):
        with torch.no_grad():
            result = _levels(_network(scale, name == "full", dtype), given.to(dtype))
        assert relative_error(result, expected) < tolerance


def test_the_gradient_of_the_image_is_the_authors() -> None:
    x = tensors("san")["red_x4.grad.in"].double().requires_grad_()
    (0.0005 * _levels(_network(), x).square().sum()).backward()
    assert x.grad is not None
    assert relative_error(x.grad, tensors("san")["red_x4.grad.grad_in"]) < 1e-6


def test_chop_is_the_authors() -> None:
    network = _network(2)
    with torch.no_grad():
        result = _levels(chopped(network, 2, 160_000), tensors("san")["chop_x2.in"].double())
    assert relative_error(result, tensors("san")["chop_x2.out"]) < 1e-6


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_parameters_are_counted_as_the_authors(scale: int) -> None:
    with torch.device("meta"):
        count = sum(p.numel() for p in SANNetwork(scale=scale).parameters())
    shapes = dict(facts("san")["state_dict_full"])
    unused = [k for k in shapes if k.startswith(("conv_last.", "non_local.soca.")) or k.endswith(".gamma")]
    assert (
        count + sum(torch.Size(shapes[k]).numel() for k in unused)
        == facts("san")["parameters_full"][str(scale)]
    )


@pytest.mark.parametrize(
    ("name", "channels", "reduction"),
    [("soca64", 64, 16), ("soca64_posmean", 64, 16), ("soca4_widecrop", 4, 2)],
)
def test_second_order_attention_and_its_gradient(name: str, channels: int, reduction: int) -> None:
    golden = tensors("san")
    attention = SecondOrderAttention(channels, reduction).double()
    fill_module(attention, lambda key: key.replace("squeeze", "conv_du.0").replace("excite", "conv_du.2"))
    x = golden[f"{name}.in"].double().requires_grad_()
    result = attention(x)
    (0.5 * result.square().sum()).backward()
    assert x.grad is not None
    assert relative_error(result, golden[f"{name}.out"]) < 1e-6
    assert relative_error(x.grad, golden[f"{name}.grad_in"]) < 1e-6


def test_covariance_its_root_and_the_statistics() -> None:
    golden = tensors("san")
    x = golden["soca64.in"].double()
    assert relative_error(covariance(x), golden["soca64.cov"]) < 1e-6
    assert relative_error(square_root(covariance(x)).mean(1), golden["soca64.z"]) < 1e-6
    for name in ("soca64", "soca4_widecrop", "sqrtm_rankdef"):
        root = square_root(golden[f"{name}.cov"].double())
        assert relative_error(root, golden[f"{name}.sqrt"]) < 1e-6
        in_float32 = square_root(golden[f"{name}.cov"])
        assert relative_error(in_float32, golden[f"{name}.sqrt"]) < 1e-5


def test_the_roots_own_gradient_is_autograds() -> None:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn((2, 5, 3, 4), dtype=torch.float64, generator=generator)
    matrices = covariance(x).requires_grad_()
    assert torch.autograd.gradcheck(square_root, matrices)
    # on a matrix that is not symmetric too: nothing is taken for its transpose
    assert torch.autograd.gradcheck(square_root, (torch.eye(4).double() + 0.1 * x[0, :4, 0]).requires_grad_())


def test_an_image_without_variance_gives_numbers() -> None:
    attention = SecondOrderAttention(16, 4)
    x = torch.ones(1, 16, 5, 5, requires_grad=True)
    attention(x).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("number", [0, 1])
def test_region_non_local_block(number: int) -> None:
    official = {"theta": "theta", "phi": "phi.0", "g": "g.0", "w": "W"}
    block = RegionNonLocal(64).double()
    fill_module(block, lambda key: f"non_local.{official[key.split('.')[0]]}.{key.split('.')[1]}")
    given, expected = (tensors("san")[f"rlnl.{number}.{end}"] for end in ("in", "out"))
    assert relative_error(block(given.double()), expected) < 1e-6


def test_without_pooling_every_pixel_is_attended_to() -> None:
    block = RegionNonLocal(8, pooled=False)
    x = torch.rand(1, 8, 6, 6, requires_grad=True)
    block(x)[0, :, 0, 0].sum().backward()
    assert x.grad is not None
    assert (x.grad[0].abs().sum(0) > 0).nonzero().max() == 2  # its quadrant, and no other


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 3), (3, 7)])
def test_the_smallest_images(size: tuple[int, int]) -> None:
    network = _network(dtype=torch.float32)
    with torch.no_grad():
        result = network(torch.rand(1, 3, *size))
    assert result.shape == (1, 3, 4 * size[0], 4 * size[1])
    assert torch.isfinite(result).all()


def test_bfloat16_stays_near_float32() -> None:
    """The square root, mean colours and last layer are float32 under autocast; else grey levels are lost."""
    network, x = _network(dtype=torch.float32), tensors("san")["red_x4.0.in"]
    with torch.no_grad():
        exact = _levels(network, x)
        with torch.autocast("cpu", torch.bfloat16):
            half = _levels(network, x)
    assert half.dtype == torch.float32
    assert float((half - exact).abs().mean()) < 0.004 * float(exact.abs().max())
    assert float((half - exact).abs().max()) < 0.03 * float(exact.abs().max())


def test_statistics_are_float32_under_autocast() -> None:
    seen = []

    class Watched(SecondOrderAttention):
        def statistics(self, x: Tensor) -> Tensor:
            seen.append((x.dtype, super().statistics(x)))
            return seen[-1][1]

    attention = Watched(16, 4)
    x = tensors("san")["soca64.in"][:, :16].to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        attention(x)
    ((given, statistics),) = seen
    assert given == torch.bfloat16
    assert statistics.dtype == torch.float32
    assert relative_error(statistics, square_root(covariance(x.double())).mean(1)) < 1e-5


def test_initial_network_is_the_residual_part_alone() -> None:
    config = SAN().variants["SAN"].but(network=REDUCED)
    network = SAN().build(config)["generator"]
    assert isinstance(network, SANNetwork)
    assert network.gamma.item() == 0
    features = torch.rand(1, 16, 8, 8)
    assert torch.equal(network.non_local(features), features)
    assert torch.equal(network.add_mean.bias, mean_levels())
    again = SAN().build(config)["generator"]
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_channels_that_do_not_divide_are_refused() -> None:
    with pytest.raises(UserError, match="channels = 24"):
        SANSettings(channels=24, reduction=16)
    assert SAN().recognise({"head.0.weight": torch.zeros(3)}) is None
    assert not isinstance(SAN().network(SANSettings(), 3), nn.Sequential)

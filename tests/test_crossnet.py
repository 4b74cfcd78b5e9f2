"""CrossNet: warping, networks and loss against the authors' code."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from repro.core.errors import UserError
from repro.data.samples import Sample
from repro.imaging.ranges import pm1_to_01
from repro.imaging.resize_torch import imresize_float_batch
from repro.methods import method
from repro.methods.context import Context
from repro.methods.crossnet import CrossNetGenerator, charbonnier, fits
from repro.methods.variants import configure
from repro.nn.warp import warp
from tests import systems_golden as golden

_DOWN = ("conv1", "conv2", "conv3 conv3_1", "conv4 conv4_1", "conv5 conv5_1", "conv6 conv6_1")
_FULL = ("concat0_conv1.0", "concat0_conv2.0", "flow_12.0")


def _official(key: str) -> str:
    """The authors' key for one of ours."""
    network, part, *rest, last = key.split(".")
    if network == "encoder":
        name = "layer_f" if part == "head" else f"conv{int(rest[0]) + 1}"
        return f"Encoder.{name}.0.{last}"
    if network == "decoder":
        name = {"fuse": "post_fusion1", "tail": "final"}.get(part) or f"warp_deconv{4 - int(rest[0])}"
        return f"UNet_decoder_2.{name}.0.{last}"
    number = int(rest[0])
    if part == "down":
        name = f"{_DOWN[number].split()[int(rest[1])]}.0"
    elif part == "full":
        name = _FULL[number]
    else:
        name = {
            "heads": f"flow{6 - number}.0",
            "flow_up": f"flow{6 - number}_up",
            "up": f"deconv{5 - number}.0",
        }[part]
    return f"FlowNet.{name}.{last}"


@pytest.fixture(scope="module")
def network() -> CrossNetGenerator:
    network = CrossNetGenerator().double()
    filled = golden.fill_module(network, _official, lambda key: 1.8 if key.startswith("FlowNet.") else 1.0)
    expected = {key for key, _ in golden.facts("crossnet")["state_dict_full"] if "post_fusion2" not in key}
    assert set(filled) == expected
    return network.eval()


def _image(name: str) -> Tensor:
    return golden.tensors("crossnet")[name].double() / 255


@pytest.mark.parametrize("case", [0, 1])
@torch.no_grad()
def test_networks_give_the_authors_values(network: CrossNetGenerator, case: int) -> None:
    stored = golden.tensors("crossnet")
    up, reference, image = (_image(f"full.{case}.{name}_u8") for name in ("lr_up", "ref", "sr"))
    flows = network.flow(up, reference)
    for level, flow in enumerate(flows, 1):
        if f"full.{case}.flow{level}" in stored:
            assert golden.relative_error(flow, stored[f"full.{case}.flow{level}"], 1) <= 1e-5
    if case == 0:
        for level, features in enumerate(network.encoder(image), 1):
            assert golden.relative_error(features[:, :2], stored[f"enc.conv{level}.ch0_1"], 1) <= 1e-5
    assert golden.relative_error(network(up, reference, image), stored[f"full.{case}.out"], 1) <= 1e-5


def test_the_network_has_as_many_parameters_as_the_papers() -> None:
    counts = {
        name: sum(p.numel() for p in part.parameters()) for name, part in CrossNetGenerator().named_children()
    }
    unused = 64 * 64 * 5 * 5 + 64
    assert counts == {"flow": 33_830_110, "encoder": 414_720, "decoder": 939_011 - unused}
    assert sum(counts.values()) + unused == 35_183_841


@pytest.mark.parametrize("case", [0, 1])
def test_warping_and_its_gradients_are_the_authors(case: int) -> None:
    stored = {
        key[7:]: value.double()
        for key, value in golden.tensors("crossnet").items()
        if key[:7] == f"warp.{case}."
    }
    maps, flow = stored["feat"].requires_grad_(), stored["flow"].requires_grad_()
    out = warp(maps, flow)
    assert golden.relative_error(out, stored["out"], 1) <= 1e-6
    (0.5 * out.square().sum()).backward()
    assert maps.grad is not None
    assert flow.grad is not None
    assert golden.relative_error(maps.grad, stored["grad_feat"], 1) <= 1e-6
    assert golden.relative_error(flow.grad, stored["grad_flow"], 1) <= 1e-6


def test_warping_by_whole_pixels_copies_them() -> None:
    maps = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    flow = torch.zeros(2, 2, 5, 7)
    flow[:, 0], flow[:, 1] = 2, -1  # from two to the right, one above
    expected = maps[:, :, [0, 0, 1, 2, 3]][:, :, :, [2, 3, 4, 5, 6, 6, 6]]
    assert torch.allclose(warp(maps, flow), expected, atol=1e-5)
    assert warp(maps.bfloat16(), flow.bfloat16()).dtype == torch.bfloat16
    assert torch.equal(warp(torch.ones(1, 1, 1, 1), torch.full((1, 2, 1, 1), 3.0)), torch.ones(1, 1, 1, 1))
    with pytest.raises(ValueError, match="flow"):
        warp(maps, flow[:1])


def test_the_loss_is_the_authors() -> None:
    stored = golden.tensors("crossnet")
    value = charbonnier(stored["charb.pred"], stored["charb.target"])
    assert golden.relative_error(value[None], stored["charb.loss"], 1) <= 1e-6


def test_training_flow_never_sees_the_high_resolution_image() -> None:
    """The published training call gives it to the flow estimator; nothing of ours changes with it."""
    config = configure("CrossNet", "quick").with_settings(["width=4"])
    how = method("crossnet")
    networks = how.build(config)
    seen: list[Tensor] = []
    networks["generator"].get_submodule("flow").register_forward_pre_hook(lambda _, given: seen.extend(given))
    lr, reference = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 64, 64) * 2 - 1
    hr = torch.full((1, 3, 64, 64), torch.nan)
    outputs = how.forward(networks, Sample(lr, hr, 4, reference))
    assert torch.isfinite(outputs.sr).all()
    assert len(seen) == 2
    assert torch.equal(seen[0], imresize_float_batch(lr, 4))
    assert torch.equal(seen[1], pm1_to_01(reference))
    hr = torch.rand(1, 3, 64, 64, requires_grad=True)
    how.forward(networks, Sample(lr, hr, 4, reference)).sr.sum().backward()
    assert hr.grad is None


def test_the_loss_reaches_every_part() -> None:
    config = configure("CrossNet", "quick").with_settings(["width=4", "initial=normal"])
    how = method("crossnet")
    networks = how.build(config)
    sample = Sample(torch.rand(2, 3, 16, 16), torch.rand(2, 3, 64, 64), 4, torch.rand(2, 3, 64, 64))
    context = Context(how.forward(networks, sample), sample, networks, nullcontext, 0)
    how.updates(config)[0].terms[0].of(context).backward()
    dead = [n for n, p in networks["generator"].named_parameters() if p.grad is None or not p.grad.any()]
    assert not dead


@torch.no_grad()
def test_the_network_starts_as_the_upscaled_image() -> None:
    network = method("crossnet").build(configure("CrossNet", "quick").with_settings(["width=4"]))["generator"]
    up, reference = torch.rand(2, 1, 3, 64, 64)
    assert torch.allclose(network(up, reference), up, atol=1e-6)


@torch.no_grad()
def test_images_and_references_of_any_size_are_fitted() -> None:
    network = CrossNetGenerator(4).eval()
    how = method("crossnet")
    lr = torch.rand(1, 3, 17, 20)
    reference = torch.rand(1, 3, 68, 80) * 2 - 1
    result = how.infer_with(network, lr, [reference], 4)
    assert result.shape == (1, 3, 68, 80)
    larger = torch.zeros(1, 3, 72, 90)
    larger[:, :, 2:70, 5:85] = reference
    assert torch.equal(how.infer_with(network, lr, [larger], 4), result)
    assert how.infer_with(network, lr, [reference[:, :, :30, :90]], 4).shape == (1, 3, 68, 80)
    for references in ([], [reference, reference]):
        with pytest.raises(UserError, match="exactly one"):
            how.infer_with(network, lr, references, 4)


@torch.no_grad()
def test_a_reference_counts_only_where_it_fits() -> None:
    torch.manual_seed(0)
    plain, guarded = CrossNetGenerator(4), CrossNetGenerator(4, 0.1)
    for part in (plain.flow.heads[0], *plain.flow.full):  # nothing moves
        for weights in part.parameters():
            weights.zero_()
    for up in plain.flow.flow_up:
        torch.nn.init.zeros_(up.bias)
    guarded.load_state_dict(plain.state_dict())
    image = torch.rand(1, 3, 64, 192).mul(0.4)
    other = image.clone()
    other[..., 96:] = 1 - other[..., 96:]
    assert torch.equal(fits(image, other, 0.1)[0, 0, 0], (torch.arange(48) < 22).float())
    assert torch.equal(guarded(image, image), plain(image, image))
    unlike = torch.ones_like(image)
    assert torch.equal(guarded(image, unlike), guarded(image, 1 - image))  # whatever it shows
    assert not torch.equal(plain(image, unlike), plain(image, 1 - image))
    assert not torch.equal(guarded(image, other), guarded(image, unlike))


def test_crops_that_the_flow_estimator_cannot_halve_are_refused() -> None:
    with pytest.raises(UserError, match="multiple of 64"):
        method("crossnet").check(configure("CrossNet").with_settings(["crop_hr=160"]))

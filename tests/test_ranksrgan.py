"""RankSRGAN's networks and losses against the authors' own code, and its three stages."""

from __future__ import annotations

import pytest
import torch
from systems_golden import case, facts, fill, fill_module, relative_error

from repro.methods.layouts import recognise
from repro.nn.discriminators import Ranker, VGGStyleDiscriminator
from repro.nn.losses import adversarial, discriminator
from repro.nn.losses_relative import (
    l1,
    margin_ranking,
    rank_content,
    relativistic_discriminator,
    relativistic_generator,
)
from repro.nn.plain_residual import RankSRGANGenerator


def official(key: str) -> str:
    """mmsr's key for a key of ours."""
    for ours, theirs in (("body.", "recon_trunk."), ("conv_body.", "LRconv."), ("conv_hr.", "HRconv.")):
        if key.startswith(ours):
            return theirs + key[len(ours) :]
    return key


@pytest.mark.parametrize("name", ["full_x4", "small_x4_0", "small_x4_1", "small_x3", "small_x2"])
def test_the_generator_is_the_authors(name: str) -> None:
    golden = case("ranksrgan_generator", name)
    network = RankSRGANGenerator(golden.settings["nb"], golden.settings["nf"], golden.settings["upscale"])
    assert sum(p.numel() for p in network.parameters()) == golden.facts["parameters"]
    for dtype, tolerance in ((torch.float64, 1e-6), (torch.float32, 1e-5)):
        golden.check_weights(fill_module(network.eval().to(dtype), official))
        with torch.no_grad():
            y = network(golden.given().to(dtype))
        assert relative_error(y, golden.expected()) < tolerance, dtype


@pytest.mark.parametrize("name", ["s64", "s296", "s128x160", "s64_train"])
def test_the_ranker_is_the_authors(name: str) -> None:
    golden = case("ranksrgan_ranker", name)
    network = Ranker().double().train(name == "s64_train")
    assert sum(p.numel() for p in network.parameters()) == facts("ranksrgan_ranker")["full_size_parameters"]
    golden.check_weights(fill_module(network, gain=1.5))
    x = golden.given().requires_grad_(network.training)
    y = network(2 * x - 1)
    assert relative_error(y, golden.expected()) < 1e-6
    if network.training:
        (gradient,) = torch.autograd.grad(y.sum(), x)
        assert relative_error(gradient[..., :9, :9], golden.expected("dsumy_dx_corner")) < 1e-6
    elif name == "s64":
        with torch.no_grad():
            y = network.float()(2 * x.float() - 1)
        assert relative_error(y, golden.expected()) < 2e-4


def test_the_discriminator_for_296_is_the_authors() -> None:
    golden = case("ranksrgan_disc296", "s296")
    network = VGGStyleDiscriminator(296).eval()
    assert sum(p.numel() for p in network.parameters()) == golden.facts["parameters"]
    for dtype, tolerance in ((torch.float64, 1e-6), (torch.float32, 2e-4)):
        golden.check_weights(fill_module(network.to(dtype), gain=1.5))
        with torch.no_grad():
            y = network(2 * golden.given().to(dtype) - 1)
        assert relative_error(y, golden.expected()) < tolerance, dtype


def test_the_rankers_loss_and_gradient_are_the_authors() -> None:
    golden = case("ranksrgan_losses", "margin_rank")
    s1, s2 = golden.given("s1").requires_grad_(), golden.given("s2").requires_grad_()
    worse = torch.where(golden.given("q1") >= golden.given("q2"), 1.0, -1.0).double()
    assert torch.equal(worse.float(), golden.expected("label"))
    loss = margin_ranking(s1, s2, worse, golden.facts["margin"], golden.facts["clamp"])
    assert relative_error(loss, golden.expected("l_rank")) < 1e-6
    of_1, of_2 = torch.autograd.grad(loss, (s1, s2))
    assert relative_error(of_1, golden.expected("g_s1")) < 1e-6
    assert relative_error(of_2, golden.expected("g_s2")) < 1e-6


LOSSES = ("gan", "ragan", "rank_only", "rank_bias", "ranksrgan_total")


@pytest.mark.parametrize("name", LOSSES)
def test_the_generators_losses_and_gradients_are_the_authors(name: str) -> None:
    golden = case("ranksrgan_losses", name)
    told = golden.facts
    r, f = golden.given("r").requires_grad_(), golden.given("f").requires_grad_()
    relative = told["gan_type"] == "ragan"
    gan = told["gan_weight"] * (relativistic_generator(r, f, "mmsr") if relative else adversarial(f))
    of_g = gan
    if told["gan_weight"]:
        assert relative_error(gan, golden.expected("l_g_gan")) < 1e-6
    if told["rank_weight"]:
        rank = told["rank_weight"] * rank_content(f, told["rank_bias"])
        assert relative_error(rank, golden.expected("l_g_rank")) < 1e-6
        of_g = of_g + rank
    if told["feature_l1_weight"]:
        content = told["feature_l1_weight"] * l1(f, r.detach())
        assert relative_error(content, golden.expected("l_g_fea")) < 1e-6
        of_g = of_g + content
    (gradient,) = torch.autograd.grad(of_g, f)
    assert relative_error(gradient, golden.expected("g_of_G_wrt_f")) < 1e-6
    of_d = relativistic_discriminator(r, f, "mmsr") if relative else discriminator(r, f)
    share = 0.5 if relative else 1.0  # their log has the terms before the factor
    expected = share * (golden.expected("l_d_real") + golden.expected("l_d_fake"))
    assert relative_error(of_d, expected) < 1e-6
    of_r, of_f = torch.autograd.grad(of_d, (r, f))
    assert relative_error(of_r, golden.expected("g_of_D_wrt_r")) < 1e-6
    assert relative_error(of_f, golden.expected("g_of_D_wrt_f")) < 1e-6


def test_every_golden_loss_is_compared() -> None:
    names = {item["case"] for item in facts("ranksrgan_losses")["cases"]}
    assert names == {"margin_rank", *LOSSES}


def test_the_older_layout_gives_the_authors_picture() -> None:
    golden = case("ranksrgan_generator", "old_layout")
    shapes = {key: shape for key, shape, _ in facts("ranksrgan_generator")["state_dict"]}
    state = {
        old: torch.from_numpy(fill(old, tuple(shapes[new]), "bias" if old.endswith("bias") else "weight"))
        for old, new in facts("ranksrgan_generator")["old_layout_keys"]
    }
    found = recognise(state)
    assert found is not None
    assert (found.network, found.blocks, found.channels, found.scale) == ("ranksrgan", 16, 64, 4)
    network = RankSRGANGenerator().eval()
    network.load_state_dict(found.tensors)
    with torch.no_grad():
        y = network.double()(golden.given())
    assert relative_error(y, golden.expected()) < 1e-6

"""Who learns from what in one update, and that a bad loss changes nothing."""

import copy
import itertools

import pytest
import torch
from torch import nn
from train_helpers import tiny_config

from repro.data.samples import Batch
from repro.methods.generator import Generator
from repro.methods.variants import VARIANTS
from repro.nn import vgg
from repro.train.networks import make_networks, update_average
from repro.train.schedule import learning_rate
from repro.train.step import NonFiniteLossError, TrainingStep, gradient_norm, set_learning_rate

CPU = torch.device("cpu")


def _batch() -> Batch:
    torch.manual_seed(0)
    return Batch(torch.rand(2, 3, 24, 24), torch.rand(2, 3, 96, 96) * 2 - 1)


def _step(variant: str, **changes: object) -> TrainingStep:
    config = tiny_config(variant, **changes)
    features = None
    if config.content != "mse":
        layer: vgg.Layer = "vgg22" if config.content == "vgg22" else "vgg54"
        features = vgg.VGGFeatures(vgg.with_random_layers(None, layer, 0), layer)
    return TrainingStep(config, make_networks(config, CPU, features), CPU)


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_every_variant_has_its_terms_and_learns(variant: str) -> None:
    step = _step(variant)
    before = copy.deepcopy(step.networks.generator.state_dict())
    terms = step(_batch())
    expected = {"content"}
    if variant.startswith("SRGAN"):
        expected |= {"adversarial", "discriminator", "d_hr", "d_sr"}
    if variant == "SRResNet-VGG22":
        expected |= {"total_variation"}
    assert set(terms) == expected
    assert all(not t.requires_grad and torch.isfinite(t) for t in terms.values())
    after = step.networks.generator.state_dict()
    changed = [name for name in after if not torch.equal(after[name], before[name])]
    assert set(changed) == set(after)  # every weight, and every running statistic, moved
    if step.networks.vgg is not None:
        assert all(p.grad is None for p in step.networks.vgg.parameters())
        assert not step.networks.vgg.training


@pytest.mark.parametrize(
    ("variant", "term"),
    [
        ("SRResNet-MSE", "content"),
        ("SRResNet-VGG22", "content"),
        ("SRResNet-VGG22", "total_variation"),
        ("SRGAN-MSE", "adversarial"),
        ("SRGAN-VGG54", "content"),
        ("SRGAN-VGG54", "adversarial"),
    ],
)
def test_each_term_alone_has_a_gradient(variant: str, term: str) -> None:
    step = _step(variant)
    seen = {}

    def keep(loss: torch.Tensor, optimiser: object, terms: dict[str, torch.Tensor]) -> None:
        if term in terms:
            generator = step.networks.generator
            seen["g"] = torch.autograd.grad(terms[term], list(generator.parameters()), retain_graph=True)

    step._descend = keep  # type: ignore[method-assign]
    step(_batch())
    assert all(g.abs().sum() > 0 for g in seen["g"])


def test_the_discriminator_sees_detached_images() -> None:
    step = _step("SRGAN-MSE")
    graphs = []

    def keep(loss: torch.Tensor, optimiser: object, terms: dict[str, torch.Tensor]) -> None:
        if "discriminator" in terms:
            loss.backward()
            graphs.append([p.grad for p in step.networks.generator.parameters()])
            assert all(p.grad is not None for p in step.networks.discriminator.parameters())  # type: ignore[union-attr]

    step._descend = keep  # type: ignore[method-assign]
    step(_batch())
    assert graphs == [[None] * len(graphs[0])]


def test_the_generators_update_leaves_no_gradient_in_d() -> None:
    step = _step("SRGAN-MSE")
    d = step.networks.discriminator
    assert d is not None
    weights = []
    original = step._update_generator

    def watched(hr: torch.Tensor, sr: torch.Tensor) -> dict[str, torch.Tensor]:
        weights.append([(p.detach().clone(), p.grad.clone()) for p in d.parameters()])
        terms = original(hr, sr)
        weights.append([(p.detach().clone(), p.grad.clone()) for p in d.parameters()])
        return terms

    step._update_generator = watched  # type: ignore[method-assign]
    step(_batch())
    for (w0, g0), (w1, g1) in zip(*weights, strict=True):
        assert torch.equal(w0, w1)
        assert torch.equal(g0, g1)
    assert all(p.requires_grad for p in d.parameters())


def test_batch_norm_modes() -> None:
    step = _step("SRGAN-VGG22", ema_decay=0.9)
    step(_batch())
    networks = step.networks
    assert networks.generator.training
    assert networks.discriminator is not None
    assert networks.discriminator.training
    assert networks.average is not None
    assert not networks.average.training
    handed_on = networks.deliverable(1, 0.9)
    assert not handed_on.training
    for ours, theirs in zip(handed_on.parameters(), networks.generator.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)  # the average of one is that one


@pytest.mark.parametrize("variant", ["SRResNet-MSE", "SRGAN-MSE"])
def test_a_loss_that_is_no_number_stops_before_the_update(variant: str) -> None:
    step = _step(variant)
    lr, hr = _batch()
    hr[0, 0, 0, 0] = float("nan")
    before = copy.deepcopy(
        [m.state_dict() for m in (step.networks.generator, step.networks.discriminator) if m is not None]
    )
    with pytest.raises(NonFiniteLossError) as caught:
        step(Batch(lr, hr))
    assert caught.value.term == ("content" if variant == "SRResNet-MSE" else "discriminator")
    after = [m.state_dict() for m in (step.networks.generator, step.networks.discriminator) if m is not None]
    for a, b in zip(before, after, strict=True):
        # weights stay; running statistics belong to the forward pass
        assert all(torch.equal(a[n], b[n]) for n in a if "running" not in n and "num_batches" not in n)


def test_average_moves_towards_the_generator() -> None:
    step = _step("SRResNet-MSE", ema_decay=0.5)
    networks = step.networks
    assert networks.average is not None
    start = networks.average.head.weight.clone()
    step(_batch())
    middle = (start + networks.generator.head.weight) / 2
    torch.testing.assert_close(networks.average.head.weight, middle)
    update_average(networks.average, networks.generator, 0.0)
    assert torch.equal(networks.average.head.weight, networks.generator.head.weight)


def test_the_start_has_no_share_in_what_is_handed_on() -> None:
    step = _step("SRResNet-MSE", ema_decay=0.8)
    networks = step.networks
    assert isinstance(networks.average, Generator)
    weights, values = [], []
    for k in range(4):
        step(_batch())
        values.append(networks.generator.head.weight.detach().double().clone())
        weights.append(0.8 ** (3 - k))
    expected = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    handed_on = networks.deliverable(4, 0.8)
    assert isinstance(handed_on, Generator)
    torch.testing.assert_close(handed_on.head.weight.double(), expected, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(networks.average.head.weight, handed_on.head.weight, atol=1e-6)
    assert all(bool((m.running_var >= 0).all()) for m in handed_on.modules() if isinstance(m, nn.BatchNorm2d))
    assert _step("SRResNet-MSE", ema_decay=0.0).networks.average_start is None


def test_schedules() -> None:
    two_phase = tiny_config(
        "SRGAN-MSE",
        decay="two-phase",
        late_from=4,
        learning_rate=1e-4,
        learning_rate_late=1e-5,
        warmup_updates=0,
    )
    assert [learning_rate(two_phase, k) for k in range(6)] == [1e-4] * 4 + [1e-5] * 2
    cosine = tiny_config(updates=10, warmup_updates=2, learning_rate=1e-2)
    rates = [learning_rate(cosine, k) for k in range(10)]
    assert rates[:3] == [5e-3, 1e-2, 1e-2]
    assert all(a > b for a, b in itertools.pairwise(rates[2:]))
    assert 0 < rates[-1] < 1e-3
    step = _step("SRResNet-MSE")
    set_learning_rate(step.adam_g, 3e-3)
    assert step.adam_g.param_groups[0]["lr"] == 3e-3


def test_gradient_norm() -> None:
    layer = torch.nn.Linear(2, 1)
    layer.weight.grad, layer.bias.grad = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
    assert gradient_norm(layer).item() == pytest.approx(5)

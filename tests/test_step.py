"""Who learns from what in one update, and that a bad loss changes nothing."""

import copy
import itertools
from collections.abc import Callable

import pytest
import torch
from torch import nn
from train_helpers import tiny_config, tiny_step

from repro.data.samples import Sample
from repro.methods import method
from repro.methods.base import Update
from repro.methods.srgan import Generator
from repro.papers.srgan import VARIANTS
from repro.train.ema import update_average
from repro.train.schedule import learning_rate
from repro.train.statistics import with_statistics
from repro.train.step import NonFiniteLossError, Step, Values, gradient_norm


def _sample(seed: int = 0) -> Sample:
    torch.manual_seed(seed)
    return Sample(torch.rand(2, 3, 8, 8), torch.rand(2, 3, 32, 32) * 2 - 1)


def _step(variant: str, **changes: object) -> Step:
    return tiny_step(tiny_config(variant, **changes))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_has_its_terms_and_learns(variant: str) -> None:
    step = _step(variant)
    before = copy.deepcopy(step.modules["generator"].state_dict())
    terms = step(0, _sample())
    expected = {"content"}
    if variant.startswith("SRGAN"):
        expected |= {"adversarial", "discriminator", "d_hr", "d_sr"}
    if variant == "SRResNet-VGG22":
        expected |= {"total_variation"}
    assert set(terms) == expected
    assert all(not t.requires_grad and torch.isfinite(t) for t in terms.values())
    after = step.modules["generator"].state_dict()
    changed = [name for name in after if not torch.equal(after[name], before[name])]
    assert set(changed) == set(after)  # every weight, and every running statistic, moved
    if "vgg" in step.modules:
        assert all(p.grad is None for p in step.modules["vgg"].parameters())
        assert not step.modules["vgg"].training


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
    original = step._check

    def keep(terms: Values, loss: torch.Tensor, update: Update) -> None:
        if term in terms:
            generator = step.modules["generator"]
            seen["g"] = torch.autograd.grad(terms[term], list(generator.parameters()), retain_graph=True)
        original(terms, loss, update)

    step._check = keep  # type: ignore[method-assign]
    step(0, _sample())
    assert all(g.abs().sum() > 0 for g in seen["g"])


def test_the_discriminator_sees_detached_images() -> None:
    step = _step("SRGAN-MSE")
    graphs = []
    optimiser = step.optimisers["discriminator"]
    original = optimiser.step

    def keep() -> None:
        graphs.append([p.grad for p in step.modules["generator"].parameters()])
        assert all(p.grad is not None for p in step.modules["discriminator"].parameters())
        original()

    optimiser.step = keep  # type: ignore[method-assign]
    step(0, _sample())
    assert graphs == [[None] * len(graphs[0])]


def test_the_generators_update_leaves_d_as_it_is() -> None:
    step = _step("SRGAN-MSE")
    d = step.modules["discriminator"]
    weights = []

    def watched(optimiser: object, original: Callable[[], None]) -> Callable[[], None]:
        def wrapper() -> None:
            original()
            weights.append([(p.detach().clone(), p.grad.clone()) for p in d.parameters()])  # type: ignore

        return wrapper

    for optimiser in step.optimisers.values():
        optimiser.step = watched(optimiser, optimiser.step)  # type: ignore[method-assign]
    step(0, _sample())
    assert len(weights) == 2
    for (w0, g0), (w1, g1) in zip(*weights, strict=True):
        assert torch.equal(w0, w1)
        assert torch.equal(g0, g1)
    assert all(p.requires_grad for p in d.parameters())


def test_batch_norm_modes() -> None:
    step = _step("SRGAN-VGG22", ema_decay=0.9)
    step(0, _sample())
    assert step.modules["generator"].training
    assert step.modules["discriminator"].training
    assert step.average is not None
    assert not step.average.training
    assert step.final_generator() is step.average


@pytest.mark.parametrize("variant", ["SRResNet-MSE", "SRGAN-MSE"])
def test_a_loss_that_is_no_number_stops_before_the_update(variant: str) -> None:
    step = _step(variant)
    sample = _sample()
    sample.hr_pm1[0, 0, 0, 0] = float("nan")
    before = copy.deepcopy({name: step.modules[name].state_dict() for name in step.optimisers})
    with pytest.raises(NonFiniteLossError) as caught:
        step(0, sample)
    assert caught.value.term == ("content" if variant == "SRResNet-MSE" else "discriminator")
    for name, state in before.items():  # running statistics too
        after = step.modules[name].state_dict()
        assert all(torch.equal(state[n], after[n]) for n in state)


def _head(module: nn.Module | None) -> torch.Tensor:
    assert isinstance(module, Generator)
    return module.head.weight.detach()


def test_average_moves_towards_the_generator() -> None:
    step = _step("SRResNet-MSE", ema_decay=0.15)
    generator = step.modules["generator"]
    average = _head(step.average).clone()
    for k, decay in enumerate((0.1, 0.15, 0.15)):  # (1 + k) / (10 + k), then the setting
        step(k, _sample())
        average = decay * average + (1 - decay) * _head(generator)
        torch.testing.assert_close(_head(step.average), average)
    assert step.average is not None
    update_average(step.average, generator, 0.0)
    assert torch.equal(_head(step.average), _head(generator))
    assert _step("SRResNet-MSE", ema_decay=0.0).average is None


def test_statistics_are_those_of_the_network() -> None:
    step = _step("SRResNet-MSE")
    step(0, _sample())
    generator = step.modules["generator"]
    samples = [_sample(n) for n in range(3)]
    final = with_statistics(generator, step.method, samples, step.autocast)
    assert not final.training
    means = []
    hooked = generator.get_submodule("blocks.0.bn1")
    hook = hooked.register_forward_pre_hook(lambda _, x: means.append(x[0].mean((0, 2, 3))))
    for sample in samples:
        generator(sample.lr_01)
    hook.remove()
    found = final.get_submodule("blocks.0.bn1").running_mean
    torch.testing.assert_close(found, torch.stack(means).mean(0).detach(), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found, hooked.running_mean, atol=1e-3)


def test_the_adversarial_weight_is_ramped() -> None:
    config = tiny_config("SRGAN-MSE", updates=10, adversarial_from=2, adversarial_ramp=4)
    terms = {t.name: t for update in method("srgan").updates(config) for t in update.terms}
    weight = terms["adversarial"].weight
    assert callable(weight)
    at = [weight(k / 10) / 1e-3 for k in range(10)]
    assert at == pytest.approx([0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1])


def test_schedules() -> None:
    two_phase = tiny_config(
        "SRGAN-MSE",
        decay="two-phase",
        late_from=4,
        learning_rate=1e-4,
        learning_rate_late=1e-5,
        warmup_updates=0,
    )
    assert [learning_rate(two_phase.schedule, k) for k in range(6)] == [1e-4] * 4 + [1e-5] * 2
    cosine = tiny_config(updates=10, warmup_updates=2, learning_rate=1e-2)
    rates = [learning_rate(cosine.schedule, k) for k in range(10)]
    assert rates[:3] == [5e-3, 1e-2, 1e-2]
    assert all(a > b for a, b in itertools.pairwise(rates[2:]))
    assert 0 < rates[-1] < 1e-3
    stairs = tiny_config(
        updates=9, warmup_updates=0, learning_rate=1e-2, decay="staircase", learning_rate_late=3e-4
    )
    rates = [learning_rate(stairs.schedule, k) for k in range(9)]
    assert rates == pytest.approx([1e-2] * 3 + [1e-3] * 3 + [3e-4] * 3)
    step = _step("SRResNet-MSE")
    step.set_learning_rate(3e-3)
    assert step.optimisers["generator"].parts["adam"].param_groups[0]["lr"] == 3e-3
    held = tiny_config(updates=8, warmup_updates=0, learning_rate=1e-2, decay="hold", hold_share=0.5)
    rates = [learning_rate(held.schedule, k) for k in range(8)]
    assert rates[:5] == [1e-2] * 5
    assert rates[5:] == pytest.approx([0.75e-2, 0.5e-2, 0.25e-2])
    halved = tiny_config(updates=8, warmup_updates=0, learning_rate=1e-2, decay="halving", milestones="2/4")
    assert [learning_rate(halved.schedule, k) for k in (1, 2, 4)] == [1e-2, 5e-3, 2.5e-3]


def test_gradient_norm() -> None:
    layer = torch.nn.Linear(2, 1)
    layer.weight.grad, layer.bias.grad = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
    assert gradient_norm(layer).item() == pytest.approx(5)

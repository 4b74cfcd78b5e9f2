"""A recorded step makes the eager step's updates; without a GPU, what surrounds the recording."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from train_helpers import host_batches, modules_of, small_dataset, tiny_config

from repro.methods import method
from repro.methods.variants import configure
from repro.train.execution import compiles, make_step
from repro.train.graphs import GraphedStep

CPU = torch.device("cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("variant", ["SRResNet-MSE", "SRGAN-MSE"])
def test_the_recorded_step_is_the_eager_one(variant: str, tmp_path: Path) -> None:
    cuda = torch.device("cuda")
    config = tiny_config(variant, ema_decay=0.9)
    how, modules = modules_of(config)
    images = small_dataset(tmp_path)
    steps = [
        make_step(config, how, copy.deepcopy(modules), cuda, bfloat16=False, graphs=graphs)
        for graphs in (False, True)
    ]
    assert isinstance(steps[1], GraphedStep)
    batches = host_batches(images, config)
    for k in range(4):
        sample = batches.make(k)
        on_gpu = sample._replace(lr_01=sample.lr_01.cuda(), hr_pm1=sample.hr_pm1.cuda())
        eager, recorded = (step(k, on_gpu) for step in steps)
        for name, value in eager.items():
            torch.testing.assert_close(recorded[name], value, rtol=1e-4, atol=1e-5)
    for name, module in steps[0].eager.state_modules().items():
        for a, b in zip(module.parameters(), steps[1].eager.state_modules()[name].parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_the_warm_up_is_undone() -> None:
    """What recording does to the state before the first replay: nothing."""
    config = tiny_config("SRGAN-MSE", ema_decay=0.9)
    how, modules = modules_of(config)
    step = make_step(config, how, modules, CPU, bfloat16=False).eager
    graphed = GraphedStep(step)
    before = [tensor.detach().clone() for tensor in graphed._state()]
    torch.manual_seed(0)
    from repro.data.samples import Sample

    sample = Sample(torch.rand(2, 3, 24, 24), torch.rand(2, 3, 96, 96) * 2 - 1)
    for _ in range(2):
        step(0, sample)
    assert any(not torch.equal(a, b) for a, b in zip(graphed._state(), before, strict=False))
    graphed._restore(before)
    after = graphed._state()
    assert len(after) > len(before)  # the optimisers have moments now, all zero
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=False))
    assert all(not tensor.any() for tensor in after[len(before) :])


def test_when_it_compiles() -> None:
    long, short = configure("SRResNet-MSE"), configure("SRResNet-MSE", "quick")
    assert not compiles(long, CPU)
    cuda = torch.device("cuda")
    assert compiles(long, cuda)
    assert not compiles(short, cuda)
    assert compiles(short.with_settings(["compile=on"]), CPU)
    assert method("drcn").updates(configure("DRCN"))[0].terms  # weights change along it: never recorded

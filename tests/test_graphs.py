"""A recorded step makes the eager step's updates; without a GPU, what surrounds the recording."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest
import torch
from train_helpers import host_batches, modules_of, small_dataset, tiny_config

from repro.data.samples import DeviceBatches, Planned
from repro.methods import method
from repro.methods.variants import configure
from repro.train.execution import compiles, make_step
from repro.train.graphs import GraphedStep
from repro.train.step import Step

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

    sample = Sample(torch.rand(2, 3, 8, 8), torch.rand(2, 3, 32, 32) * 2 - 1)
    for _ in range(2):
        step(0, sample)
    assert any(not torch.equal(a, b) for a, b in zip(graphed._state(), before, strict=False))
    graphed._restore(before)
    after = graphed._state()
    assert len(after) > len(before)  # the optimisers have moments now, all zero
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=False))
    assert all(not tensor.any() for tensor in after[len(before) :])


class _Recorder:
    """In the place of torch.cuda: says what was asked of it; a replay makes the recorded update again."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.mode = ""

    def CUDAGraph(self) -> _Recorder:  # noqa: N802 torch's name
        return self

    def Stream(self) -> _Recorder:  # noqa: N802
        return self

    current_stream = Stream

    def wait_stream(self, stream: _Recorder) -> None:
        self.calls.append("wait")

    def stream(self, side: _Recorder) -> AbstractContextManager[None]:
        self.calls.append("warm up")
        return nullcontext()

    @contextmanager
    def graph(self, graph: _Recorder, capture_error_mode: str) -> Iterator[None]:
        self.mode = capture_error_mode
        self.calls.append("capture")
        yield

    def replay(self) -> None:
        self.calls.append("replay")


def _recorded(step: Step) -> tuple[GraphedStep, _Recorder]:
    cuda = _Recorder()
    graphed = GraphedStep(step, cuda)
    recording = cuda.graph

    @contextmanager
    def undone(graph: _Recorder, capture_error_mode: str) -> Iterator[None]:
        """A capture computes nothing; what it records is what a replay does."""
        before = [t.detach().clone() for t in graphed._state()]
        with recording(graph, capture_error_mode):
            yield
        graphed._restore(before)

    cuda.graph = undone  # type: ignore[method-assign]
    plain = cuda.replay

    def replay() -> None:
        plain()
        graphed._values = graphed._descend(0)

    cuda.replay = replay  # type: ignore[method-assign]
    return graphed, cuda


def test_the_plan_is_what_a_graph_is_given(tmp_path: Path) -> None:
    """Recorded with the gathering of its batch, a step makes the eager step's updates."""
    config = tiny_config("SRResNet-MSE", ema_decay=0.9, optimiser="muon")
    how, modules = modules_of(config)
    images = small_dataset(tmp_path)
    eager = make_step(config, how, copy.deepcopy(modules), CPU, bfloat16=False).eager
    graphed, cuda = _recorded(make_step(config, how, modules, CPU, bfloat16=False).eager)
    batches = DeviceBatches(images, config.data, config.seed, CPU, planned=True)
    host = host_batches(images, config)
    for k in range(3):
        planned = batches.get(k)
        assert isinstance(planned, Planned)
        values, expected = graphed(k, planned), eager(k, host.make(k))
        torch.testing.assert_close(values, expected)
    assert cuda.calls == ["wait", "warm up", "wait", "capture", *["replay"] * 3]
    assert cuda.mode == "thread_local"
    for ours, theirs in zip(graphed._state(), eager.state_modules()["generator"].parameters(), strict=False):
        torch.testing.assert_close(ours, theirs)


def test_networks_that_do_not_compile_are_recorded_as_they_are(tmp_path: Path) -> None:
    config = tiny_config()
    how, modules = modules_of(config)
    step = make_step(config, how, modules, CPU, bfloat16=False).eager

    def broken(*_: object) -> torch.Tensor:
        raise RuntimeError("no compiler\nhere")

    step._forwards["generator"] = broken
    graphed, cuda = _recorded(step)
    sample = host_batches(small_dataset(tmp_path), config).make(0)
    with pytest.warns(UserWarning, match="not compiled: RuntimeError: no compiler;"):
        graphed(0, sample)
    assert cuda.calls[-2:] == ["capture", "replay"]
    step._forwards["generator"] = broken
    step.modules["generator"].forward = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="no compiler"):
        _recorded(step)[0](0, sample)


def test_when_it_compiles() -> None:
    long, short = configure("SRResNet-MSE"), configure("SRResNet-MSE", "quick")
    assert not compiles(long, CPU)
    cuda = torch.device("cuda")
    assert compiles(long, cuda)
    assert not compiles(short, cuda)
    assert compiles(short.with_settings(["compile=on"]), CPU)
    assert method("drcn").updates(configure("DRCN"))[0].terms  # weights change along it: never recorded

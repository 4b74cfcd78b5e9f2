"""A whole update as one CUDA graph: no Python between kernels, no launch costs."""

from __future__ import annotations

import torch
from torch import Tensor

from repro.data.samples import Sample
from repro.train.step import Step, Values

_WARM_UPS = 4
"""Updates before the capture: cuDNN picks its algorithms, Adam makes its state, pools reach their size."""


class GraphedStep:
    """A :class:`Step` that is recorded at its first batch and replayed from then on.

    The warm-up updates before the recording are undone: the first replay starts from the very state that
    the step was in, and the recorded update is the first one made. Weights of terms are recorded with it, so
    only steps whose weights are constant may be recorded.

    Args:
        eager: on a GPU. Its networks and optimisers stay what they are; only their updates are replayed.
    """

    def __init__(self, eager: Step) -> None:
        self.eager = eager
        self._graph: torch.cuda.CUDAGraph | None = None
        self._sample: Sample | None = None
        self._values: Values = {}

    def _state(self) -> list[Tensor]:
        """Every tensor that an update changes in place."""
        modules = self.eager.state_modules().values()
        tensors = [t for module in modules for t in (*module.parameters(), *module.buffers())]
        tensors += self.eager.accepted.values()
        return [*tensors, *(t for o in self.eager.optimisers.values() for t in o.tensors())]

    @torch.no_grad()
    def _restore(self, before: list[Tensor]) -> None:
        after = self._state()
        for tensor, value in zip(after, before, strict=False):
            tensor.copy_(value)
        for tensor in after[len(before) :]:
            tensor.zero_()  # the optimisers' state did not exist yet: zero is what it begins with

    def _record(self, k: int, sample: Sample) -> None:
        before = [t.detach().clone() for t in self._state()]
        reference, regions = sample.reference_pm1, sample.regions
        self._sample = sample._replace(
            lr_01=sample.lr_01.clone(),
            hr_pm1=sample.hr_pm1.clone(),
            reference_pm1=None if reference is None else reference.clone(),
            regions=None if regions is None else regions.clone(),
        )
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                self.eager.descend(k, self._sample)
        torch.cuda.current_stream().wait_stream(side)
        self._restore(before)
        for optimisers in self.eager.optimisers.values():
            optimisers.zero_grad()
        self._graph = torch.cuda.CUDAGraph()
        # the batch thread may allocate pinned memory meanwhile: only this thread's calls are recorded
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._values = self.eager.descend(k, self._sample)

    def __call__(self, k: int, sample: Sample) -> Values:
        """Update ``k``; the values are overwritten by the next one."""
        if self._graph is None:
            self._record(k, sample)
        assert self._graph is not None
        assert self._sample is not None
        for held, value in zip(self._sample, sample, strict=True):
            if isinstance(held, Tensor) and isinstance(value, Tensor):
                held.copy_(value)
        self._graph.replay()
        self.eager.follow(k)  # its decay grows with k; two kernels
        return self._values

"""A whole update as one CUDA graph: no Python between kernels, no launch costs."""

from __future__ import annotations

import torch
from torch import Tensor

from repro.data.samples import Batch
from repro.train.step import Terms, TrainingStep

_WARM_UPS = 4
"""Updates before the capture: cuDNN picks its algorithms, Adam makes its state, pools reach their size."""


class GraphedStep:
    """A :class:`TrainingStep` that is recorded at its first batch and replayed from then on.

    The warm-up updates before the recording are undone: the first replay starts from the very state that
    the step was in, and the recorded update is the first one made.

    Args:
        step: on a GPU. Its networks and optimisers stay what they are; only their updates are replayed.
    """

    def __init__(self, step: TrainingStep) -> None:
        self.step = step
        self.networks = step.networks
        self.device = step.device
        self.adam_g = step.adam_g
        self.adam_d = step.adam_d
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: Batch | None = None
        self._terms: Terms = {}

    def _state(self) -> list[Tensor]:
        """Every tensor that an update changes in place."""
        networks = self.networks
        modules = (networks.generator, networks.discriminator, networks.average)
        tensors = [t for m in modules if m is not None for t in (*m.parameters(), *m.buffers())]
        for optimiser in (self.adam_g, self.adam_d):
            if optimiser is not None:
                tensors += [
                    t for state in optimiser.state.values() for t in state.values() if torch.is_tensor(t)
                ]
        return tensors

    @torch.no_grad()
    def _restore(self, before: list[Tensor]) -> None:
        after = self._state()
        for tensor, value in zip(after, before, strict=False):
            tensor.copy_(value)
        for tensor in after[len(before) :]:
            tensor.zero_()  # Adam's state did not exist yet: zero is what it begins with

    def _record(self, batch: Batch) -> None:
        before = [t.detach().clone() for t in self._state()]
        self._batch = Batch(batch.lr_01.clone(), batch.hr_pm1.clone())
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                self.step(self._batch)
        torch.cuda.current_stream().wait_stream(side)
        self._restore(before)
        for optimiser in (self.adam_g, self.adam_d):
            if optimiser is not None:
                optimiser.zero_grad(set_to_none=True)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._terms = self.step(self._batch)

    def __call__(self, batch: Batch) -> Terms:
        """One update with ``batch``; the terms are overwritten by the next one."""
        if self._graph is None:
            self._record(batch)
        assert self._graph is not None
        assert self._batch is not None
        self._batch.lr_01.copy_(batch.lr_01)
        self._batch.hr_pm1.copy_(batch.hr_pm1)
        self._graph.replay()
        return self._terms

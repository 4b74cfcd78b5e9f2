"""A whole update as one CUDA graph: no Python between kernels, no launch costs."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from repro.data.samples import Planned, Sample
from repro.train.step import Step, Values

_WARM_UPS = 4
"""Updates before the capture: cuDNN picks its algorithms, Adam makes its state, pools reach their size."""


class GraphedStep:
    """A :class:`Step` that is recorded at its first batch and replayed from then on.

    The warm-up updates before the recording are undone: the first replay starts from the very state that
    the step was in, and the recorded update is the first one made. Weights of terms are recorded with it, so
    only steps whose weights are constant may be recorded. Of a :class:`Planned` batch the gathering is
    recorded too. Where compiled networks fail, the plain ones are recorded.

    Args:
        eager: on a GPU. Its networks and optimisers stay what they are; only their updates are replayed.
        cuda: what records; tests put something else there.
    """

    def __init__(self, eager: Step, cuda: Any = torch.cuda) -> None:
        self.eager = eager
        self._cuda = cuda
        self._graph: Any = None
        self._held: Sample | Planned | None = None
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

    def _descend(self, k: int) -> Values:
        held = self._held
        assert held is not None
        return self.eager.descend(k, held.gather(held.plan) if isinstance(held, Planned) else held)

    def _record(self, k: int, batch: Sample | Planned) -> None:
        before = [t.detach().clone() for t in self._state()]
        tensors: Any = {n: v.clone() for n, v in batch._asdict().items() if isinstance(v, Tensor)}
        self._held = batch._replace(**tensors)
        try:
            self._warm_up(k)
        except Exception as error:
            if not self.eager.uncompile():
                raise
            warnings.warn(
                f"not compiled: {_first_line(error)}; the plain networks are recorded", stacklevel=2
            )
            self._restore(before)
            self._warm_up(k)
        self._restore(before)
        for optimisers in self.eager.optimisers.values():
            optimisers.zero_grad()
        self._graph = self._cuda.CUDAGraph()
        # the batch thread may allocate pinned memory meanwhile: only this thread's calls are recorded
        with self._cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._values = self._descend(k)

    def _warm_up(self, k: int) -> None:
        side = self._cuda.Stream()
        side.wait_stream(self._cuda.current_stream())
        with self._cuda.stream(side):
            for _ in range(_WARM_UPS):
                self._descend(k)
        self._cuda.current_stream().wait_stream(side)

    def __call__(self, k: int, batch: Sample | Planned) -> Values:
        """Update ``k``; the values are overwritten by the next one."""
        if self._graph is None:
            self._record(k, batch)
        assert self._held is not None
        for held, value in zip(self._held, batch, strict=True):
            if isinstance(held, Tensor) and isinstance(value, Tensor):
                held.copy_(value)
        self._graph.replay()
        self.eager.follow(k)  # its decay grows with k; two kernels
        return self._values


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200] if str(error).strip() else ''}"

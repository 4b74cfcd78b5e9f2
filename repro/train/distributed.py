"""Several processes as one trainer: the same global batch, the same crops, the same statistics.

Started by ``torchrun``, each process trains on its rows of every batch. Gradients are averaged by
DistributedDataParallel; batch norm takes its statistics over the global batch, so that two devices compute
what one would (to rounding). Process 0 writes checkpoints and logs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as dist_nn
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from repro.core.errors import UserError

TIMEOUT = timedelta(minutes=5)
"""A process that hears nothing from the others for so long ends with an error instead of waiting on."""
PATIENCE = timedelta(hours=12)
"""Of a barrier: one process may pack hundreds of thousands of images first."""


@dataclass(frozen=True)
class World:
    """Which process this is, of how many."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    patient: Any = None  # a group of processes that waits for PATIENCE

    @property
    def primary(self) -> bool:
        return self.rank == 0

    def share(self, batch_size: int) -> tuple[int, int]:
        """(first, last + 1) row of the global batch that this process trains on.

        Raises:
            UserError: the batch does not divide evenly (means of means would weigh rows unequally).
        """
        if batch_size % self.size:
            raise UserError(
                f"a batch of {batch_size} on {self.size} processes",
                "a number of processes that divides the batch",
                f"--nproc-per-node {max(n for n in range(1, self.size) if batch_size % n == 0)}"
                if self.size > 1
                else "",
            )
        rows = batch_size // self.size
        return self.rank * rows, (self.rank + 1) * rows


@contextmanager
def joined_world(device_type: str) -> Iterator[World]:
    """The world of torchrun's environment, joined for the time of the block; else a world of one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    world = World(int(os.environ["RANK"]), size, int(os.environ.get("LOCAL_RANK", "0")))
    if device_type == "cuda":
        torch.cuda.set_device(world.local_rank)
    dist.init_process_group("nccl" if device_type == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield replace(world, patient=dist.new_group(timeout=PATIENCE, backend="gloo"))
    finally:
        dist.destroy_process_group()


def barrier(world: World) -> None:
    """Waits until every process is here; nothing in a world of one."""
    if world.size > 1:
        dist.barrier(world.patient)


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose training statistics are those of the global batch (any backend, CPU or GPU)."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        wide = x.float()
        # two small exchanges: E[x^2] - E[x]^2 in one would lose digits. Both are differentiable, since
        # every process's loss depends on every row
        mean = _mean_over_processes(wide.mean((0, 2, 3)))
        centred = wide - mean.view(1, -1, 1, 1)
        variance = _mean_over_processes(centred.square().mean((0, 2, 3)))
        count = dist.get_world_size() * x.shape[0] * x.shape[2] * x.shape[3]
        with torch.no_grad():
            self.num_batches_tracked += 1
            momentum = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
            self.running_mean.lerp_(mean.detach(), momentum)
            self.running_var.lerp_(variance.detach() * count / (count - 1), momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(x.dtype)


def _mean_over_processes(values: Tensor) -> Tensor:
    """The mean of ``values`` over the processes (which hold equally many rows), differentiable."""
    return dist_nn.all_reduce(values) / dist.get_world_size()


def with_global_batch_norm(module: nn.Module) -> None:
    """Turns every batch norm of ``module``, in place, into one over the global batch."""
    for child in module.modules():
        if type(child) is nn.BatchNorm2d:
            child.__class__ = GlobalBatchNorm2d


def distributed(module: nn.Module) -> DistributedDataParallel:
    """``module`` with gradients averaged over the processes; its buffers are equal already."""
    return DistributedDataParallel(module, broadcast_buffers=False)


def mean_over(world: World, values: Tensor) -> Tensor:
    """The mean of ``values`` over the processes, for the log."""
    if world.size > 1:
        values = values.clone()
        dist.all_reduce(values)
        values /= world.size
    return values


def decided_by_primary(answer: bool, device: torch.device) -> bool:
    """Process 0's answer, for all."""
    flag = torch.tensor([answer], dtype=torch.int32, device=device)
    dist.broadcast(flag, 0)
    return bool(flag.item())

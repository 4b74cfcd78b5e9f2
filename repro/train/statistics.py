"""Batch norm statistics of a finished network, estimated again on training crops."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from repro.data.samples import Sample
from repro.methods.base import Method


def has_statistics(network: nn.Module) -> bool:
    """Whether a network keeps running statistics."""
    return any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@torch.no_grad()
def with_statistics(
    network: nn.Module,
    method: Method,
    samples: Sequence[Sample],
    autocast: Callable[[], AbstractContextManager[Any]],
) -> nn.Module:
    """A copy in evaluation mode whose running statistics are plain means over the samples.

    The statistics that training leaves behind belong to the weights of each update; averaged weights, and
    weights that just moved, have other ones.

    Args:
        network: the generator.
        method: whose it is.
        samples: training batches on the network's device, one or more.
        autocast: makes the context manager under which it was trained.
    """
    copied = copy.deepcopy(network).train()
    for module in copied.modules():
        if isinstance(module, nn.BatchNorm2d) and module.training:  # a frozen part stays what it is
            module.__class__ = nn.BatchNorm2d  # of several processes only one is here
            module.reset_running_stats()
            module.momentum = None  # a mean over all batches since
    with autocast():
        for sample in samples:
            method.forward({"generator": copied}, sample)
    for mine, theirs in zip(copied.modules(), network.modules(), strict=True):
        if isinstance(mine, nn.BatchNorm2d) and isinstance(theirs, nn.BatchNorm2d):
            mine.momentum = theirs.momentum
    return copied.eval()

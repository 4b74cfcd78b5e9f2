"""How a method's step is executed: eager, compiled, recorded as a CUDA graph, or on several processes."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import nn

from repro.core.errors import UserError
from repro.methods.base import Method
from repro.methods.config import RunConfig
from repro.nn.suited import freeze_half, suit_cpu, suit_gpu
from repro.train.distributed import World, distributed, with_global_batch_norm
from repro.train.graphs import GraphedStep
from repro.train.step import Forward, Step

COMPILE_FROM_UPDATES = 5_000
"""Shorter runs on a GPU end before compilation has paid for itself."""


def compiles(config: RunConfig, device: torch.device) -> bool:
    """Whether the networks are compiled.

    Those of several processes never are. ``auto``: on a GPU for long runs; not on the CPU, where oneDNN's
    convolutions are nearly all of the work and `bench train` finds the compiled step no faster.
    """
    if config.arithmetic.compile != "auto":
        return config.arithmetic.compile == "on"
    return device.type == "cuda" and config.schedule.updates >= COMPILE_FROM_UPDATES


def plans(step: Step | GraphedStep, method: Method) -> bool:
    """Whether a recorded step gathers its batches itself: nothing is made of them between the two."""
    return isinstance(step, GraphedStep) and type(method).prepare is Method.prepare


def _set_up_cudnn(bfloat16: bool) -> None:
    """Lets cuDNN time its algorithms, whose shapes never change; float32 is float32 and not TF32."""
    torch.backends.cudnn.benchmark = True
    if not bfloat16:
        torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
        torch.backends.cuda.matmul.fp32_precision = "ieee"


def make_step(
    config: RunConfig,
    method: Method,
    modules: Mapping[str, nn.Module],
    device: torch.device,
    bfloat16: bool,
    world: World | None = None,
    graphs: bool = True,
    plain: bool = False,
) -> Step | GraphedStep:
    """The step of a method's networks, executed as suits the configuration and the device.

    Args:
        config: the run's configuration.
        method: whose networks these are.
        modules: as :meth:`Method.build` gave them, and ``vgg`` where terms need it; moved to ``device``.
        device: CPU or GPU.
        bfloat16: autocast for the networks.
        world: the processes; None is this one alone.
        graphs: record the update as a CUDA graph (on one GPU).
        plain: leave the layers as they are: the baseline of benchmarks.

    Raises:
        UserError: compiling is asked for and there are several processes.
    """
    world = world or World()
    compiled = world.size == 1 and compiles(config, device)
    if world.size > 1 and config.arithmetic.compile == "on":
        raise UserError(f"compile=on on {world.size} processes", "one process", "--set compile=auto")
    if device.type == "cuda":
        _set_up_cudnn(bfloat16)
    layout = torch.channels_last if config.arithmetic.channels_last else torch.contiguous_format
    placed = {name: module.to(device).to(memory_format=layout) for name, module in modules.items()}
    if not compiled and not plain:
        suit = suit_cpu if device.type == "cpu" else suit_gpu
        placed = {name: suit(module) for name, module in placed.items()}
    if bfloat16 and "vgg" in placed and not plain:
        placed["vgg"] = freeze_half(copy.deepcopy(placed["vgg"]))  # its owner may train in float32 too
    # in the updates' order, not a set's: every process must wrap the networks in the same one
    learning = dict.fromkeys(update.module for update in method.updates(config))
    forwards: dict[str, Forward] = {}
    if world.size > 1:
        for name in learning:
            with_global_batch_norm(placed[name])
            placed[name].requires_grad_(True)
            forwards[name] = distributed(placed[name])
    elif compiled:
        forwards = {name: torch.compile(module) for name, module in placed.items()}
    average = None
    if config.schedule.ema_decay > 0:
        average = copy.deepcopy(placed["generator"]).requires_grad_(False).eval()
    step = Step(config, method, placed, device, bfloat16, average, forwards, world.size > 1)
    constant = all(isinstance(t.weight, int | float) for u in step.updates for t in u.terms)
    if device.type == "cuda" and world.size == 1 and graphs and constant and method.recordable(config):
        return GraphedStep(step)
    return step

"""How the update is executed: eager, compiled, recorded as a CUDA graph, or on several processes."""

from __future__ import annotations

import torch

from repro.core.errors import UserError
from repro.methods.config import TrainConfig
from repro.train.distributed import World, distributed, with_global_batch_norm
from repro.train.graphs import GraphedStep
from repro.train.networks import Networks
from repro.train.reference import ReferenceStep
from repro.train.step import Forward, TrainingStep

COMPILE_FROM_UPDATES = 5_000
"""Shorter runs on a GPU end before compilation has paid for itself."""


def compiles(config: TrainConfig, device: torch.device) -> bool:
    """Whether the networks are compiled.

    ``auto``: on a GPU for long runs; not on the CPU, where oneDNN's convolutions are nearly all of the
    work and `bench train` finds the compiled step no faster.
    """
    if config.compile != "auto":
        return config.compile == "on"
    return device.type == "cuda" and config.updates >= COMPILE_FROM_UPDATES


def make_step(
    config: TrainConfig,
    networks: Networks,
    device: torch.device,
    bfloat16: bool,
    world: World | None = None,
    graphs: bool = True,
) -> TrainingStep | GraphedStep | ReferenceStep:
    """The update of ``networks``, executed as suits the configuration and the device.

    Args:
        config: the run's configuration.
        networks: on ``device``.
        device: CPU or GPU.
        bfloat16: autocast for the networks.
        world: the processes; None is this one alone.
        graphs: record the update as a CUDA graph (on one GPU).
    """
    world = world or World()
    if config.network != "srresnet":
        if world.size > 1:
            raise UserError(
                f"{config.variant} on {world.size} processes", "one: it is small", "start it without torchrun"
            )
        return ReferenceStep(config, networks, device, bfloat16)
    forwards: dict[str, Forward] = {}
    if world.size > 1:
        with_global_batch_norm(networks.generator)
        forwards["generator"] = distributed(networks.generator)
        if networks.discriminator is not None:
            with_global_batch_norm(networks.discriminator)
            forwards["discriminator"] = distributed(networks.discriminator)
            forwards["critic"] = networks.discriminator
    elif compiles(config, device):
        forwards["generator"] = torch.compile(networks.generator)
        if networks.vgg is not None:
            forwards["vgg"] = torch.compile(networks.vgg)
        if networks.discriminator is not None:
            forwards["discriminator"] = torch.compile(networks.discriminator)
            forwards["critic"] = forwards["discriminator"]
    step = TrainingStep(config, networks, device, bfloat16, forwards)
    if device.type == "cuda" and world.size == 1 and graphs:
        return GraphedStep(step)
    return step

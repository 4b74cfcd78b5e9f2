"""The networks of one run, made from its configuration."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from repro.config import TrainConfig
from repro.models.discriminator import Discriminator
from repro.models.generator import Generator
from repro.models.initialise import initialise
from repro.models.luma import LumaNetwork, make_luma_network
from repro.models.vgg import VGGFeatures


@dataclass
class Networks:
    """Generator, its averaged copy, discriminator and VGG features; None where a variant has none."""

    generator: Generator | LumaNetwork
    average: Generator | LumaNetwork | None
    discriminator: Discriminator | None
    vgg: VGGFeatures | None

    def deliverable(self) -> Generator | LumaNetwork:
        """The generator that a run hands on: the averaged one where there is one."""
        return self.average if self.average is not None else self.generator


def make_generator(config: TrainConfig) -> Generator:
    """The generator of a configuration, with the memory of an uninitialised one."""
    return Generator(config.residual_blocks, config.long_skip, config.prelu)


def luma_settings(config: TrainConfig) -> dict[str, Any]:
    """What :func:`repro.models.luma.make_luma_network` takes for a reference method's configuration."""
    settings: dict[str, dict[str, Any]] = {
        "srcnn": {"narrow": config.narrow_start},
        "drcn": {"filters": config.filters, "recursions": config.recursions},
    }
    return settings.get(config.network, {})


def generator_facts(config: TrainConfig) -> dict[str, Any]:
    """What a generator's file says of itself: enough to make the network again, and where it is from."""
    facts: dict[str, Any] = {
        "variant": config.variant,
        "profile": config.profile,
        "seed": config.seed,
        "updates": config.updates,
        "residual_blocks": config.residual_blocks,
        "long_skip": config.long_skip,
        "prelu": config.prelu,
    }
    if config.network != "srresnet":
        facts |= {"network": config.network, "network_settings": luma_settings(config)}
    return facts


def make_networks(
    config: TrainConfig,
    device: torch.device,
    vgg: VGGFeatures | None,
    start: dict[str, torch.Tensor] | None = None,
) -> Networks:
    """Freshly initialised networks on ``device``; the generator from ``start`` where that is given."""
    generator: Generator | LumaNetwork
    if config.network == "srresnet":
        generator = make_generator(config)
        initialise(generator, config.seed, "generator")
    else:
        generator = make_luma_network(config.network, **luma_settings(config))
        generator.initialise(config.seed)
    if start is not None:
        generator.load_state_dict(start)
    discriminator = None
    if config.adversarial:
        discriminator = Discriminator(config.crop_hr)
        initialise(discriminator, config.seed, "discriminator")
    layout = torch.channels_last if config.channels_last else torch.contiguous_format

    def place(module: nn.Module) -> None:
        module.to(device).to(memory_format=layout)

    for module in (generator, discriminator, vgg):
        if module is not None:
            place(module)
    average = None
    if config.ema_decay > 0:
        average = copy.deepcopy(generator).requires_grad_(False).eval()
    return Networks(generator.train(), average, discriminator, vgg)


@torch.no_grad()
def update_average(average: nn.Module, generator: nn.Module, decay: float) -> None:
    """Moves the averaged weights and running statistics a step of 1 - decay towards the generator's."""
    ours = [*average.parameters(), *(b for b in average.buffers() if b.is_floating_point())]
    theirs = [*generator.parameters(), *(b for b in generator.buffers() if b.is_floating_point())]
    torch._foreach_lerp_(ours, theirs, 1 - decay)

"""The networks of one run, made from its configuration."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from repro.methods.config import TrainConfig
from repro.methods.discriminator import Discriminator
from repro.methods.generator import Generator
from repro.methods.luma import LumaNetwork, make_luma_network
from repro.nn.initialise import initialise
from repro.nn.vgg import VGGFeatures

M = TypeVar("M", bound=nn.Module)


@dataclass
class Networks:
    """Generator, its averaged copy, discriminator and VGG features; None where a variant has none.

    Attributes:
        average: the exponential moving average, as :func:`update_average` leaves it.
        average_start: what the average was before the first update.
    """

    generator: Generator | LumaNetwork
    average: Generator | LumaNetwork | None
    discriminator: Discriminator | None
    vgg: VGGFeatures | None
    average_start: Generator | LumaNetwork | None = None

    def deliverable(self, updates: int, decay: float) -> Generator | LumaNetwork:
        """The generator that a run hands on after ``updates``: the averaged one where there is one."""
        if self.average is None or self.average_start is None:
            return self.generator
        return unbiased_average(self.average, self.average_start, decay, updates)


def make_generator(config: TrainConfig) -> Generator:
    """The generator of a configuration, with the memory of an uninitialised one."""
    return Generator(config.residual_blocks, config.long_skip, config.prelu)


def luma_settings(config: TrainConfig) -> dict[str, Any]:
    """What :func:`repro.methods.luma.make_luma_network` takes for a reference method's configuration."""
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
    return Networks(generator.train(), average, discriminator, vgg, copy.deepcopy(average))


def _averaged(module: nn.Module) -> list[torch.Tensor]:
    return [*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())]


@torch.no_grad()
def update_average(average: nn.Module, generator: nn.Module, decay: float) -> None:
    """Moves the averaged weights and running statistics a step of 1 - decay towards the generator's."""
    torch._foreach_lerp_(_averaged(average), _averaged(generator), 1 - decay)


@torch.no_grad()
def unbiased_average(average: M, start: M, decay: float, updates: int) -> M:
    """The average without the weight ``decay ** updates`` that its starting point still has in it.

    The same correction as Adam's moments have (Kingma and Ba, Section 3): with a decay of 0.999 the random
    weights of the start would make up a third of the average after 1,000 updates.
    """
    share = decay**updates
    if share == 1:
        return average
    out = copy.deepcopy(average)
    for value, first in zip(_averaged(out), _averaged(start), strict=True):
        value.copy_((value.double() - share * first.double()) / (1 - share))
    for module in out.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
            module.running_var.clamp_(min=0)  # after few updates rounding could leave less
    return out

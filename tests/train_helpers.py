"""A small training set of synthetic pictures and tiny configurations, for the tests of the engine."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from repro.core import tensorfile
from repro.core.streams import stream
from repro.data.packed import PackedDataset, pack
from repro.data.pairs import reference_source
from repro.data.prepare import TrainingData
from repro.data.samples import HostBatches
from repro.methods import method
from repro.methods.base import Method
from repro.methods.config import RunConfig
from repro.methods.srgan import Discriminator
from repro.methods.variants import configure
from repro.nn import vgg
from repro.nn.initialise import initialise
from repro.train.execution import make_step
from repro.train.step import Step

NARROW = functools.partial(Discriminator, width=4, dense=16)
"""In the place of the paper's discriminator, which writes 280 MB a checkpoint: see `light_training`."""


@dataclass(frozen=True)
class Picture:
    """A synthetic picture: smooth shapes with texture, so that there is something to learn."""

    number: int
    height: int = 150
    width: int = 170

    @property
    def key(self) -> str:
        return f"picture_{self.number:03d}.png"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(f"{self.number} {self.height} {self.width}".encode()).hexdigest()

    def load_u8(self) -> NDArray[np.uint8]:
        rng = stream(self.number, "picture")
        y, x = np.mgrid[: self.height, : self.width] / 40.0
        waves = [np.sin(a * x + b * y + c) for a, b, c in rng.uniform(-3, 3, (9, 3))]
        image = np.stack([sum(waves[i::3]) for i in range(3)], axis=-1)
        image += (np.hypot(y - 2, x - 2) < rng.uniform(0.5, 1.5))[..., None] * rng.uniform(-2, 2, 3)
        return np.clip(128 + 40 * image, 0, 255).astype(np.uint8)


def small_dataset(folder: Path, count: int = 20, first: int = 0) -> PackedDataset:
    """A packed dataset of synthetic pictures of different sizes."""
    pictures = [Picture(n, 120 + 7 * (n % 5), 130 + 11 * (n % 4)) for n in range(first, first + count)]
    return pack(pictures, folder, 96, workers=1)


def small_data(folder: Path) -> TrainingData:
    """Training and validation datasets of synthetic pictures."""
    return TrainingData(small_dataset(folder), small_dataset(folder, 3, 100), "synthetic pictures")


def tiny_config(variant: str = "SRResNet-MSE", **changes: object) -> RunConfig:
    """A variant with one block, a batch of 2, a few updates, in float32."""
    settings = {
        "updates": 6,
        "batch_size": 2,
        "residual_blocks": 1,
        "precision": "float32",
        "log_every": 2,
        "validate_every": 3,
        "sample_every": 6,
        "checkpoint_every": 2,
        "warmup_updates": 2,
    }
    config = configure(variant, "quick")
    if config.method == "srgan":  # the plain algorithm; the tests of what short schedules add ask for it
        plain = {"decay": "cosine", "ema_decay": 0, "statistics_batches": 0, "optimiser": "adam"}
        plain |= {
            "consistency_weight": 0,
            "grid_weight": 0,
            "adversarial_from": 0,
            "adversarial_ramp": 0,
        }
        plain |= {"start": config.start if "SRGAN" in variant else "", "initial": "glorot", "crop_hr": 32}
        settings |= plain | changes
    else:
        del settings["residual_blocks"]
        settings |= changes
    return config.with_settings([f"{name}={value}" for name, value in settings.items()])


def options(**changes: object) -> list[str]:
    """Settings as the command line takes them."""
    return [part for name, value in changes.items() for part in ("--set", f"{name}={value}")]


TINY = {
    "updates": 2,
    "batch_size": 2,
    "crop_hr": 32,
    "residual_blocks": 1,
    "precision": "float32",
    "warmup_updates": 0,
    "log_every": 2,
    "validate_every": 3,
    "sample_every": 6,
    "checkpoint_every": 2,
    "validation_images": 2,
}
"""Of SRResNet and SRGAN: a few updates of one block, whatever the profile."""


def untrained(folder: Path, config: RunConfig | None = None) -> Path:
    """A generator's file as training writes it, with initial weights."""
    config = config or tiny_config()
    how = method(config.method)
    path = folder / "generator.safetensors"
    names = {"variant": config.variant, "profile": config.profile, "seed": config.seed}
    about = names | {"updates": config.schedule.updates} | how.described(config)
    tensorfile.save(path, tensorfile.module_state("generator", how.build(config)["generator"]), about)
    return path


def modules_of(config: RunConfig, narrow: bool = True) -> tuple[Method, dict[str, nn.Module]]:
    """A configuration's method and networks: a narrow discriminator, VGG-19 with random weights."""
    how = method(config.method)
    modules = how.build(config)
    # its architecture is counted elsewhere
    if narrow and isinstance(modules.get("discriminator"), Discriminator):
        modules["discriminator"] = Discriminator(config.data.crop_hr, width=8, dense=32)
        initialise(modules["discriminator"], config.seed, "discriminator")
    need = how.vgg(config)
    if need is not None:
        weights = vgg.with_random_layers(None, need.taps, 0)
        means = {tap: torch.ones(weights.tensors[f"{tap}.bias"].shape) for tap in need.taps}
        modules["vgg"] = vgg.VGGFeatures(weights, need.taps, need.before_relu, means)
    how.complete(modules, config)
    return how, modules


def tiny_step(config: RunConfig) -> Step:
    """The eager step of :func:`modules_of` on the CPU."""
    how, modules = modules_of(config)
    return make_step(config, how, modules, torch.device("cpu"), bfloat16=False).eager


def host_batches(images: PackedDataset, config: RunConfig, **options: Any) -> HostBatches:
    """Batches as a run on the CPU gets them."""
    if "reference" in method(config.method).needs:
        options["references"] = reference_source(images, None, config.data, config.seed)
    return HostBatches(
        images, config.data, config.seed, config.schedule.updates, torch.device("cpu"), **options
    )

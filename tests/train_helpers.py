"""A small training set of synthetic pictures and tiny configurations, for the tests of the engine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from repro.core.streams import stream
from repro.data.packed import Bank, pack
from repro.data.prepare import TrainingData
from repro.methods.config import TrainConfig
from repro.methods.variants import configure


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


def small_bank(folder: Path, count: int = 20, first: int = 0) -> Bank:
    """A packed bank of synthetic pictures of different sizes."""
    pictures = [Picture(n, 120 + 7 * (n % 5), 130 + 11 * (n % 4)) for n in range(first, first + count)]
    return pack(pictures, folder, 96, workers=1)


def small_data(folder: Path) -> TrainingData:
    """Training and validation banks of synthetic pictures."""
    return TrainingData(small_bank(folder), small_bank(folder, 3, 100), "synthetic pictures")


def tiny_config(variant: str = "SRResNet-MSE", **changes: object) -> TrainConfig:
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
    } | changes
    return configure(variant, "quick").with_settings([f"{name}={value}" for name, value in settings.items()])

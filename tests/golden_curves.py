"""Makes tests/golden/curves.json: the losses of the first updates of every variant (CPU, float32).

    python tests/golden_curves.py

Synthetic pictures, two residual blocks, batch 2, a narrow discriminator, VGG-19 with random weights.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch
from train_helpers import host_batches, modules_of, small_dataset, tiny_config

from repro.methods.config import RunConfig
from repro.nn.initialise import initialise
from repro.papers.srgan import VARIANTS
from repro.train.execution import make_step
from repro.train.schedule import learning_rate

GOLDEN = Path(__file__).parent / "golden" / "curves.json"
UPDATES = 24


def config_of(variant: str) -> RunConfig:
    """A small configuration of a variant with the paper's losses.

    An adversarial game in its first updates turns rounding into percents at the paper's learning rate; at a
    tenth of it the curve can be compared across processors.
    """
    rate = 1e-5 if variant.startswith("SRGAN") else 1e-4
    settings = {"residual_blocks": 2, "updates": UPDATES, "learning_rate": rate, "decay": "constant"}
    return tiny_config(variant, crop_hr=96, **settings)


def curve(variant: str, folder: Path) -> dict[str, list[float]]:
    """Term -> its value at every update."""
    config = config_of(variant)
    how, modules = modules_of(config)
    if config.start:
        initialise(modules["generator"], 1, "start")
    if "discriminator" in modules:  # filled in the order of channels last, as these values were made
        initialise(modules["discriminator"].to(memory_format=torch.channels_last), 0, "discriminator")
    step = make_step(config, how, modules, torch.device("cpu"), bfloat16=False).eager
    batches = host_batches(small_dataset(folder), config)
    values: dict[str, list[float]] = {}
    for k in range(UPDATES):
        step.set_learning_rate(learning_rate(config.schedule, k))
        for name, value in step(k, batches.make(k)).items():
            values.setdefault(name, []).append(float(f"{float(value):.6g}"))
    return values


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        curves = {variant: curve(variant, Path(temporary)) for variant in VARIANTS}
    GOLDEN.write_text(json.dumps(curves, indent=1, sort_keys=True) + "\n")

"""Makes tests/golden/curves.json: the losses of the first updates of every variant (CPU, float32).

    python tests/golden_curves.py

Synthetic pictures, two residual blocks, batch 2, a narrow discriminator, VGG-19 with random weights.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch
from train_helpers import small_bank, tiny_config

from repro.data.samples import HostBatches
from repro.methods.config import TrainConfig
from repro.methods.discriminator import Discriminator
from repro.methods.variants import VARIANTS
from repro.nn import vgg
from repro.nn.initialise import initialise
from repro.train.networks import make_generator, make_networks
from repro.train.schedule import learning_rate
from repro.train.step import TrainingStep, set_learning_rate

GOLDEN = Path(__file__).parent / "golden" / "curves.json"
UPDATES = 24


def config_of(variant: str) -> TrainConfig:
    """A small configuration of a variant with the paper's losses.

    An adversarial game in its first updates turns rounding into percents at the paper's learning rate; at a
    tenth of it the curve can be compared across processors.
    """
    rate = 1e-5 if variant.startswith("SRGAN") else 1e-4
    return tiny_config(variant, residual_blocks=2, updates=UPDATES, learning_rate=rate, decay="constant")


def curve(variant: str, folder: Path) -> dict[str, list[float]]:
    """Term -> its value at every update."""
    cpu = torch.device("cpu")
    config = config_of(variant)
    features = None
    if config.content != "mse":
        layer: vgg.Layer = "vgg22" if config.content == "vgg22" else "vgg54"
        features = vgg.VGGFeatures(vgg.with_random_layers(None, layer, 0), layer)
    start = None
    if config.start:
        generator = make_generator(config)
        initialise(generator, 1, "start")
        start = generator.state_dict()
    networks = make_networks(config, cpu, features, start)
    if networks.discriminator is not None:  # a narrow one: its architecture is counted elsewhere
        networks.discriminator = Discriminator(width=8, dense=32).to(memory_format=torch.channels_last)
        initialise(networks.discriminator, config.seed, "discriminator")
    step = TrainingStep(config, networks, cpu)
    batches = HostBatches(small_bank(folder), config, cpu)
    values: dict[str, list[float]] = {}
    for k in range(UPDATES):
        set_learning_rate(step.adam_g, learning_rate(config, k))
        if step.adam_d is not None:
            set_learning_rate(step.adam_d, learning_rate(config, k))
        for name, term in step(batches.make(k)).items():
            values.setdefault(name, []).append(float(f"{float(term):.6g}"))
    return values


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        curves = {variant: curve(variant, Path(temporary)) for variant in VARIANTS}
    GOLDEN.write_text(json.dumps(curves, indent=1, sort_keys=True) + "\n")

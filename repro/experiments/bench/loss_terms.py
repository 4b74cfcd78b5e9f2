"""What the loss terms weigh where an SRGAN starts: is the VGG loss "comparable to the MSE loss"?

Section 2.2.1 rescales VGG features by 1/12.75 to that end. It holds for features of unit mean activation, as
their first authors normalised the network, and not for the released weights.
"""

from __future__ import annotations

from statistics import fmean
from typing import Any

import torch

from repro.core.atomic import write_json
from repro.core.paths import Results
from repro.data.prepare import TrainingData
from repro.data.samples import HostBatches
from repro.experiments.bench.timing import machine
from repro.methods.variants import configure
from repro.nn import losses, vgg
from repro.papers import srgan as paper
from repro.train.finished import FinishedRun
from repro.train.networks import make_networks
from repro.train.run import VGGSource, load_generator_state, vgg_features, vgg_layer_weights

BATCHES = 8
LAYERS: dict[str, vgg.Layer] = {"phi_2,2": "vgg22", "phi_5,4": "vgg54"}


@torch.no_grad()
def run(results: Results, data: TrainingData, start: FinishedRun, source: VGGSource) -> dict[str, Any]:
    """The terms over the first batches of an SRGAN that starts from ``start``, before its first update.

    All SRGANs of one profile and seed start with the same generator, discriminator and crops, so the figures
    are those of each. A layer whose weights the file lacks is left out by name: random features would say
    nothing of the scale.

    Returns:
        The figures, also written to ``bench/loss_terms.json``.
    """
    config = configure("SRGAN-MSE", start.profile, start.seed)
    cpu = torch.device("cpu")
    state, _ = load_generator_state(start.generator)
    networks = make_networks(config, cpu, None, state)
    assert networks.discriminator is not None
    features: dict[str, torch.nn.Module] = {}
    left_out = []
    for name, layer in LAYERS.items():
        weights = vgg_layer_weights(layer, VGGSource(source.path, source.convention, allow_random=True), 0)
        if weights.random_layers:
            left_out.append(f"{name}: no weights from {weights.random_layers[0]} on")
            continue
        bank = results.root / "bank"
        features[f"{name}, unit mean activation"], _ = vgg_features(
            layer, weights, data.training, bank, config.crop_hr
        )
        features[f"{name}, as released"] = vgg.VGGFeatures(weights, layer)
    terms: dict[str, list[float]] = {}
    batches = HostBatches(data.training, config, cpu)
    for k in range(BATCHES):
        batch = batches.get(k)
        sr_pm1 = networks.generator(batch.lr_01)
        opinions = networks.discriminator(sr_pm1)
        values = {
            "MSE": losses.content_mse(sr_pm1, batch.hr_pm1),
            "adversarial": losses.adversarial(opinions),
        }
        values |= {name: losses.content_vgg(phi(sr_pm1), phi(batch.hr_pm1)) for name, phi in features.items()}
        for name, value in values.items():
            terms.setdefault(name, []).append(float(value))
    batches.close()
    means = {name: fmean(of) for name, of in terms.items()}
    means["adversarial, weighted"] = paper.ADVERSARIAL_WEIGHT * means["adversarial"]
    measured = machine() | {
        "start": start.folder.name,
        "batches": BATCHES,
        "terms": {
            name: {"mean": float(f"{value:.5g}"), "times_mse": float(f"{value / means['MSE']:.4g}")}
            for name, value in means.items()
        },
        "left_out": left_out,
    }
    write_json(results.bench / "loss_terms.json", measured)
    return measured

"""What the loss terms weigh where an SRGAN starts: is the VGG loss "comparable to the MSE loss"?

Section 2.2.1 rescales VGG features by 1/12.75 to that end. It holds for features of unit mean activation, as
their first authors normalised the network, and not for the released weights.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import Any

import torch

from repro.core import tensorfile
from repro.core.paths import Results
from repro.data.prepare import TrainingData
from repro.data.samples import HostBatches
from repro.experiments.harness import record
from repro.methods import method
from repro.methods.base import VGGNeed
from repro.methods.config import RunConfig
from repro.methods.srgan import TAPS
from repro.nn import losses, vgg
from repro.papers import srgan as paper
from repro.train.finished import FinishedRun
from repro.train.run import VGGSource, vgg_features, vgg_layer_weights

BATCHES = 8
LAYERS = {"phi_2,2": TAPS["vgg22"], "phi_5,4": TAPS["vgg54"]}


@torch.no_grad()
def run(
    results: Results, data: TrainingData, config: RunConfig, start: FinishedRun, source: VGGSource
) -> dict[str, Any]:
    """The terms over the first batches of an SRGAN that starts from ``start``, before its first update.

    All SRGANs of one profile and seed start with the same generator, discriminator and crops, so the values
    are those of each. A layer whose weights the file lacks is left out by name: random features would say
    nothing of the scale.

    Args:
        config: of an SRGAN of the start's profile and seed.

    Returns:
        The values, also written to ``bench/loss_terms.json``.
    """
    cpu = torch.device("cpu")
    modules = method(config.method).build(config)
    tensorfile.restore_module("generator", modules["generator"], tensorfile.load(start.generator)[0])
    features: dict[str, torch.nn.Module] = {}
    left_out = []
    for name, tap in LAYERS.items():
        weights = vgg_layer_weights((tap,), replace(source, allow_random=True), 0)
        if weights.random_layers:
            left_out.append(f"{name}: no weights from {weights.random_layers[0]} on")
            continue
        bank = results.root / "bank"
        need = VGGNeed((tap,), normalised=True)
        features[f"{name}, unit mean activation"], _ = vgg_features(
            need, weights, data.training, bank, config.data.crop_hr
        )
        features[f"{name}, as released"] = Released(weights, tap)
    terms: dict[str, list[float]] = {}
    batches = HostBatches(data.training, config.data, config.seed, BATCHES, cpu)
    for k in range(BATCHES):
        sample = batches.get(k)
        sr_pm1 = modules["generator"](sample.lr_01)
        values = {
            "MSE": losses.content_mse(sr_pm1, sample.hr_pm1),
            "adversarial": losses.adversarial(modules["discriminator"](sr_pm1)),
        }
        for name, phi in features.items():
            (of_sr,), (of_hr,) = phi(sr_pm1).values(), phi(sample.hr_pm1).values()
            values[name] = losses.content_vgg(of_sr, of_hr)
        for name, value in values.items():
            terms.setdefault(name, []).append(float(value))
    batches.close()
    means = {name: fmean(of) for name, of in terms.items()}
    means["adversarial, weighted"] = paper.ADVERSARIAL_WEIGHT * means["adversarial"]
    measured = {
        "start": start.folder.name,
        "batches": BATCHES,
        "terms": {
            name: {"mean": float(f"{value:.5g}"), "times_mse": float(f"{value / means['MSE']:.4g}")}
            for name, value in means.items()
        },
        "left_out": left_out,
    }
    return record(results.root, "loss_terms", measured)


class Released(vgg.VGGFeatures):
    """Features at one tap on the released weights' scale, rescaled by 1/12.75 nevertheless."""

    def __init__(self, weights: vgg.VGGWeights, tap: str) -> None:
        ones = torch.ones(weights.tensors[f"{tap}.bias"].shape)
        super().__init__(weights, (tap,), channel_means={tap: ones})

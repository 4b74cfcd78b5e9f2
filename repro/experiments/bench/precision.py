"""Whether bfloat16 keeps the loss curve: the same updates in both arithmetics, three seeds."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from repro.core.atomic import write_json
from repro.core.paths import Results
from repro.data.prepare import TrainingData
from repro.data.samples import HostBatches
from repro.experiments.bench.timing import machine
from repro.methods import variants
from repro.train.networks import make_networks
from repro.train.schedule import learning_rate
from repro.train.step import TrainingStep, set_learning_rate

UPDATES, SEEDS, LAST = 300, (0, 1, 2), 100


def run(
    results_folder: Path,
    data: TrainingData,
    batch_size: int = 4,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Content loss of SRResNet-MSE over 300 updates in float32 and bfloat16, three seeds.

    Within noise means: the mean loss of the last 100 updates differs between the arithmetics by less than
    it differs between seeds (one standard deviation of the float32 runs).

    Returns:
        The figures, also written to ``bench/precision.json``; ``batch_size`` is told, since it is smaller
        than the paper's by default to keep the float32 runs short.
    """
    curves: dict[str, list[list[float]]] = {"float32": [], "bfloat16": []}
    for seed in SEEDS:
        for arithmetic, kept in curves.items():
            config = variants.configure("SRResNet-MSE", "cpu", seed)
            config = replace(config, batch_size=batch_size, updates=UPDATES, ema_decay=0.0)
            cpu = torch.device("cpu")
            step = TrainingStep(config, make_networks(config, cpu, None), cpu, arithmetic == "bfloat16")
            batches = HostBatches(data.training, config, cpu)
            curve = []
            for k in range(UPDATES):
                set_learning_rate(step.adam_g, learning_rate(config, k))
                curve.append(float(step(batches.get(k))["content"]))
            batches.close()
            kept.append(curve)
            report(
                f"seed {seed}, {arithmetic}: mean of the last {LAST} is {statistics.fmean(curve[-LAST:]):.5f}"
            )
    last = {name: [statistics.fmean(c[-LAST:]) for c in runs] for name, runs in curves.items()}
    gaps = [b - f for f, b in zip(last["float32"], last["bfloat16"], strict=True)]
    spread = statistics.stdev(last["float32"])
    measured = machine() | {
        "updates": UPDATES,
        "batch_size": batch_size,
        "seeds": list(SEEDS),
        f"mean_loss_of_last_{LAST}": last,
        "gaps_bfloat16_minus_float32": gaps,
        "standard_deviation_over_seeds": spread,
        "within_noise": abs(statistics.fmean(gaps)) < spread,
        "curves_every_10": {name: [c[::10] for c in runs] for name, runs in curves.items()},
    }
    write_json(Results(results_folder).bench / "precision.json", measured)
    return measured

"""Whether bfloat16 keeps the loss curve: the same updates in both arithmetics, three seeds."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from repro.data.prepare import TrainingData
from repro.data.samples import HostBatches
from repro.experiments.harness import record
from repro.methods import method
from repro.methods.config import RunConfig
from repro.train.execution import make_step
from repro.train.schedule import learning_rate

UPDATES, SEEDS, LAST = 300, (0, 1, 2), 100


def run(
    results_folder: Path,
    data: TrainingData,
    config: RunConfig,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Content loss of SRResNet-MSE over 300 updates in float32 and bfloat16, three seeds.

    Within noise means: the mean loss of the last 100 updates differs between the arithmetics by less than
    it differs between seeds (one standard deviation of the float32 runs).

    Args:
        config: of SRResNet-MSE; its batch is told, since a smaller one than the paper's keeps float32 short.

    Returns:
        The values, also written to ``bench/precision.json``.
    """
    curves: dict[str, list[list[float]]] = {"float32": [], "bfloat16": []}
    for seed in SEEDS:
        for arithmetic, kept in curves.items():
            one = config.but(seed=seed, schedule={"updates": UPDATES, "ema_decay": 0.0})
            cpu, how = torch.device("cpu"), method(one.method)
            step = make_step(one, how, how.build(one), cpu, arithmetic == "bfloat16")
            batches = HostBatches(data.training, one.data, seed, UPDATES, cpu)
            curve = []
            for k in range(UPDATES):
                step.eager.set_learning_rate(learning_rate(one.schedule, k))
                curve.append(float(step(k, batches.get(k))["content"]))
            batches.close()
            kept.append(curve)
            report(
                f"seed {seed}, {arithmetic}: mean of the last {LAST} is {statistics.fmean(curve[-LAST:]):.5f}"
            )
    last = {name: [statistics.fmean(c[-LAST:]) for c in runs] for name, runs in curves.items()}
    gaps = [b - f for f, b in zip(last["float32"], last["bfloat16"], strict=True)]
    spread = statistics.stdev(last["float32"])
    measured = {
        "updates": UPDATES,
        "batch_size": config.data.batch_size,
        "seeds": list(SEEDS),
        f"mean_loss_of_last_{LAST}": last,
        "gaps_bfloat16_minus_float32": gaps,
        "standard_deviation_over_seeds": spread,
        "within_noise": abs(statistics.fmean(gaps)) < spread,
        "curves_every_10": {name: [c[::10] for c in runs] for name, runs in curves.items()},
    }
    return record(results_folder, "precision", measured)

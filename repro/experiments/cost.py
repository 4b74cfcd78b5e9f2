"""What a training will cost on this machine, before it starts."""

from __future__ import annotations

import time

import torch

from repro.core.device import use_bfloat16
from repro.experiments.bench.train import engine_mode, make_update
from repro.methods.config import RunConfig
from repro.train.execution import compiles

PARTS = (8, 2)
"""The batches that are timed are so many times smaller than the run's. Two of them, since part of an update
costs the same whatever the batch is (a large discriminator's optimiser)."""
REPEATS = 2
FLOAT32_FACTOR = 6
"""How much longer an update takes where the processor has no bfloat16 instructions: measured on two servers
of two cores, 1.2 to 1.5 s against 0.18 to 0.24 s."""


def seconds_per_update(config: RunConfig, device: torch.device) -> float:
    """Seconds of one update of a run, on a straight line through those of two smaller batches."""
    small, large = (max(config.data.batch_size // part, 1) for part in PARTS)
    first, second = _seconds(config, small, device), _seconds(config, large, device)
    if small == large:
        return second * config.data.batch_size / large
    slope = max((second - first) / (large - small), 0.0)
    return second + slope * (config.data.batch_size - large)


def _seconds(config: RunConfig, batch: int, device: torch.device) -> float:
    """The shortest of a few updates on made-up crops, so that a busy moment counts for nothing."""
    arithmetic = config.arithmetic
    mode = engine_mode(device) | {
        "bfloat16": use_bfloat16(arithmetic.precision, device),
        "channels_last": arithmetic.channels_last,
        "compile": "on" if compiles(config, device) else "off",
    }
    update = make_update(config.but(data={"batch_size": batch}), device, mode)
    update()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        update()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return min(times)


def duration(seconds: float) -> str:
    """Words such as ``40 s``, ``12 min``, ``3.4 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def cost_lines(configs: list[RunConfig], device: torch.device) -> list[str]:
    """A line for each run, their sum, and a word on a processor that makes it slow."""
    lines, total = [], 0.0
    for config in configs:
        each = seconds_per_update(config, device)
        whole = each * config.schedule.updates
        total += whole
        updates = f"{config.schedule.updates:,} updates of {each:.2f} s"
        lines.append(f"{config.variant}: {updates}, {duration(whole)}")
    lines.append(f"training takes about {duration(total)} on this machine, if nothing else runs")
    if device.type == "cpu" and not use_bfloat16("auto", device):
        lines.append(
            "this processor has no bfloat16 instructions; with them it would be about "
            f"{FLOAT32_FACTOR} times as fast"
        )
    return lines

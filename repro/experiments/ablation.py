"""Depth and skip connection against PSNR and time: the supplement's section 4, Figure 7's numbers."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import fmean

import torch

from repro.core.atomic import write_text
from repro.core.csvfile import csv_text
from repro.core.paths import Results
from repro.data.benchmarks import load_dataset
from repro.inference.loading import load_network, trained_upscaler
from repro.inference.store import store_originals, upscale_dataset
from repro.inference.upscaler import Options
from repro.methods.config import RunConfig
from repro.metrics.score import Score, mean_score, score_many

BLOCKS = (1, 2, 4, 8, 16, 20)
COLUMNS = ("blocks", "skip", "profile", "updates", "dataset", "psnr_db", "ssim", "forward_ms", "run")
FORWARD_SIDE, FORWARD_RUNS = 64, 100
"""The supplement times a 64 x 64 low-resolution image, mean of 100 runs."""


def ablated_runs(
    config: RunConfig, blocks: tuple[int, ...], skips: tuple[bool, ...]
) -> list[tuple[int, bool, RunConfig]]:
    """(depth, long skip, configuration) of every run of an ablation, derived from one configuration."""
    return [
        (depth, skip, config.but(network={"residual_blocks": depth, "long_skip": skip}))
        for skip in skips
        for depth in blocks
    ]


@torch.inference_mode()
def forward_ms(generator_file: Path, device: torch.device) -> float:
    """Mean time in ms of the generator on one 64 x 64 LR image, batch norm folded, after warming up."""
    loaded = load_network(generator_file)
    network = loaded.method.folded(loaded.network).to(device).to(memory_format=torch.channels_last)
    x = torch.zeros(1, 3, FORWARD_SIDE, FORWARD_SIDE, device=device)
    times = []
    for _ in range(FORWARD_RUNS + 10):
        began = time.perf_counter()
        network(x)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return 1000 * fmean(times[10:])


def measure(generator: Path, dataset: str, data_root: Path, device: str) -> Score:
    """The mean daala score on a data set; the images stay in the run's folder, out of the tables' store."""
    store = Results(generator.parent / "evaluation")
    store_originals(store, dataset, data_root)
    upscaler = trained_upscaler(generator, Options(device))
    upscale_dataset(store, dataset, upscaler, data_root)
    names = [image.image for image in load_dataset(dataset, data_root)]
    pairs = [(store.image(dataset, "HR", n), store.image(dataset, upscaler.name, n)) for n in names]
    return mean_score(score_many(pairs, "daala-1"))


def write_csv(path: Path, rows: list[dict[str, object]]) -> None:
    """``ablation.csv``, sorted, whole or not at all."""
    rows = sorted(rows, key=lambda row: (row["skip"], row["blocks"]))
    write_text(path, csv_text([COLUMNS, *([row[name] for name in COLUMNS] for row in rows)]))

"""What the rest costs, each beside something plain: whole commands, texture swapping, SelfExSR."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from repro.core.streams import stream
from repro.experiments.harness import alternating_seconds, record
from repro.imaging.resize import imresize_u8
from repro.inference.network import NetworkUpscaler
from repro.inference.upscaler import Options, direct_upscaler
from repro.inference.weights import SHIPPED
from repro.methods import method
from repro.methods.variants import configure
from repro.nn.swap import match

REPEATS = 3
SWAPPED = (256, 160, 160), (256, 40, 40)
"""Features that are matched: of an LR image of 160 x 160, and of a reference of 160 x 160."""
LR_SIDE = 64
"""Of the image that SelfExSR upscales."""

Task = Callable[[], object]


def run(results_folder: Path) -> dict[str, Any]:
    """The measurements, also written to ``bench/program.json``.

    Commands run in processes of their own, on the committed results; each row and what it stands beside take
    turns.
    """
    costs: dict[str, dict[str, Any]] = {}

    def add(label: str, task: Task, beside: str, plain: Task) -> None:
        seconds, plainly = map(statistics.median, alternating_seconds(task, plain, repeats=REPEATS))
        costs[label] = {
            "seconds": float(f"{seconds:.3g}"),
            "beside": beside,
            "times": float(f"{seconds / plainly:.3g}"),
        }

    with tempfile.TemporaryDirectory() as folder:
        results = ("--results", str(SHIPPED.parent), "--out", folder)
        importing = "python -c 'import torch'"
        torch_alone = _python("-c", "import torch")
        tables = _python("-m", "analysis", "tables", *results)
        add("python -m repro --help", _python("-m", "repro", "--help"), importing, torch_alone)
        add("python -m analysis tables", tables, importing, torch_alone)
        report = _python("-m", "analysis", "report", *results)
        add("python -m analysis report", report, "python -m analysis tables", tables)
    draws = stream(0, "bench", "program")
    content, reference = (torch.from_numpy(draws.random(shape, dtype=np.float32)) for shape in SWAPPED)
    add(
        "swap: 160 x 160 LR, a reference of 160 x 160",
        lambda: match(content, [reference]),
        "all patches unfolded, one matrix product",
        lambda: _matched_plainly(content, reference),
    )
    lr = imresize_u8(draws.integers(0, 256, (LR_SIDE // 8, LR_SIDE // 8, 3), dtype=np.uint8), 8)
    config = configure("SRResNet-MSE", "paper")
    how = method(config.method)
    network = NetworkUpscaler("", how, how.build(config)["generator"], config.data.scale, Options("cpu"))
    searched = direct_upscaler("SelfExSR")
    add(
        f"SelfExSR: {LR_SIDE} x {LR_SIDE} LR",
        lambda: list(searched([lr])),
        "SRResNet-MSE, float32",
        lambda: network([lr]),
    )
    return record(results_folder, "program", {"costs": costs})


def _python(*arguments: str) -> Task:
    return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def _matched_plainly(content: torch.Tensor, reference: torch.Tensor) -> Sequence[torch.Tensor]:
    ours, theirs = (F.unfold(maps[None], 3)[0] for maps in (content, reference))
    return (ours.T @ F.normalize(theirs, dim=0)).max(1)

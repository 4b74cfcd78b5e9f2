"""How fast a trained generator is: the plain eager module and what `upscale` runs, side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from repro.core.device import device_name, resolve_device
from repro.core.settings import Arithmetic
from repro.core.streams import stream
from repro.experiments.harness import alternating_medians, name_of, record
from repro.inference.network import NetworkUpscaler
from repro.inference.upscaler import Options
from repro.methods import method
from repro.methods.variants import configure

COUNT, HEIGHT, WIDTH = 4, 80, 120
"""LR images of BSD100's size."""

DEFAULT = "SRResNet-MSE"


def run(
    results_folder: Path, device_option: str = "auto", repeats: int = 5, variant: str = DEFAULT
) -> dict[str, Any]:
    """The measurements, also written to ``bench/infer_<cpu|cuda>.json`` (of others ``infer_<variant>_...``).

    Float64, in which published images are made, is measured of SRResNet alone: it takes minutes of others.
    """
    device = resolve_device(device_option)
    config = configure(variant, "paper")
    how, scale = method(config.method), config.data.scale
    generator = how.build(config)["generator"]
    plain = generator.to(device).eval()
    draws = stream(0, "bench", "infer")
    images = [draws.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(COUNT)]

    @torch.no_grad()
    def one_by_one() -> None:
        for image in images:
            how.super_resolve(plain, image, scale, device, torch.float32)

    def upscaler(kind: Arithmetic, tile: int | None = None) -> Callable[[], object]:
        made = NetworkUpscaler("", how, generator, scale, Options(device_option, kind, tile))
        return lambda: made(images)

    tasks: dict[str, Callable[[], object]] = {
        "eager module, float32, NCHW, one by one": one_by_one,
        "upscale: folded, channels last, batched, float32": upscaler("float32"),
        "upscale --arithmetic bfloat16": upscaler("bfloat16"),
    }
    if variant == DEFAULT:
        tasks["upscale --arithmetic float64"] = upscaler("float64")
    seconds = alternating_medians(*tasks.values(), repeats=repeats)
    megapixels = COUNT * HEIGHT * WIDTH * scale**2 / 1e6
    rows = {
        label: {
            "megapixels_per_second": float(f"{megapixels / time:.4g}"),
            "times_faster": round(seconds[0] / time, 2),
        }
        for label, time in zip(tasks, seconds, strict=True)
    }
    measured = {"device": device_name(device), "image": f"{WIDTH} x {HEIGHT} LR", "modes": rows}
    return record(results_folder, name_of("infer", variant, DEFAULT, device.type), measured)

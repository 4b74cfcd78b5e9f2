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
from repro.experiments.harness import alternating_medians, record
from repro.imaging.ranges import nchw_to_hwc, pm1_to_u8, u8_to_01
from repro.inference.network import NetworkUpscaler
from repro.inference.upscaler import Options
from repro.methods import method
from repro.methods.variants import configure

COUNT, HEIGHT, WIDTH = 4, 80, 120
"""LR images of BSD100's size."""


def run(results_folder: Path, device_option: str = "auto", repeats: int = 5) -> dict[str, Any]:
    """The measurements, also written to ``bench/infer_<cpu|cuda>.json``."""
    device = resolve_device(device_option)
    config = configure("SRResNet-MSE", "paper")
    how, scale = method(config.method), config.data.scale
    generator = how.build(config)["generator"]
    plain_generator = generator.to(device).eval()
    draws = stream(0, "bench", "infer")
    images = [draws.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(COUNT)]

    @torch.no_grad()
    def plain() -> None:
        for image in images:
            lr = torch.from_numpy(image).permute(2, 0, 1)[None].contiguous().to(device)
            nchw_to_hwc(pm1_to_u8(plain_generator(u8_to_01(lr).contiguous())))

    kinds: tuple[Arithmetic, ...] = ("float32", "bfloat16", "float64")
    folded32, folded16, folded64 = (
        NetworkUpscaler("", how, generator, scale, Options(device_option, kind)) for kind in kinds
    )
    tasks: dict[str, Callable[[], object]] = {
        "eager module, float32, NCHW, one by one": plain,
        "upscale: folded, channels last, batched, float32": lambda: folded32(images),
        "upscale --arithmetic bfloat16": lambda: folded16(images),
        "upscale --arithmetic float64": lambda: folded64(images),
    }
    seconds = alternating_medians(*tasks.values(), repeats=repeats)
    megapixels = COUNT * HEIGHT * WIDTH * scale**2 / 1e6
    rows = {
        label: {
            "megapixels_per_second": round(megapixels / time, 3),
            "times_faster": round(seconds[0] / time, 2),
        }
        for label, time in zip(tasks, seconds, strict=True)
    }
    measured = {"device": device_name(device), "image": f"{WIDTH} x {HEIGHT} LR", "modes": rows}
    return record(results_folder, f"infer_{device.type}", measured)

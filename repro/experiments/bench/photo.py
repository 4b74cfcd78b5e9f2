"""What a photograph costs from file to file, in time and memory, beside the plain module."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from repro.core.device import device_name, resolve_device
from repro.core.streams import stream
from repro.experiments.harness import name_of, record
from repro.imaging.photo import Photo, read_photo
from repro.inference.consistent import ConsistentUpscaler
from repro.inference.network import NetworkUpscaler
from repro.inference.photos import upscale_file, whole, write_photo
from repro.inference.upscaler import Options, Upscaler, direct_upscaler
from repro.methods import method
from repro.methods.variants import configure
from repro.train.memory import peak_resident_mib

DEFAULT = "SRResNet-MSE"
SIZE = 768, 1024
"""Of the photograph; a result of 12.6 megapixels."""
SMALLER = 256, 384
"""Of other networks, whose plain module has no memory for more (SAN relates all positions to each other)."""

PLAIN = "plain eager module, the whole image at once"
MODES = (PLAIN, "upscale --no-consistent", "upscale", "upscale --method bicubic")


def run(results_folder: Path, device_option: str = "auto", variant: str = DEFAULT) -> dict[str, Any]:
    """The measurements, also written to ``bench/photo_<cpu|cuda>.json`` (of others ``photo_<variant>_...``).

    Each in a process of its own; of other variants than the default the network's own two alone.
    """
    device = resolve_device(device_option)
    rows: dict[str, dict[str, float]] = {}
    height, width = SIZE if variant == DEFAULT else SMALLER
    modes = MODES if variant == DEFAULT else MODES[:2]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "photo.png"
        noise = stream(0, "bench", "photo").integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        photo = Photo(noise.repeat(8, axis=0).repeat(8, axis=1))
        write_photo(source, whole(photo), photo)
        pool = multiprocessing.get_context("spawn")
        for mode in modes:
            with pool.Pool(1) as process:
                seconds, peak = process.apply(_measure, (source, mode, variant, device_option))
            rows[mode] = {"megapixels_per_second": float(f"{16 * height * width / 1e6 / seconds:.4g}")}
            plain = rows[PLAIN]["megapixels_per_second"]
            rows[mode]["times_faster"] = round(rows[mode]["megapixels_per_second"] / plain, 2)
            rows[mode]["peak_resident_mib"] = round(peak)
    about = {"device": device_name(device), "image": f"{width} x {height} LR, PNG to PNG", "modes": rows}
    return record(results_folder, name_of("photo", variant, DEFAULT, device.type), about)


def _measure(source: Path, mode: str, variant: str, device: str) -> tuple[float, float]:
    """Seconds from file to file, and the process's peak memory in MiB."""
    config = configure(variant, "paper")
    how, scale = method(config.method), config.data.scale
    network = how.build(config)["generator"].eval()
    target = source.with_name("result.png")
    if mode == PLAIN:
        import torch

        where = resolve_device(device)
        network.to(where)
        began = time.perf_counter()
        with torch.no_grad():
            colour = np.asarray(read_photo(source).colour, np.uint8)
            result = Photo(how.super_resolve(network, colour, scale, where, torch.float32))
        write_photo(target, whole(result), result)
        return time.perf_counter() - began, peak_resident_mib()
    upscaler: Upscaler = NetworkUpscaler("", how, network, scale, Options(device))
    if mode == MODES[2]:
        upscaler = ConsistentUpscaler(upscaler)
    if mode == MODES[3]:
        upscaler = direct_upscaler("bicubic")
    began = time.perf_counter()
    upscale_file(source, target, upscaler)
    return time.perf_counter() - began, peak_resident_mib()

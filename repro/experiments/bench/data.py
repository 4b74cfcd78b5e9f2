"""How fast crops come from the packed dataset, and whether a training step has to wait for them."""

from __future__ import annotations

import io
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from repro.core.parallel import usable_cores
from repro.core.streams import stream
from repro.data.packed import PackedDataset, pack
from repro.data.plan import DataSettings, plan_batch
from repro.data.samples import HostBatches, windows_u8
from repro.experiments.harness import alternating_medians, record
from repro.imaging.io import png_bytes

IMAGES, HEIGHT, WIDTH = 512, 375, 500
"""A dataset of 288 MB: as many pixels an image as ImageNet's mean photograph."""
BATCHES = 100
GOAL_CROPS_PER_SECOND = 20_000


@dataclass(frozen=True)
class Noise:
    """A made-up image of ImageNet's mean size."""

    number: int

    @property
    def key(self) -> str:
        return f"noise_{self.number}"

    @property
    def sha256(self) -> str:
        return self.key

    def load_u8(self) -> NDArray[np.uint8]:
        return stream(self.number, "bench", "data").integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def run(results_folder: Path) -> dict[str, Any]:
    """The measurements, also written to ``bench/data.json``.

    The plain baseline decodes a PNG for every crop, as loaders without one do.
    """
    data = DataSettings(augmentation="dihedral")
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        images = pack([Noise(n) for n in range(IMAGES)], Path(folder), data.crop_hr)
        packing = time.perf_counter() - began
        values = _measure(images, data)
    return record(results_folder, "data", {"images_packed_per_second": round(IMAGES / packing, 1)} | values)


def _measure(images: PackedDataset, data: DataSettings) -> dict[str, Any]:
    cores = usable_cores()
    plans = [plan_batch(data, 0, k, images.heights, images.widths) for k in range(BATCHES)]
    encoded = [png_bytes(images.image_u8(n)) for n in range(4)]

    def mapped() -> None:
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(lambda plan: windows_u8(images, plan, data), plans))

    def mapped_one() -> None:
        for plan in plans:
            windows_u8(images, plan, data)

    def decoded() -> None:
        for png in encoded:
            np.asarray(Image.open(io.BytesIO(png)))

    batches = HostBatches(images, data, 0, 10**6, torch.device("cpu"))

    def made() -> None:
        for k in range(10):
            batches.make(k)

    all_s, one_s, png_s, made_s = alternating_medians(mapped, mapped_one, decoded, made, repeats=5)
    crops = BATCHES * data.batch_size
    return {
        "crops_per_second_all_cores": round(crops / all_s),
        "crops_per_second_one_core": round(crops / one_s),
        "goal_crops_per_second": GOAL_CROPS_PER_SECOND,
        "goal_met": crops / min(all_s, one_s) >= GOAL_CROPS_PER_SECOND,
        "decoded_crops_per_second": round(len(encoded) / png_s, 1),
        "times_faster_than_decoding": round((crops / one_s) / (len(encoded) / png_s), 1),
        "batches_made_per_second": round(10 / made_s, 1),
    }

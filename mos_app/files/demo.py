"""The demo's image store: photographs that come with scikit-image, in three versions. Needs no data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from repro.core.manifest import make_manifest, write_manifest
from repro.core.paths import Results
from repro.data.benchmarks import SAMPLE, load_dataset
from repro.data.sample import PHOTOGRAPHS, photograph_path
from repro.imaging.io import read_rgb_u8, write_png
from repro.imaging.resize import imresize_u8, nearest_u8

CALIBRATION = "sample-calibration"
_FACTOR = 4
_CALIBRATION_SIDE = 192

_Pixels = NDArray[np.uint8]
_VERSIONS: dict[str, Callable[[_Pixels, _Pixels], _Pixels]] = {
    "nearest": lambda lr_u8, _: nearest_u8(lr_u8, _FACTOR),
    "bicubic": lambda lr_u8, _: imresize_u8(lr_u8, _FACTOR),
    "HR": lambda _, hr_u8: hr_u8,
}


def _sample() -> Iterator[tuple[str, _Pixels, _Pixels]]:
    for image in load_dataset(SAMPLE, None):
        yield image.image, image.lr_u8(), image.hr_u8()


def _calibration() -> Iterator[tuple[str, _Pixels, _Pixels]]:
    """One square from the middle of other parts of the photographs; none overlaps a rated crop."""
    for photograph in PHOTOGRAPHS:
        box = max(photograph.training, key=lambda part: min(part.height, part.width))
        side = min(_CALIBRATION_SIDE, box.height - box.height % _FACTOR, box.width - box.width % _FACTOR)
        path = photograph_path(photograph)
        top = box.top + (box.height - side) // 2
        left = box.left + (box.width - side) // 2
        hr_u8 = read_rgb_u8(path)[top : top + side, left : left + side]
        yield path.stem, imresize_u8(np.ascontiguousarray(hr_u8), 1 / _FACTOR), hr_u8


def fill_demo_store(results: Results) -> None:
    """Writes the demo's images where the store lacks them; what is there stays as it is."""
    for dataset, images, methods in (
        (SAMPLE, _sample, tuple(_VERSIONS)),
        (CALIBRATION, _calibration, ("nearest", "HR")),
    ):
        made = [(name, lr_u8, hr_u8) for name, lr_u8, hr_u8 in images()]
        for method in methods:
            if all(results.image(dataset, method, name).is_file() for name, _, _ in made):
                continue
            outputs = {
                name: write_png(results.image(dataset, method, name), _VERSIONS[method](lr_u8, hr_u8))
                for name, lr_u8, hr_u8 in made
            }
            manifest = make_manifest(
                kind="result images",
                config={"dataset": dataset, "method": method, "scale": _FACTOR},
                inputs={name: hashlib.sha256(hr_u8.tobytes()).hexdigest() for name, _, hr_u8 in made},
                outputs=outputs,
            )
            write_manifest(results.method_manifest(dataset, method), manifest)

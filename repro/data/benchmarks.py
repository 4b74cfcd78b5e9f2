"""Evaluation data sets as lists of images that know how to load themselves. Light: no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from repro.core.errors import UserError
from repro.data.sample import PHOTOGRAPHS, Box, photograph_path
from repro.data.sources import listed_hashes
from repro.imaging.io import read_u8, sha256_file, to_rgb
from repro.imaging.resize import imresize_u8
from repro.papers.srgan import IMAGES_PER_DATASET

SAMPLE = "sample"
CALIBRATION = "BSD300-calibration"

TEST_DATASETS = ("Set5", "Set14", "BSD100", SAMPLE)
"""What is scored; never trained on."""

DATASET_NAMES = (*TEST_DATASETS, CALIBRATION)

BENCHMARK_FOLDER = "SelfExSR/data/{dataset}/image_SRF_4"
BSDS_TRAIN_FOLDER = "BSDS500/BSDS500/data/images/train"

COMMON_NAMES: dict[str, tuple[str, ...]] = {
    "Set5": ("baby", "bird", "butterfly", "head", "woman"),
    "Set14": (
        "baboon",
        "barbara",
        "bridge",
        "coastguard",
        "comic",
        "face",
        "flowers",
        "foreman",
        "lenna",
        "man",
        "monarch",
        "pepper",
        "ppt3",
        "zebra",
    ),
}
"""What the field calls img_001, img_002, ... (BSD100 has no such names)."""

CALIBRATION_STEMS = (
    "103041",
    "135069",
    "145053",
    "151087",
    "173036",
    "181018",
    "181079",
    "183087",
    "188005",
    "196015",
    "209070",
    "238011",
    "25098",
    "271008",
    "277095",
    "365073",
    "43083",
    "60079",
    "66039",
    "90076",
)
"""The 20 images of BSD300's training set that raters calibrate on (Section 3.3; the paper names none).

Drawn once: the first 20 of ``stream(0, "BSD300-calibration").permutation(200)`` over the sorted file
stems of BSDS500's ``train`` split. They are no test images: training on them is what the paper's own
choice of calibration images allows.
"""


@dataclass(frozen=True)
class EvaluationImage:
    """One image to enlarge and score.

    Attributes:
        dataset: one of :data:`DATASET_NAMES`.
        image: the image's name in the store, e.g. ``img_001``.
        name: what people call it, e.g. ``baby``; the same as ``image`` where it has no other name.
        hr_path: the file with the original.
        lr_path: the stored low-resolution PNG, or None where it is made from the original.
        box: the part of ``hr_path`` that is meant, or None: the whole, cropped at its right and bottom to
            multiples of the scale (which leaves the benchmarks' files as they are).
        hr_listed, lr_listed: the SHA-256 that the list of files has of the two, or "" where it has none.
            A file with other bytes is refused where it is read: one changed pixel would change a score.
        scale: of super-resolution.
    """

    dataset: str
    image: str
    name: str
    hr_path: Path
    lr_path: Path | None = None
    box: Box | None = None
    hr_listed: str = ""
    lr_listed: str = ""
    scale: int = 4

    def hr_native_u8(self) -> NDArray[np.uint8]:
        """The original as stored: uint8 (H, W, 3), or (H, W) for a greyscale file.

        H and W are multiples of 4. The community's protocol (section 7) scores greyscale files as they are.

        Raises:
            UserError: unreadable, or not the file that is listed.
        """
        self.hr_file_sha256()
        pixels = read_u8(self.hr_path)
        if self.box is not None:
            top, left, height, width = self.box
            return pixels[top : top + height, left : left + width]
        height, width = (side - side % self.scale for side in pixels.shape[:2])
        return pixels[:height, :width]

    def hr_u8(self) -> NDArray[np.uint8]:
        """The original as uint8 (H, W, 3) RGB, H and W multiples of 4; greyscale becomes R = G = B."""
        return to_rgb(self.hr_native_u8())

    def lr_native_u8(self) -> NDArray[np.uint8]:
        """The low-resolution image: uint8 (H/4, W/4, 3), or (H/4, W/4) for a greyscale file.

        The stored PNG's pixels where there is one, else the bicubic reduction of the original (section 2).

        Raises:
            UserError: unreadable, not the file that is listed, or not a quarter of the original's size.
        """
        hr_u8 = self.hr_native_u8()
        if self.lr_path is None:
            return imresize_u8(np.ascontiguousarray(hr_u8), Fraction(1, self.scale))
        _listed_sha256(self.lr_path, self.lr_listed)
        lr_u8 = read_u8(self.lr_path)
        if tuple(self.scale * side for side in lr_u8.shape[:2]) != hr_u8.shape[:2]:
            raise UserError(
                f"{self.lr_path}: {lr_u8.shape[1]} x {lr_u8.shape[0]} pixels",
                f"a quarter of {hr_u8.shape[1]} x {hr_u8.shape[0]}",
                "python -m repro data verify",
            )
        return lr_u8

    def lr_u8(self) -> NDArray[np.uint8]:
        """The low-resolution image as uint8 (H/4, W/4, 3) RGB; greyscale becomes R = G = B."""
        return to_rgb(self.lr_native_u8())

    def hr_file_sha256(self) -> str:
        """SHA-256 of the file that the original lies in; UserError unless it is the listed one."""
        return _listed_sha256(self.hr_path, self.hr_listed)


def _listed_sha256(path: Path, listed: str) -> str:
    found = sha256_file(path)
    if listed and found != listed:
        raise UserError(
            f"{path}: SHA-256 {found[:12]}..., another file than the benchmark's",
            f"{listed[:12]}..., as listed in repro/data/files.csv",
            "python -m repro data fetch   (replaces what was changed)",
        )
    return found


def pixels_sha256(image_u8: NDArray[np.uint8]) -> str:
    """SHA-256 of the raw H x W x 3 uint8 bytes of an image; greyscale counts as R = G = B."""
    return hashlib.sha256(np.ascontiguousarray(to_rgb(image_u8)).tobytes()).hexdigest()


def load_dataset(name: str, data_root: Path | None) -> tuple[EvaluationImage, ...]:
    """The images of a data set, in the order of their names. Files are looked for, not opened.

    Args:
        name: one of :data:`DATASET_NAMES`.
        data_root: the folder with the upstream layout; not used for ``sample``.

    Raises:
        UserError: unknown name, or files missing (told how many, which first, and how to get them).
    """
    if name not in _LOADERS:
        raise UserError(
            f"data set {name!r}", f"one of {', '.join(DATASET_NAMES)}", "choose one of the names above"
        )
    images = _LOADERS[name](Path("data") if data_root is None else Path(data_root))
    wanted = [path for image in images for path in (image.hr_path, image.lr_path) if path is not None]
    missing = [path for path in wanted if not path.is_file()]
    if missing:
        raise UserError(
            f"data set {name}: {len(missing)} of {len(wanted)} files are missing, first {missing[0]}",
            "the upstream layout under the data root (environment variable SRGAN_DATA, or --data)",
            f"python -m repro data fetch --only {'BSDS500-train' if name == CALIBRATION else name}",
        )
    return images


def available_datasets(data_root: Path | None, names: tuple[str, ...] = DATASET_NAMES) -> tuple[str, ...]:
    """Those of ``names`` whose files are all there, in the order of ``names``."""

    def complete(name: str) -> bool:
        try:
            load_dataset(name, data_root)
        except UserError:
            return False
        return True

    return tuple(name for name in names if complete(name))


def _benchmark(dataset: str, data_root: Path) -> tuple[EvaluationImage, ...]:
    folder = BENCHMARK_FOLDER.format(dataset=dataset)
    listed = listed_hashes()
    names = COMMON_NAMES.get(dataset, ())
    images = []
    for number in range(1, IMAGES_PER_DATASET[dataset] + 1):
        image = f"img_{number:03d}"
        hr, lr = f"{folder}/{image}_SRF_4_HR.png", f"{folder}/{image}_SRF_4_LR.png"
        images.append(
            EvaluationImage(
                dataset,
                image,
                names[number - 1] if names else image,
                data_root / hr,
                data_root / lr,
                hr_listed=listed.get(hr, ""),
                lr_listed=listed.get(lr, ""),
            )
        )
    return tuple(images)


def _sample(data_root: Path) -> tuple[EvaluationImage, ...]:
    del data_root  # the photographs come with scikit-image
    images = []
    for photograph in PHOTOGRAPHS:
        if photograph.evaluation is not None:
            path = photograph_path(photograph)
            images.append(EvaluationImage(SAMPLE, path.stem, path.stem, path, None, photograph.evaluation))
    return tuple(sorted(images, key=lambda image: image.image))


def _calibration(data_root: Path) -> tuple[EvaluationImage, ...]:
    files = {stem: f"{BSDS_TRAIN_FOLDER}/{stem}.jpg" for stem in CALIBRATION_STEMS}
    listed = listed_hashes()
    return tuple(
        EvaluationImage(CALIBRATION, stem, stem, data_root / path, hr_listed=listed.get(path, ""))
        for stem, path in files.items()
    )


_LOADERS: dict[str, Callable[[Path], tuple[EvaluationImage, ...]]] = {
    "Set5": lambda root: _benchmark("Set5", root),
    "Set14": lambda root: _benchmark("Set14", root),
    "BSD100": lambda root: _benchmark("BSD100", root),
    SAMPLE: _sample,
    CALIBRATION: _calibration,
}

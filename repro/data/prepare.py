"""From images on disk to a run's packed datasets: training and held-out validation, free of test images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from repro.core.paths import Results
from repro.core.progress import bar
from repro.data.benchmarks import TEST_DATASETS, EvaluationImage, available_datasets, load_dataset
from repro.data.facts import default_cache
from repro.data.packed import PackedDataset, pack
from repro.data.training import (
    TRAINING_SOURCES,
    TrainingImage,
    assert_disjoint,
    held_out_split,
    training_images,
)

HOLD_OUT_SEED = 0
"""The validation images are the same for every variant and seed, so that runs can be compared."""


@dataclass(frozen=True)
class TrainingData:
    """The packed images of a run.

    Attributes:
        training, validation: disjoint; neither holds a test image.
        description: where they are from, for the manifest.
    """

    training: PackedDataset
    validation: PackedDataset
    description: str


def _describe(images: list[TrainingImage], source: Path | None) -> str:
    if source is not None:
        return f"{len(images):,} images of a folder given by --train-root"
    if all(image.key.startswith("sample/") for image in images):
        return f"sample: {len(images)} crops of scikit-image's photographs"
    return f"{len(images):,} images of {', '.join(TRAINING_SOURCES)}, as far as they are there"


def scored_images(data_root: Path | None) -> list[EvaluationImage]:
    """Every evaluation image that is there: what a training set must not hold."""
    return [
        image
        for name in available_datasets(data_root)
        if name in TEST_DATASETS
        for image in load_dataset(name, data_root)
    ]


def prepare_data(
    results: Results,
    data_root: Path | None,
    train_root: Path | None,
    validation_images: int,
    smallest_side: int,
    console: Console,
) -> TrainingData:
    """Finds the training images, checks them against the test images, splits and packs them.

    Args:
        results: packed datasets go to ``bank/`` in it; what is packed already is kept.
        data_root: the folder with the upstream layout, or None.
        train_root: a folder of images to train on instead of the default.
        validation_images: how many to hold out.
        smallest_side: images below it cannot be cropped from.
        console: for progress bars.

    Raises:
        UserError: no image, or a test image among them.
    """
    cache = default_cache()
    images = training_images(train_root, data_root, cache=cache, console=console)
    assert_disjoint(images, scored_images(data_root), cache=cache, console=console)
    training, validation = held_out_split(images, min(validation_images, len(images) // 4), HOLD_OUT_SEED)
    with bar(console, "packing images", len(images)) as advance:
        folder = results.root / "bank"
        return TrainingData(
            pack(training, folder, smallest_side, progress=advance),
            pack(validation, folder, smallest_side, progress=advance),
            _describe(images, train_root),
        )

"""From images on disk to a run's packed datasets: training and held-out validation, free of test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from repro.core.errors import UserError
from repro.core.paths import Results
from repro.core.progress import bar
from repro.data.benchmarks import TEST_DATASETS, EvaluationImage, available_datasets, load_dataset
from repro.data.facts import default_cache
from repro.data.packed import PackedDataset, pack
from repro.data.pairs import SMALLEST, folder_pairs
from repro.data.regions import region_maps
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
        references: of the images, each under its image's key, where they come with them.
        regions: of the training images, in their order, where the method asks for them.
    """

    training: PackedDataset
    validation: PackedDataset
    description: str
    references: PackedDataset | None = None
    regions: PackedDataset | None = None


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
    reference_root: Path | None = None,
    regions: bool = False,
    labels: Path | None = None,
    sizes: Sequence[float] = (),
) -> TrainingData:
    """Finds the training images, checks them against the test images, splits and packs them.

    Args:
        results: packed datasets go to ``bank/`` in it; what is packed already is kept.
        data_root: the folder with the upstream layout, or None.
        train_root: a folder of images to train on instead of the default.
        validation_images: how many to hold out.
        smallest_side: images below it cannot be cropped from.
        console: for progress bars.
        reference_root: a folder with a reference of the same name for each image of ``train_root``.
        regions: pack the training images' regions too.
        labels: the folder of label maps that they come from; None computes segments from the images.
        sizes: shares of their sides that training images are packed in too; held-out ones never are.

    Raises:
        UserError: no image, a test image among them or their references, an image without its reference or
            its label map, a label map of another size, or sizes of images with references or label maps.
    """
    if sizes and (reference_root is not None or labels is not None):
        with_them = "label maps" if reference_root is None else "references"
        raise UserError(f"shrunk images with {with_them}", "images alone", "leave out --set shrunk")
    cache = default_cache()
    images = training_images(train_root, data_root, cache=cache, console=console)
    references: list[TrainingImage] = []
    if reference_root is not None:
        if train_root is None:
            raise UserError("--reference-root without --train-root", "both", "--train-root FOLDER")
        pairs = folder_pairs(train_root, reference_root)
        references = [replace(reference, key=image.key) for image, (reference,) in pairs]
    assert_disjoint([*images, *references], scored_images(data_root), cache=cache, console=console)
    count = min(validation_images, len(images) // 4)
    if count < 1:
        raise UserError(
            f"{len(images)} training images, {validation_images} to be held out",
            "4 or more, and 1 or more of them",
            "--train-root FOLDER",
        )
    training, validation = held_out_split(images, count, HOLD_OUT_SEED)
    training = sorted(
        [*training, *(image.shrunk(size) for size in sizes for image in training)],
        key=lambda image: image.key,
    )
    with bar(console, "packing images", len(training) + len(validation)) as advance:
        folder = results.root / "bank"
        packed = pack(training, folder, smallest_side, progress=advance)
        held_out = pack(validation, folder, smallest_side, progress=advance)
        beside = pack(references, folder, SMALLEST) if references else None
    if beside is not None and beside.skipped:
        raise UserError(
            f"a reference that cannot be used: {beside.skipped[0]}",
            "one for each image, held-out ones too",
            "replace it, or leave its image out",
        )
    found = pack_regions(packed, training, labels, folder, smallest_side, console) if regions else None
    description = _describe(images, train_root)
    if sizes:
        description += f", and all of them at {' and '.join(f'{size:g}' for size in sizes)} of their sides"
    return TrainingData(packed, held_out, description, beside, found)


def pack_regions(
    packed: PackedDataset,
    images: list[TrainingImage],
    labels: Path | None,
    folder: Path,
    smallest_side: int,
    console: Console,
) -> PackedDataset:
    """The regions of packed images, packed in the same order.

    Raises:
        UserError: an image without a label map, or one that is unreadable or of another size.
    """
    by_key = {image.key: image for image in images}
    maps = region_maps([by_key[key] for key in packed.keys], labels)
    with bar(console, "packing regions", len(maps)) as advance:
        regions = pack(maps, folder, smallest_side, progress=advance)
    if len(regions) != len(packed):
        raise UserError(
            f"{len(regions.skipped)} label maps do not fit, the first: {regions.skipped[0]}",
            "a label map of every training image, of its size",
            "give the label maps of these images, not resized",
        )
    return regions

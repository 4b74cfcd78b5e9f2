"""RankSRGAN's first stage: training images in several versions, and patches of them labelled by NIQE."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from repro.core.atomic import write_text
from repro.core.csvfile import csv_text
from repro.core.errors import UserError
from repro.core.manifest import make_manifest, write_manifest
from repro.core.streams import stream
from repro.data.rank_pairs import COLUMNS, LABELS, SPLITS
from repro.data.training import TrainingImage
from repro.imaging.io import sha256_file, write_png
from repro.imaging.resize import imresize_u8
from repro.inference.upscaler import Upscaler
from repro.papers import ranksrgan as paper

SCALE = 4
ORIGINAL = "HR"
"""The version that is the image itself."""

_SHAVE = 4
"""Pixels that NIQE leaves out: 296 - 8 is three blocks of 96."""


@dataclass(frozen=True)
class Selection:
    """Which patches are taken; the released code's values.

    Attributes:
        side, stride: of the patches, in HR pixels.
        least_activity: the local deviation of the first version, a sum over blocks of means.
        least_difference: of NIQE between the first two versions.
        most: patches an image.
    """

    side: int = paper.PATCH
    stride: int = paper.STRIDE
    least_activity: float = paper.LEAST_ACTIVITY
    least_difference: float = paper.LEAST_DIFFERENCE
    most: int = paper.MOST_PATCHES

    def __post_init__(self) -> None:
        if self.side < 2 * 96 + 2 * _SHAVE or self.stride < 1:
            raise UserError(
                f"patches of {self.side} pixels, one every {self.stride}",
                "200 or more for NIQE, and 1 or more", f"--side {paper.PATCH}",
            )  # fmt: skip


def activity(patch_u8: NDArray[np.uint8]) -> float:
    """The standard deviation of grey in windows of 7 x 7, a sum over blocks of 96 x 96 of its means.

    Blocks at the right and at the bottom are filled up with zeros, as the authors' MATLAB code does.
    """
    from scipy.ndimage import uniform_filter

    grey = patch_u8.astype(np.float64) @ (0.2989, 0.587, 0.114)
    mean = uniform_filter(grey, 7, mode="nearest")
    deviation = np.sqrt(np.maximum(uniform_filter(grey * grey, 7, mode="nearest") - mean * mean, 0))
    return float(deviation.sum() / 96**2)


def places(height: int, width: int, selection: Selection) -> Iterator[tuple[int, int]]:
    """(top, left) of every patch of an image, row by row."""
    for top in range(0, height - selection.side + 1, selection.stride):
        for left in range(0, width - selection.side + 1, selection.stride):
            yield top, left


def make_rank_data(
    folder: Path,
    images: Sequence[TrainingImage],
    versions: Mapping[str, Upscaler | None],
    selection: Selection,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Writes the versions' images and each image's labels, then ``labels.csv`` and last the manifest.

    Args:
        folder: a new one, or of the same command, whose labels are kept: it goes on where it stopped.
        images: training images.
        versions: two or more; None stands for the image itself. The selection asks that the first and the
            second differ.
        selection: which patches are taken.
        seed: of the split: a tenth of the images (not of the patches, which overlap) is held out.
        progress: called with 1 after every image.

    Returns:
        The number of places.

    Raises:
        UserError: fewer than two versions, a folder of another command, or no patch is left.
    """
    if len(versions) < 2:
        raise UserError(f"{len(versions)} version to rank", "two or more", "--version HR --version bicubic")
    order = stream(seed, "rank split").permutation(len(images))
    held_out = set(order[: max(1, round(paper.HELD_OUT * len(images)))].tolist())
    inputs: dict[str, str] = {}
    for version, upscaler in versions.items():
        inputs |= {f"{version} {key}": value for key, value in (upscaler.inputs if upscaler else {}).items()}
    _begin(folder, {"versions": list(versions), "selection": selection.__dict__, "inputs": inputs})
    parts: list[str] = []
    for number, image in enumerate(images):
        name = hashlib.sha256(image.key.encode()).hexdigest()[:12]
        part = folder / "labels" / f"{name}.{image.sha256[:12]}.csv"
        if not part.is_file():
            write_text(part, csv_text(_labelled(folder, name, image, versions, selection)))
        split = SPLITS[number in held_out]
        parts.append(csv_text((*row, split) for row in csv.reader(part.read_text().splitlines())))
        progress(1)
    labels = "".join(parts)
    if not labels:
        raise UserError(
            f"no patch of {selection.side} pixels a side that differs enough in {len(images)} images",
            f"images of {selection.side} pixels a side or more, with detail", "--side 200 --stride 100",
        )  # fmt: skip
    write_text(folder / LABELS, csv_text([COLUMNS]) + labels)
    inputs |= {image.key: image.sha256 for image in images}
    manifest = make_manifest(
        kind="rank data",
        config={
            "versions": list(versions),
            "selection": selection.__dict__,
            "label": "NIQE, 4 pixels shaved",
        },
        seed=seed,
        inputs=inputs,
        outputs={LABELS: sha256_file(folder / LABELS)},
        notes=[note for upscaler in versions.values() if upscaler for note in upscaler.notes],
    )
    write_manifest(folder / "manifest.json", manifest)
    return labels.count("\n") // len(versions)


def _begin(folder: Path, what: dict[str, object]) -> None:
    """Notes what a folder's labels are of, so that a command that was stopped goes on with them.

    Raises:
        UserError: the folder has labels of other versions, weights or patches.
    """
    path, text = folder / "begun.json", json.dumps(what, indent=1, sort_keys=True) + "\n"
    if not path.is_file():
        write_text(path, text)
    elif path.read_text() != text:
        raise UserError(f"{folder}: labels of another command", "a new folder, or the same", "--folder OTHER")


def _labelled(
    folder: Path,
    name: str,
    image: TrainingImage,
    versions: Mapping[str, Upscaler | None],
    selection: Selection,
) -> list[tuple[object, ...]]:
    """The rows of one image, as ``labels.csv`` has them but for the split."""
    from repro.metrics.niqe import niqe

    if min(image.size()) < selection.side:  # nothing to take from it
        return []
    pixels = _versions_of(folder, name, image, versions)
    first = next(iter(pixels.values()))
    rows: list[tuple[object, ...]] = []
    for top, left in places(first.shape[0], first.shape[1], selection):
        window = np.s_[top : top + selection.side, left : left + selection.side]
        if len(rows) == selection.most * len(pixels) or activity(first[window]) < selection.least_activity:
            continue
        try:
            labels = {version: niqe(values[window], _SHAVE) for version, values in pixels.items()}
        except UserError:
            continue  # too flat for NIQE
        one, other, *_ = labels.values()
        if abs(one - other) > selection.least_difference:
            rows += [
                (name, version, f"images/{version}/{name}.png", top, left, selection.side, f"{label:.6f}")
                for version, label in labels.items()
            ]
    return rows


def _versions_of(
    folder: Path, name: str, image: TrainingImage, versions: Mapping[str, Upscaler | None]
) -> dict[str, NDArray[np.uint8]]:
    """Version -> (H, W, 3), sides multiples of the scale; what is on disk of the same image is made again."""
    hr = image.load_u8()
    height, width = (side // SCALE * SCALE for side in hr.shape[:2])
    hr = np.ascontiguousarray(hr[:height, :width])
    lr = imresize_u8(hr, Fraction(1, SCALE))
    found = {}
    for version, upscaler in versions.items():
        found[version] = hr if upscaler is None else next(iter(upscaler([lr])))
        write_png(folder / "images" / version / f"{name}.png", found[version])
    return found

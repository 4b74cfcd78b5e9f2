"""Training sets: lists of images with their hashes, and the proof that no test image is among them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from repro.core.errors import UserError
from repro.core.progress import bar
from repro.core.streams import stream
from repro.data.benchmarks import CALIBRATION, SAMPLE, EvaluationImage, pixels_sha256
from repro.data.facts import gather
from repro.data.sample import PHOTOGRAPHS, Box, photograph_path, training_key
from repro.data.sources import load_registry
from repro.imaging.io import IMAGE_SUFFIXES, read_rgb_u8, read_size, sha256_file
from repro.imaging.resize import imresize_u8, output_length

TRAINING_SOURCES = ("BSDS500-train", "BSDS500-test", "imagenet-sample")
"""The registry's sources that are trained on by default, as far as they are there."""

CROP_REMAINDER = 8
"""Sides that differ by less are compared too: the same picture cropped to multiples of another factor."""


@dataclass(frozen=True)
class TrainingImage:
    """One image, or one part of an image, to take random crops from. Can be pickled.

    Attributes:
        key: its name in manifests and packed datasets; relative, the same on every machine.
        path: the file.
        sha256: of the file's bytes (for a part: of the file that it is a part of).
        box: the part of the file that is meant, or None for the whole.
        size_share: 1, or the share of its sides that it is shrunk to (bicubic, anti-aliased).
    """

    key: str
    path: Path
    sha256: str
    box: Box | None = None
    size_share: float = 1.0

    def load_u8(self) -> NDArray[np.uint8]:
        """The pixels, uint8 (H, W, 3) RGB; greyscale becomes R = G = B. UserError where unreadable."""
        pixels = read_rgb_u8(self.path)
        if self.box is not None:
            top, left, height, width = self.box
            pixels = pixels[top : top + height, left : left + width]
        return pixels if self.size_share == 1 else imresize_u8(pixels, self.size_share)

    def size(self) -> tuple[int, int]:
        """(H, W), from the file's header. UserError where unreadable."""
        height, width = read_size(self.path) if self.box is None else (self.box.height, self.box.width)
        return output_length(height, self.size_share), output_length(width, self.size_share)

    def shrunk(self, size_share: float) -> TrainingImage:
        """The same image at a share of its sides, below 1."""
        return replace(self, key=f"{self.key}, x{size_share:g}", size_share=size_share)


def training_images(
    source: Path | Sequence[str] | None,
    data_root: Path | None,
    *,
    cache: Path | None = None,
    console: Console | None = None,
) -> list[TrainingImage]:
    """The training images, sorted by key, each with its SHA-256. No image is decoded.

    Args:
        source: a folder (``--train-root``): every image below it; names out of :data:`TRAINING_SOURCES`
            and ``sample``; or None for the default: what there is of :data:`TRAINING_SOURCES`, and
            ``sample`` where there is nothing of them. Of the registry's sources only listed files count,
            so a stray file never changes a training set.
        data_root: the folder with the upstream layout.
        cache: where hashes are remembered (:func:`repro.data.facts.default_cache`), or None.
        console: where a progress bar is drawn, or None.

    Raises:
        UserError: unknown name, no such folder, or no image found.
    """
    if isinstance(source, Path):
        found = list_folder(source, console)
    else:
        found = _registered(source, data_root)
    paths = [path for _, path, _ in found]
    with bar(console, "hashing training images", len(paths)) as advance:
        hashes = gather(paths, "sha256", sha256_file, cache, advance)
    images = [
        TrainingImage(key, path, sha256, box) for (key, path, box), sha256 in zip(found, hashes, strict=True)
    ]
    return sorted(images, key=lambda image: image.key)


_Found = tuple[str, Path, Box | None]


def _registered(names: Sequence[str] | None, data_root: Path | None) -> list[_Found]:
    root = Path("data") if data_root is None else data_root
    for name in names or ():
        if name not in {*TRAINING_SOURCES, SAMPLE}:
            raise UserError(
                f"training set {name!r}",
                f"one of {', '.join((*TRAINING_SOURCES, SAMPLE))}",
                "for any folder of images use --train-root FOLDER",
            )
    chosen = tuple(TRAINING_SOURCES if names is None else names)
    found: list[_Found] = [
        (file.path, file.under(root), None)
        for file in load_registry().files
        if file.source.name in chosen and file.under(root).is_file()
    ]
    if SAMPLE in chosen or (names is None and not found):
        found.extend(
            (training_key(photograph, box), photograph_path(photograph), box)
            for photograph in PHOTOGRAPHS
            for box in photograph.training
        )
    if not found:
        raise UserError(
            f"no image of {', '.join(chosen)} under the data root {root}",
            "at least one training image",
            "python -m repro data fetch " + " ".join(f"--only {name}" for name in chosen),
        )
    return found


def list_folder(folder: Path, console: Console | None = None) -> list[_Found]:
    """Every image file below ``folder``, by its suffix, without opening any.

    Hidden files and folders are left out; linked folders are entered, each folder once.

    Raises:
        UserError: no such folder, one that cannot be listed, or no image in it.
    """
    if not folder.is_dir():
        raise UserError(f"training folder {folder}: no such folder", "a folder of images", "check the path")
    found: list[_Found] = []
    with bar(console, f"listing {folder.name}", None) as advance:
        for directory, names in _walk(folder):
            here = [
                name
                for name in names
                if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 (a million names)
            ]
            relative = directory.relative_to(folder).as_posix()
            prefix = "" if relative == "." else f"{relative}/"
            found.extend((prefix + name, directory / name, None) for name in here)
            advance(len(here))
    if not found:
        raise UserError(
            f"training folder {folder}: no image in it",
            f"files ending in {', '.join(sorted(IMAGE_SUFFIXES))}",
            "check the path",
        )
    return sorted(found)


def _walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    def refuse(error: OSError) -> None:
        raise UserError(
            f"{error.filename}: {error.strerror}", "a folder that can be listed", "check its permissions"
        )

    entered: set[tuple[int, int]] = set()
    for directory, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        status = Path(directory).stat()
        identity = (status.st_dev, status.st_ino)
        if identity in entered:  # a link back up, or a second link to the same folder
            folders.clear()
            continue
        entered.add(identity)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(directory), files


def held_out_split(
    images: Sequence[TrainingImage], count: int, seed: int
) -> tuple[list[TrainingImage], list[TrainingImage]]:
    """(training, held out): ``count`` images, drawn from the training images, to watch a training by.

    The draw depends on the seed and the images' keys, not on their order; both lists are sorted by key.
    Benchmarks are never watched: a checkpoint picked on Set5 has been trained on Set5.

    Raises:
        UserError: ``count`` is negative or leaves nothing to train on.
    """
    if not 0 <= count < len(images):
        raise UserError(
            f"{count} of {len(images)} training images held out",
            f"0 to {len(images) - 1}",
            "hold out fewer, or train on more images",
        )
    ordered = sorted(images, key=lambda image: image.key)
    order = stream(seed, "held-out images").permutation(len(ordered))
    held = set(order[:count].tolist())
    return (
        [image for number, image in enumerate(ordered) if number not in held],
        [image for number, image in enumerate(ordered) if number in held],
    )


def assert_disjoint(
    training: Sequence[TrainingImage],
    evaluation: Iterable[EvaluationImage],
    *,
    cache: Path | None = None,
    console: Console | None = None,
) -> None:
    """Returns when no training image is an evaluation image; names both where one is.

    Compared are the SHA-256 of the files' bytes and of the decoded pixels. Pixels can only be equal where
    sizes are, so of a million files only the headers are read. An image whose sides differ by less than
    :data:`CROP_REMAINDER` is compared on the part that both have: the benchmarks' files are the upper left
    part of photographs that others keep whole. Parts of one file must not overlap. A picture that was
    scaled or compressed again is not recognised.

    ``BSD300-calibration`` is passed over: raters calibrate on training images (Section 3.3), nothing is
    scored on them.

    Args:
        training: the images to train on.
        evaluation: the images to be scored.
        cache: where sizes and hashes are remembered, or None.
        console: where a progress bar is drawn, or None.

    Raises:
        UserError: a training image equals an evaluation image. Unreadable training images are passed over:
            nobody can train on them.
    """
    scored = [image for image in evaluation if image.dataset != CALIBRATION]
    by_file: dict[str, list[EvaluationImage]] = defaultdict(list)
    by_size: dict[tuple[int, int], list[EvaluationImage]] = defaultdict(list)
    pixels = {image: image.hr_u8() for image in scored}
    for image in scored:
        by_file[image.hr_file_sha256()].append(image)
        by_size[pixels[image].shape[:2]].append(image)
    for trained in training:
        for other in by_file.get(trained.sha256, ()):
            if trained.box is None or other.box is None or trained.box.overlaps(other.box):
                raise _same(trained, other, "the same file")

    with bar(console, "comparing with the test images", len(training)) as advance:
        sizes = _sizes(training, cache, advance)
    known: dict[tuple[EvaluationImage, int, int], str] = {}
    for common, images in _comparable(training, sizes, by_size).items():
        height, width = common
        others: dict[str, EvaluationImage] = {}
        for size, group in by_size.items():
            if _near(size, common):
                for other in group:
                    if (other, height, width) not in known:
                        known[other, height, width] = pixels_sha256(pixels[other][:height, :width])
                    others[known[other, height, width]] = other
        with bar(console, f"comparing {width} x {height} pixels", len(images)) as advance:
            for trained, sha256 in zip(
                images, _corner_hashes(images, height, width, cache, advance), strict=True
            ):
                if sha256 in others:
                    raise _same(trained, others[sha256], "the same pixels")


def _same(image: TrainingImage, other: EvaluationImage, what: str) -> UserError:
    return UserError(
        f"training image {image.key} is {other.dataset}'s {other.image} ({what})",
        "no test image among the training images",
        "take it out of the training folder",
    )


def _near(first: tuple[int, int], second: tuple[int, int]) -> bool:
    return all(abs(a - b) < CROP_REMAINDER for a, b in zip(first, second, strict=True))


def _sizes(
    training: Sequence[TrainingImage], cache: Path | None, advance: Callable[[int], None]
) -> list[tuple[int, int] | None]:
    """(H, W) of each training image, None where it cannot be read."""

    def header(path: Path) -> str:
        try:
            height, width = read_size(path)
        except UserError:
            return ""
        return f"{height} {width}"

    whole = [image for image in training if image.box is None]
    headers = iter(gather([image.path for image in whole], "size", header, cache, advance))
    sizes: list[tuple[int, int] | None] = []
    for image in training:
        if image.box is not None:
            sizes.append((image.box.height, image.box.width))
            continue
        numbers = [int(number) for number in next(headers).split()]
        sizes.append((numbers[0], numbers[1]) if numbers else None)
    return sizes


def _comparable(
    training: Sequence[TrainingImage],
    sizes: Sequence[tuple[int, int] | None],
    evaluation_sizes: Iterable[tuple[int, int]],
) -> dict[tuple[int, int], list[TrainingImage]]:
    """Common size -> the training images to be compared with evaluation images on that upper left part."""
    evaluation_sizes = list(evaluation_sizes)
    groups: dict[tuple[int, int], list[TrainingImage]] = defaultdict(list)
    for image, size in zip(training, sizes, strict=True):
        if size is not None:
            near = [other for other in evaluation_sizes if _near(size, other)]
            for common in sorted({(min(size[0], h), min(size[1], w)) for h, w in near}):
                groups[common].append(image)
    return groups


def _corner_hashes(
    images: Sequence[TrainingImage],
    height: int,
    width: int,
    cache: Path | None,
    advance: Callable[[int], None],
) -> list[str]:
    """SHA-256 of the raw pixels of each image's upper left height x width part, "" where unreadable."""

    def corner(path: Path) -> str:
        try:
            return pixels_sha256(read_rgb_u8(path)[:height, :width])
        except UserError:
            return ""

    whole = [image for image in images if image.box is None]
    hashes = iter(gather([image.path for image in whole], f"pixels {height}x{width}", corner, cache, advance))
    return [
        next(hashes) if image.box is None else pixels_sha256(image.load_u8()[:height, :width])
        for image in images
    ]

"""The packed dataset of training images: decoded once, memory-mapped ever after.

It is a folder of chunks, each a file of raw H x W x 3 uint8 pixels, one image after another, with a
JSON index beside it. Chunks are written whole or not at all, so an interrupted packing goes on where it
was. 350 thousand ImageNet photographs are served as well as nine hundred: nothing is read before its
pixels are asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from repro.core.atomic import atomic_path, write_json
from repro.core.errors import UserError
from repro.core.jsonfile import read_object
from repro.core.parallel import over_images

IMAGES_PER_CHUNK = 256
FORMAT = 1


class PackableImage(Protocol):
    """What packing needs of a training image: a name, a hash, and its pixels."""

    @property
    def key(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    def load_u8(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8; UserError where it cannot be read."""
        ...


@dataclass(frozen=True)
class Packed:
    """One decoded image, or why there is none."""

    key: str
    sha256: str
    pixels: NDArray[np.uint8] | None
    problem: str = ""


def _decode(image: PackableImage, smallest_side: int) -> Packed:
    try:
        pixels = image.load_u8()
    except UserError as error:
        return Packed(image.key, image.sha256, None, error.got)
    if min(pixels.shape[:2]) < smallest_side:
        size = f"{pixels.shape[1]} x {pixels.shape[0]}"
        return Packed(image.key, image.sha256, None, f"{image.key}: {size}, smaller than {smallest_side}")
    return Packed(image.key, image.sha256, pixels)


def _pack_chunk(folder: Path, number: int, images: Sequence[PackableImage], smallest_side: int) -> int:
    """Writes chunk ``number``; the index comes last, so a chunk with an index is whole."""
    entries: list[dict[str, Any]] = []
    problems: list[str] = []
    offset = 0
    with atomic_path(folder / f"chunk_{number:05d}.u8") as temporary, temporary.open("wb") as file:
        for image in images:
            packed = _decode(image, smallest_side)
            if packed.pixels is None:
                problems.append(packed.problem)
                continue
            height, width = packed.pixels.shape[:2]
            file.write(np.ascontiguousarray(packed.pixels).tobytes())
            entries.append(
                {
                    "key": packed.key,
                    "sha256": packed.sha256,
                    "height": height,
                    "width": width,
                    "offset": offset,
                }
            )
            offset += packed.pixels.nbytes
    write_json(folder / f"chunk_{number:05d}.json", {"images": entries, "skipped": problems, "bytes": offset})
    return len(images)


def dataset_digest(images: Sequence[PackableImage], smallest_side: int) -> str:
    """A packed dataset's name: changes with any image's key or hash, their order, and the smallest side."""
    digest = hashlib.sha256(f"bank {FORMAT} {smallest_side} {IMAGES_PER_CHUNK}".encode())
    for image in images:
        digest.update(f"{image.key}\0{image.sha256}\n".encode())
    return digest.hexdigest()[:16]


def pack(
    images: Sequence[PackableImage],
    folder: Path,
    smallest_side: int,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> PackedDataset:
    """The ``images`` packed in ``folder / <digest>``; chunks that exist are kept.

    Args:
        images: what to pack, in order. Unreadable and too small ones are left out and named in it.
        folder: where packed datasets are kept.
        smallest_side: sides below this are too small to crop from.
        workers: threads; all cores by default.
        progress: called with the number of images just done.

    Raises:
        UserError: no image is left.
    """
    target = folder / dataset_digest(images, smallest_side)
    target.mkdir(parents=True, exist_ok=True)
    todo = []
    for number, start in enumerate(range(0, len(images), IMAGES_PER_CHUNK)):
        chunk = images[start : start + IMAGES_PER_CHUNK]
        if (target / f"chunk_{number:05d}.json").is_file():
            progress(len(chunk))
        else:
            todo.append((target, number, chunk, smallest_side))
    # not processes: forked beside torch's and a progress bar's threads they may stand still for ever
    for done in over_images(lambda job: _pack_chunk(*job), todo, workers=workers):
        progress(done)
    chunks = (len(images) + IMAGES_PER_CHUNK - 1) // IMAGES_PER_CHUNK
    write_json(target / "bank.json", {"format": FORMAT, "chunks": chunks, "digest": target.name})
    return open_packed(target)


def open_packed(folder: Path) -> PackedDataset:
    """The packed dataset in ``folder``.

    Raises:
        UserError: not a whole one, or one without images.
    """
    try:
        told = "not a whole packed dataset", "python -m repro data pack"
        head = read_object(folder / "bank.json", *told)
        indices = [
            read_object(folder / f"chunk_{number:05d}.json", *told) for number in range(head["chunks"])
        ]
        dataset = PackedDataset(folder, str(head["digest"]), indices)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise UserError(
            f"{folder}: not a whole packed dataset ({type(error).__name__})",
            "a packed dataset",
            "python -m repro data pack",
        ) from None
    if not len(dataset):
        skipped = dataset.skipped[0] if dataset.skipped else "none was given"
        raise UserError(
            f"no image to train on ({skipped})",
            "RGB photographs at least as large as a crop",
            "--train-root FOLDER",
        )
    return dataset


class PackedDataset:
    """Decoded images behind memory maps.

    Attributes:
        keys, sha256: what each image is.
        heights, widths: (images,) int64, pixels.
        chunk, offset: where each image begins.
        skipped: sentences about images that were left out.
        digest: its name; changes with its content.
    """

    def __init__(self, folder: Path, digest: str, indices: list[dict[str, Any]]) -> None:
        self.digest = digest
        entries = [(number, entry) for number, index in enumerate(indices) for entry in index["images"]]
        self.keys = [entry["key"] for _, entry in entries]
        self.sha256 = [entry["sha256"] for _, entry in entries]
        self.heights = np.array([entry["height"] for _, entry in entries], np.int64)
        self.widths = np.array([entry["width"] for _, entry in entries], np.int64)
        self.offset = np.array([entry["offset"] for _, entry in entries], np.int64)
        self.chunk = np.array([number for number, _ in entries], np.int64)
        sizes = np.array([index["bytes"] for index in indices], np.int64)
        last = self.offset + 3 * self.heights * self.widths
        sides = (self.heights < 1) | (self.widths < 1) | (np.maximum(self.heights, self.widths) > 2**24)
        if (sides | (self.offset < 0) | (last > sizes[self.chunk])).any():
            raise ValueError("images beyond their chunk")
        self.skipped = [problem for index in indices for problem in index["skipped"]]
        self._maps = [
            self._map(folder / f"chunk_{number:05d}.u8", index["bytes"])
            for number, index in enumerate(indices)
        ]

    @staticmethod
    def _map(path: Path, size: int) -> NDArray[np.uint8]:
        if not path.is_file() or path.stat().st_size != size:
            raise UserError(f"{path}: damaged", f"{size} bytes", "remove its folder and pack again")
        # a plain view of the map: slicing np.memmap itself costs more than copying a crop
        return np.memmap(path, np.uint8, "r").view(np.ndarray) if size else np.zeros(0, np.uint8)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def nbytes(self) -> int:
        """Size of all pixels in bytes."""
        return sum(int(pixels.nbytes) for pixels in self._maps)

    def image_u8(self, number: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, a view into the map."""
        height, width = int(self.heights[number]), int(self.widths[number])
        start = int(self.offset[number])
        flat = self._maps[self.chunk[number]][start : start + 3 * height * width]
        return flat.reshape(height, width, 3)

    def window_u8(self, number: int, top: int, left: int, size: int) -> NDArray[np.uint8]:
        """(size, size, 3) uint8 whose first pixel is (top, left), which may lie outside the image.

        What lies outside repeats the border pixel, as imresize sees it.
        """
        image = self.image_u8(number)
        height, width = image.shape[:2]
        if top >= 0 and left >= 0 and top + size <= height and left + size <= width:
            return image[top : top + size, left : left + size]
        rows = np.clip(np.arange(top, top + size), 0, height - 1)
        columns = np.clip(np.arange(left, left + size), 0, width - 1)
        inner = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return inner[(rows - rows[0])[:, None], columns - columns[0]]

    def chunks(self) -> Iterator[NDArray[np.uint8]]:
        """The chunks' pixels, flat, in order: what a device copy is made of."""
        yield from self._maps

    def flat_offsets(self) -> NDArray[np.int64]:
        """(images,) where each image begins when all chunks are joined."""
        starts = np.concatenate([[0], np.cumsum([pixels.nbytes for pixels in self._maps])]).astype(np.int64)
        return starts[self.chunk] + self.offset

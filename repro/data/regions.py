"""Regions of training images for SROBB (Rad et al., ICCV 2019): object, background, boundary.

The paper makes them from COCO's segmentation labels: edges of the label map, dilated by a disk, are boundary;
sky, plant, ground and water are background; all else is object. The disk's size is not in the sources at
hand: :data:`BOUNDARY_RADIUS` is our choice (open). Labels are needed for training only.

A segmentation without classes (BSDS500's, or one computed from the image) gives boundaries alone: all else is
object, and nothing is background.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from repro.core.errors import UserError
from repro.data.matfile import reading_mat
from repro.data.training import TrainingImage
from repro.imaging.io import read_u8, sha256_file

BOUNDARY_RADIUS = 3
"""d1, in HR pixels; open."""

LARGEST_MAT = 2**24
"""Bytes of a label map in MATLAB's format; COCO-Stuff's and BSDS500's have a hundredth of that."""

Kind = Literal["classes", "segments"]
"""Of a label map: COCO-Stuff's classes, or segments of which nobody says what they show."""


class Region(IntEnum):
    """The values of a map of regions."""

    OBJECT = 0
    BACKGROUND = 1
    BOUNDARY = 2


SKY = (106, 157)
PLANT = (94, 97, 119, 124, 129, 134, 142, 163, 169)
GROUND = (111, 125, 126, 136, 140, 144, 145, 147, 149, 154, 159)
WATER = (120, 148, 155, 178, 179)
BACKGROUND_CLASSES = (*SKY, *PLANT, *GROUND, *WATER)
"""COCO-Stuff's class numbers (1 to 182) below its categories sky, plant, ground and water."""


def regions_of(labels: NDArray[np.integer], kind: Kind, radius: int = BOUNDARY_RADIUS) -> NDArray[np.uint8]:
    """(H, W) map of :class:`Region` from an (H, W) label map.

    Args:
        labels: class numbers, or segments.
        kind: which of the two.
        radius: of the disk that widens the edges between labels; 0 marks the pixels on both of their sides.
    """
    from scipy.ndimage import distance_transform_edt

    edge = np.zeros(labels.shape, bool)
    rows, columns = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= rows
    edge[:-1] |= rows
    edge[:, 1:] |= columns
    edge[:, :-1] |= columns
    regions = np.full(labels.shape, Region.OBJECT, np.uint8)
    if kind == "classes":
        regions[np.isin(labels, BACKGROUND_CLASSES)] = Region.BACKGROUND
    if edge.any():
        regions[distance_transform_edt(~edge) <= radius] = Region.BOUNDARY
    return regions


def read_labels(path: Path) -> tuple[NDArray[np.int64], Kind]:
    """(H, W) label map of a file, and what its labels are.

    Read are COCO-Stuff's maps (PNG of the 164 thousand images: class - 1, 255 unlabelled; MATLAB's ``S``
    of the first 10 thousand: the class, 0 unlabelled) and BSDS500's ground truth (the first annotator's).

    Raises:
        UserError: unreadable, or a file of another layout.
    """
    expected = "COCO-Stuff's label map (.png or .mat) or BSDS500's groundTruth (.mat)"
    if path.suffix.lower() != ".mat":
        pixels = read_u8(path)
        if pixels.ndim != 2:
            raise UserError(f"{path}: {pixels.ndim} axes", f"one label a pixel: {expected}", "convert it")
        labels = pixels.astype(np.int64) + 1
        return np.where(labels == 256, 0, labels), "classes"
    from scipy.io import loadmat

    with reading_mat(path, LARGEST_MAT, expected):
        found = loadmat(path)
    try:
        if "S" in found:
            return _plane(found["S"]), "classes"
        return _plane(found["groundTruth"][0, 0]["Segmentation"][0, 0]), "segments"
    except (KeyError, IndexError, ValueError, TypeError):
        held = ", ".join(sorted(name for name in found if not name.startswith("_"))) or "nothing"
        raise UserError(f"{path}: holds {held}", expected, "check the folder of label maps") from None


def _plane(values: NDArray[np.integer]) -> NDArray[np.int64]:
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise ValueError(values.dtype)
    return values.astype(np.int64)


def segments_of(image_u8: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(H, W) segments of an (H, W, 3) image that has no label map, by Felzenszwalb and Huttenlocher."""
    from skimage.segmentation import felzenszwalb

    found: NDArray[np.int64] = felzenszwalb(image_u8, scale=300, sigma=0.8, min_size=150)
    return found


@dataclass(frozen=True)
class RegionMap:
    """The regions of one training image, as :mod:`repro.data.packed` packs them: as an (H, W, 3) image.

    Attributes:
        image: that it belongs to.
        labels: the file of its label map; None computes segments from the image.
        key, sha256: of what the map is made from.
    """

    image: TrainingImage
    labels: Path | None
    key: str
    sha256: str

    def load_u8(self) -> NDArray[np.uint8]:
        """(H, W, 3), three times the same map.

        Raises:
            UserError: a label map of another size than the image's file.
        """
        if self.labels is None:
            found = regions_of(segments_of(self.image.load_u8()), "segments")
            return np.repeat(found[..., None], 3, 2)
        labels, kind = read_labels(self.labels)
        found = regions_of(labels, kind)
        whole = TrainingImage(self.image.key, self.image.path, self.image.sha256).size()
        if found.shape != whole:
            raise UserError(
                f"{self.labels}: labels of {found.shape[1]} x {found.shape[0]} pixels",
                f"the size of {self.image.path.name}, {whole[1]} x {whole[0]}",
                "give the label maps of these images (not resized)",
            )
        if self.image.box is not None:
            top, left, height, width = self.image.box
            found = found[top : top + height, left : left + width]
        return np.repeat(found[..., None], 3, 2)


def region_maps(images: Iterable[TrainingImage], folder: Path | None) -> list[RegionMap]:
    """The map of regions of every image, in their order.

    Args:
        images: training images.
        folder: of label maps, named like the images, or below it; None computes segments from the images.

    Raises:
        UserError: no such folder, an image without a label map or with several, or two images of one name.
    """
    if folder is None:
        how = f"segments, boundary {BOUNDARY_RADIUS}"
        return [RegionMap(image, None, f"{how}: {image.key}", image.sha256) for image in images]
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder", "a folder of label maps", "check --regions")
    files: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in {".png", ".mat"}:
            files[path.stem].append(path)
    found, missing = [], []
    named: dict[str, Path] = {}
    for image in images:
        other = named.setdefault(image.path.stem, image.path)
        if other != image.path:
            got = f"{other} and {image.path}: images of one name"
            raise UserError(got, "a label map for each", "rename one of them, and its label map")
        paths = files.get(image.path.stem, [])
        if len(paths) > 1:
            got = f"{paths[0]} and {paths[1]}: label maps of one name"
            raise UserError(got, f"one for {image.key}", "move one of them away")
        if not paths:
            missing.append(image.path.stem)
        else:
            key = f"labels, boundary {BOUNDARY_RADIUS}: {image.key}"
            found.append(RegionMap(image, paths[0], key, sha256_file(paths[0])))
    if missing:
        raise UserError(
            f"{folder}: {len(missing)} of {len(missing) + len(found)} images have no label map, "
            f"first {missing[0]}",
            f"{missing[0]}.png or {missing[0]}.mat",
            "leave --regions out for segments computed from the images",
        )
    return found

"""Reference images for super-resolution: where they come from, and the ones that are made.

Three sources of (image, reference) pairs: CUFED's folders in their authors' layout, any two folders matched
by name, and pairs that are made from the training images themselves, so that a method with references can be
trained without data that nobody can get. The reference of a crop is then another crop of the same
photograph, or a view of its surroundings that is moved, mirrored, turned, scaled and coloured otherwise, or,
for a share, a view of another photograph. Every offset is in the plan, a pure function of (seed, k).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from repro.core.errors import UserError
from repro.core.settings import setting
from repro.core.streams import stream
from repro.data.packed import PackedDataset
from repro.data.plan import DataSettings, Plan
from repro.data.training import TrainingImage, list_folder
from repro.imaging.io import sha256_file

SMALLEST = 12
"""Side in pixels below which an image is no reference: texture swapping needs 3 x 3 positions of 4 pixels."""


class Pair(NamedTuple):
    """An image to super-resolve, and its references, best first where their source ranks them."""

    image: TrainingImage
    references: tuple[TrainingImage, ...]


def folder_pairs(images: Path, references: Path) -> list[Pair]:
    """Every image below one folder with the file of the same name below another; suffixes may differ.

    Raises:
        UserError: no such folder, an empty one, an image without a reference, a name that stands for several
            references, or a reference that is too small.
    """
    found = [_by_name(folder, list_folder(folder)) for folder in (images, references)]
    missing = sorted(found[0].keys() - found[1].keys())
    if missing:
        raise UserError(
            f"{len(missing)} of {len(found[0])} images in {images} have no reference: {missing[0]}",
            f"a file of the same name for each in {references}, whatever its suffix",
            "add the missing ones, or leave their images out",
        )
    pairs = [Pair(image, (found[1][name],)) for name, image in sorted(found[0].items())]
    for pair in pairs:
        check_reference(pair.references[0].path, pair.references[0].size())
    return pairs


def cufed5(folder: Path) -> list[Pair]:
    """CUFED5's test images ``NNN_0.png`` with references ``NNN_1.png`` (most alike) to ``NNN_5.png``.

    Raises:
        UserError: no image in that layout, or one without references.
    """
    pairs = []
    for path in sorted(folder.glob("[0-9][0-9][0-9]_0.png")):
        references = sorted(folder.glob(f"{path.stem[:3]}_[1-9].png"))
        if not references:
            raise UserError(
                f"{path}: no reference beside it", f"{path.stem[:3]}_1.png and more", "get them again"
            )
        image, *others = (TrainingImage(p.name, p, sha256_file(p)) for p in (path, *references))
        pairs.append(Pair(image, tuple(others)))
    if not pairs:
        raise UserError(f"{folder}: no image of CUFED5", "001_0.png, 001_1.png, ...", "check the path")
    return pairs


def check_reference(path: Path, size: tuple[int, int]) -> None:
    """Raises:
    UserError: the (H, W) image is too small to be a reference.
    """
    if min(size) < SMALLEST:
        raise UserError(
            f"{path}: a reference of {size[1]} x {size[0]} pixels",
            f"{SMALLEST} x {SMALLEST} pixels or more",
            "give a larger image as the reference",
        )


def _by_name(folder: Path, found: Sequence[tuple[str, Path, object]]) -> dict[str, TrainingImage]:
    images: dict[str, TrainingImage] = {}
    for key, path, _ in found:
        name = key.removesuffix(path.suffix)
        if name in images:
            raise UserError(
                f"{folder}: {images[name].key} and {key} have the same name", "one image a name", "remove one"
            )
        images[name] = TrainingImage(key, path, sha256_file(path))
    return images


@dataclass(frozen=True)
class PairSettings(DataSettings):
    """What a batch with references holds, and how references are made where they do not come with the images.

    Attributes:
        elsewhere: share of the references that are another crop of the same photograph, untouched.
        strangers: share that are a view of another photograph: a network that never meets a reference that
            does not fit learns to trust all of them.
        offset: most that the middle of a view lies off the crop's, along each axis, as a share of its side.
        turn: most that a view is turned, in degrees, either way.
        zoom: most by which a view is larger or smaller.
        mirror: whether half of the views are mirrored left-right.
        colour: most by which a view's channels are multiplied up or down, each by itself; and what is added
            to all of them, as a share of the full range.
    """

    elsewhere: float = setting(0.3, 0, 1)
    strangers: float = setting(0.1, 0, 1)
    offset: float = setting(0.25, 0, 4)
    turn: float = setting(15.0, 0, 180)
    zoom: float = setting(1.2, 1, 2)
    mirror: bool = True
    colour: float = setting(0.1, 0, 0.5)

    def check(self) -> None:
        super().check()
        if self.elsewhere + self.strangers > 1:
            raise UserError(
                f"elsewhere = {self.elsewhere}, strangers = {self.strangers}",
                "shares that are at most 1 together",
                "--set strangers=0.1",
            )


class ReferencePlan(NamedTuple):
    """What the references of one batch are made from: arrays of length B, and (B, 3) ``gains``.

    Attributes:
        images: number of the photograph, the crop's own but for strangers.
        dy, dx: from the crop's middle to the reference's, in HR pixels; of strangers, to their own place.
        mirrored: left-right.
        turn: radians.
        zoom: size of things in the reference over their size in the crop.
        gains: factors on red, green and blue.
        lift: added to all channels, in grey levels.
    """

    images: NDArray[np.int64]
    dy: NDArray[np.float64]
    dx: NDArray[np.float64]
    mirrored: NDArray[np.bool_]
    turn: NDArray[np.float64]
    zoom: NDArray[np.float64]
    gains: NDArray[np.float64]
    lift: NDArray[np.float64]


def plan_references(
    data: PairSettings,
    seed: int,
    k: int,
    plan: Plan,
    heights: NDArray[np.int64],
    widths: NDArray[np.int64],
) -> ReferencePlan:
    """The references of batch ``k``, whose crops are planned; depends on nothing else."""
    rng = stream(seed, "references", k)
    count, crop = len(plan.images), data.crop_hr
    kind = rng.random(count)
    stranger = (kind >= 1 - data.strangers) & (len(heights) > 1)
    view = kind >= data.elsewhere  # of strangers too: they are moved and coloured like other views
    step = rng.integers(1, max(len(heights), 2), count)
    images = np.where(stranger, (plan.images + step) % len(heights), plan.images)
    # another place, anywhere in the photograph that the reference is from
    place = rng.random((2, count)) * np.stack([heights[images] - crop, widths[images] - crop])
    elsewhere = np.floor(place) - np.stack([plan.tops, plan.lefts])
    near = rng.uniform(-data.offset, data.offset, (2, count)) * crop
    dy, dx = np.where(~view | stranger, elsewhere, near)
    return ReferencePlan(
        images.astype(np.int64),
        dy,
        dx,
        view & (rng.random(count) < 0.5) & data.mirror,
        np.where(view, np.deg2rad(rng.uniform(-data.turn, data.turn, count)), 0.0),
        np.where(view, data.zoom ** rng.uniform(-1, 1, count), 1.0),
        np.where(view[:, None], 1 + rng.uniform(-data.colour, data.colour, (count, 3)), 1.0),
        np.where(view, 255 * rng.uniform(-data.colour, data.colour, count), 0.0),
    )


class MadeSource:
    """References that are made from the training images.

    Args:
        images: the training images.
        data: of the batches.
        seed: of the run.
    """

    def __init__(self, images: PackedDataset, data: PairSettings, seed: int) -> None:
        self.images, self.data, self.seed = images, data, seed

    def cut(self, k: int, plan: Plan) -> NDArray[np.uint8]:
        """(B, crop, crop, 3) uint8 for the whole plan of batch ``k``."""
        sizes = self.images.heights, self.images.widths
        made = plan_references(self.data, self.seed, k, plan, *sizes)
        return references_u8(self.images, plan, made, self.data.crop_hr)


class PairedSource:
    """References that come with their images: the same place of the file that belongs to the image.

    Args:
        images: the training images.
        references: packed likewise, each under its image's key.
        data: of the batches.

    Raises:
        UserError: an image without its reference.
    """

    def __init__(self, images: PackedDataset, references: PackedDataset, data: DataSettings) -> None:
        position = {key: number for number, key in enumerate(references.keys)}
        missing = [key for key in images.keys if key not in position]
        if missing:
            raise UserError(
                f"{missing[0]}: no reference was packed", "one for each image", "check the folders"
            )
        self.references, self.data = references, data
        self._of = [position[key] for key in images.keys]

    def cut(self, k: int, plan: Plan) -> NDArray[np.uint8]:
        """(B, crop, crop, 3) uint8 for the whole plan; borders repeat where a reference ends."""
        places = zip(plan.images, plan.tops, plan.lefts, plan.transforms, strict=True)
        windows = [
            _like(self.references.window_u8(self._of[i], int(top), int(left), self.data.crop_hr), int(t))
            for i, top, left, t in places
        ]
        return np.stack(windows)


def reference_source(
    images: PackedDataset, references: PackedDataset | None, data: DataSettings, seed: int
) -> MadeSource | PairedSource:
    """The references that come with the images, or else such as are made from them."""
    if references is not None:
        return PairedSource(images, references, data)
    assert isinstance(data, PairSettings)
    return MadeSource(images, data, seed)


def references_u8(images: PackedDataset, plan: Plan, made: ReferencePlan, crop: int) -> NDArray[np.uint8]:
    """(B, crop, crop, 3) uint8: the planned references, mirrored and transposed like their crops."""
    rows = []
    for n in range(len(plan.images)):
        row = _reference_u8(images, int(plan.tops[n]), int(plan.lefts[n]), made, n, crop)
        rows.append(_like(row, int(plan.transforms[n])))
    return np.stack(rows)


def _like(window: NDArray[np.uint8], transform: int) -> NDArray[np.uint8]:
    """The window mirrored and transposed as :class:`Plan` says."""
    window = window[::-1] if transform & 2 else window
    window = window[:, ::-1] if transform & 1 else window
    return window.transpose(1, 0, 2) if transform & 4 else window


def _reference_u8(
    images: PackedDataset, top: int, left: int, made: ReferencePlan, n: int, crop: int
) -> NDArray[np.uint8]:
    dy, dx, turn, zoom = (float(v[n]) for v in (made.dy, made.dx, made.turn, made.zoom))
    mirrored, number = bool(made.mirrored[n]), int(made.images[n])
    if not (mirrored or turn) and zoom == 1 and dy.is_integer() and dx.is_integer():
        window = images.window_u8(number, top + int(dy), left + int(dx), crop)
    else:
        reach = int(np.ceil(crop / 2 * 2**0.5 / zoom)) + 3
        y, x = top + crop / 2 + dy, left + crop / 2 + dx
        first_y, first_x = int(np.floor(y)) - reach, int(np.floor(x)) - reach
        around = images.window_u8(number, first_y, first_x, 2 * reach)
        maps = torch.from_numpy(np.ascontiguousarray(around)).permute(2, 0, 1)[None].float()
        window = (
            _view(maps, (y - first_y, x - first_x), turn, zoom, mirrored, crop)[0].permute(1, 2, 0).numpy()
        )
    coloured = window * made.gains[n] + made.lift[n]
    return np.clip(np.floor(coloured + 0.5), 0, 255).astype(np.uint8)


def _view(
    maps: Tensor, middle: tuple[float, float], turn: float, zoom: float, mirrored: bool, crop: int
) -> Tensor:
    """(1, 3, crop, crop) around a point of (1, 3, S, S), turned and scaled, by bicubic interpolation."""
    line = torch.arange(crop, dtype=torch.float64) + 0.5 - crop / 2
    v, u = torch.meshgrid(line / zoom, line / zoom * (-1 if mirrored else 1), indexing="ij")
    y = middle[0] + v * np.cos(turn) + u * np.sin(turn)
    x = middle[1] - v * np.sin(turn) + u * np.cos(turn)
    grid = torch.stack([2 * x / maps.shape[3] - 1, 2 * y / maps.shape[2] - 1], 2)[None].float()
    return F.grid_sample(maps, grid, mode="bicubic", padding_mode="border", align_corners=False)

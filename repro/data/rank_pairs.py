"""Pairs of patches for RankSRGAN's ranker: versions of one place in one image, labelled by a quality index.

A folder of rank data holds ``labels.csv`` (one row a patch and version, columns :data:`COLUMNS`) beside the
versions' images. Which pair comes when is a function of (seed, k).
"""

from __future__ import annotations

import csv
import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repro.core.errors import UserError
from repro.core.streams import stream
from repro.data.packed import PackedDataset
from repro.data.plan import DataSettings
from repro.imaging.io import read_rgb_u8
from repro.imaging.ranges import hwc_to_nchw, u8_to_pm1

LABELS = "labels.csv"
COLUMNS = ("image", "version", "file", "top", "left", "side", "niqe", "split")
SPLITS = ("training", "held out")

_ADVICE = "python -m repro ranksrgan data --version HR --version SRResNet --version bicubic"


class Patch(NamedTuple):
    """One version of one place.

    Attributes:
        place: image, top and left: what is the same for all versions.
        version: name of the way to upscale, or HR.
        path: the version's image.
        side: in pixels.
        niqe: the label; lower is better.
        split: one of :data:`SPLITS`.
    """

    place: tuple[str, int, int]
    version: str
    path: Path
    side: int
    niqe: float
    split: str

    @property
    def key(self) -> str:
        """Its name in a packed dataset."""
        image, top, left = self.place
        return f"rank/{self.version}/{image}@{top},{left},{self.side}"

    @property
    def sha256(self) -> str:
        """Of the file's bytes and of where the patch lies."""
        return hashlib.sha256(self.path.read_bytes() + self.key.encode()).hexdigest()

    def load_u8(self) -> NDArray[np.uint8]:
        """(side, side, 3) uint8.

        Raises:
            UserError: unreadable, or an image that the patch does not lie in.
        """
        _, top, left = self.place
        pixels = read_rgb_u8(self.path)[top : top + self.side, left : left + self.side]
        if pixels.shape[:2] != (self.side, self.side):
            raise UserError(
                f"{self.path}: no patch of {self.side} at {top}, {left}", "the labelled image", _ADVICE
            )
        return pixels


def read_labels(folder: Path) -> list[Patch]:
    """The patches of a folder of rank data, in the order of its table.

    Raises:
        UserError: no table, columns missing, values of the wrong kind, or places with one version only.
    """
    path = folder / LABELS
    if not path.is_file():
        raise UserError(f"{folder}: no {LABELS}", "rank data with labels", _ADVICE)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{path}: no column {missing[0]}", ", ".join(COLUMNS), _ADVICE)
            patches = [_patch(folder, row, number) for number, row in enumerate(reader, 2)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: no table ({error})", ", ".join(COLUMNS), _ADVICE) from None
    versions = defaultdict(set)
    for patch in patches:
        versions[patch.place].add(patch.version)
    lonely = [place for place, names in versions.items() if len(names) < 2]
    if lonely or not patches:
        got = f"{lonely[0][0]} at {lonely[0][1]}, {lonely[0][2]} in one version" if lonely else "no patch"
        raise UserError(f"{path}: {got}", "two or more versions of every place", _ADVICE)
    return patches


def _patch(folder: Path, row: dict[str, str], line: int) -> Patch:
    try:
        place = (row["image"], int(row["top"]), int(row["left"]))
        patch = Patch(
            place, row["version"], folder / row["file"], int(row["side"]), float(row["niqe"]), row["split"]
        )
    except (TypeError, ValueError):
        raise UserError(
            f"{folder / LABELS}, line {line}: {','.join(str(row.get(name)) for name in COLUMNS)}",
            "whole numbers for top, left and side, a number for niqe", _ADVICE,
        ) from None  # fmt: skip
    if ".." in Path(row["file"]).parts or not patch.path.is_relative_to(folder):
        raise UserError(
            f"{folder / LABELS}, line {line}: the file {row['file']}", "one in that folder", _ADVICE
        )
    if not np.isfinite(patch.niqe) or patch.split not in SPLITS or patch.side < 1 or min(place[1:]) < 0:
        got = f"niqe {patch.niqe}, split {patch.split!r}, side {patch.side}"
        raise UserError(
            f"{folder / LABELS}, line {line}: {got}", f"a label, and {' or '.join(SPLITS)}", _ADVICE
        )
    return patch


def pairs(patches: Iterable[Patch]) -> list[tuple[int, int]]:
    """Every pair of versions of the same place, as positions in ``patches``."""
    at = defaultdict(list)
    for number, patch in enumerate(patches):
        at[patch.place].append(number)
    return [pair for numbers in at.values() for pair in itertools.combinations(numbers, 2)]


class RankSample(NamedTuple):
    """What the ranker is given.

    Attributes:
        first_pm1, second_pm1: (N, 3, S, S) in [-1, 1], two versions of the same places.
        worse_first: (N, 1): +1 where the first's NIQE is at least the second's (it is worse), else -1.
    """

    first_pm1: Tensor
    second_pm1: Tensor
    worse_first: Tensor


class RankBatches:
    """Batch k of pairs.

    Args:
        images: the packed patches, in the order of ``patches``.
        patches: with their labels.
        data: batch size, and the side of the part of a patch that is looked at (``crop_hr``).
        seed: of the run.
        device: where the batches are wanted.

    Raises:
        UserError: a patch was left out of the packed ones, or is smaller than the part.
    """

    def __init__(
        self,
        images: PackedDataset,
        patches: Sequence[Patch],
        data: DataSettings,
        seed: int,
        device: torch.device,
    ) -> None:
        if len(images) != len(patches):
            problem = images.skipped[0] if images.skipped else f"{len(images)} patches of {len(patches)}"
            raise UserError(problem, f"patches of {data.crop_hr} pixels a side or more", "--set crop_hr=96")
        self.images, self.patches, self.data = images, patches, data
        self.seed, self.device = seed, device
        self._pairs = pairs(patches)

    def get(self, k: int) -> RankSample:
        """Batch ``k``: pairs drawn with replacement, each version first as often as second."""
        rng = stream(self.seed, "rank pairs", k)
        count, side = self.data.batch_size, self.data.crop_hr
        chosen = [self._pairs[n] for n in rng.integers(0, len(self._pairs), count)]
        chosen = [
            pair[::-1] if turn else pair for pair, turn in zip(chosen, rng.integers(0, 2, count), strict=True)
        ]
        u = rng.random((2, count))
        room = np.array([self.patches[first].side - side + 1 for first, _ in chosen])
        tops, lefts = (u * room).astype(np.int64)
        parts = []
        for which in (0, 1):
            windows = np.stack(
                [
                    self.images.window_u8(pair[which], int(top), int(left), side)
                    for pair, top, left in zip(chosen, tops, lefts, strict=True)
                ]
            )
            parts.append(u8_to_pm1(torch.from_numpy(windows).permute(0, 3, 1, 2)).to(self.device))
        labels = [1.0 if self.patches[a].niqe >= self.patches[b].niqe else -1.0 for a, b in chosen]
        return RankSample(parts[0], parts[1], torch.tensor(labels, device=self.device)[:, None])

    def close(self) -> None:
        """Nothing to end."""


def patch_pm1(patch: Patch) -> Tensor:
    """(1, 3, S, S) in [-1, 1]: a whole patch."""
    return u8_to_pm1(hwc_to_nchw(patch.load_u8()))

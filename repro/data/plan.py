"""Batch k is a function of (seed, k): which images, which crops, which mirrorings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from repro.core.errors import UserError
from repro.core.settings import Settings, setting
from repro.core.streams import stream

Augmentation = Literal["none", "flip", "dihedral"]

_TRANSFORMS: dict[Augmentation, int] = {"none": 1, "flip": 2, "dihedral": 8}


@dataclass(frozen=True)
class DataSettings(Settings):
    """What a batch holds.

    Attributes:
        scale: of super-resolution.
        batch_size: crops a batch.
        crop_hr: side of the high-resolution crops, in pixels.
        augmentation: ``flip`` mirrors left-right, ``dihedral`` takes all eight symmetries of the square.
        shrunk: sizes that training images are taken in beside their own, joined by ``/``: ``0.8/0.6``.
    """

    scale: int = setting(4, 1, 8)
    batch_size: int = setting(16, 1, 4096)
    crop_hr: int = setting(96, 1, 2048)
    augmentation: Augmentation = "flip"
    shrunk: str = ""

    def check(self) -> None:
        try:
            fits = all(0.1 <= size < 1 for size in self.sizes)
        except ValueError:
            fits = False
        if not fits or len(set(self.sizes)) != len(self.sizes):
            got = f"shrunk = {self.shrunk!r}"
            raise UserError(got, "different sizes from 0.1 to below 1 joined by /", "--set shrunk=0.8/0.6")
        if self.crop_hr % self.scale:
            fitting = max(self.crop_hr // self.scale, 1) * self.scale
            got = f"crop_hr = {self.crop_hr} at scale {self.scale}"
            raise UserError(got, "a multiple of the scale", f"--set crop_hr={fitting}")

    @property
    def sizes(self) -> tuple[float, ...]:
        """:attr:`shrunk` as numbers."""
        return tuple(map(float, self.shrunk.split("/"))) if self.shrunk else ()

    @property
    def crop_lr(self) -> int:
        """Side of the low-resolution crops, in pixels."""
        return self.crop_hr // self.scale


class Plan(NamedTuple):
    """Where the crops of one batch lie: int64 arrays of length B.

    ``transforms`` holds bits: 1 mirrors left-right, 2 mirrors top-bottom, 4 transposes (applied in that
    order); 0 leaves the crop as it is.
    """

    images: NDArray[np.int64]
    tops: NDArray[np.int64]
    lefts: NDArray[np.int64]
    transforms: NDArray[np.int64]


def plan_batch(
    data: DataSettings, seed: int, k: int, heights: NDArray[np.int64], widths: NDArray[np.int64]
) -> Plan:
    """The crops of batch ``k``: distinct images, corners on multiples of the scale.

    Depends on (seed, k), the settings and the images' sizes; on nothing else, neither on the variant nor on
    how many batches came before or how many workers there are.
    """
    rng = stream(seed, "batch", k)
    count = data.batch_size
    # with fewer images than the batch is long, whole rounds of all images come first
    rounds = [rng.choice(len(heights), min(count, len(heights)), replace=False)]
    while sum(map(len, rounds)) < count:
        missing = count - sum(map(len, rounds))
        rounds.append(rng.choice(len(heights), min(missing, len(heights)), replace=False))
    images = np.concatenate(rounds).astype(np.int64)
    u = rng.random((2, count))
    tops = (u[0] * ((heights[images] - data.crop_hr) // data.scale + 1)).astype(np.int64) * data.scale
    lefts = (u[1] * ((widths[images] - data.crop_hr) // data.scale + 1)).astype(np.int64) * data.scale
    transforms = rng.integers(0, _TRANSFORMS[data.augmentation], count, dtype=np.int64)
    return Plan(images, tops, lefts, transforms)

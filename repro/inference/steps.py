"""Every step of a feedback network for one photograph, and a sheet of what each step changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from repro.imaging.io import to_rgb
from repro.imaging.photo import Photo
from repro.inference.photos import upscale_photo
from repro.inference.upscaler import Upscaler

SIDE = 320
"""Of the middle part of an image that a sheet shows, in pixels."""

GAIN = 8
"""Times that differences are enlarged on a sheet."""


class _NextStep(Upscaler):
    """Another upscaler's steps for one image: at each call the next one, computed together at the first."""

    def __init__(self, of: Upscaler) -> None:
        self.of = of
        self.name = f"steps of {of.name}"  # not an interpolation's, which would be applied without a call
        self.scale, self.inputs, self.takes_grey = of.scale, of.inputs, of.takes_grey
        self.left: list[NDArray[np.uint8]] | None = None

    def __call__(self, images_u8: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        if self.left is None:
            self.left = self.of.steps(images_u8[0])
        return [self.left.pop(0)]


def upscale_steps(photo: Photo, upscaler: Upscaler) -> tuple[list[Photo], list[str]]:
    """:func:`upscale_photo` for every step of a method that has steps, first to last.

    Raises:
        UserError: it has none.
    """
    following = _NextStep(upscaler)
    photos: list[Photo] = []
    remarks: list[str] = []
    while following.left is None or following.left:
        step, remarks = upscale_photo(photo, following)
        photos.append(step)
    return photos, remarks


def sheet(steps: Sequence[Photo]) -> NDArray[np.uint8]:
    """(2 h, T w, 3): the middle of each step's result, and below it what the last step differs by, on grey.

    Differences are :data:`GAIN` times as large as they are.
    """
    parts = [_middle(np.asarray(step.colour, np.uint8)) for step in steps]
    last = parts[-1].astype(np.int16)
    changes = [np.clip(128 + GAIN * (last - part), 0, 255).astype(np.uint8) for part in parts]
    return np.concatenate([np.concatenate(parts, axis=1), np.concatenate(changes, axis=1)])


def _middle(image_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    top, left = (max(0, (side - SIDE) // 2) for side in image_u8.shape[:2])
    return to_rgb(image_u8[top : top + SIDE, left : left + SIDE])

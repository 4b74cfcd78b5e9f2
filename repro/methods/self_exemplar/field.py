"""The state of the search at one level: for each target pixel, where its patch is taken from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from repro.methods.self_exemplar.pyramid import Pyramid, Size
from repro.methods.self_exemplar.settings import ALPHA, LEVELS_BELOW


class Field(NamedTuple):
    """Arrays over a level's pixels; those nearer than two pixels to the border are not used.

    Attributes:
        transform: (H, W, 8) t1..t8.
        affine: (H, W, 4) a1..a4, the part of the transform that is no perspective, column after column.
        plane: (H, W) the number of the plane.
        bias: (H, W, 4) what is added to the source patch.
        cost: (H, W) of the source patch as it stands.
        updated: (H, W) whether this iteration has found a better source.
    """

    transform: NDArray[np.float32]
    affine: NDArray[np.float32]
    plane: NDArray[np.int32]
    bias: NDArray[np.float32]
    cost: NDArray[np.float32]
    updated: NDArray[np.bool_]


class Sources(NamedTuple):
    """The smaller levels that a level's patches come from, one after the other.

    Attributes:
        pixels: (all pixels, 4).
        first: where the level l below begins, at l (index 0 is not used).
        height, width: of the level l below.
        shrink: ALPHA ** l.
    """

    pixels: NDArray[np.float32]
    first: NDArray[np.int64]
    height: NDArray[np.int64]
    width: NDArray[np.int64]
    shrink: NDArray[np.float64]


def sources(pyramid: Pyramid, level: int, kind: str) -> Sources:
    """What patches of ``level`` are compared with (``kind`` "low") or taken from ("high")."""
    images = [getattr(pyramid, kind)[level + below] for below in range(1, LEVELS_BELOW + 1)]
    height, width = ([0, *(image.shape[axis] for image in images)] for axis in (0, 1))
    first = np.cumsum([0, 0, *(image.shape[0] * image.shape[1] for image in images[:-1])])
    return Sources(
        np.concatenate([image.reshape(-1, 4) for image in images]),
        first.astype(np.int64),
        np.array(height, np.int64),
        np.array(width, np.int64),
        ALPHA ** np.arange(LEVELS_BELOW + 1.0),
    )


def empty_field(size: Size) -> Field:
    """A field that nothing is known of."""
    return Field(
        np.zeros((*size, 8), np.float32),
        np.zeros((*size, 4), np.float32),
        np.zeros(size, np.int32),
        np.zeros((*size, 4), np.float32),
        np.zeros(size, np.float32),
        np.zeros(size, np.bool_),
    )


def first_field(size: Size, flat_plane: int) -> Field:
    """The coarsest level's beginning: each patch twice as large at its own place, parallel to the image."""
    field = empty_field(size)
    field.affine[:] = (2, 0, 0, 2)
    field.plane[:] = flat_plane
    y, x = np.mgrid[1 : size[0] + 1, 1 : size[1] + 1]
    field.transform[..., 0] = field.transform[..., 4] = 2
    field.transform[..., 6], field.transform[..., 7] = x, y
    return field

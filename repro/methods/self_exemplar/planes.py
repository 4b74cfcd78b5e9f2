"""Planes of a scene: their vanishing lines, and how likely each pixel is to lie on each (Section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from repro.methods.self_exemplar.pyramid import Size, resize
from repro.methods.self_exemplar.settings import ALPHA, INPUT_LEVEL
from repro.methods.self_exemplar.vanishing import VanishingPoint

SPREAD_LENGTH, SPREAD_SIGMA, SPREAD_TIMES = 100, 50.0, 5
"""A vanishing point's segments are blurred along each axis by a Gaussian so long and wide, so many times."""

PARALLEL_LIKELIHOOD = 1e-4
"""Of the plane parallel to the image, before normalisation."""

FLOOR = 0.1
"""Added to each plane's probability."""


class Planes(NamedTuple):
    """At one level of the pyramid; the last plane is parallel to the image.

    Attributes:
        lines: (P, 2) h7 and h8 of each vanishing line (h7, h8, 1), pixels counted from 0.
        cost: (P, H, W) -ln of the probability that a pixel lies on a plane.
        cumulative: (P, H, W) running sums of the probabilities.
    """

    lines: NDArray[np.float64]
    cost: NDArray[np.float32]
    cumulative: NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """Planes of the input image: (P, 2) vanishing lines and (P, h, w) probabilities."""

    lines: NDArray[np.float64]
    probability: NDArray[np.float64]

    def at(self, level: int, size: Size) -> Planes:
        """The planes at another level of the pyramid."""
        scale = ALPHA ** (level - INPUT_LEVEL)
        resized = np.stack([_resized(plane, size) for plane in self.probability])
        resized = np.maximum(resized, 1e-3)  # the kernel's negative lobes never reach so deep
        resized /= resized.sum(axis=0)
        return Planes(
            self.lines / scale,
            (-np.log(resized)).astype(np.float32),
            np.cumsum(resized, axis=0).astype(np.float32),
        )


def scene(points: list[VanishingPoint], size: Size) -> Scene:
    """A plane for each pair of vanishing points, and last the plane parallel to the image."""
    spread = [_spread(point.segments, size) for point in points]
    lines, likelihood = [], []
    for a, b in combinations(range(len(points)), 2):
        line = np.cross(points[a].point, points[b].point)
        if abs(line[2]) > 1e-9 * np.abs(line[:2]).max():  # not through the first pixel
            lines.append(line[:2] / line[2])
            likelihood.append(spread[a] * spread[b])
    lines.append(np.zeros(2))
    likelihood.append(np.full(size, PARALLEL_LIKELIHOOD))
    probability = np.stack(likelihood)
    probability = probability / probability.sum(axis=0) + FLOOR
    return Scene(np.stack(lines), probability / probability.sum(axis=0))


def _spread(found: NDArray[np.float64], size: Size) -> NDArray[np.float64]:
    """(h, w) how near a pixel is to the segments."""
    from scipy.ndimage import correlate1d
    from skimage.draw import line

    drawn = np.zeros(size)
    for x1, y1, x2, y2 in np.rint(found).astype(int):
        rows, columns = line(y1, x1, y2, x2)
        drawn[np.clip(rows, 0, size[0] - 1), np.clip(columns, 0, size[1] - 1)] = 1
    offset = np.arange(SPREAD_LENGTH) - (SPREAD_LENGTH - 1) / 2
    kernel = np.exp(-(offset**2) / (2 * SPREAD_SIGMA**2))
    kernel /= kernel.sum()
    for axis in (1, 0):
        for _ in range(SPREAD_TIMES):
            # an even kernel's middle is the 50th of 100, as MATLAB counts
            drawn = correlate1d(drawn, kernel, axis=axis, mode="nearest", origin=-1)
    return drawn


def _resized(plane: NDArray[np.float64], size: Size) -> NDArray[np.float64]:
    image = np.zeros((*plane.shape, 4), np.float32)
    image[..., 0] = plane
    return resize(image, size)[..., 0].astype(np.float64)

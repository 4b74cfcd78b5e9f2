"""The constants of SelfExSR, as released for x2, x4 and x8."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repro.core.errors import UserError

SCALES = (2, 4, 8)


@dataclass(frozen=True)
class Settings:
    """What decides a result, beside the image and the seed.

    Attributes:
        scale: output side over input side, one of :data:`SCALES`.
        repaired_affine: the released program builds the second column of each patch's transform from the
            homography's second column alone, so that a rotation or shear never reaches it. False keeps this;
            True combines both columns, as the paper's equation does.
        planes: whether perspective is looked for (Section 3.2); without, and where there are no two
            vanishing points, all patches lie parallel to the image.
        first_iterations: n before the first level; each level takes max(n - 3, 3) iterations, and leaves
            that as n.
        seed: of the random search.
    """

    scale: int = 4
    repaired_affine: bool = False
    planes: bool = True
    first_iterations: int = 15
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise UserError(f"SelfExSR at x{self.scale}", f"one of {SCALES}", "choose one of these scales")

    @property
    def finest(self) -> int:
        """The pyramid's level of the result: 4 for x4."""
        return INPUT_LEVEL - LEVELS_PER_OCTAVE * round(math.log2(self.scale))

    def iterations(self) -> dict[int, int]:
        """Level -> iterations, coarsest level first."""
        left, found = self.first_iterations, {}
        for level in range(INPUT_LEVEL - 1, self.finest - 1, -1):
            left = found[level] = max(left - 3, 3)
        return found


LEVELS_PER_OCTAVE = 3
ALPHA = 2 ** (-1 / LEVELS_PER_OCTAVE)
"""Side of a level over side of the next larger one."""

INPUT_LEVEL = 10
"""The input's number in the pyramid: level k has ALPHA ** (k - 10) times its sides."""

LEVELS_BELOW = 9
"""Smaller copies of each level that patches may come from; the smallest is an eighth."""

RADIUS = 2
"""Patches are 5 x 5."""

PATCH_SIGMA = 3.0
"""Of the Gaussian weights of a patch, in pixels."""

SCALE_PENALTY = 1e-3
SCALE_THRESHOLD = 1 / ALPHA
"""A source patch that is less enlarged than this costs SCALE_PENALTY for each unit that is missing."""

PLANE_PENALTY = 1e-3
BIAS_LIMIT = 0.25
"""Of the difference in brightness between a patch and its source, of 1."""

SOURCE_SCALES = (1 / ALPHA, 8.0)
"""Source patches over target patches, in side: what the random search accepts."""

SCALE_RANGE, ROTATION_RANGE, SHEAR_RANGE = 1.0, math.pi / 4, 0.05
"""Full widths of the random search's first draws; the j-th takes them divided by j."""

BACK_PROJECTIONS = 20
BACK_PROJECTION_SIGMA = 1.0


def gaussian(sigma: float) -> NDArray[np.float64]:
    """(5,) weights, sum 1."""
    weights = np.exp(-(np.arange(-RADIUS, RADIUS + 1) ** 2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum(), np.float64)


def patch_weights() -> NDArray[np.float32]:
    """(5, 5) weights of a patch's pixels, sum 1."""
    weights = gaussian(PATCH_SIGMA)
    return np.outer(weights, weights).astype(np.float32)


def back_projection_taps() -> NDArray[np.float32]:
    """(5,) the blur of the back-projection along one axis: a Gaussian squared, sum 1."""
    squared = gaussian(BACK_PROJECTION_SIGMA) ** 2
    return (squared / squared.sum()).astype(np.float32)

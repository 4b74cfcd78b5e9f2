"""Which images suit or spoil a method: residuals of image x method, with false discoveries controlled.

The MOS of a method on an image is expected to be the method's mean plus the image's. The residual is what is
left. Each rater gives one value of it (after the rater's own means of image and of method are taken off), so
Student's t over raters tests that it is 0. One test a cell is many tests: Benjamini and Hochberg's (1995)
procedure bounds the expected share of false ones among the cells that are named.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.stats.intervals import Interval, student_interval
from analysis.stats.votes import DatasetRatings
from repro.papers.srgan import SIGNIFICANCE_LEVEL

_SWEEPS = 30
"""Of alternating means: exact after one where no vote is missing."""


@dataclass(frozen=True)
class Outlier:
    """One cell: residual in MOS with Student's 95 % interval over raters, p, and q, which is p adjusted."""

    image: str
    method: str
    residual: Interval
    p: float
    q: float

    @property
    def named(self) -> bool:
        """Among the discoveries."""
        return self.q < SIGNIFICANCE_LEVEL


def outliers(ratings: DatasetRatings) -> list[Outlier]:
    """Every cell that two raters saw, the smallest q first, then the largest residual."""
    rest = residuals(ratings.ratings_irv)
    cells = []
    for i, image in enumerate(ratings.images):
        for v, method in enumerate(ratings.methods):
            values = rest[i, :, v][~np.isnan(rest[i, :, v])]
            if len(values) >= 2:
                if float(np.ptp(values)) < 1e-9:  # all raters have the same: certain, unless it is nothing
                    p = float(abs(values.mean()) < 1e-9)
                else:
                    p = float(stats.ttest_1samp(values, 0.0).pvalue)
                cells.append((image, method, student_interval(values), p))
    adjusted = benjamini_hochberg(np.array([p for *_, p in cells]))
    found = [Outlier(*cell, float(q)) for cell, q in zip(cells, adjusted, strict=True)]
    return sorted(found, key=lambda cell: (cell.q, -abs(cell.residual.mean), cell.image, cell.method))


def residuals(ratings_irv: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each rater's votes minus the rater's additive fit of image and method: (image, rater, version).

    NaN where a vote is missing, and everywhere for raters who saw fewer than two images or methods.
    """
    rest = ratings_irv.copy()
    there = ~np.isnan(rest)
    few = (there.any(axis=2).sum(axis=0) < 2) | (there.any(axis=0).sum(axis=1) < 2)
    rest[:, few, :] = np.nan
    there = ~np.isnan(rest)
    for _ in range(1 if there.all() else _SWEEPS):
        for axis in (2, 0):
            count = np.maximum(there.sum(axis=axis, keepdims=True), 1)
            rest = rest - np.where(there, rest, 0.0).sum(axis=axis, keepdims=True) / count
    return rest


def benjamini_hochberg(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjusted p-values, in the given order: scipy's ``false_discovery_control``, empty for none."""
    found: NDArray[np.float64] = stats.false_discovery_control(p) if len(p) else p
    return found

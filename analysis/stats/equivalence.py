"""Is a difference shown to be small, or to be large, or neither?

A test that finds no difference rewards imprecision. Here a difference counts as none only where its 90 %
interval lies within a stated margin (Schuirmann 1987; each of the two one-sided tests at 5 %), as one where
the interval lies beyond the margin, and as open otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.stats.intervals import rated
from repro.papers.srgan import SIGNIFICANCE_LEVEL


@dataclass(frozen=True)
class Equivalence:
    """A difference beside its margin; ``low`` and ``high`` are one-sided bounds at 5 % each."""

    difference: float
    low: float
    high: float
    margin: float

    @property
    def within(self) -> bool:
        """Shown to be smaller than the margin."""
        return -self.margin < self.low and self.high < self.margin

    @property
    def beyond(self) -> bool:
        """Shown to be larger than the margin."""
        return self.low > self.margin or self.high < -self.margin


def equivalence(difference: float, error: float, degrees: float, margin: float) -> Equivalence:
    """A difference with a standard error of ``degrees`` degrees of freedom (infinite: known)."""
    half = error * float(stats.t.ppf(1 - SIGNIFICANCE_LEVEL, degrees)) if error > 0 else 0.0
    return Equivalence(difference, difference - half, difference + half, margin)


def replication(mos: float, deviation: float, raters: int, target: float, margin: float) -> Equivalence:
    """A mean opinion on the same images beside the one that is to be replicated: raters vary, images do not.

    Args:
        mos: on these images.
        deviation: standard deviation of raters' means (:func:`rater_means`).
        raters: at least two.
        target: the value to replicate, taken as exact.
        margin: of equivalence.
    """
    return equivalence(mos - target, deviation / math.sqrt(raters), raters - 1, margin)


def rater_means(votes_ir: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each rater's mean on the same images: (rater,), without raters who gave no vote.

    Where votes are missing, a rater's mean is what the images that he or she did see make it, so that nobody
    counts as severe for having seen the worse ones.
    """
    votes_ir = rated(votes_ir)
    of_image = np.nanmean(votes_ir, axis=1, keepdims=True)
    found: NDArray[np.float64] = of_image.mean() + np.nanmean(votes_ir - of_image, axis=0)
    return found

"""Two methods on one data set: the difference, its bounds, and the test that decides."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.stats.design import smallest_p
from analysis.stats.equivalence import equivalence
from analysis.stats.intervals import rated, two_way_p, variance_of_mean
from analysis.stats.significance import unit_sums
from analysis.stats.wilcoxon import signed_rank
from repro.papers.srgan import SIGNIFICANCE_LEVEL


@dataclass(frozen=True)
class Comparison:
    """First minus second.

    Attributes:
        difference: in MOS; NaN where nobody rated both on one image.
        low, high: one-sided bounds at 5 % each, images and raters both drawn.
        p: two-sided, of the test that decides whether there is a difference.
        error, degrees: standard error of the difference and its degrees of freedom.
    """

    difference: float
    low: float
    high: float
    p: float
    error: float
    degrees: float

    @property
    def differs(self) -> bool:
        return self.p < SIGNIFICANCE_LEVEL

    def opposite(self, *, tests: int) -> bool:
        """The first is shown to be worse, as one of so many ``tests`` of which one is enough (Bonferroni)."""
        return self.difference < 0 and self.p < SIGNIFICANCE_LEVEL / tests

    def equivalent(self, margin: float) -> bool:
        """Shown to be smaller than the margin."""
        return -margin < self.low and self.high < margin

    def below(self, margin: float, *, tests: float = 1) -> bool:
        """The first is shown not to lead by the margin, at 5 % / ``tests``."""
        return self.difference + self._reach(tests) < margin

    def excludes(self, size: float, *, tests: int = 1) -> bool:
        """Shown to be smaller than ``size``, as one of so many ``tests`` of which one is enough."""
        return abs(self.difference) + self._reach(tests) < size

    def beyond(self, margin: float, *, tests: int = 1) -> bool:
        """Shown to be larger than ``margin``, as one of so many ``tests`` of which one is enough."""
        return abs(self.difference) - self._reach(tests) > margin

    def _reach(self, tests: float) -> float:
        """From the difference to its one-sided bound at a share of 5 %; infinite where there is no error."""
        if not math.isfinite(self.error):
            return math.inf
        return float(self.error * stats.t.ppf(1 - SIGNIFICANCE_LEVEL / tests, self.degrees))


def compare(
    differences_ir: NDArray[np.float64],
    *,
    weights_r: NDArray[np.float64] | None = None,
    also: Callable[[], float] = lambda: 0.0,
) -> Comparison:
    """The robust test of one pair: all of its parts must reject.

    Args:
        differences_ir: first minus second, (image, rater), NaN where a vote is missing.
        weights_r: (rater,), of whose votes how much counts; None: all the same.
        also: p of a further test, asked for where signed ranks of so few images or raters cannot reject and
            t does.
    """
    values_ir = differences_ir
    if weights_r is not None:
        # the weighted mean's variance is that of the mean of its linear terms (a ratio estimator's)
        there = ~np.isnan(differences_ir)
        weights_ir = there * weights_r
        weights_ir = weights_ir * (there.sum() / max(weights_ir.sum(), 1e-300))  # their mean is 1
        differences_ir = differences_ir * weights_ir
        centre = np.nansum(differences_ir) / max(there.sum(), 1)
        values_ir = differences_ir + (1 - weights_ir) * centre
    differences_ir, values_ir = rated(differences_ir), rated(values_ir)  # never asked about both: no sample
    images, raters = values_ir.shape
    mean = float(np.nanmean(values_ir)) if values_ir.size else math.nan
    if min(images, raters) < 2:
        return Comparison(mean, -math.inf, math.inf, 1.0, math.inf, 1.0)
    variance, degrees = variance_of_mean(values_ir)
    error = math.sqrt(max(variance, 0.0))
    bounds = equivalence(mean, error, degrees, math.inf)
    p = two_way_p(values_ir)
    if smallest_p(images, raters) < SIGNIFICANCE_LEVEL:
        image, rater = (signed_rank(unit_sums(differences_ir, axis=axis)) for axis in (1, 0))
        same_side = image.effect * rater.effect > 0
        p = max(p, image.p, rater.p) if same_side else 1.0
    elif p < SIGNIFICANCE_LEVEL:
        p = max(p, also())
    return Comparison(mean, bounds.low, bounds.high, p, error, degrees)

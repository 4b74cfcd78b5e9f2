"""Which methods differ: the paper's test of single votes, and a robust one.

Paper mode takes every vote as a sample of its own (Section 3.3 speaks of 2600), without correction. It
finds differences too easily where methods suit some images or some raters better.

Robust mode sums the differences per image and, separately, per rater, and claims a difference only where
both tests hold. Each of the two is still blind to what the other looks at: with interactions of equal size
both reject a true null in up to 16 % of studies (|Z| > 1.96 / sqrt(2)). A third test must therefore hold too,
Student's t on the two-way variance. Holm's correction over all pairs of the data set follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from analysis.stats.intervals import Interval, TwoWayDraws, interval, two_way_p
from analysis.stats.votes import DatasetRatings
from analysis.stats.wilcoxon import SignedRank, signed_rank
from repro.papers.srgan import SIGNIFICANCE_LEVEL


@dataclass(frozen=True)
class PairTest:
    """One pair of methods; differences are ``first`` minus ``second``.

    Attributes:
        difference: in MOS, with a two-way bootstrap interval.
        votes, per_image, per_rater: the three signed-rank tests.
        p_two_way: of Student's t with the variance over both images and raters.
        p_robust: the largest of the per-image, per-rater and two-way p, after Holm.
    """

    dataset: str
    first: str
    second: str
    difference: Interval
    votes: SignedRank
    per_image: SignedRank
    per_rater: SignedRank
    p_two_way: float
    p_robust: float

    @property
    def p_single(self) -> float:
        """Of this pair alone, for intersection-union tests: the largest of the three, without Holm."""
        return max(self.per_image.p, self.per_rater.p, self.p_two_way)

    @property
    def differs_paper(self) -> bool:
        return self.votes.p < SIGNIFICANCE_LEVEL

    @property
    def differs_robust(self) -> bool:
        """All three tests hold after Holm, and point to the same side."""
        return self.p_robust < SIGNIFICANCE_LEVEL and self.per_image.effect * self.per_rater.effect > 0

    def favours(self, method: str, *, robust: bool) -> bool:
        """Whether ``method`` is significantly the better one of this pair."""
        if method not in {self.first, self.second}:
            return False
        if not (self.differs_robust if robust else self.differs_paper):
            return False
        effect = self.per_image.effect if robust else self.votes.effect
        return effect > 0 if method == self.first else effect < 0

    def better(self, method: str, *, robust: bool) -> bool:
        """:meth:`favours` without Holm's correction."""
        if not robust:
            return self.favours(method, robust=False)
        effect = self.per_image.effect
        same_side = effect * self.per_rater.effect > 0
        right = effect > 0 if method == self.first else effect < 0
        return self.p_single < SIGNIFICANCE_LEVEL and same_side and right


@dataclass(frozen=True)
class PairTests:
    """All pairs of one data set."""

    dataset: str
    pairs: tuple[PairTest, ...]

    def between(self, one: str, other: str) -> PairTest | None:
        """The test of two methods in either order; None where they were not both rated."""
        for pair in self.pairs:
            if {pair.first, pair.second} == {one, other}:
                return pair
        return None

    def best_of(self, method: str, others: Iterable[str], *, robust: bool) -> bool:
        """Whether ``method`` is significantly better than each of ``others`` (False if one is not rated).

        An intersection-union test: all comparisons must reject, so none is corrected.
        """
        tests = [self.between(method, other) for other in others]
        return bool(tests) and all(test is not None and test.better(method, robust=robust) for test in tests)


def pair_tests(ratings: DatasetRatings, draws: TwoWayDraws | None) -> PairTests:
    """Every pair of the methods that were rated on a data set.

    Args:
        ratings: the votes.
        draws: of the data set's images and raters; None: no intervals.
    """
    raw = []
    for first, second in combinations(ratings.methods, 2):
        d_ir = ratings.of(first) - ratings.of(second)
        if np.isnan(d_ir).all():
            continue
        raw.append(
            (
                first,
                second,
                Interval(float(np.nanmean(d_ir)), None, None) if draws is None else interval(d_ir, draws),
                signed_rank(d_ir),
                signed_rank(unit_sums(d_ir, axis=1)),
                signed_rank(unit_sums(d_ir, axis=0)),
                two_way_p(d_ir),
            )
        )
    worst = [max(per_image.p, per_rater.p, p_two_way) for *_, per_image, per_rater, p_two_way in raw]
    corrected = holm(worst)
    return PairTests(
        ratings.dataset,
        tuple(PairTest(ratings.dataset, *found, float(p)) for found, p in zip(raw, corrected, strict=True)),
    )


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Holm's adjusted p-values, in the given order.

    The same as statsmodels' ``multipletests(method="holm")``, which collects the garbage of the whole process
    at every call: 0.2 s each, too slow for simulations.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted


def unit_sums(differences_ir: NDArray[np.float64], *, axis: int) -> NDArray[np.float64]:
    """Differences summed along an axis; where votes are missing, sums are scaled to the full count.

    Whole numbers as long as no vote is missing. NaN where a unit has no pair at all.
    """
    there = ~np.isnan(differences_ir)
    count = there.sum(axis=axis)
    total = np.nansum(differences_ir, axis=axis)
    full = count.max()
    return np.divide(total * full, count, out=np.full(len(total), np.nan), where=count > 0)

"""The two-sided Wilcoxon signed-rank test, exact with ties wherever that is feasible.

scipy's ``method="auto"`` falls back to the normal approximation with ties or zeros from n = 14 on; opinion
scores are all ties. Up to n = 50 the permutation distribution is therefore counted out here; beyond, scipy's
asymptotic test (variance corrected for ties, no continuity correction) takes over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

EXACT_UP_TO = 50


@dataclass(frozen=True)
class SignedRank:
    """A test's result.

    Attributes:
        n: differences that are not zero.
        zeros: differences that are (dropped, Wilcoxon's own treatment).
        w_plus, w_minus: sums of the ranks of the positive and negative differences.
        p: two-sided; 1 where every difference is zero.
        exact: whether p was counted out.
    """

    n: int
    zeros: int
    w_plus: float
    w_minus: float
    p: float
    exact: bool

    @property
    def effect(self) -> float:
        """Matched-pairs rank-biserial correlation (Kerby 2014), -1..1; 0 where all differences are zero."""
        total = self.w_plus + self.w_minus
        return (self.w_plus - self.w_minus) / total if total else 0.0


def signed_rank(differences: ArrayLike) -> SignedRank:
    """The test that differences are distributed symmetrically around zero.

    Args:
        differences: whole numbers, or floats that are multiples of one unit beyond 1e-9 (sums and not means:
            round-off would split ties). NaN (no pair) is left out.
    """
    d = np.asarray(differences, dtype=float).ravel()
    d = np.round(d[~np.isnan(d)], 9)
    nonzero = d[d != 0]
    zeros = len(d) - len(nonzero)
    if not len(nonzero):
        return SignedRank(0, zeros, 0.0, 0.0, 1.0, exact=True)
    ranks = stats.rankdata(np.abs(nonzero))
    w_plus = float(ranks[nonzero > 0].sum())
    w_minus = float(ranks[nonzero < 0].sum())
    n = len(nonzero)
    if n <= EXACT_UP_TO:
        p = _exact_p(ranks, w_plus)
    else:
        p = float(stats.wilcoxon(nonzero, zero_method="wilcox", correction=False, method="asymptotic").pvalue)
    return SignedRank(n, zeros, w_plus, w_minus, p, exact=n <= EXACT_UP_TO)


def _exact_p(ranks: NDArray[np.float64], w_plus: float) -> float:
    """P of a rank sum at least as far out, each of the 2**n signs being equally likely.

    Twice the ranks are whole numbers even with ties, so the distribution is a product of polynomials
    (1 + x^(2 rank)), counted in 64-bit integers: exact, because no count exceeds 2**50.
    """
    doubled = np.rint(2 * ranks).astype(int)
    total = int(doubled.sum())
    counts = np.zeros(total + 1, dtype=np.int64)
    counts[0] = 1
    for rank in doubled.tolist():
        counts[rank:] = counts[rank:] + counts[: total + 1 - rank]
    place = round(2 * w_plus)
    below = int(counts[: place + 1].sum())
    above = int(counts[place:].sum())
    return min(1.0, math.ldexp(2 * min(below, above), -len(doubled)))

"""The pilot's question: do raters give an image the same score twice? (Section 3.3)"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.stats.inter_rater import cohens_kappa

from analysis.intervals import Interval, student_interval
from analysis.ratings import SCORES
from analysis.reliability import icc_agreement
from analysis.wilcoxon import SignedRank, signed_rank
from repro.papers.srgan import SIGNIFICANCE_LEVEL

EQUIVALENCE_MARGIN = 0.25
"""Largest mean difference, in MOS, that counts as none; the paper states no criterion."""

_KEY = ["rater", "dataset", "image", "method"]


@dataclass(frozen=True)
class Retest:
    """Two showings of the same images to the same raters; differences are second minus first.

    Attributes:
        pairs, raters: how many.
        exact, within_one: shares of pairs with the same score, and at most one apart.
        kappa: quadratically weighted; NaN where only one score occurs.
        icc: ICC(A,1) of the two showings.
        wilcoxon: over all pairs.
        difference: of raters' means, with the 90 % interval of a two one-sided t tests procedure at 5 %.
    """

    pairs: int
    raters: int
    exact: float
    within_one: float
    kappa: float
    icc: float
    wilcoxon: SignedRank
    difference: Interval

    @property
    def equivalent(self) -> bool:
        """Whether the two showings are shown to be the same within the margin."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and -EQUIVALENCE_MARGIN < low <= high < EQUIVALENCE_MARGIN

    @property
    def go(self) -> bool:
        """Equivalent, and no significant difference as in the paper."""
        return self.equivalent and self.wilcoxon.p >= SIGNIFICANCE_LEVEL

    @property
    def sentence(self) -> str:
        """The go / no-go line."""
        if self.go:
            return (
                f"GO: raters repeat themselves (no significant difference, p = {self.wilcoxon.p:.2g}, and "
                f"equivalent within ±{EQUIVALENCE_MARGIN})."
            )
        reasons = []
        if self.wilcoxon.p < SIGNIFICANCE_LEVEL:
            reasons.append(f"the two showings differ (p = {self.wilcoxon.p:.2g})")
        if not self.equivalent:
            reasons.append(f"equivalence within ±{EQUIVALENCE_MARGIN} is not shown")
        return f"NO GO: {' and '.join(reasons)}."


def retest(votes: pd.DataFrame) -> Retest | None:
    """The test-retest figures of a study; None where nothing was shown twice.

    Args:
        votes: the frame of :class:`analysis.ratings.Ratings`.
    """
    first = votes.loc[votes["repeat"] == 0, [*_KEY, "score"]]
    second = votes.loc[votes["repeat"] == 1, [*_KEY, "score"]]
    both = first.merge(second, on=_KEY, suffixes=("_first", "_second"), validate="one_to_one")
    if both.empty:
        return None
    one, two = both["score_first"].to_numpy(), both["score_second"].to_numpy()
    table = np.array([[((one == a) & (two == b)).sum() for b in SCORES] for a in SCORES])
    kappa = math.nan
    if len(set(one) | set(two)) > 1:
        kappa = float(cohens_kappa(table, wt="quadratic", return_results=False))
    by_rater = (both["score_second"] - both["score_first"]).groupby(both["rater"]).mean()
    icc = math.nan
    if len(both) > 1:
        icc = float(
            icc_agreement(np.stack([one, two], axis=1)[:, :, None].astype(float), np.ones((1, len(one))))[0][
                0
            ]
        )
    return Retest(
        pairs=len(both),
        raters=len(by_rater),
        exact=float((one == two).mean()),
        within_one=float((np.abs(one - two) <= 1).mean()),
        kappa=kappa,
        icc=icc,
        wilcoxon=signed_rank(two - one),
        difference=student_interval(by_rater.to_numpy(dtype=float), confidence=0.90),
    )

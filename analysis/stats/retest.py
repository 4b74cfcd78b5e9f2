"""The pilot's question: do raters give an image the same score twice? (Section 3.3)"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.stats.inter_rater import cohens_kappa

from analysis.stats.defaults import EQUIVALENCE_MARGIN, WITHIN_ONE_AT_LEAST
from analysis.stats.intervals import Interval, student_interval
from analysis.stats.reliability import icc_agreement
from analysis.stats.votes import SCORES, categories
from analysis.stats.wilcoxon import SignedRank, signed_rank

_KEY = ["rater", "dataset", "image", "method"]


@dataclass(frozen=True)
class Criteria:
    """When raters count as repeating themselves; a study's file may set its own.

    Attributes:
        margin: largest difference of raters' means that counts as none, in MOS.
        within_one_at_least: share of pairs that must lie within one step.
    """

    margin: float = EQUIVALENCE_MARGIN
    within_one_at_least: float = WITHIN_ONE_AT_LEAST


@dataclass(frozen=True)
class Retest:
    """Two showings of the same images to the same raters; differences are second minus first.

    Attributes:
        pairs, raters: how many.
        exact, within_one: shares of pairs with the same score, and at most one apart.
        kappa: quadratically weighted; NaN where only one score occurs. Of a continuous scale, ``exact`` and
            ``kappa`` are of its fifths.
        icc: ICC(A,1) of the two showings; NaN where nothing varies.
        wilcoxon: over all pairs, as the paper tests; a difference that is significant may still be small, so
            it decides nothing here.
        difference: of raters' means, with the 90 % interval of a two one-sided t tests procedure at 5 %.
        criteria: what ``go`` is measured by.
    """

    pairs: int
    raters: int
    exact: float
    within_one: float
    kappa: float
    icc: float
    wilcoxon: SignedRank
    difference: Interval
    criteria: Criteria

    @property
    def equivalent(self) -> bool:
        """Whether the two showings are shown to be the same within the margin."""
        low, high, margin = self.difference.low, self.difference.high, self.criteria.margin
        return low is not None and high is not None and -margin < low <= high < margin

    @property
    def go(self) -> bool:
        """Shown to be equivalent, and enough pairs within one step."""
        return self.equivalent and self.within_one >= self.criteria.within_one_at_least

    @property
    def sentence(self) -> str:
        """The go / no-go line."""
        if self.go:
            return (
                f"GO: raters repeat themselves (equivalent within ±{self.criteria.margin:g}, "
                f"{self.within_one:.0%} of pairs at most one apart)."
            )
        reasons = []
        if not self.equivalent:
            reasons.append(f"equivalence within ±{self.criteria.margin:g} is not shown")
        if self.within_one < self.criteria.within_one_at_least:
            reasons.append(
                f"{self.within_one:.0%} of pairs lie at most one apart, "
                f"{self.criteria.within_one_at_least:.0%} should"
            )
        return f"NO GO: {' and '.join(reasons)}."

    def lines(self) -> list[str]:
        """The report in words; the last line is the sentence."""
        low, high = self.difference.low, self.difference.high
        bounds = "" if low is None or high is None else f" [{low:+.3f}, {high:+.3f}], 90 % over raters"
        return [
            f"{self.pairs} pairs of ratings by {self.raters} raters",
            f"exact agreement {self.exact:.3f}, within one {self.within_one:.3f}",
            f"quadratic weighted kappa {_words(self.kappa)}, ICC(A,1) {_words(self.icc)}",
            "Wilcoxon signed-rank over ratings (the paper's test): p "
            f"{'< 0.001' if self.wilcoxon.p < 0.001 else f'= {self.wilcoxon.p:.3f}'} "
            f"(n = {self.wilcoxon.n}, {self.wilcoxon.zeros} zeros)",
            f"second minus first {self.difference.mean:+.3f}{bounds}",
            self.sentence,
        ]


def _words(coefficient: float) -> str:
    return "undefined (nothing varies)" if math.isnan(coefficient) else f"{coefficient:.3f}"


def retest(votes: pd.DataFrame, criteria: Criteria | None = None) -> Retest | None:
    """How well raters repeat themselves; None where nothing was shown twice.

    Args:
        votes: rater, dataset, image, method, repeat (0 or 1), score (or opinion); one row a vote.
        criteria: of go and no-go; None: the defaults.
    """
    first = votes.loc[votes["repeat"] == 0, [*_KEY, "score"]]
    second = votes.loc[votes["repeat"] == 1, [*_KEY, "score"]]
    both = first.merge(second, on=_KEY, suffixes=("_first", "_second"), validate="one_to_one")
    if both.empty:
        return None
    one, two = (both[name].to_numpy(dtype=float) for name in ("score_first", "score_second"))
    first_scores, second_scores = categories(one), categories(two)
    table = np.array([[((first_scores == a) & (second_scores == b)).sum() for b in SCORES] for a in SCORES])
    kappa = math.nan
    if len(set(first_scores) | set(second_scores)) > 1:
        kappa = float(cohens_kappa(table, wt="quadratic", return_results=False))
    by_rater = (both["score_second"] - both["score_first"]).groupby(both["rater"]).mean()
    icc = math.nan
    if len(both) > 1:
        icc = float(icc_agreement(np.stack([one, two], axis=1)[:, :, None], np.ones((1, len(one))))[0][0])
    return Retest(
        pairs=len(both),
        raters=len(by_rater),
        exact=float((first_scores == second_scores).mean()),
        within_one=float((np.abs(one - two) <= 1 + 1e-9).mean()),  # twentieths are not exact
        kappa=kappa,
        icc=icc,
        wilcoxon=signed_rank(two - one),
        difference=student_interval(by_rater.to_numpy(dtype=float), confidence=0.90),
        criteria=criteria or Criteria(),
    )

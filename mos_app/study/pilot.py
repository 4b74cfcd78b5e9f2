"""The pilot's question: do raters repeat themselves? Agreement of the two ratings of identical images."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mos_app.study.definition import PilotPart
from repro.core.errors import UserError

_LEVEL = 0.05


@dataclass(frozen=True)
class PilotReport:
    """Agreement of first and second ratings; tests over rater means (ratings of one rater hang together)."""

    pairs: int
    raters: int
    exact: float
    within_one: float
    kappa: float
    icc: float
    wilcoxon_p: float
    zeros: int
    mean_difference: float
    equivalence_p: float
    margin: float
    go: bool

    def lines(self) -> list[str]:
        """The report in words; the last line says go or no-go."""
        return [
            f"{self.pairs} pairs of ratings by {self.raters} raters",
            f"exact agreement {self.exact:.3f}, within one {self.within_one:.3f}",
            f"quadratic weighted kappa {self.kappa:.3f}, ICC(A,1) {self.icc:.3f}",
            f"Wilcoxon signed-rank over ratings: p = {self.wilcoxon_p:.3f} "
            f"(n = {self.pairs}, {self.zeros} zeros)",
            f"second minus first {self.mean_difference:+.3f}; equivalence within "
            f"+-{self.margin} over rater means: p = {self.equivalence_p:.4f}",
            "go: raters repeat themselves"
            if self.go
            else "no-go: the ratings of identical images are not shown to be equivalent",
        ]


def pilot_report(ratings: pd.DataFrame, part: PilotPart) -> PilotReport:
    """Agreement between repeated ratings.

    Args:
        ratings: rating votes (rater, dataset, image, method, repeat, score, excluded).
        part: the pilot's configuration.

    Raises:
        UserError: fewer than two raters have pairs.
    """
    import pingouin as pg
    from scipy.stats import wilcoxon
    from sklearn.metrics import cohen_kappa_score
    from statsmodels.stats.weightstats import ttost_paired

    mine = ratings[
        (ratings["dataset"] == part.dataset)
        & (ratings["method"] == part.method)
        & (~ratings["excluded"].astype(bool))
    ]
    pairs = mine.pivot_table(index=["rater", "image"], columns="repeat", values="score", aggfunc="first")
    pairs = pairs.reindex(columns=[0, 1]).dropna().astype(int)
    means = pairs.groupby("rater").mean()
    if len(means) < 2:
        raise UserError("fewer than two raters have rated identical images twice", "at least two raters")
    first, second = pairs[0].to_numpy(), pairs[1].to_numpy()
    # integers on purpose: round-off would split ties
    difference = second - first
    long = pairs.reset_index(names=["rater", "image"]).melt(
        id_vars=["rater", "image"], value_vars=[0, 1], var_name="time", value_name="score"
    )
    long["target"] = long["rater"] + "/" + long["image"]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # pingouin divides by the error variance, which is zero where everybody agrees
        warnings.simplefilter("ignore")
        icc = pg.intraclass_corr(long, targets="target", raters="time", ratings="score")
    single = float(icc.set_index("Type").loc["ICC(A,1)", "ICC"])
    # without a nonzero difference there is nothing to rank and nothing to reject
    p = float(wilcoxon(difference, zero_method="wilcox").pvalue) if difference.any() else 1.0
    steps = (means[1] - means[0]).to_numpy()
    if steps.std() == 0:
        equivalence = 0.0 if abs(steps.mean()) < part.equivalence_margin else 1.0
    else:
        margin = part.equivalence_margin
        equivalence = float(ttost_paired(means[1].to_numpy(), means[0].to_numpy(), -margin, margin)[0])
    within = float((abs(difference) <= 1).mean())
    return PilotReport(
        pairs=len(pairs),
        raters=len(means),
        exact=float((difference == 0).mean()),
        within_one=within,
        kappa=float(cohen_kappa_score(first, second, weights="quadratic", labels=[1, 2, 3, 4, 5])),
        icc=single,
        wilcoxon_p=p,
        zeros=int((difference == 0).sum()),
        mean_difference=float(difference.mean()),
        equivalence_p=equivalence,
        margin=part.equivalence_margin,
        go=equivalence < _LEVEL and within >= part.within_one_at_least,
    )

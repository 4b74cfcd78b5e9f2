"""The same votes as different rater models see them: does a claim depend on the model?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analysis.stats.comparison import Comparison, compare
from analysis.stats.design import power_of
from analysis.stats.equivalence import equivalence
from analysis.stats.ordinal import OrdinalMethods, ordinal_methods
from analysis.stats.power import spread_of
from analysis.stats.rater_models import ROUNDING, RaterModel
from analysis.stats.votes import CATEGORICAL, DatasetRatings, categories
from repro.core.errors import UserError

LARGEST_ORDINAL = 6000
"""Votes of a data set up to which the ordinal model is fitted by default: seconds, beyond it minutes."""


@dataclass(frozen=True)
class VoteView:
    """Votes by data set, possibly cleaned, compared by the robust test.

    Attributes:
        ratings: the votes.
        weights: (rater,) by data set, of whose votes how much counts; all the same where it is absent.
        given: the votes of the same raters as they were given, for a model of scores; None: ``ratings``.
    """

    ratings: Mapping[str, DatasetRatings]
    weights: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    given: Mapping[str, DatasetRatings] | None = None

    def methods(self, dataset: str) -> set[str]:
        return set(self.ratings[dataset].methods) if dataset in self.ratings else set()

    def unable(self, dataset: str) -> str:
        """Never: any votes can be compared."""
        del dataset
        return ""

    def compare(self, dataset: str, first: str, second: str) -> Comparison:
        """First minus second; the ordinal model has a say where signed ranks have none."""
        data = self.ratings[dataset]

        def also() -> float:
            fitted = self.ordinal(dataset)
            return 1.0 if fitted is None else fitted.contrast(first, second)[2]

        difference_ir = data.of(first) - data.of(second)
        return compare(difference_ir, weights_r=self.weights.get(dataset), also=also)

    def power(self, dataset: str, difference: float) -> float | None:
        """Of the design, with the spread that its own votes show."""
        data = self.ratings[dataset]
        images, raters, _ = data.ratings_irv.shape
        try:
            return power_of(difference, images, raters, spread_of(data))
        except UserError:
            return None

    @cached_property
    def _fits(self) -> dict[str, OrdinalMethods | None]:
        return {}

    def ordinal(self, dataset: str) -> OrdinalMethods | None:
        """The ordinal model of a data set, fitted when first asked for; None where it cannot be."""
        if dataset not in self._fits:
            self._fits[dataset] = ordinal_methods(whole_scores((self.given or self.ratings)[dataset]))
        return self._fits[dataset]


@dataclass(frozen=True)
class OrdinalView:
    """The latent qualities of the ordinal mixed model, in MOS by the slope of one on the other."""

    votes: VoteView

    def methods(self, dataset: str) -> set[str]:
        return self.votes.methods(dataset)

    def unable(self, dataset: str) -> str:
        """The model is for moderate sizes."""
        votes = int(np.isfinite(self.votes.ratings[dataset].ratings_irv).sum())
        if votes <= LARGEST_ORDINAL:
            return ""
        return f"{votes:,} votes on {dataset}, the ordinal model is fitted to {LARGEST_ORDINAL:,} at most"

    def compare(self, dataset: str, first: str, second: str) -> Comparison:
        fitted = self.votes.ordinal(dataset)
        if fitted is None:
            return Comparison(0.0, -np.inf, np.inf, 1.0, np.inf, np.inf)
        slope = _slope(self.votes.ratings[dataset], fitted.quality)
        difference, error, p = fitted.contrast(first, second)
        difference, error = difference / slope, error / abs(slope)
        bounds = equivalence(difference, error, np.inf, np.inf)
        return Comparison(difference, bounds.low, bounds.high, p, error, np.inf)

    def power(self, dataset: str, difference: float) -> float | None:
        return self.votes.power(dataset, difference)


def _slope(data: DatasetRatings, quality: NDArray[np.float64]) -> float:
    """Of latent quality on MOS, over the methods that have more than one extreme score.

    Equal means have no slope: a difference then stays in the latent unit, the noise of one vote.
    """
    scores_irv = whole_scores(data).ratings_irv
    means = np.nanmean(scores_irv, axis=(0, 1))
    inner = (np.nanmin(scores_irv) < means) & (means < np.nanmax(scores_irv))
    mos = np.nanmean(data.ratings_irv, axis=(0, 1))[inner]
    return float(np.polyfit(mos, quality[inner], 1)[0]) if len(mos) > 1 and np.ptp(mos) > 1e-9 else 1.0


def whole_scores(data: DatasetRatings) -> DatasetRatings:
    """Opinions rounded to scores, for a model of scores."""
    return replace(data, ratings_irv=categories(data.ratings_irv), bounds=CATEGORICAL)


def cleaned(ratings: Mapping[str, DatasetRatings], raters: tuple[str, ...], model: RaterModel) -> VoteView:
    """The votes as a rater model has them: rejected raters left out, biases taken off.

    By consistency (P.910) raters have weights: a difference of two methods is the weighted mean of theirs.
    """
    place = {rater: number for number, rater in enumerate(raters)}
    found, weights, given = {}, {}, {}
    for name, data in ratings.items():
        mine = np.array([place[rater] for rater in data.raters])
        kept = ~model.rejected_r[mine]
        names = tuple(rater for rater, keep in zip(data.raters, kept, strict=True) if keep)
        given[name] = replace(data, raters=names, ratings_irv=data.ratings_irv[:, kept, :])
        votes_irv = given[name].ratings_irv - model.bias_r[mine][kept][None, :, None]
        found[name] = replace(given[name], ratings_irv=votes_irv)
        inconsistency_r = model.inconsistency_r[mine][kept]
        if not np.isnan(inconsistency_r).any():
            weights[name] = 1 / np.maximum(inconsistency_r, ROUNDING) ** 2
    return VoteView(found, weights, given)

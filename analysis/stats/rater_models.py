"""Rater models beside the plain MOS: ITU-R BT.500 screening, P.913 bias removal, P.910 Annex E.

Each is a short function of ``scores_er`` (stimulus, rater; NaN where there is no vote), as in the
recommendations. Netflix's sureal, which the tests run on real ratings, gives the same P.910; its BT.500 and
P.913 come out with ``as_sureal``, which deviates from the recommendation's text in two points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]

BT500_SHARE = 0.05
BT500_ASYMMETRY = 0.3
ROUNDING = 12**-0.5
"""Standard deviation of rounding to whole scores."""


@dataclass(frozen=True)
class RaterModel:
    """What a model says of stimuli and raters.

    Attributes:
        quality_e: quality of each stimulus, in units of the scale.
        bias_r: how much each rater scores above the others; zeros where the model has none.
        inconsistency_r: standard deviation of each rater's error; NaN where the model has none.
        rejected_r: raters whose votes the model leaves out.
    """

    quality_e: Scores
    bias_r: Scores
    inconsistency_r: Scores
    rejected_r: NDArray[np.bool_]


def bt500(scores_er: Scores, *, as_sureal: bool = False) -> RaterModel:
    """The mean over the raters that pass BT.500's screening (Annex 1, section 2.3.1; recalled)."""
    rejected = bt500_rejected(scores_er, as_sureal=as_sureal)
    raters = scores_er.shape[1]
    return RaterModel(_mean(scores_er[:, ~rejected], 1), np.zeros(raters), np.full(raters, np.nan), rejected)


def bt500_rejected(scores_er: Scores, *, as_sureal: bool = False) -> NDArray[np.bool_]:
    """Raters that BT.500 rejects: (rater,). None, where all would be.

    P counts an observer's scores above a presentation's mean by 2 S (by sqrt(20) S where the kurtosis m4 /
    m2^2 is not between 2 and 4), Q those as far below, S having N - 1 in its denominator; rejected is who has
    (P + Q) / scores > 0.05 and |P - Q| / (P + Q) < 0.3.

    A presentation on which all observers agree has neither a kurtosis nor scores above or below its mean: it
    counts for nobody. (The recommendation's prose says "above" and "below", its formulas >= and <=, which at
    S = 0 would count one and the same score as both.)

    Args:
        scores_er: (stimulus, rater).
        as_sureal: as Netflix's sureal counts: S with N, and unanimous presentations once above and once below
            for every observer. In a study with many of them (all give HR a 5) that pulls |P - Q| / (P + Q) of
            everybody towards 0 and rejects the careful.
    """
    mean = _mean(scores_er, 1)[:, None]
    deviation = scores_er - mean
    variance = _mean(deviation**2, 1)
    votes_e = (~np.isnan(scores_er)).sum(axis=1)
    freedom = votes_e if as_sureal else np.maximum(votes_e - 1, 1)
    spread = np.sqrt(variance * votes_e / np.maximum(freedom, 1))
    differs = variance > 1e-12
    kurtosis = np.divide(
        _mean(deviation**4, 1), variance**2, out=np.full(len(variance), np.nan), where=differs
    )
    reach = np.where((kurtosis >= 2) & (kurtosis <= 4), 2.0, np.sqrt(20.0)) * spread
    counted = np.ones_like(differs) if as_sureal else differs
    with np.errstate(invalid="ignore"):
        above = ((scores_er >= mean + reach[:, None]) & counted[:, None]).sum(axis=0)
        below = ((scores_er <= mean - reach[:, None]) & counted[:, None]).sum(axis=0)
    outside = above + below
    votes = (~np.isnan(scores_er)).sum(axis=0)
    share = np.divide(outside, votes, out=np.zeros(len(outside)), where=votes > 0)
    asymmetry = np.divide(np.abs(above - below), outside, out=np.ones(len(outside)), where=outside > 0)
    rejected = (share > BT500_SHARE) & (asymmetry < BT500_ASYMMETRY)
    return np.zeros_like(rejected) if rejected.all() else rejected


def p913(scores_er: Scores, *, as_sureal: bool = False) -> RaterModel:
    """Bias removal, then BT.500's screening (P.913, 12.4)."""
    bias = _mean(scores_er - _mean(scores_er, 1)[:, None], 0)
    unbiased = scores_er - bias
    rejected = bt500_rejected(unbiased, as_sureal=as_sureal)
    return RaterModel(_mean(unbiased[:, ~rejected], 1), bias, np.full(scores_er.shape[1], np.nan), rejected)


def p910(
    scores_er: Scores, *, floor: float = 0.0, tolerance: float = 1e-8, iterations: int = 1000
) -> RaterModel:
    """Quality, bias and inconsistency by alternating projection (P.910 Annex E).

    vote = quality of stimulus + bias of rater + inconsistency of rater * noise. Biases sum to zero.

    Args:
        scores_er: (stimulus, rater); every stimulus has a vote. A rater without one has no bias (NaN).
        floor: nobody is weighted as more consistent than this; :data:`ROUNDING` where votes are few, since
            the likelihood has no maximum there and one rater would take all the weight.
        tolerance, iterations: when to stop.
    """
    there = ~np.isnan(scores_er)
    quality = _mean(scores_er, 1)
    bias = _mean(scores_er - quality[:, None], 0)
    inconsistency = np.zeros(scores_er.shape[1])
    for _ in range(iterations):
        rest = scores_er - quality[:, None] - bias
        inconsistency = np.sqrt(_mean((rest - _mean(rest, 0)) ** 2, 0))
        weights = np.where(there, 1 / (np.maximum(inconsistency, floor) ** 2 + 1e-8), 0.0)
        earlier = quality
        quality = np.nansum((scores_er - bias) * weights, axis=1) / weights.sum(axis=1)
        bias = _mean(scores_er - quality[:, None], 0)
        if np.linalg.norm(earlier - quality) < tolerance:
            break
    shift = np.nanmean(bias)
    return RaterModel(quality + shift, bias - shift, inconsistency, np.zeros(scores_er.shape[1], dtype=bool))


MODELS: dict[str, Callable[[Scores], RaterModel]] = {"BT.500": bt500, "P.913": p913, "P.910": p910}
"""Beside the plain MOS, never silently instead of it."""


def _mean(values: Scores, axis: int) -> Scores:
    """Mean over what is there; NaN where nothing is."""
    there = ~np.isnan(values)
    count = there.sum(axis=axis)
    total = np.where(there, values, 0.0).sum(axis=axis)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)

"""How far raters agree: intraclass correlation and Krippendorff's alpha, with intervals over images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import krippendorff
import numpy as np
from numpy.typing import NDArray

from analysis.stats.intervals import CONFIDENCE, expanded_level
from analysis.stats.votes import SCORES, categories

DRAWS = 2000


@dataclass(frozen=True)
class Reliability:
    """A coefficient with its interval; all are NaN where it cannot be had."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """Reliabilities of one group of stimuli.

    Attributes:
        icc_single: ICC(A,1), absolute agreement of a single rater's vote.
        icc_mean: ICC(A,k), of the mean over all raters.
        alpha: Krippendorff's alpha, ordinal, of the votes as scores (fifths of a continuous scale).
        stimuli, raters: how many entered the ICC (raters with all votes).
    """

    icc_single: Reliability
    icc_mean: Reliability
    alpha: Reliability
    stimuli: int
    raters: int


def agreement(ratings_irv: NDArray[np.float64], rng: np.random.Generator, draws: int = DRAWS) -> Agreement:
    """Agreement over the stimuli (image, version) of an array (image, rater, version).

    Raters who lack votes are left out of the ICC, which needs a full layout, not out of alpha. Intervals come
    from drawing images with all their versions.
    """
    images = ratings_irv.shape[0]
    weights = rng.multinomial(images, np.full(images, 1 / images), size=draws).astype(float)
    full = ~np.isnan(ratings_irv).any(axis=(0, 2))
    complete = ratings_irv[:, full, :]
    enough = complete.shape[1] >= 2 and images * complete.shape[2] >= 2
    single, mean = _undefined(), _undefined()
    if enough:
        ones = np.ones((1, images))
        values, drawn = icc_agreement(complete, ones), icc_agreement(complete, weights)
        single = _with_interval(float(values[0][0]), drawn[0], images)
        mean = _with_interval(float(values[1][0]), drawn[1], images)
    return Agreement(
        single,
        mean,
        _with_interval(alpha_ordinal(ratings_irv), _drawn_alpha(ratings_irv, weights), images),
        images * ratings_irv.shape[2],
        complete.shape[1],
    )


def icc_agreement(
    ratings_irv: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ICC(A,1) and ICC(A,k) (McGraw and Wong 1996, two-way) for each row of image weights.

    Args:
        ratings_irv: (image, rater, version), complete.
        weights: (draw, image), how often each image counts.

    Returns:
        Two arrays (draw,), NaN where nothing varies.
    """
    _, k, versions = ratings_irv.shape
    unit_means = ratings_irv.mean(axis=1)
    n = weights.sum(axis=1) * versions
    grand = (weights @ unit_means.sum(axis=1)) / n
    squares = weights @ (ratings_irv**2).sum(axis=(1, 2)) - n * k * grand**2
    rows = k * (weights @ (unit_means**2).sum(axis=1) - n * grand**2)
    rater_means = (weights @ ratings_irv.sum(axis=2)) / n[:, None]
    columns = n * ((rater_means - grand[:, None]) ** 2).sum(axis=1)
    ms_rows = rows / (n - 1)
    ms_columns = columns / (k - 1)
    ms_rest = (squares - rows - columns) / ((n - 1) * (k - 1))

    def ratio(denominator: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.divide(
            ms_rows - ms_rest, denominator, out=np.full(len(n), np.nan), where=np.abs(denominator) > 1e-12
        )

    between = ms_columns - ms_rest
    return ratio(ms_rows + (k - 1) * ms_rest + k * between / n), ratio(ms_rows + between / n)


def alpha_ordinal(ratings_irv: NDArray[np.float64]) -> float:
    """Krippendorff's alpha for ordinal scores; NaN where fewer than two scores occur."""
    counts = value_counts(ratings_irv).reshape(-1, len(SCORES))
    pairable = counts[counts.sum(axis=1) >= 2]
    if (pairable.sum(axis=0) > 0).sum() < 2:
        return math.nan
    return float(
        krippendorff.alpha(
            value_counts=pairable.astype(int), value_domain=list(SCORES), level_of_measurement="ordinal"
        )
    )


def value_counts(ratings_irv: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many raters gave each score: (image, version, score)."""
    scores_irv = categories(ratings_irv)
    return np.stack([(scores_irv == score).sum(axis=1) for score in SCORES], axis=-1).astype(float)


def _drawn_alpha(ratings_irv: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Alpha of every draw of images: coincidences add up over images, so a draw is a matrix product."""
    counts = value_counts(ratings_irv)
    voters = counts.sum(axis=-1, keepdims=True)[..., None]
    pairs = counts[..., :, None] * counts[..., None, :] - counts[..., None] * np.eye(len(SCORES))
    coincidences_i = np.divide(pairs, voters - 1, out=np.zeros_like(pairs), where=voters > 1).sum(axis=1)
    observed = np.einsum("di,icj->dcj", weights, coincidences_i)
    totals = observed.sum(axis=2)
    cumulative = np.cumsum(totals, axis=1)
    # ordinal distance: the votes between two scores, the ends counted half
    middle = cumulative - totals / 2
    distance = (middle[:, :, None] - middle[:, None, :]) ** 2
    n = totals.sum(axis=1)
    expected = (totals[:, :, None] * totals[:, None, :] * distance).sum(axis=(1, 2))
    disagreement = (n - 1) * (observed * distance).sum(axis=(1, 2))
    return 1 - np.divide(disagreement, expected, out=np.full(len(n), np.nan), where=expected > 0)


def _with_interval(value: float, drawn: NDArray[np.float64], images: int) -> Reliability:
    drawn = drawn[~np.isnan(drawn)]
    if math.isnan(value) or images < 3 or len(drawn) < 100:
        return Reliability(value, math.nan, math.nan)
    level = expanded_level(images - 1, CONFIDENCE)
    low, high = np.quantile(drawn, [level, 1 - level])
    return Reliability(value, float(low), float(min(high, 1.0)))


def _undefined() -> Reliability:
    return Reliability(math.nan, math.nan, math.nan)

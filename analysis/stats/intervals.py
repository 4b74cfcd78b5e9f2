"""Intervals for means over images and raters.

A vote depends on its image and on its rater, so pooled votes are not independent: s / sqrt(n) over them is
2 to 4 times too small. The bootstrap here draws images and raters, both with replacement (Owen 2007,
"pigeonhole"). Two known faults of it are corrected. It counts the rest (neither image nor rater) three times;
the draws are therefore drawn together to the variance that the analysis of variance finds. With 5 or 14
images percentiles are too narrow; their levels are expanded (Hesterberg 2015, section 5.3) to what a t
distribution with Satterthwaite's degrees of freedom asks for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
DRAWS = 10_000


@dataclass(frozen=True)
class Interval:
    """A mean with its interval; the bounds are None where two images or two raters are lacking."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class TwoWayDraws:
    """How often each image and each rater was drawn: ``images`` (draw, image), ``raters`` (draw, rater)."""

    images: NDArray[np.float64]
    raters: NDArray[np.float64]


def two_way_draws(images: int, raters: int, rng: np.random.Generator, draws: int = DRAWS) -> TwoWayDraws:
    """Independent draws of images and of raters, with replacement."""
    return TwoWayDraws(
        rng.multinomial(images, np.full(images, 1 / images), size=draws).astype(float),
        rng.multinomial(raters, np.full(raters, 1 / raters), size=draws).astype(float),
    )


def drawn_means(values_ir: NDArray[np.float64], draws: TwoWayDraws) -> NDArray[np.float64]:
    """The mean of every draw: (draw,) from values (image, rater). NaN where a draw holds no vote."""
    there = ~np.isnan(values_ir)
    total = np.einsum("dr,dr->d", draws.images @ np.where(there, values_ir, 0.0), draws.raters)
    if there.all():
        return total / values_ir.size
    count = np.einsum("dr,dr->d", draws.images @ there.astype(float), draws.raters)
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)


def rated(values_ir: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values (image, rater) without the images and raters that have none.

    They are not in the sample: counted as their fit, they make it look larger than it is.
    """
    there = ~np.isnan(values_ir)
    images, raters = there.any(axis=1), there.any(axis=0)
    return values_ir if images.all() and raters.all() else values_ir[images][:, raters]


def interval(
    values_ir: NDArray[np.float64],
    draws: TwoWayDraws,
    *,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    confidence: float = CONFIDENCE,
) -> Interval:
    """The mean of values (image, rater) and its two-way bootstrap interval, cut to ``bounds``."""
    mean = float(np.nanmean(values_ir))
    sample_ir = rated(values_ir)
    if min(sample_ir.shape) < 2:
        return Interval(mean, None, None)
    means = drawn_means(values_ir, draws)
    variance, degrees = variance_of_mean(sample_ir)
    wanted = variance * degrees / (degrees + 1)  # the bootstrap's own variance has n where ours has n - 1
    drawn = float(np.nanvar(means))
    shrink = math.sqrt(min(1.0, wanted / drawn)) if drawn > 0 else 1.0
    level = expanded_level(degrees, confidence)
    low, high = mean + shrink * (np.nanquantile(means, [level, 1 - level]) - mean)
    return Interval(mean, max(float(low), bounds[0]), min(float(high), bounds[1]))


def expanded_level(degrees: float, confidence: float = CONFIDENCE) -> float:
    """The lower percentile level at which a bootstrap of few units has the stated confidence."""
    t = stats.t.ppf(1 - (1 - confidence) / 2, degrees)
    return float(stats.norm.cdf(-math.sqrt((degrees + 1) / degrees) * t))


def variance_of_mean(values_ir: NDArray[np.float64]) -> tuple[float, float]:
    """The variance of a two-way mean, and Satterthwaite's degrees of freedom of that variance.

    The variance is (MS_images + MS_raters - MS_rest) / (images * raters), and at least MS_rest / (images *
    raters), which is what is left where neither images nor raters differ.
    """
    images, raters = values_ir.shape
    ms_images, ms_raters, ms_rest = mean_squares(values_ir)
    combined = ms_images + ms_raters - ms_rest
    fewest = float(min(images, raters) - 1)
    if combined <= ms_rest:
        return ms_rest / values_ir.size, fewest
    spread = (
        ms_images**2 / (images - 1) + ms_raters**2 / (raters - 1) + ms_rest**2 / ((images - 1) * (raters - 1))
    )
    degrees = float(np.clip(combined**2 / spread, min(fewest, 2.0), images + raters - 2))
    return combined / values_ir.size, degrees


def two_way_p(differences_ir: NDArray[np.float64]) -> float:
    """Two-sided p of a mean difference when both images and raters are drawn: Student's t, two-way variance.

    1 where there are fewer than two images or raters, or no difference at all.
    """
    differences_ir = rated(differences_ir)
    if min(differences_ir.shape) < 2 or (mean := float(np.nanmean(differences_ir))) == 0:
        return 1.0
    variance, degrees = variance_of_mean(differences_ir)
    if variance <= 0:
        return 0.0  # every rater sees the same difference on every image
    return float(2 * stats.t.sf(abs(mean) / math.sqrt(variance), degrees))


def mean_squares(values_ir: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean squares of images, raters and rest of a two-way layout; missing votes count as their fit.

    Every image and every rater has a value: see :func:`rated`.
    """
    images, raters = values_ir.shape
    filled = values_ir
    if np.isnan(values_ir).any():
        grand_mean = float(np.nanmean(values_ir))
        of_image, of_rater = np.nanmean(values_ir, axis=1), np.nanmean(values_ir, axis=0)
        filled = np.where(np.isnan(values_ir), of_image[:, None] + of_rater[None, :] - grand_mean, values_ir)
    grand = filled.mean()
    of_image, of_rater = filled.mean(axis=1), filled.mean(axis=0)
    rest = filled - of_image[:, None] - of_rater[None, :] + grand
    return (
        float(raters * ((of_image - grand) ** 2).sum() / (images - 1)),
        float(images * ((of_rater - grand) ** 2).sum() / (raters - 1)),
        float((rest**2).sum() / ((images - 1) * (raters - 1))),
    )


def student_interval(scores: NDArray[np.float64], confidence: float = CONFIDENCE) -> Interval:
    """The mean of one image's scores and Student's interval; no bounds from fewer than two scores."""
    scores = scores[~np.isnan(scores)]
    n = len(scores)
    mean = float(scores.mean()) if n else math.nan
    if n < 2:
        return Interval(mean, None, None)
    half = float(stats.t.ppf(0.5 + confidence / 2, n - 1) * scores.std(ddof=1) / math.sqrt(n))
    return Interval(mean, mean - half, mean + half)

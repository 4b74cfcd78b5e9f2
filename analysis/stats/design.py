"""How large a study must be: one formula for the app's plan, the solver and the sentence on undecided claims.

Images and raters are both samples, so the mean difference of two methods has the variance

    V = 2 (s_im^2 / I + s_rm^2 / R + s_e^2 / (I R)),

with Satterthwaite's degrees of freedom for the mean squares that estimate it, as in
:func:`analysis.stats.intervals.variance_of_mean`. Power is that of Student's t, not central.
"""

from __future__ import annotations

import math

from scipy import optimize, stats

from analysis.stats.defaults import POWER, Spread
from repro.papers.srgan import SIGNIFICANCE_LEVEL


def smallest_p(images: int, raters: int) -> float:
    """The smallest p that signed-rank tests over images and over raters can both reach."""
    return 2.0 ** (1 - min(images, raters))


def difference_variance(images: int, raters: int, spread: Spread) -> tuple[float, float]:
    """Variance of the mean difference of two methods, and its estimate's degrees of freedom."""
    rest = 2 * spread.noise**2
    of_images = rest + raters * 2 * spread.image_method**2
    of_raters = rest + images * 2 * spread.rater_method**2
    combined = of_images + of_raters - rest
    terms = (
        of_images**2 / (images - 1) + of_raters**2 / (raters - 1) + rest**2 / ((images - 1) * (raters - 1))
    )
    degrees = combined**2 / terms if terms > 0 else float(images + raters - 2)
    return combined / (images * raters), min(degrees, float(images + raters - 2))


def power_of(
    difference: float, images: int, raters: int, spread: Spread, *, level: float = SIGNIFICANCE_LEVEL
) -> float:
    """How often a two-sided test at ``level`` finds a true difference (in MOS) with the right sign."""
    variance, degrees = difference_variance(images, raters, spread)
    if variance <= 0:
        return 1.0
    threshold = stats.t.ppf(1 - level / 2, degrees)
    return float(stats.nct.sf(threshold, degrees, abs(difference) / math.sqrt(variance)))


def resolvable_difference(
    images: int,
    raters: int,
    spread: Spread,
    *,
    power: float = POWER,
    level: float = SIGNIFICANCE_LEVEL,
) -> float:
    """The difference in MOS between two methods that is found with ``power``."""
    variance, _ = difference_variance(images, raters, spread)
    if variance <= 0:
        return 0.0
    scale = math.sqrt(variance)
    found = optimize.brentq(
        lambda d: power_of(d * scale, images, raters, spread, level=level) - power, 0.0, 100.0
    )
    return float(found) * scale

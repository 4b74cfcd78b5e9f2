"""How large a study must be: one formula for the app's plan, the solver, and what would decide a verdict.

Images and raters are both samples, so the mean difference of two methods has the variance

    V = 2 (s_im^2 / I + s_rm^2 / R + s_e^2 / (I R)),

with Satterthwaite's degrees of freedom for the mean squares that estimate it, as in
:func:`analysis.stats.intervals.variance_of_mean`. Power is that of Student's t, not central: to find a
difference (two-sided), or to show that one lies within a margin or beyond it (one-sided at 5 %).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from scipy import optimize, stats

from analysis.stats.defaults import POWER, Spread
from repro.core.errors import UserError
from repro.papers.srgan import SIGNIFICANCE_LEVEL

LARGEST = 2000
"""Samples larger than this are not worth naming."""


def smallest_p(images: int, raters: int) -> float:
    """The smallest p that signed-rank tests over images and over raters can both reach."""
    return 2.0 ** (1 - min(images, raters))


def difference_variance(images: int, raters: int, spread: Spread) -> tuple[float, float]:
    """Variance of the mean difference of two methods, and its estimate's degrees of freedom.

    Raises:
        UserError: fewer than two images or raters, which have no variance.
    """
    if min(images, raters) < 2:
        raise UserError(f"{images} images and {raters} raters", "two of each", "plan a larger study")
    rest = 2 * spread.noise**2
    of_images = rest + raters * 2 * spread.image_method**2
    of_raters = rest + images * 2 * spread.rater_method**2
    combined = of_images + of_raters - rest
    terms = (
        of_images**2 / (images - 1) + of_raters**2 / (raters - 1) + rest**2 / ((images - 1) * (raters - 1))
    )
    most = float(images + raters - 2)
    degrees = max(combined**2 / terms, min(images, raters, 3) - 1.0) if terms > 0 else most
    return combined / (images * raters), min(degrees, most)


def power_of(difference: float, images: int, raters: int, spread: Spread) -> float:
    """How often a two-sided test at 5 % finds a true difference (in MOS) with the right sign."""
    variance, degrees = difference_variance(images, raters, spread)
    return one_sided_power(abs(difference), math.sqrt(variance), degrees, level=SIGNIFICANCE_LEVEL / 2)


def one_sided_power(size: float, error: float, degrees: float, *, level: float = SIGNIFICANCE_LEVEL) -> float:
    """How often a value that lies ``size`` above a bound is shown to lie above it."""
    if error <= 0:
        return 1.0
    return float(stats.nct.sf(stats.t.ppf(1 - level, degrees), degrees, size / error))


def verdict_power(difference: float, margin: float, error: float, degrees: float) -> float:
    """How often a difference is shown to lie within the margin, where it does, else beyond it."""
    size = abs(difference)
    if size >= margin:
        return one_sided_power(size - margin, error, degrees)
    sides = (one_sided_power(margin - size, error, degrees), one_sided_power(margin + size, error, degrees))
    return max(0.0, sum(sides) - 1)


def equivalence_power(difference: float, margin: float, images: int, raters: int, spread: Spread) -> float:
    """:func:`verdict_power` of two methods, images and raters both drawn."""
    variance, degrees = difference_variance(images, raters, spread)
    return verdict_power(difference, margin, math.sqrt(variance), degrees)


def least(enough: Callable[[int], bool]) -> int | None:
    """The smallest sample that is enough; None where more than :data:`LARGEST` would be needed."""
    return next((size for size in _sizes() if enough(size)), None)


def _sizes() -> Iterator[int]:
    """Every size up to 50, then steps of about 2 %: nobody plans finer."""
    size = 2
    while size <= LARGEST:
        yield size
        size = size + 1 if size < 50 else math.ceil(size * 1.02)


def needed(difference: float, deviation: float, margin: float, power: float = POWER) -> int | None:
    """How many units would decide, were the difference and the deviation of units the true ones.

    Args:
        difference: from the target.
        deviation: standard deviation of one unit (a rater's mean, a training seed's value).
        margin: of equivalence.
        power: with which the verdict is wanted.
    """
    if abs(difference) == margin:
        return None
    return least(lambda n: verdict_power(difference, margin, deviation / math.sqrt(n), n - 1) >= power)


def replication_raters(margin: float, images: int, spread: Spread, power: float = POWER) -> int | None:
    """Raters for a MOS on the same images: only raters vary, by their bias, their taste and their noise."""
    return needed(
        0.0, math.hypot(spread.rater, spread.rater_method, spread.noise / math.sqrt(images)), margin, power
    )


def resolvable_difference(images: int, raters: int, spread: Spread, *, power: float = POWER) -> float:
    """The difference in MOS between two methods that is found with ``power``."""
    variance, _ = difference_variance(images, raters, spread)
    if variance <= 0:
        return 0.0
    scale = math.sqrt(variance)
    found = optimize.brentq(lambda d: power_of(d * scale, images, raters, spread) - power, 0.0, 1000.0)
    return float(found) * scale

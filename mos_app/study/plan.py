"""Planning: how long a study takes a rater, and which differences it can resolve, before it starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from mos_app.study.definition import StudyConfig

SMALLEST_N_OF_SIGNED_RANKS = 6
"""With five pairs the two-sided signed-rank test cannot fall below p = 2/32."""


@dataclass(frozen=True)
class Spread:
    """Standard deviations on the five-point scale, of what varies when two methods are compared."""

    image_method: float = 0.2
    rater_method: float = 0.1
    noise: float = 0.7


@dataclass(frozen=True)
class Resolution:
    """What one data set can tell apart."""

    dataset: str
    images: int
    raters: int
    difference: float
    """The MOS difference of two methods that is found with the wanted power."""
    per_image: bool
    """Whether a test over images can be significant at all."""


def resolvable_difference(
    images: int, raters: int, spread: Spread, *, power: float = 0.8, level: float = 0.05
) -> float:
    """The difference in MOS between two methods that a two-sided test finds with ``power``.

    Both images and raters are samples: var = 2 (s_im^2 / I + s_rm^2 / R + s_e^2 / (I R)).
    """
    variance = 2 * (
        spread.image_method**2 / images
        + spread.rater_method**2 / raters
        + spread.noise**2 / (images * raters)
    )
    return float((norm.ppf(1 - level / 2) + norm.ppf(power)) * np.sqrt(variance))


def resolutions(config: StudyConfig, raters: int, spread: Spread, power: float = 0.8) -> list[Resolution]:
    """What each data set of a study can tell apart."""
    return [
        Resolution(
            part.name,
            part.count,
            raters,
            resolvable_difference(part.count, raters, spread, power=power),
            part.count >= SMALLEST_N_OF_SIGNED_RANKS,
        )
        for part in config.datasets
    ]


def minutes_per_rater(config: StudyConfig, items: int) -> tuple[float, float]:
    """Minutes of rating (practice included) and of enforced breaks for one rater."""
    practice = 2 * config.calibration.images + config.calibration.check_items
    rating = (items + practice) * config.seconds_per_rating / 60
    breaks = int(rating // config.breaks.after_minutes) * config.breaks.minutes
    return rating, breaks

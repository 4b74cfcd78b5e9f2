"""Planning: how long a study takes a rater, and which differences it can resolve, before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.stats.defaults import POWER, Spread
from analysis.stats.design import resolvable_difference, smallest_p
from mos_app.study.definition import StudyConfig
from repro.papers.srgan import SIGNIFICANCE_LEVEL


@dataclass(frozen=True)
class Resolution:
    """What one data set can resolve.

    Attributes:
        dataset, images, raters: the design.
        difference: the MOS difference of two methods that is found with the wanted power.
        per_image: whether a test over images can be significant at all.
    """

    dataset: str
    images: int
    raters: int
    difference: float
    per_image: bool


def resolutions(config: StudyConfig, raters: int, spread: Spread, power: float = POWER) -> list[Resolution]:
    """What each data set of a study can resolve."""
    return [
        Resolution(
            part.name,
            part.count,
            raters,
            resolvable_difference(part.count, raters, spread, power=power),
            smallest_p(part.count, raters) < SIGNIFICANCE_LEVEL,
        )
        for part in config.datasets
    ]

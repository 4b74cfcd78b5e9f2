"""Planning: how long a study takes a rater, and which differences it can resolve, before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.stats.defaults import POWER, Spread
from analysis.stats.design import resolvable_difference, smallest_p
from mos_app.study.definition import StudyConfig
from repro.core.errors import UserError
from repro.papers.srgan import SIGNIFICANCE_LEVEL


@dataclass(frozen=True)
class Resolution:
    """What one data set can resolve.

    Attributes:
        dataset, images, raters: the design; of raters, how many see one image.
        difference: the MOS difference of two methods that is found with the wanted power; None of one image.
        per_image: whether a test over images can be significant at all.
    """

    dataset: str
    images: int
    raters: int
    difference: float | None
    per_image: bool


def resolutions(config: StudyConfig, raters: int, spread: Spread, power: float = POWER) -> list[Resolution]:
    """What each data set of a study can resolve.

    Of a data set that raters see a part of, as many raters are counted as see one image: as if they saw the
    others too, and nobody else did. More of them do, so that differences are resolved at least so well.

    Raises:
        UserError: fewer than two raters see an image.
    """
    found = []
    for part in config.datasets:
        seen = config.subset.images.get(part.name, part.count) if config.subset else part.count
        seeing = raters * seen // part.count
        if seeing < 2:
            raise UserError(
                f"{part.name}: {seeing} of {raters} raters see each image",
                "at least 2 raters",
                "pass --raters",
            )
        found.append(
            Resolution(
                part.name,
                part.count,
                seeing,
                resolvable_difference(part.count, seeing, spread, power=power) if part.count > 1 else None,
                smallest_p(part.count, seeing) < SIGNIFICANCE_LEVEL,
            )
        )
    return found

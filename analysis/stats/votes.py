"""The votes on one data set as an array with named axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SCORES = (1, 2, 3, 4, 5)
SCORE_WORDS = ("bad", "poor", "fair", "good", "excellent")

SLIDER_STEPS = 100
"""Positions of the continuous scale run from 0 to this."""
CATEGORICAL, CONTINUOUS = (1.0, 5.0), (0.5, 5.5)
"""Least and greatest opinion: of scores, and of positions on the continuous scale."""


def on_scale(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions on the continuous scale (0 to 100) as opinions, 0.5 to 5.5.

    The middle of each word's fifth is that word's number, so that means stand beside those of scores.
    """
    return CONTINUOUS[0] + positions * (len(SCORES) / SLIDER_STEPS)


def categories(opinions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores that opinions lie nearest to, 1 to 5 (of a continuous scale: its fifths); NaN stays NaN."""
    # round-off of biases taken off, or of weights, must not move what lies on an edge
    return np.clip(np.floor(np.round(opinions, 9) + 0.5), SCORES[0], SCORES[-1])


@dataclass(frozen=True)
class DatasetRatings:
    """One data set's votes.

    Attributes:
        dataset: its name.
        images, raters, methods: what the axes of ``ratings_irv`` stand for.
        ratings_irv: float (image, rater, version), within ``bounds``, NaN where there is no vote.
        bounds: least and greatest opinion, :data:`CATEGORICAL` or :data:`CONTINUOUS`.
    """

    dataset: str
    images: tuple[str, ...]
    raters: tuple[str, ...]
    methods: tuple[str, ...]
    ratings_irv: NDArray[np.float64]
    bounds: tuple[float, float] = CATEGORICAL

    def of(self, method: str) -> NDArray[np.float64]:
        """(image, rater) of one method."""
        return self.ratings_irv[:, :, self.methods.index(method)]

    @property
    def missing(self) -> int:
        """Votes that a full design would have and this lacks."""
        return int(np.isnan(self.ratings_irv).sum())

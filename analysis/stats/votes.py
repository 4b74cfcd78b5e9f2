"""The votes on one data set as an array with named axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SCORES = (1, 2, 3, 4, 5)
SCORE_WORDS = ("bad", "poor", "fair", "good", "excellent")


@dataclass(frozen=True)
class DatasetRatings:
    """One data set's votes.

    Attributes:
        dataset: its name.
        images, raters, methods: what the axes of ``ratings_irv`` stand for.
        ratings_irv: float (image, rater, version), 1..5, NaN where there is no vote.
    """

    dataset: str
    images: tuple[str, ...]
    raters: tuple[str, ...]
    methods: tuple[str, ...]
    ratings_irv: NDArray[np.float64]

    def of(self, method: str) -> NDArray[np.float64]:
        """(image, rater) of one method."""
        return self.ratings_irv[:, :, self.methods.index(method)]

    @property
    def missing(self) -> int:
        """Votes that a full design would have and this lacks."""
        return int(np.isnan(self.ratings_irv).sum())

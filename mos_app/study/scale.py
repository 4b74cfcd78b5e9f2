"""What an answer says on the study's scale: categories, and positions on a continuous scale."""

from __future__ import annotations

import pandas as pd

from mos_app.study.definition import ScalePart
from mos_app.study.display import Ballot

SLIDER_STEPS = 100
_FIFTH = SLIDER_STEPS // 5


def category(slider: int) -> int:
    """Which fifth of the continuous scale (0 to 100) a position is in, from 1 to 5."""
    return min(5, 1 + slider // _FIFTH)


def fits_scale(ballot: Ballot, scale: ScalePart) -> bool:
    """Whether an answer is one that this scale has."""
    if scale.method == "slider":
        return ballot.slider is not None and ballot.score == category(ballot.slider)
    return ballot.slider is None and ballot.score in scale.scores


def opinion(votes: pd.DataFrame) -> pd.Series:
    """The votes as numbers to average: scores, or positions on the slider in their units.

    The middle of a fifth is its number, so that the continuous scale runs from 0.5 to 5.5.
    """
    scores = votes["score"].astype(float)
    if "slider" not in votes or votes["slider"].isna().all():
        return scores
    return 0.5 + votes["slider"].astype(float) / _FIFTH


def bounds(scale: ScalePart) -> tuple[float, float]:
    """Least and greatest :func:`opinion`."""
    return (0.5, 5.5) if scale.method == "slider" else (1.0, 5.0)

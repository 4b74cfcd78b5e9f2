"""What an answer says on the study's scale: categories, and positions on a continuous scale."""

from __future__ import annotations

import pandas as pd

from analysis.stats.votes import CATEGORICAL, CONTINUOUS, SLIDER_STEPS, on_scale
from mos_app.study.display import Ballot
from mos_app.study.parts import ScalePart

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
    """The votes as numbers to average: scores, or positions on the slider in their units."""
    scores = votes["score"].astype(float)
    if "slider" not in votes or votes["slider"].isna().all():
        return scores
    return pd.Series(on_scale(votes["slider"].to_numpy(dtype=float)), index=votes.index)


def bounds(scale: ScalePart) -> tuple[float, float]:
    """Least and greatest :func:`opinion`."""
    return CONTINUOUS if scale.method == "slider" else CATEGORICAL

"""The pilot's question: do raters repeat themselves? The formula is :mod:`analysis.stats.retest`."""

from __future__ import annotations

import pandas as pd

from analysis.stats.retest import Criteria, Retest, retest
from mos_app.study.parts import PilotPart
from mos_app.study.scale import opinion
from repro.core.errors import UserError


def pilot_report(ratings: pd.DataFrame, part: PilotPart) -> Retest:
    """Agreement between repeated ratings.

    Args:
        ratings: rating votes (rater, dataset, image, method, repeat, score, excluded).
        part: the pilot's configuration.

    Raises:
        UserError: fewer than two raters have pairs.
    """
    mine = ratings[
        (ratings["dataset"] == part.dataset)
        & (ratings["method"] == part.method)
        & (~ratings["excluded"].astype(bool))
    ]
    mine = mine.assign(score=opinion(mine))
    found = retest(mine, Criteria(part.equivalence_margin, part.within_one_at_least))
    if found is None or found.raters < 2:
        raise UserError("fewer than two raters have rated identical images twice", "at least two raters")
    return found

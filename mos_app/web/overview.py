"""What the admin's page shows of the votes, computed once for all its visitors until something changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import pandas as pd

from mos_app.db.engine import Database
from mos_app.db.studies import OpenStudy
from mos_app.db.tables import rating_votes, read_answers, read_progress, read_raters, revision
from mos_app.study.pairs import judged_raters, pair_counts
from mos_app.study.results import live_mos

FRESH_SECONDS = 20.0
"""While raters vote all the time, the tables are at most so old."""


@dataclass(frozen=True)
class Overview:
    """The admin's tables at one moment."""

    votes: pd.DataFrame
    attention: pd.DataFrame
    raters: pd.DataFrame
    progress: pd.DataFrame
    quality: pd.DataFrame
    so_far: pd.DataFrame
    """MOS, or in a paired study counts."""


class Overviews:
    """Keeps the last overview of a study: 29,328 votes take seconds to judge."""

    def __init__(self, database: Database, study: OpenStudy, clock: Callable[[], float] = monotonic) -> None:
        self._database = database
        self._study = study
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: tuple[tuple[tuple[int, int], int], float, Overview] | None = None

    def get(self, fresh: bool = False) -> Overview:
        """The overview; the last one while nothing has changed, or only votes within :data:`FRESH_SECONDS`.

        Args:
            fresh: whether new votes have to be in it.
        """
        with self._lock:
            now = self._clock()
            current = revision(self._database)
            if self._kept is not None:
                (votes, decisions), at, overview = self._kept
                late = fresh or now - at >= FRESH_SECONDS
                if decisions == current[1] and (votes == current[0] or not late):
                    return overview
            overview = self._compute()
            self._kept = (current, now, overview)
            return overview

    def _compute(self) -> Overview:
        config = self._study.config
        with self._database.read() as moment:
            answers, raters, progress = read_answers(moment), read_raters(moment), read_progress(moment)
        votes, attention = rating_votes(answers, config)
        paired = config.scale.method == "pair"
        return Overview(
            votes,
            attention,
            raters,
            progress,
            judged_raters(votes, self._study.per_rater, config, attention),
            pair_counts(votes, config) if paired else live_mos(votes, config),
        )

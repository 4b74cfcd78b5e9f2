"""How often verdicts and claims are wrong, and how often right: by simulated studies whose truth is known.

Every row simulates studies under one truth, one setting of interactions and one share of missing votes, and
counts what the code that judges real studies says of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.judge.claims import decide
from analysis.stats.claims import BY_KEY, Decision
from analysis.stats.comparison import compare
from analysis.stats.defaults import EQUIVALENCE_MARGIN, Spread
from analysis.stats.equivalence import rater_means, replication
from analysis.stats.power import expected_votes, image_qualities, votes_on
from analysis.stats.votes import DatasetRatings
from analysis.study.views import VoteView
from repro.core.streams import stream
from repro.papers.srgan import IMAGES_PER_DATASET, RATERS, TABLE2

STUDIES = 200
INTERACTIONS = {
    "none": (0.0, 0.0),
    "image x method": (0.3, 0.0),
    "rater x method": (0.0, 0.3),
    "both": (0.3, 0.3),
}
"""SD of image x method and of rater x method, in MOS."""
MISSING = (0.0, 0.2)
"""Share of votes that are missing, at random."""
SHOWN, REFUTED, OPEN = "shown", "refuted", "undecided"
_DECISIONS = {Decision.HOLDS: SHOWN, Decision.FAILS: REFUTED, Decision.UNDECIDED: OPEN}

Votes = NDArray[np.float64]


@dataclass(frozen=True)
class Statement:
    """What is judged, under one truth.

    Attributes:
        text, dataset: what and on whose design (images of the data set, the paper's raters).
        truth: in words.
        means: expected MOS of each version.
        judge: (votes (image, rater, version), true MOS on these images (version,)) -> what is said.
        wrong: what would be an error.
        right: what power counts; "" where the truth leaves nothing to find.
    """

    text: str
    dataset: str
    truth: str
    means: tuple[float, ...]
    judge: Callable[[Votes, Votes], str]
    wrong: str
    right: str = ""


@dataclass(frozen=True)
class Rate:
    """One row: a statement under one setting, and the shares of what was said of it."""

    statement: Statement
    interactions: str
    missing: float
    studies: int
    shown: float
    refuted: float

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies the row in a table that is resumed."""
        return key_of(self.statement, self.interactions, self.missing)

    def share(self, outcome: str) -> float:
        """Of the studies of which this was said."""
        rest = max(0.0, 1 - self.shown - self.refuted)  # not -1e-17, which prints as -0.0 %
        return {SHOWN: self.shown, REFUTED: self.refuted, OPEN: rest}[outcome]

    @property
    def error_bounds(self) -> tuple[float, float]:
        """Clopper and Pearson's 95 % interval of the share of errors."""
        wrong = round(self.share(self.statement.wrong) * self.studies)
        found = stats.binomtest(wrong, self.studies).proportion_ci()
        return float(found.low), float(found.high)


def key_of(statement: Statement, interactions: str, missing: float) -> tuple[str, ...]:
    """Text, data set, truth, interactions, share of missing votes."""
    return statement.text, statement.dataset, statement.truth, interactions, f"{missing:g}"


def settings() -> Iterator[tuple[Statement, str, float]]:
    """Every row, in the order of the table."""
    for statement in statements():
        for interactions in INTERACTIONS:
            for missing in MISSING:
                yield statement, interactions, missing


def rate(statement: Statement, interactions: str, missing: float, studies: int, seed: int) -> Rate:
    """Simulates one row.

    Args:
        statement: with its truth.
        interactions: a name of :data:`INTERACTIONS`.
        missing: share of missing votes.
        studies: how many.
        seed: of the streams, one a study.
    """
    image_method, rater_method = INTERACTIONS[interactions]
    spread = Spread(image_method=image_method, rater_method=rater_method)
    images = IMAGES_PER_DATASET[statement.dataset]
    said = []
    for number in range(studies):
        rng = stream(seed, "error rates", *key_of(statement, interactions, missing), number)
        quality_iv = image_qualities(rng, images, statement.means, spread)
        votes = votes_on(rng, quality_iv, RATERS, spread)
        votes[rng.random(votes.shape) < missing] = np.nan
        said.append(statement.judge(votes, expected_votes(quality_iv, spread).mean(axis=0)))
    return Rate(
        statement, interactions, missing, studies, said.count(SHOWN) / studies, said.count(REFUTED) / studies
    )


@cache
def statements() -> tuple[Statement, ...]:
    """Verdicts first, claims last; the claim on Set5, which fits the ordinal model, takes longest."""
    made = []
    for off, wrong, right in ((0.0, REFUTED, SHOWN), (EQUIVALENCE_MARGIN, SHOWN, ""), (0.5, SHOWN, REFUTED)):
        made.append(
            Statement(
                f"a MOS is reproduced within {EQUIVALENCE_MARGIN:g}",
                "Set14",
                f"off by {off:g}",
                (3.0,),
                _replicates(off),
                wrong,
                right,
            )
        )
    for dataset in ("Set14", "BSD100"):
        text = "one of two methods is better"
        made.append(Statement(text, dataset, "equal", (3.0, 3.0), _differ, SHOWN))
        apart = (3.0 + EQUIVALENCE_MARGIN / 2, 3.0 - EQUIVALENCE_MARGIN / 2)
        truth = f"{EQUIVALENCE_MARGIN:g} apart"
        made.append(Statement(text, dataset, truth, apart, _is_better, REFUTED, SHOWN))
    superior = Statement(
        "claim vgg54: one of five is best", "Set14", "", (), _claims("vgg54"), REFUTED, SHOWN
    )
    made.append(replace(superior, truth="0.25 ahead of four", means=(3.25, 3.0, 3.0, 3.0, 3.0)))
    level = (3.25, 3.25, 2.75, 2.75, 2.75)
    made.append(
        replace(superior, truth="level with one, 0.5 ahead of three", means=level, wrong=SHOWN, right="")
    )
    differ = Statement(
        "claim pairs: 35 of 36 pairs differ", "BSD100", "", (), _claims("pairs"), REFUTED, SHOWN
    )
    printed = {method: TABLE2["BSD100", method].mos for method in BY_KEY["pairs"].methods}
    printed["SelfExSR"] = printed["SRCNN"]
    made.append(replace(differ, truth="as printed", means=tuple(printed.values())))
    printed["ESPCN"] = printed["DRCN"]
    truth = "as printed, but ESPCN as good as DRCN"
    made.append(replace(differ, truth=truth, means=tuple(printed.values()), wrong=SHOWN, right=""))
    none = Statement("claim set5: none of five is best", "Set5", "", (), _claims("set5"), REFUTED, SHOWN)
    made.append(replace(none, truth="all equal", means=(3.0,) * 5))
    for lead in (EQUIVALENCE_MARGIN, 0.75):
        best = (3.0 + lead, 3.0, 3.0, 3.0, 3.0)
        made.append(replace(none, truth=f"one {lead:g} ahead", means=best, wrong=SHOWN, right=REFUTED))
    return tuple(made)


def _replicates(off: float) -> Callable[[Votes, Votes], str]:
    def judge(votes: Votes, truth: Votes) -> str:
        means = rater_means(votes[:, :, 0])
        found = replication(
            float(np.nanmean(votes)),
            float(means.std(ddof=1)),
            len(means),
            float(truth[0]) - off,
            EQUIVALENCE_MARGIN,
        )
        return SHOWN if found.within else REFUTED if found.beyond else OPEN

    return judge


def _differ(votes: Votes, truth: Votes) -> str:
    del truth
    return SHOWN if compare(votes[:, :, 0] - votes[:, :, 1]).differs else OPEN


def _is_better(votes: Votes, truth: Votes) -> str:
    del truth
    found = compare(votes[:, :, 0] - votes[:, :, 1])
    if not found.differs:
        return OPEN
    return SHOWN if found.difference > 0 else REFUTED


def _claims(key: str) -> Callable[[Votes, Votes], str]:
    claim = BY_KEY[key]

    def judge(votes: Votes, truth: Votes) -> str:
        del truth
        images, raters, _ = votes.shape
        (dataset,) = claim.datasets
        names = (tuple(map(str, range(images))), tuple(map(str, range(raters))), claim.methods)
        decision, _ = decide(claim, VoteView({dataset: DatasetRatings(dataset, *names, votes)}))
        return _DECISIONS[decision]

    return judge

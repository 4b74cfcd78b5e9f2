"""One record per value that the paper prints and a method of ours that stands beside it: the only judge.

Tables, verdict, report and the first page render these records; nothing counts rendered cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from analysis.io.methods import base_and_origin, paper_cell
from analysis.io.metrics import Metrics
from analysis.io.numbers import DECIMALS, printed_difference
from analysis.study.opinions import Opinion, Opinions
from repro.core.paths import Results
from repro.papers.srgan import TABLE1, TABLE2, TOLERANCE_IMPORTED, TOLERANCES, VARIANTS, Tolerance

METRICS = ("psnr_db", "ssim", "mos")


class Outcome(StrEnum):
    """What a record says of one printed value."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    UNDECIDED = "undecided"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Judgement:
    """One metric of one method on one data set beside what the paper prints.

    Attributes:
        dataset, method, metric: the method by its name in the results; imported ones carry their origin.
        ours: our value; None where there is none.
        paper: as printed; None where the paper prints none.
        margin: the largest difference that counts as none; None where there is none to judge by.
        outcome: NOT_JUDGED where ``ours`` or ``paper`` is missing or ``ours`` is a mean of some images only.
        why: the reason for NOT_JUDGED; "" otherwise.
        synthetic: whether simulated raters gave it; it is shown in brackets then, and counts for nothing.
    """

    dataset: str
    method: str
    metric: str
    ours: float | None
    paper: float | None
    margin: float | None
    outcome: Outcome
    why: str = ""
    synthetic: bool = False

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's, as printed."""
        if self.ours is None or self.paper is None:
            return None
        return printed_difference(self.ours, self.paper, DECIMALS[self.metric])

    @property
    def imported(self) -> bool:
        """Whether others computed the images."""
        return base_and_origin(self.method)[1] is not None


@dataclass(frozen=True)
class Judge:
    """Decides; holds what it decides from.

    Attributes:
        metrics: scores.
        opinions: what raters said.
        results: the folder they come from, to say why a score is missing.
    """

    metrics: Metrics
    opinions: Opinions
    results: Results

    def record(self, dataset: str, method: str, metric: str) -> Judgement:
        """The record of one metric of one method on one data set."""
        printed = paper_cell(dataset, method)
        paper = None if printed is None else float(getattr(printed, metric))
        if metric == "mos":
            return self._opinion(dataset, method, paper)
        return self._score(dataset, method, metric, paper)

    def printed(self) -> Iterator[Judgement]:
        """A record for every value that the paper prints, and for every imported image set beside it."""
        for dataset, base in dict.fromkeys((*TABLE2, *TABLE1)):
            for method in self.candidates(dataset, base):
                for metric in METRICS:
                    yield self.record(dataset, method, metric)

    def candidates(self, dataset: str, base: str) -> list[str]:
        """The method, unless imported images of that name alone stand for it, and those images."""
        present = self.metrics.methods(dataset) | self.opinions.rated_methods(dataset)
        imported = sorted(name for name in present if name != base and base_and_origin(name)[0] == base)
        return imported if imported and base not in present else [base, *imported]

    def why_unscored(self, dataset: str, method: str) -> str:
        """Why there is no score, and the command that makes one."""
        recorded = self.metrics.missing.get((dataset, method))
        if recorded:
            return str(recorded)
        folder = self.results.method_folder(dataset, method)
        if folder.is_dir() and next(folder.glob("*.png"), None) is not None:
            return "images are in the store, but not scored: python -m repro evaluate"
        if dataset not in self.metrics.datasets():
            return (
                "nothing of this data set was scored: make data fetches its images, make reproduce scores "
                "them"
            )
        if method in VARIANTS:
            return "this variant is not trained or not upscaled here: make reproduce"
        return (
            "no images by this method in the image store for this data set: python -m repro upscale or import"
        )

    def _score(self, dataset: str, method: str, metric: str, paper: float | None) -> Judgement:
        mean = self.metrics.mean(dataset, method, metric)
        allowed = tolerance(method)
        margin = None if allowed is None else float(getattr(allowed, metric))

        def found(ours: float | None, outcome: Outcome, why: str = "") -> Judgement:
            return Judgement(dataset, method, metric, ours, paper, margin, outcome, why)

        if mean is None:
            return found(None, Outcome.NOT_JUDGED, self.why_unscored(dataset, method))
        if not mean.complete:
            why = f"mean of {mean.images} of {mean.expected} images; not judged"
            return found(mean.value, Outcome.NOT_JUDGED, why)
        if paper is None or margin is None:
            return found(mean.value, Outcome.NOT_JUDGED)
        digits = DECIMALS[metric]
        near = abs(printed_difference(mean.value, paper, digits)) <= margin + 10 ** -(digits + 3)
        return found(mean.value, Outcome.REPRODUCED if near else Outcome.NOT_REPRODUCED)

    def _opinion(self, dataset: str, method: str, paper: float | None) -> Judgement:
        opinion = self.opinions.opinion(dataset, method)
        synthetic = self.opinions.synthetic
        if isinstance(opinion, str):
            return Judgement(
                dataset, method, "mos", None, paper, None, Outcome.NOT_JUDGED, opinion, synthetic
            )
        outcome = _covers(opinion, paper)
        return Judgement(dataset, method, "mos", opinion.mos, paper, None, outcome, "", synthetic)


def _covers(opinion: Opinion, paper: float | None) -> Outcome:
    if paper is None or opinion.low is None or opinion.high is None:
        return Outcome.NOT_JUDGED
    return Outcome.REPRODUCED if opinion.low <= paper <= opinion.high else Outcome.NOT_REPRODUCED


def tolerance(method: str) -> Tolerance | None:
    """How near to the paper's value a method's must be; None for methods that the paper does not have."""
    base, origin = base_and_origin(method)
    if base not in TOLERANCES:
        return None
    return TOLERANCE_IMPORTED if origin else TOLERANCES[base]

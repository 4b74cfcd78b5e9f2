"""One record per value that the paper prints and a method of ours that stands beside it: the only judge.

Three verdicts. *Reproduced*: shown to be the printed value within a stated margin. *Not reproduced*: shown
to differ by more. *Undecided*: neither is shown, and the record says how many raters or training seeds would
decide. What leaves nothing to chance (interpolation, published weights, published images) is always decided.
Tables, verdict, report and the first page render these records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from analysis.io.methods import base_and_origin, paper_cell
from analysis.io.metrics import Metrics
from analysis.io.numbers import DECIMALS, printed_difference
from analysis.judge.seeds import SeedSpread, family, seed_spreads
from analysis.stats.defaults import EQUIVALENCE_MARGIN
from analysis.stats.design import needed
from analysis.stats.equivalence import Equivalence, equivalence, replication
from analysis.study.opinions import Opinions
from repro.core.paths import Results
from repro.papers.srgan import TABLE1, TABLE2, TOLERANCE_IMPORTED, TOLERANCES, VARIANTS, Tolerance

METRICS = ("psnr_db", "ssim", "mos")
PROTOCOL_METHODS = ("nearest", "bicubic", "HR")


class Outcome(StrEnum):
    """What a record says of one printed value."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    UNDECIDED = "undecided"
    NOT_JUDGED = "not judged"


class Kind(StrEnum):
    """What a record's value is evidence of."""

    PROTOCOL = "protocol"
    BASELINE = "baseline"
    RESCORED = "re-scored"
    TRAINED = "trained here"


@dataclass(frozen=True)
class Judgement:
    """One metric of one method on one data set beside what the paper prints.

    Attributes:
        dataset, method, metric: the method by its name in the results; imported ones carry their origin.
        kind: what it is evidence of.
        ours: our value; None where there is none.
        paper: as printed; None where the paper prints none.
        margin: the largest difference that counts as none; None where there is none to judge by.
        outcome: NOT_JUDGED where a value is missing or ``ours`` is a mean of some images only.
        why: the reason for NOT_JUDGED, what would decide for UNDECIDED, "" otherwise.
        bounds: of our value, one-sided at 5 % each; None where nothing is left to chance.
        partial: whether ``ours`` is a mean of some of the data set's images.
        synthetic: whether simulated raters gave it; it is shown in brackets then, and counts for nothing.
    """

    dataset: str
    method: str
    metric: str
    kind: Kind
    ours: float | None
    paper: float | None
    margin: float | None
    outcome: Outcome
    why: str = ""
    bounds: tuple[float, float] | None = None
    partial: bool = False
    synthetic: bool = False

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's, as printed."""
        if self.ours is None or self.paper is None:
            return None
        return printed_difference(self.ours, self.paper, DECIMALS[self.metric])


@dataclass(frozen=True)
class Judge:
    """Decides; holds what it decides from.

    Attributes:
        metrics: scores.
        opinions: what raters said.
        results: the folder they come from, to say why a score is missing.
        seeds: how networks vary with the training seed.
    """

    metrics: Metrics
    opinions: Opinions
    results: Results
    seeds: Mapping[tuple[str, str], SeedSpread] = field(default_factory=lambda: seed_spreads(()))

    def record(self, dataset: str, method: str, metric: str) -> Judgement:
        """The record of one metric of one method on one data set."""
        printed = paper_cell(dataset, method)
        paper = None if printed is None else float(getattr(printed, metric))
        if metric == "mos":
            return self._opinion(dataset, method, paper)
        return self._score(dataset, method, metric, paper)

    def printed(self) -> list[Judgement]:
        """One record for every value that the paper prints: of ours, else of imported images."""
        return [
            self._first(dataset, base, metric)
            for dataset, base in dict.fromkeys((*TABLE2, *TABLE1))
            for metric in METRICS
        ]

    def second_readings(self) -> Iterator[Judgement]:
        """Imported images of values that ours are counted for already: shown, and never counted."""
        for dataset, base in dict.fromkeys((*TABLE2, *TABLE1)):
            for metric in METRICS:
                first = self._first(dataset, base, metric)
                for method in self._imported(dataset, base):
                    record = self.record(dataset, method, metric)
                    if method != first.method and record.ours is not None:
                        yield record

    def why_unscored(self, dataset: str, method: str) -> str:
        """Why there is no score, and the command that makes one."""
        recorded = self.metrics.missing.get((dataset, method))
        if recorded:
            return str(recorded)
        folder = self.results.method_folder(dataset, method)
        if folder.is_dir() and next(folder.glob("*.png"), None) is not None:
            return "images are in the store, but not scored: python -m repro evaluate"
        if dataset not in self.metrics.datasets():
            return "nothing of this data set was scored: make data fetches it, make reproduce scores it"
        if method in VARIANTS:
            return "this variant is not trained or not upscaled here: make reproduce"
        return "no images by this method in the image store: python -m repro upscale or import"

    def _imported(self, dataset: str, base: str) -> list[str]:
        present = self.metrics.methods(dataset) | self.opinions.rated_methods(dataset)
        return sorted(name for name in present if name != base and base_and_origin(name)[0] == base)

    def _first(self, dataset: str, base: str, metric: str) -> Judgement:
        ours = self.record(dataset, base, metric)
        if ours.ours is not None:
            return ours
        for method in self._imported(dataset, base):
            record = self.record(dataset, method, metric)
            if record.ours is not None:
                return record
        return ours

    def _score(self, dataset: str, method: str, metric: str, paper: float | None) -> Judgement:
        mean = self.metrics.mean(dataset, method, metric)
        allowed = tolerance(method)
        margin = None if allowed is None else float(getattr(allowed, metric))
        kind, digits = kind_of(method), DECIMALS[metric]

        def found(
            ours: float | None,
            outcome: Outcome,
            why: str = "",
            bounds: tuple[float, float] | None = None,
            partial: bool = False,
        ) -> Judgement:
            return Judgement(
                dataset, method, metric, kind, ours, paper, margin, outcome, why, bounds, partial
            )

        if mean is None:
            return found(None, Outcome.NOT_JUDGED, self.why_unscored(dataset, method))
        if not mean.complete:
            why = f"mean of {mean.images} of {mean.expected} images"
            return found(mean.value, Outcome.NOT_JUDGED, why, partial=True)
        if paper is None or margin is None:
            return found(mean.value, Outcome.NOT_JUDGED, "the paper prints no such value")
        difference, rounding = printed_difference(mean.value, paper, digits), 10.0 ** -(digits + 3)
        if not depends_on_seed(method):
            near = abs(difference) <= margin + rounding
            return found(mean.value, Outcome.REPRODUCED if near else Outcome.NOT_REPRODUCED)
        spread = self.seeds[family(method), metric]
        shown = equivalence(difference, spread.deviation, spread.degrees, margin + rounding)
        return found(
            mean.value,
            _outcome(shown),
            _would_decide(shown, needed(difference, spread.deviation, margin), "training seeds"),
            (mean.value - difference + shown.low, mean.value - difference + shown.high),
        )

    def _opinion(self, dataset: str, method: str, paper: float | None) -> Judgement:
        opinion = self.opinions.opinion(dataset, method)
        synthetic, kind, margin = self.opinions.synthetic, kind_of(method), EQUIVALENCE_MARGIN
        if isinstance(opinion, str):
            return Judgement(
                dataset, method, "mos", kind, None, paper, margin, Outcome.NOT_JUDGED, opinion, None, False,
                synthetic,
            )  # fmt: skip
        outcome, why, bounds = Outcome.NOT_JUDGED, "", None
        if paper is None:
            why = "the paper prints no such value"
        elif opinion.partial:
            why = "not all of the data set's images were rated"
        elif opinion.raters < 2:
            outcome, why = Outcome.UNDECIDED, "a single rater: two are the least"
        else:
            shown = replication(opinion.mos, opinion.deviation, opinion.raters, paper, margin)
            outcome, bounds = _outcome(shown), (paper + shown.low, paper + shown.high)
            why = _would_decide(shown, needed(shown.difference, opinion.deviation, margin), "raters")
        return Judgement(
            dataset, method, "mos", kind, opinion.mos, paper, margin, outcome, why, bounds, opinion.partial,
            synthetic,
        )  # fmt: skip


def _outcome(shown: Equivalence) -> Outcome:
    if shown.within:
        return Outcome.REPRODUCED
    return Outcome.NOT_REPRODUCED if shown.beyond else Outcome.UNDECIDED


def _would_decide(shown: Equivalence, units: int | None, what: str) -> str:
    if shown.within or shown.beyond:
        return ""
    return f"about {units} {what} would decide" if units else f"too near the margin for any number of {what}"


def kind_of(method: str) -> Kind:
    """What a method's values are evidence of."""
    base, origin = base_and_origin(method)
    if origin:
        return Kind.RESCORED
    if base in PROTOCOL_METHODS:
        return Kind.PROTOCOL
    return Kind.TRAINED if base in VARIANTS else Kind.BASELINE


def tolerance(method: str) -> Tolerance | None:
    """How near to the paper's value a method's must be; None for methods that the paper does not have."""
    base, origin = base_and_origin(method)
    if base not in TOLERANCES:
        return None
    return TOLERANCE_IMPORTED if origin else TOLERANCES[base]


def depends_on_seed(method: str) -> bool:
    """Whether it is a network that was trained here."""
    base, origin = base_and_origin(method)
    return not origin and (base in VARIANTS or base in {"DRCN", "ESPCN"})

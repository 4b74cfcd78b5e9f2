"""What our data say of each of the paper's claims (:mod:`analysis.stats.claims`).

A claim *holds* where the test shows it, *does not hold* where the test shows the opposite, and is *undecided*
otherwise: not significant is not refuted. Where a method or data set that it needs is missing it is *not
judged*.

"Better than all others" and "every pair differs" are intersection-union tests (Berger 1982): the claim is
false if one comparison is, so each comparison is tested at 5 %, two-sided, and the claim as a whole has that
level without any correction. Against the claim one comparison is enough, so each then has its share of 5 %
(Bonferroni). "None better" is shown, method by method, where one of its leads is excluded (Simes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Protocol

from analysis.io.methods import base_and_origin
from analysis.io.metrics import Metrics
from analysis.io.numbers import signed
from analysis.stats.claims import CLAIMS, Claim, Decision, Shape, at_margin
from analysis.stats.comparison import Comparison
from analysis.stats.defaults import EQUIVALENCE_MARGIN
from analysis.study.results import Study
from repro.papers.srgan import SIGNIFICANCE_LEVEL, TABLE2


class View(Protocol):
    """Votes as a rater model sees them."""

    def methods(self, dataset: str) -> set[str]: ...

    def unable(self, dataset: str) -> str:
        """Why it cannot compare on a data set; "" where it can."""
        ...

    def compare(self, dataset: str, first: str, second: str) -> Comparison: ...

    def power(self, dataset: str, difference: float) -> float | None:
        """How often the design finds a difference; None where its spread cannot be had."""
        ...


@dataclass(frozen=True)
class Result:
    """A claim re-tested.

    Attributes:
        claim: what was claimed.
        decision: of our test.
        paper_mode: what the paper's own test (votes as independent) gives: "holds", "not shown" or "–".
        sentence: what our data say.
        synthetic: whether simulated raters decided.
    """

    claim: Claim
    decision: Decision
    paper_mode: str
    sentence: str
    synthetic: bool = False


@dataclass
class _Found:
    """Comparisons of one claim, sorted by what they show."""

    shown: list[str] = field(default_factory=list)
    refuted: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    powers: list[float] = field(default_factory=list)

    @property
    def decision(self) -> Decision:
        if self.refuted:
            return Decision.FAILS
        return Decision.UNDECIDED if self.left else Decision.HOLDS

    def words(self) -> list[str]:
        """Counts first, then names, then the power of the weakest comparison left."""
        total = len(self.shown) + len(self.refuted) + len(self.left)
        found = [f"{len(self.shown)} of {total} comparisons shown"]
        found += [f"against: {_few(self.refuted)}"] if self.refuted else []
        found += [f"open: {_few(self.left)}"] if self.left else []
        if self.left and self.powers:
            found.append(
                f"the design finds a difference of {EQUIVALENCE_MARGIN:g} MOS in {min(self.powers):.0%} of "
                "studies"
            )
        return found


def retested_claims(metrics: Metrics, study: Study | None, pilot: Study | None) -> list[Result]:
    """All claims, in the order of the paper."""
    return [retested(claim, metrics, study, pilot) for claim in CLAIMS]


def retested(claim: Claim, metrics: Metrics, study: Study | None, pilot: Study | None) -> Result:
    """One claim."""
    if claim.shape is Shape.FIRST_SCORES:
        return _first_scores(claim, metrics)
    if claim.shape is Shape.REPEATABLE:
        return _repeatable(claim, pilot)
    view = None if study is None else study.view
    decision, sentence = decide(claim, view)
    paper_mode = "–"
    if decision is not Decision.NOT_JUDGED and study is not None:
        paper_mode = "holds" if _paper_mode(claim, study) else "not shown"
    return Result(claim, decision, paper_mode, sentence, study is not None and study.synthetic)


@dataclass(frozen=True)
class Sensitivity:
    """A claim under every model of the raters: name -> (decision, sentence)."""

    claim: Claim
    decisions: Mapping[str, tuple[Decision, str]]

    def unfitted(self, name: str) -> bool:
        """Whether this model could not judge what the plain votes could."""
        plain, *_ = self.decisions.values()
        judged = plain[0] is not Decision.NOT_JUDGED
        return judged and self.decisions[name][0] is Decision.NOT_JUDGED

    @property
    def agree(self) -> bool | None:
        """Whether all models that judge say the same; None where none judges."""
        said = {decision for decision, _ in self.decisions.values()} - {Decision.NOT_JUDGED}
        return len(said) == 1 if said else None


def sensitivities(study: Study) -> list[Sensitivity]:
    """Every claim on opinions under every view of the study's votes."""
    return [
        Sensitivity(claim, {name: decide(claim, view) for name, view in study.views.items()})
        for claim in CLAIMS
        if claim.shape in _SHAPES
    ]


def decide(claim: Claim, view: View | None) -> tuple[Decision, str]:
    """What a view of the votes says of a claim on opinions, and a sentence."""
    missing = _missing(claim, lambda dataset: set() if view is None else view.methods(dataset))
    if view is None:
        return Decision.NOT_JUDGED, "No ratings."
    if missing:
        return Decision.NOT_JUDGED, f"Not rated: {_few(missing)}."
    if refused := [reason for dataset in claim.datasets if (reason := view.unable(dataset))]:
        return Decision.NOT_JUDGED, _sentence(refused)
    found = _Found()
    for dataset in claim.datasets:
        names = {method: stand_in(view.methods(dataset), method) or method for method in claim.methods}
        _SHAPES[claim.shape](claim, view, dataset, names, found)
    return found.decision, _sentence(found.words())


def _superior_to_each(claim: Claim, view: View, dataset: str, names: dict[str, str], found: _Found) -> None:
    first = names[claim.methods[0]]
    tests = len(claim.datasets) * (len(claim.methods) - 1)
    for other in (names[method] for method in claim.methods[1:]):
        compared = view.compare(dataset, first, other)
        words = f"{other} on {dataset} ({signed(round(compared.difference, 2), 2)})"
        if compared.differs and compared.difference > 0:
            found.shown.append(words)
        elif compared.opposite(tests=tests):
            found.refuted.append(words)
        else:
            found.left.append(words)
            _note_power(view, dataset, found)


def _every_pair_differs(claim: Claim, view: View, dataset: str, names: dict[str, str], found: _Found) -> None:
    margin = claim.margin or 0.0
    every = list(combinations(claim.methods, 2))
    for one, other in every:
        compared = view.compare(dataset, names[one], names[other])
        words = f"{names[one]} and {names[other]}"
        if {one, other} == set(claim.exception or ()):
            beyond = compared.differs and compared.beyond(margin, tests=len(every))
            same = compared.equivalent(margin)
            (found.shown if same else found.refuted if beyond else found.left).append(words)
        else:
            # what was printed can be excluded; that there is no difference at all cannot. One excluded pair
            # refutes the claim, so each is tested at its share of 5 %
            excluded = compared.excludes(_printed_difference(dataset, one, other), tests=len(every))
            (found.shown if compared.differs else found.refuted if excluded else found.left).append(words)
    if found.left:
        _note_power(view, dataset, found)


def _printed_difference(dataset: str, one: str, other: str) -> float:
    return abs(TABLE2[dataset, one].mos - TABLE2[dataset, other].mos)


def _none_better_than_each(
    claim: Claim, view: View, dataset: str, names: dict[str, str], found: _Found
) -> None:
    """Refuted by a best one; shown where each has another that it does not lead by the margin."""
    margin = claim.margin or 0.0
    for method in names.values():
        others = [view.compare(dataset, method, other) for other in names.values() if other != method]
        if all(compared.differs and compared.difference > 0 for compared in others):
            found.refuted.append(f"{method} is best")
        elif _one_below(margin, others):
            found.shown.append(method)
        else:
            found.left.append(f"{method} may lead by {margin:g}")
    if found.left:
        _note_power(view, dataset, found)


def _one_below(margin: float, others: Sequence[Comparison]) -> bool:
    """Whether a lead over one of the others, whichever, is shown to be below the margin, at 5 % (Simes 1986).

    Some k of the n are shown at k / n of 5 %. All leads share one method, so they rise and fall together,
    which is what the inequality needs; where all are small it has far more power than Bonferroni's k = 1.
    """
    n = len(others)
    return any(sum(compared.below(margin, tests=n / k) for compared in others) >= k for k in range(1, n + 1))


_SHAPES: dict[Shape, Callable[[Claim, View, str, dict[str, str], _Found], None]] = {
    Shape.SUPERIOR: _superior_to_each,
    Shape.ALL_DIFFER: _every_pair_differs,
    Shape.NONE_BEST: _none_better_than_each,
}


def _note_power(view: View, dataset: str, found: _Found) -> None:
    power = view.power(dataset, EQUIVALENCE_MARGIN)
    if power is not None:
        found.powers.append(power)


def _paper_mode(claim: Claim, study: Study) -> bool:
    """Whether the paper's own test would have printed the claim: every vote a sample, uncorrected."""
    verdicts = []
    for dataset in claim.datasets:
        tests = study.datasets[dataset].tests
        names = {m: stand_in(study.rated_methods(dataset), m) or m for m in claim.methods}
        every = list(names.values())
        if claim.shape is Shape.SUPERIOR:
            verdicts.append(tests.best_of(every[0], every[1:], robust=False))
        elif claim.shape is Shape.NONE_BEST:
            verdicts.append(
                not any(tests.best_of(m, [o for o in every if o != m], robust=False) for m in every)
            )
        else:
            # of the claim's methods: others may have been rated beside them
            pairs = [{pair.first, pair.second} for pair in tests.pairs if not pair.differs_paper]
            exception = {names[method] for method in claim.exception or ()}
            verdicts.append([pair for pair in pairs if pair <= set(every)] == [exception])
    return all(verdicts)


def _first_scores(claim: Claim, metrics: Metrics) -> Result:
    """Published images stand for their methods; a network of ours only where its schedule was not cut."""

    def finished(dataset: str) -> set[str]:
        return {
            method
            for method in metrics.methods(dataset)
            if (mean := metrics.mean(dataset, method, "psnr_db")) is not None
            and mean.complete
            and not any(
                note.startswith("shortened schedule") for note in metrics.notes.get((dataset, method), ())
            )
        }

    at_hand, against = 0, []
    for dataset in claim.datasets:
        present = finished(dataset)
        first = stand_in(present, claim.methods[0])
        others = [found for method in claim.methods[1:] if (found := stand_in(present, method))]
        if first is None or not others:
            continue
        for metric, name in (("psnr_db", "PSNR"), ("ssim", "SSIM")):
            means = {
                method: mean.value
                for method in (first, *others)
                if (mean := metrics.mean(dataset, method, metric)) is not None
            }
            best = max(means, key=lambda method: means[method])
            at_hand += 1
            if best != first:
                against.append(f"on {dataset} {best} has the higher {name}")
    words = [f"SRResNet-MSE is first in {at_hand - len(against)} of {at_hand} rankings of what is at hand"]
    words += against
    missing = _missing(claim, finished)
    if missing:
        words.append(f"no finished images: {_few(missing)}")
    decision = Decision.FAILS if against else Decision.NOT_JUDGED if missing else Decision.HOLDS
    return Result(claim, decision, "–", _sentence(words))


def _repeatable(claim: Claim, pilot: Study | None) -> Result:
    found = None if pilot is None else pilot.retest
    if found is None:
        return Result(claim, Decision.NOT_JUDGED, "–", "No image was shown twice.")
    low, high, margin = found.difference.low, found.difference.high, found.criteria.margin
    claim = at_margin(claim, margin)
    decision = Decision.UNDECIDED
    if found.equivalent:
        decision = Decision.HOLDS
    elif low is not None and high is not None and (low > margin or high < -margin):
        decision = Decision.FAILS
    return Result(
        claim,
        decision,
        "not shown" if found.wilcoxon.p < SIGNIFICANCE_LEVEL else "holds",
        f"{found.sentence} {found.pairs:,} pairs by {found.raters} raters: same score in {found.exact:.0%}, "
        f"at most one apart in {found.within_one:.0%}.",
        pilot is not None and pilot.synthetic,
    )


def stand_in(methods: Iterable[str], wanted: str) -> str | None:
    """The published images of a method where there is one such set, else our own, else None.

    A claim is about the paper's methods; the images that their authors published are those methods.
    """
    present = list(methods)
    imported = [method for method in present if method != wanted and base_and_origin(method)[0] == wanted]
    if len(imported) == 1:
        return imported[0]
    return wanted if wanted in present else None


def _missing(claim: Claim, present: Callable[[str], set[str]]) -> list[str]:
    return [
        f"{method} on {dataset}"
        for dataset in claim.datasets
        for method in claim.methods
        if stand_in(present(dataset), method) is None
    ]


def _few(words: Sequence[str], most: int = 6) -> str:
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def _sentence(words: Sequence[str]) -> str:
    text = "; ".join(words)
    return text[:1].upper() + text[1:] + "."

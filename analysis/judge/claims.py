"""The paper's claims, one by one, and a sentence on each that says what our data say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.io.methods import base_and_origin
from analysis.io.metrics import Metrics
from analysis.stats.significance import PairTest
from analysis.study.results import DatasetResult, Study
from repro.papers.srgan import DATASETS, SIGNIFICANCE_LEVEL, TABLE2_METHODS, VARIANTS, VERSIONS_BSD100

HOLDS, FAILS, OPEN, NO_DATA = "holds", "does not hold", "cannot be decided", "no data"


@dataclass(frozen=True)
class Claim:
    """A claim re-tested.

    Attributes:
        claim: the paper's claim in our words, with its place.
        paper_mode, robust_mode: "holds", "does not hold", "cannot be decided" or "no data".
        sentence: what our data say.
    """

    claim: str
    paper_mode: str
    robust_mode: str
    sentence: str


def retested_claims(metrics: Metrics, study: Study | None, pilot: Study | None) -> list[Claim]:
    """All claims, in the order of the paper; those without data say so."""
    return [
        _srresnet_best_scores(metrics),
        _no_best_loss_on_set5(study),
        _better_than(
            "Set14",
            "SRGAN-VGG54",
            [method for method in VARIANTS if method != "SRGAN-VGG54"],
            "SRGAN-VGG54 is significantly better than all other variants on Set14 (Table 1)",
            study,
        ),
        _better_than(
            "Set14",
            "SRResNet-VGG22",
            ["SRResNet-MSE"],
            "SRResNet-VGG22 is significantly better than SRResNet-MSE on Set14 (star of Table 1)",
            study,
        ),
        _srgan_best_mos(study),
        _all_pairs_differ(study),
        _pilot(pilot),
    ]


def _stand_in(methods: Sequence[str] | set[str], wanted: str) -> str | None:
    """Our own method where it is there, else the only imported one of that name, else None."""
    if wanted in methods:
        return wanted
    imported = [method for method in methods if base_and_origin(method)[0] == wanted]
    return imported[0] if len(imported) == 1 else None


def _missing(claim: str, dataset: str, methods: Sequence[str] = ()) -> Claim:
    what = f"{', '.join(methods)} on {dataset}" if methods else dataset
    return Claim(claim, NO_DATA, NO_DATA, f"{what} was not rated.")


def _srresnet_best_scores(metrics: Metrics) -> Claim:
    claim = "SRResNet has the highest PSNR and SSIM of Table 2 on Set5, Set14 and BSD100 (Section 3.6)"
    words, verdicts = [], []
    for dataset in DATASETS:
        present = metrics.methods(dataset)
        ours = _stand_in(present, "SRResNet-MSE")
        rivals = [
            found
            for method in TABLE2_METHODS
            if method not in {"SRResNet-MSE", "HR"} and (found := _stand_in(present, method))
        ]
        if ours is None or not rivals:
            continue
        for metric, name in (("psnr_db", "PSNR"), ("ssim", "SSIM")):
            means = {method: metrics.mean(dataset, method, metric) for method in [ours, *rivals]}
            full = {
                method: mean.value for method, mean in means.items() if mean is not None and mean.complete
            }
            if ours not in full or len(full) < 2:
                continue
            best = max(full, key=lambda method: full[method])
            verdicts.append(best == ours)
            if best != ours:
                words.append(f"on {dataset} {best} has the higher {name}")
    if not verdicts:
        return Claim(
            claim, NO_DATA, NO_DATA, "SRResNet-MSE and its rivals were not scored on these data sets."
        )
    verdict = HOLDS if all(verdicts) else FAILS
    judged = f"{sum(verdicts)} of {len(verdicts)} comparisons of data set and metric"
    sentence = f"SRResNet-MSE is first in {judged} against the methods at hand"
    sentence += f"; {'; '.join(words)}." if words else "."
    return Claim(claim, verdict, "–", sentence)


def _no_best_loss_on_set5(study: Study | None) -> Claim:
    claim = "No loss is significantly best on Set5 (Table 1)"
    result = _dataset(study, "Set5")
    rated = (
        [] if result is None else [found for m in VARIANTS if (found := _stand_in(set(result.methods), m))]
    )
    if result is None or len(rated) < 2:
        return _missing(claim, "Set5", VARIANTS)
    winners = {
        robust: [m for m in rated if result.tests.best_of(m, [o for o in rated if o != m], robust=robust)]
        for robust in (False, True)
    }
    words = [
        f"in paper mode {winners[False][0]} is significantly better than every other"
        if winners[False]
        else "in paper mode none is significantly better than every other"
    ]
    if result.undecidable:
        robust_verdict = OPEN
        words.append(_undecidable_words(result))
    else:
        robust_verdict = FAILS if winners[True] else HOLDS
        words.append(f"in robust mode {winners[True][0] if winners[True] else 'none'} is")
    if len(rated) < len(VARIANTS):
        words.append(f"only {len(rated)} of {len(VARIANTS)} variants were rated")
    return Claim(claim, FAILS if winners[False] else HOLDS, robust_verdict, _sentence(words))


def _better_than(dataset: str, method: str, rivals: list[str], claim: str, study: Study | None) -> Claim:
    result = _dataset(study, dataset)
    if result is None:
        return _missing(claim, dataset)
    present = set(result.methods)
    ours = _stand_in(present, method)
    found = [stand_in for rival in rivals if (stand_in := _stand_in(present, rival))]
    if ours is None or not found:
        return _missing(claim, dataset, [method, *rivals])
    verdicts, words = [], []
    for robust, mode in ((False, "paper"), (True, "robust")):
        beaten = [rival for rival in found if _favours(result, ours, rival, robust=robust)]
        left = [rival for rival in found if rival not in beaten]
        if robust and left and result.undecidable:
            verdicts.append(OPEN)
            words.append(_undecidable_words(result))
            continue
        verdicts.append(HOLDS if not left else FAILS)
        words.append(f"in {mode} mode {ours} is {_against(beaten, left)}")
    if len(found) < len(rivals):
        words.append(f"{len(rivals) - len(found)} of the {len(rivals)} rivals were not rated")
    means = ", ".join(f"{m} {result.methods[m].mos.mean:.2f}" for m in [ours, *found])
    return Claim(claim, verdicts[0], verdicts[1], _sentence([*words, f"MOS: {means}"]))


def _against(beaten: list[str], left: list[str]) -> str:
    if not left:
        return f"significantly better than {', '.join(beaten)}"
    if not beaten:
        return f"not significantly better than {', '.join(left)}"
    return f"significantly better than {', '.join(beaten)}, but not than {', '.join(left)}"


def _srgan_best_mos(study: Study | None) -> Claim:
    claim = (
        "SRGAN has the highest MOS of Table 2 (HR aside) on Set5, Set14 and BSD100, significantly "
        "(Section 3.6)"
    )
    words: list[str] = []
    verdicts: dict[bool, list[str]] = {False: [], True: []}
    for dataset in DATASETS:
        result = _dataset(study, dataset)
        if result is None:
            continue
        present = set(result.methods)
        ours = _stand_in(present, "SRGAN-VGG54")
        rivals = [
            found
            for method in TABLE2_METHODS
            if method not in {"SRGAN-VGG54", "HR"} and (found := _stand_in(present, method))
        ]
        if ours is None or not rivals:
            continue
        for robust in (False, True):
            left = [rival for rival in rivals if not _favours(result, ours, rival, robust=robust)]
            if robust and left and result.undecidable:
                verdicts[robust].append(OPEN)
                words.append(f"{dataset}: {_undecidable_words(result)}")
                continue
            verdicts[robust].append(FAILS if left else HOLDS)
            mode = "robust" if robust else "paper"
            against = (
                f"not significantly above {', '.join(left)}" if left else f"above all {len(rivals)} rivals"
            )
            words.append(f"{dataset}, {mode} mode: {ours} is {against}")
    if not verdicts[False]:
        return _missing(claim, "no data set of the paper", ["SRGAN-VGG54"])
    return Claim(claim, _combined(verdicts[False]), _combined(verdicts[True]), _sentence(words))


def _all_pairs_differ(study: Study | None) -> Claim:
    claim = "On BSD100 every pair of methods differs significantly except SRCNN and SelfExSR (Section 3.6)"
    result = _dataset(study, "BSD100")
    if result is None:
        return _missing(claim, "BSD100")
    found = {method: _stand_in(set(result.methods), method) for method in VERSIONS_BSD100}
    rated = {name for name in found.values() if name is not None}
    exception = {found["SRCNN"], found["SelfExSR"]}
    pairs = [pair for pair in result.tests.pairs if {pair.first, pair.second} <= rated]
    if not pairs:
        return _missing(claim, "BSD100", VERSIONS_BSD100)
    verdicts, words = [], []
    for robust, mode in ((False, "paper"), (True, "robust")):

        def differs(pair: PairTest, robust: bool = robust) -> bool:
            return pair.differs_robust if robust else pair.differs_paper

        same = [pair for pair in pairs if not differs(pair)]
        holds = all({pair.first, pair.second} == exception for pair in same) and (
            None in exception or len(same) == 1
        )
        undecided = robust and not holds and bool(result.undecidable)
        verdicts.append(OPEN if undecided else HOLDS if holds else FAILS)
        names = ", ".join(f"{pair.first} and {pair.second}" for pair in same) or "none"
        words.append(
            f"in {mode} mode {len(pairs) - len(same)} of {len(pairs)} pairs differ; without a "
            f"difference: {names}"
        )
    if len(rated) < len(VERSIONS_BSD100):
        words.append(f"only {len(rated)} of {len(VERSIONS_BSD100)} versions were rated")
    return Claim(claim, verdicts[0], verdicts[1], _sentence(words))


def _pilot(pilot: Study | None) -> Claim:
    claim = "Raters do not differ significantly between two ratings of identical images (Section 3.3, pilot)"
    result = None if pilot is None else pilot.retest
    if result is None:
        return Claim(claim, NO_DATA, NO_DATA, "No image was shown twice.")
    return Claim(
        claim,
        FAILS if result.wilcoxon.p < SIGNIFICANCE_LEVEL else HOLDS,
        HOLDS if result.go else FAILS,
        f"{result.sentence} {result.pairs:,} pairs by {result.raters} raters: same score in "
        f"{result.exact:.0%}, "
        f"at most one apart in {result.within_one:.0%}. Robust: equivalence has to be shown.",
    )


def _dataset(study: Study | None, name: str) -> DatasetResult | None:
    return None if study is None else study.datasets.get(name)


def _favours(result: DatasetResult, method: str, rival: str, *, robust: bool) -> bool:
    test = result.tests.between(method, rival)
    return test is not None and test.favours(method, robust=robust)


def _undecidable_words(result: DatasetResult) -> str:
    return f"robust mode cannot decide: {result.undecidable}"


def _combined(verdicts: list[str]) -> str:
    for verdict in (FAILS, OPEN):
        if verdict in verdicts:
            return verdict
    return HOLDS


def _sentence(words: list[str]) -> str:
    text = "; ".join(words)
    return text[:1].upper() + text[1:] + "."

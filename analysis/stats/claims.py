"""The paper's claims as data: what each needs, and by which test, family and margin it is judged.

Beside the formulas because a study is planned by them before anyone votes: ``mos_app init`` freezes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from analysis.stats.defaults import EQUIVALENCE_MARGIN
from repro.papers.srgan import DATASETS, TABLE2_METHODS, VARIANTS, VERSIONS_BSD100


class Decision(StrEnum):
    """What our data say of a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNDECIDED = "undecided"
    NOT_JUDGED = "not judged"


class Shape(StrEnum):
    """What kind of statement a claim is."""

    FIRST_SCORES = "highest mean of scores"
    SUPERIOR = "better than each"
    NONE_BEST = "none better than each other"
    ALL_DIFFER = "every pair differs but one"
    REPEATABLE = "two showings equivalent"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes:
        key: short name, for preregistration.
        text: in our words, with its place.
        shape: which statement it is.
        datasets: all of them are needed.
        methods: all of them are needed on every data set; the first is the one that is claimed to be better.
        family: how many comparisons, and how they are combined.
        margin: in MOS, for what has to be shown equivalent; None where nothing has.
        test: of one comparison.
        exception: the pair that is not to differ.
    """

    key: str
    text: str
    shape: Shape
    datasets: tuple[str, ...]
    methods: tuple[str, ...]
    family: str
    margin: float | None
    test: str
    exception: tuple[str, str] | None = None

    @property
    def plan(self) -> str:
        """Family, margin and test in one line."""
        margin = f"; margin {self.margin:g} MOS" if self.margin is not None else ""
        return f"{self.family}; {self.test}{margin}"


_ROBUST = "signed ranks per image and per rater, and t over both (t and the ordinal model on under 6 images)"
_NOT_HR = tuple(method for method in TABLE2_METHODS if method != "HR")
_NOT_SRGAN = tuple(method for method in _NOT_HR if method != "SRGAN-VGG54")


def _superior(key: str, text: str, datasets: tuple[str, ...], method: str, others: Iterable[str]) -> Claim:
    methods = (method, *(other for other in others if other != method))
    count = len(datasets) * (len(methods) - 1)
    many = f"{count} comparisons, all must hold (intersection-union; against: one at 5 % / {count})"
    family = many if count > 1 else "1 comparison"
    return Claim(key, text, Shape.SUPERIOR, datasets, methods, family, None, _ROBUST)


CLAIMS = (
    Claim(
        "scores",
        "SRResNet has the highest PSNR and SSIM of Table 2 on Set5, Set14 and BSD100 (Section 3.6)",
        Shape.FIRST_SCORES,
        DATASETS,
        ("SRResNet-MSE", *(method for method in _NOT_HR if method != "SRResNet-MSE")),
        "6 rankings, all must hold",
        None,
        "highest mean over the data set",
    ),
    Claim(
        "set5",
        "No loss is significantly best on Set5 (Table 1)",
        Shape.NONE_BEST,
        ("Set5",),
        VARIANTS,
        "5 losses, all must hold (intersection-union): a lead over one of the other 4 excluded (Simes)",
        EQUIVALENCE_MARGIN,
        _ROBUST,
    ),
    _superior(
        "vgg54",
        "SRGAN-VGG54 is significantly better than all other variants on Set14 (Table 1)",
        ("Set14",),
        "SRGAN-VGG54",
        VARIANTS,
    ),
    _superior(
        "vgg22",
        "SRResNet-VGG22 is significantly better than SRResNet-MSE on Set14 (star of Table 1)",
        ("Set14",),
        "SRResNet-VGG22",
        ("SRResNet-MSE",),
    ),
    _superior(
        "srgan",
        "SRGAN has the highest MOS of Table 2 (HR aside) on Set5, Set14 and BSD100, significantly "
        "(Section 3.6)",
        DATASETS,
        "SRGAN-VGG54",
        _NOT_SRGAN,
    ),
    Claim(
        "pairs",
        "On BSD100 every pair of methods differs significantly except SRCNN and SelfExSR (Section 3.6)",
        Shape.ALL_DIFFER,
        ("BSD100",),
        VERSIONS_BSD100,
        "35 pairs must differ (intersection-union; against: printed difference excluded at 5 % / 36), 1 be "
        "equivalent",
        EQUIVALENCE_MARGIN,
        _ROBUST,
        ("SRCNN", "SelfExSR"),
    ),
    Claim(
        "pilot",
        "Raters do not differ significantly between two ratings of identical images (Section 3.3, pilot)",
        Shape.REPEATABLE,
        (),
        (),
        "1 comparison",
        EQUIVALENCE_MARGIN,
        "two one-sided t tests over raters' means",
    ),
)


def at_margin(claim: Claim, margin: float) -> Claim:
    """The claim as a study judges it whose pilot part states this margin."""
    return replace(claim, margin=margin) if claim.shape is Shape.REPEATABLE else claim


BY_KEY = {claim.key: claim for claim in CLAIMS}

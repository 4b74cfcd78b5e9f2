"""What a paper's table is made of: printed values, their protocol, and their source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from repro.papers.protocols import YCHANNEL

BABOON = "Set14 baboon"
"""Where a paper prints values of this one image: the key of its scores (img_001 of Set14)."""

DATASETS = ("Set5", "Set14", "BSD100", "Urban100", "Manga109", BABOON)
"""The data sets of Table S, in its order."""

NOT_VERIFIED = "the paper's table was not to be had: not verified, so not printed here"


@dataclass(frozen=True)
class Printed:
    """One method's values as a source prints them.

    Attributes:
        method: as printed, e.g. ``SRFBN+``.
        scores: data set -> (PSNR in dB, SSIM as printed, or None where only PSNR is). A data set that is
            missing was not verified.
        source: who prints them: the paper, its repository, others.
        protocol: how they were measured, a name of :mod:`repro.papers.protocols`.
        scale: of the results.
        notes: what a reader of the values has to know.
    """

    method: str
    scores: Mapping[str, tuple[float, float | None]]
    source: str
    protocol: str = YCHANNEL
    scale: int = 4
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Paper:
    """A paper with its citation and what it, or others of its method, print."""

    name: str
    citation: str
    printed: tuple[Printed, ...]

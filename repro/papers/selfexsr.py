"""SelfExSR's paper as data: Huang et al., CVPR 2015."""

from __future__ import annotations

from repro.papers.printed import Paper, Printed
from repro.papers.protocols import YCHANNEL_U8

PAPER = Paper(
    "SelfExSR",
    "J.-B. Huang, A. Singh, N. Ahuja. Single Image Super-resolution from Transformed Self-Exemplars. "
    "CVPR 2015",
    (
        Printed(
            "SelfExSR",
            {
                "Set5": (30.33, 0.8623),
                "Set14": (27.40, 0.7518),
                "BSD100": (26.85, 0.7108),
                "Urban100": (24.82, 0.7386),
            },
            "means of the authors' per-image results",
            YCHANNEL_U8,
            notes=(
                "Set14's mean is .05 dB low: the authors' result of bridge, stored in grey, is in colour, "
                "and its luma (16 to 235) is compared with grey levels (22.93 dB; a result of ours has 22.94 "
                "so and 23.66 like with like)",
            ),
        ),
    ),
)

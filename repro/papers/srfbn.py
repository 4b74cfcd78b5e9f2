"""SRFBN's paper as data: Li et al., CVPR 2019, arXiv 1903.09814."""

from __future__ import annotations

from repro.papers.printed import Paper, Printed

_REPOSITORY = "the authors' repository"

PAPER = Paper(
    "SRFBN",
    "Z. Li, J. Yang, Z. Liu, X. Yang, G. Jeon, W. Wu. Feedback Network for Image Super-Resolution. CVPR 2019",
    (
        Printed(
            "SRFBN",
            {
                "Set5": (32.47, 0.8983),
                "Set14": (28.81, 0.7868),
                "BSD100": (27.72, 0.7409),
                "Urban100": (26.60, 0.8015),
                "Manga109": (31.15, 0.9160),
            },
            _REPOSITORY,
        ),
        Printed(
            "SRFBN+",
            {
                "Set5": (32.56, 0.8992),
                "Set14": (28.87, 0.7881),
                "BSD100": (27.77, 0.7419),
                "Urban100": (26.73, 0.8043),
                "Manga109": (31.40, 0.9182),
            },
            _REPOSITORY,
            notes=("+: mean over eight flips and transposes",),
        ),
        Printed(
            "SRFBN-S",
            {
                "Set5": (31.98, 0.8923),
                "Set14": (28.45, 0.7779),
                "BSD100": (27.44, 0.7313),
                "Urban100": (25.71, 0.7719),
                "Manga109": (29.91, 0.9008),
            },
            _REPOSITORY,
        ),
    ),
)

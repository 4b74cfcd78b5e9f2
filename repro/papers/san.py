"""SAN's paper as data: Dai et al., CVPR 2019."""

from __future__ import annotations

from repro.papers.printed import Paper, Printed

PAPER = Paper(
    "SAN",
    "T. Dai, J. Cai, Y. Zhang, S.-T. Xia, L. Zhang. Second-Order Attention Network for Single Image "
    "Super-Resolution. CVPR 2019",
    (
        Printed(
            "SAN",
            {
                "Set5": (32.64, 0.9003),
                "Set14": (28.92, 0.7888),
                "BSD100": (27.78, 0.7436),
                "Urban100": (26.79, 0.8068),
                "Manga109": (31.18, 0.9169),
            },
            "two surveys that quote the paper",
            notes=("the Set5 images of SAN's own repository give 32.61 dB and .9002",),
        ),
    ),
)

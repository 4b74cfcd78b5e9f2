"""RankSRGAN's paper as data: Zhang et al., ICCV 2019, arXiv 1908.06382."""

from __future__ import annotations

from repro.papers.printed import Paper, Printed

PAPER = Paper(
    "RankSRGAN",
    "W. Zhang, Y. Liu, C. Dong, Y. Qiao. RankSRGAN: Generative Adversarial Networks with Ranker for Image "
    "Super-Resolution. ICCV 2019",
    (
        Printed(
            "RankSRGAN",
            {"Set14": (26.57, None), "BSD100": (25.57, None)},
            "third party",
            notes=("ranked by NIQE; the paper prints a NIQE of 2.51 on PIRM's test images",),
        ),
    ),
)

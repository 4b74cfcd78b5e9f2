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

BLOCKS, CHANNELS = 16, 64
CROP_HR, BATCH_SIZE = 296, 8
UPDATES, RATE, MILESTONES = 500_000, 1e-4, "50000/100000/200000/300000"
ADVERSARIAL_WEIGHT, RANK_WEIGHT = 5e-3, 0.03
"""Beside a content loss of weight 1 on conv5_4; there is no pixel loss. All these are the released code's."""

MARGIN, LARGEST_SCORE = 0.5, 5.0
"""Of the ranker's loss; scores are clamped to +- LARGEST_SCORE."""
RANKER_UPDATES, RANKER_BATCH_SIZE, RANKER_RATE, RANKER_DECAY = 600_000, 16, 1e-4, 1e-4
RANKER_MILESTONES = "100000/200000/400000"
"""The number of updates is open; the rate is halved as the code says."""

PATCH, STRIDE = 296, 148
LEAST_ACTIVITY, LEAST_DIFFERENCE, MOST_PATCHES = 40.0, 0.1, 200
"""Patches are ranked whose local deviation, summed over blocks of 96 x 96, and whose difference of NIQE
between two generators are at least these; at most so many an image."""
HELD_OUT = 0.1

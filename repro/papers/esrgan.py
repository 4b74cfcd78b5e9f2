"""ESRGAN's paper as data: Wang et al., ECCV Workshops 2018, arXiv 1809.00219."""

from __future__ import annotations

from repro.papers.printed import BABOON, Paper, Printed

PAPER = Paper(
    "ESRGAN",
    "X. Wang, K. Yu, S. Wu, J. Gu, Y. Liu, C. Dong, Y. Qiao, C. C. Loy. ESRGAN: Enhanced Super-Resolution "
    "Generative Adversarial Networks. ECCV Workshops 2018",
    (
        Printed(
            "RRDB-PSNR",
            {
                "Set5": (32.73, 0.9011),
                "Set14": (28.99, 0.7917),
                "BSD100": (27.85, 0.7455),
                "Urban100": (27.03, 0.8153),
                "Manga109": (31.66, 0.9196),
            },
            "paper and repository",
            notes=("the PSNR stage, trained on DF2K",),
        ),
        Printed(
            "RRDB-PSNR, DIV2K",
            {
                "Set5": (32.60, 0.9002),
                "Set14": (28.88, 0.7896),
                "BSD100": (27.76, 0.7432),
                "Urban100": (26.73, 0.8072),
                "Manga109": (31.16, 0.9164),
            },
            "paper",
            notes=("the PSNR stage, trained on DIV2K alone",),
        ),
        Printed(
            "ESRGAN",
            {BABOON: (20.35, None)},
            "paper",
            notes=("the paper has no table of the GAN; of baboon it prints a perceptual index of 1.98",),
        ),
        Printed(
            "SRGAN-VGG54",
            {BABOON: (21.15, None)},
            "ESRGAN's paper",
            notes=("of SRGAN's baboon ESRGAN's paper prints a perceptual index of 2.62",),
        ),
    ),
)

BLOCKS, CHANNELS, GROWTH = 23, 64, 32
CROP_HR, BATCH_SIZE = 128, 16

PSNR_UPDATES, PSNR_RATE, PSNR_MILESTONES = 1_000_000, 2e-4, "200000/400000/600000/800000"
"""Section 4.1: the rate is halved every 2 x 10^5 updates."""
GAN_UPDATES, GAN_RATE, GAN_MILESTONES = 400_000, 1e-4, "50000/100000/200000/300000"
"""Section 4.1; the number of updates is the released code's (open in the paper)."""

ADVERSARIAL_WEIGHT, PIXEL_WEIGHT = 5e-3, 1e-2
"""lambda and eta of equation 3; the perceptual loss has weight 1."""

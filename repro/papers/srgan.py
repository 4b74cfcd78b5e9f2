"""The paper as data: every number of Ledig et al. (CVPR 2017) has its one home here.

Sources: Tables 1 and 2, Section 3.3 and the supplement of arXiv 1609.04802 v5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SHAVE = 4

DATASETS = ("Set5", "Set14", "BSD100")
IMAGES_PER_DATASET = {"Set5": 5, "Set14": 14, "BSD100": 100}

VARIANTS = ("SRResNet-MSE", "SRResNet-VGG22", "SRGAN-MSE", "SRGAN-VGG22", "SRGAN-VGG54")
"""The five variants, in the order of Table 1. "SRResNet" is SRResNet-MSE, "SRGAN" is SRGAN-VGG54."""

ALIASES = {"SRResNet": "SRResNet-MSE", "SRGAN": "SRGAN-VGG54"}

TABLE1_METHODS = VARIANTS
TABLE2_METHODS = (
    "nearest",
    "bicubic",
    "SRCNN",
    "SelfExSR",
    "DRCN",
    "ESPCN",
    "SRResNet-MSE",
    "SRGAN-VGG54",
    "HR",
)

RATERS = 26
VERSIONS_SET5_SET14 = (
    "nearest",
    "bicubic",
    "SRCNN",
    "SelfExSR",
    "DRCN",
    "ESPCN",
    *VARIANTS,
    "HR",
)
"""The 12 versions of each Set5 and Set14 image that were rated (Section 3.3)."""
VERSIONS_BSD100 = tuple(
    m for m in VERSIONS_SET5_SET14 if m not in {"SRResNet-VGG22", "SRGAN-MSE", "SRGAN-VGG22"}
)
"""The 9 versions of each BSD100 image that were rated."""
RATINGS_PER_RATER = 1128
RATINGS_TOTAL = 29_328
SIGNIFICANCE_LEVEL = 0.05


@dataclass(frozen=True)
class Cell:
    """One method on one data set as printed: PSNR in dB, SSIM, MOS (1..5) and the table's star."""

    psnr_db: float
    ssim: float
    mos: float
    mos_significant: bool = False


def _cell(psnr_db: float, ssim: float, mos: float, star: bool = False) -> Cell:
    return Cell(psnr_db, ssim, mos, star)


TABLE1: dict[tuple[str, str], Cell] = {
    ("Set5", "SRResNet-MSE"): _cell(32.05, 0.9019, 3.37),
    ("Set5", "SRResNet-VGG22"): _cell(30.51, 0.8803, 3.46),
    ("Set5", "SRGAN-MSE"): _cell(30.64, 0.8701, 3.77),
    ("Set5", "SRGAN-VGG22"): _cell(29.84, 0.8468, 3.78),
    ("Set5", "SRGAN-VGG54"): _cell(29.40, 0.8472, 3.58),
    ("Set14", "SRResNet-MSE"): _cell(28.49, 0.8184, 2.98),
    ("Set14", "SRResNet-VGG22"): _cell(27.19, 0.7807, 3.15, star=True),
    ("Set14", "SRGAN-MSE"): _cell(26.92, 0.7611, 3.43),
    ("Set14", "SRGAN-VGG22"): _cell(26.44, 0.7518, 3.57),
    ("Set14", "SRGAN-VGG54"): _cell(26.02, 0.7397, 3.72, star=True),
}
"""Table 1, keyed by (data set, method)."""

TABLE2: dict[tuple[str, str], Cell] = {
    ("Set5", "nearest"): _cell(26.26, 0.7552, 1.28),
    ("Set5", "bicubic"): _cell(28.43, 0.8211, 1.97),
    ("Set5", "SRCNN"): _cell(30.07, 0.8627, 2.57),
    ("Set5", "SelfExSR"): _cell(30.33, 0.872, 2.65),
    ("Set5", "DRCN"): _cell(31.52, 0.8938, 3.26),
    ("Set5", "ESPCN"): _cell(30.76, 0.8784, 2.89),
    ("Set5", "SRResNet-MSE"): _cell(32.05, 0.9019, 3.37),
    ("Set5", "SRGAN-VGG54"): _cell(29.40, 0.8472, 3.58),
    ("Set5", "HR"): _cell(math.inf, 1.0, 4.32),
    ("Set14", "nearest"): _cell(24.64, 0.7100, 1.20),
    ("Set14", "bicubic"): _cell(25.99, 0.7486, 1.80),
    ("Set14", "SRCNN"): _cell(27.18, 0.7861, 2.26),
    ("Set14", "SelfExSR"): _cell(27.45, 0.7972, 2.34),
    ("Set14", "DRCN"): _cell(28.02, 0.8074, 2.84),
    ("Set14", "ESPCN"): _cell(27.66, 0.8004, 2.52),
    ("Set14", "SRResNet-MSE"): _cell(28.49, 0.8184, 2.98),
    ("Set14", "SRGAN-VGG54"): _cell(26.02, 0.7397, 3.72),
    ("Set14", "HR"): _cell(math.inf, 1.0, 4.32),
    ("BSD100", "nearest"): _cell(25.02, 0.6606, 1.11),
    ("BSD100", "bicubic"): _cell(25.94, 0.6935, 1.47),
    ("BSD100", "SRCNN"): _cell(26.68, 0.7291, 1.87),
    ("BSD100", "SelfExSR"): _cell(26.83, 0.7387, 1.89),
    ("BSD100", "DRCN"): _cell(27.21, 0.7493, 2.12),
    ("BSD100", "ESPCN"): _cell(27.02, 0.7442, 2.01),
    ("BSD100", "SRResNet-MSE"): _cell(27.58, 0.7620, 2.29),
    ("BSD100", "SRGAN-VGG54"): _cell(25.16, 0.6688, 3.56),
    ("BSD100", "HR"): _cell(math.inf, 1.0, 4.46),
}
"""Table 2, keyed by (data set, method); SRResNet and SRGAN under the names of Table 1."""


# --- networks (2.1, Figure 4; supplement, section 4) -------------------------------------------------------
RESIDUAL_BLOCKS = 16
GENERATOR_PARAMETERS = {1: 437_767, 2: 511_880, 4: 660_106, 8: 956_558, 16: 1_549_462, 20: 1_845_914}
"""Parameters by depth B, one PReLU slope a layer."""
GENERATOR_PARAMETERS_PER_CHANNEL_PRELU = 1_550_659
DISCRIMINATOR_PARAMETERS = 23_565_505

# --- losses and training (2.2.1, 3.2) ----------------------------------------------------------------------
ADVERSARIAL_WEIGHT = 1e-3
TV_WEIGHT = 2e-8
VGG_RESCALE = 1 / 12.75
BATCH_SIZE = 16
CROP_HR = 96
LEARNING_RATE = 1e-4
LEARNING_RATE_LATE = 1e-5
SRRESNET_UPDATES = 1_000_000
SRGAN_UPDATES_EARLY = 100_000
SRGAN_UPDATES_LATE = 100_000

# --- what counts as reproduced (ours, not the paper's: it gives no tolerances) ----------------------------


@dataclass(frozen=True)
class Tolerance:
    """The largest difference to the paper's printed figure that still counts as reproduced."""

    psnr_db: float
    ssim: float


_PRINTED_DIGIT = Tolerance(0.0, 0.0)
_SRRESNET = Tolerance(0.1, 0.003)
_SRGAN = Tolerance(0.15, 0.01)

TOLERANCES: dict[str, Tolerance] = {
    "nearest": _PRINTED_DIGIT,
    "bicubic": _PRINTED_DIGIT,
    "HR": _PRINTED_DIGIT,
    # one unit of the last digit: the authors' weights in another framework
    "SRCNN": Tolerance(0.01, 0.0001),
    # computed again: a random search, and vanishing points by another detector
    "SelfExSR": Tolerance(0.05, 0.002),
    # trained again from their papers, like SRResNet
    "DRCN": _SRRESNET,
    "ESPCN": _SRRESNET,
    "SRResNet-MSE": _SRRESNET,
    "SRResNet-VGG22": _SRRESNET,
    "SRGAN-MSE": _SRGAN,
    "SRGAN-VGG22": _SRGAN,
    "SRGAN-VGG54": _SRGAN,
}
"""By method; both figures are compared as printed, 2 decimals of dB and 4 of SSIM."""

TOLERANCE_IMPORTED = _PRINTED_DIGIT
"""For images that a method's own authors made: the figure must come out as printed."""

LOSS_CATEGORIES = (
    ("SRResNet-MSE", "SRResNet-VGG22"),
    ("SRGAN-MSE", "SRGAN-VGG22", "SRGAN-VGG54"),
)
"""The two categories within which Table 1 stars a loss whose MOS is significantly higher."""

"""SROBB's paper as data: Rad et al., ICCV 2019, arXiv 1908.07222."""

from __future__ import annotations

from repro.papers.printed import NOT_VERIFIED, Paper, Printed

PAPER = Paper(
    "SROBB",
    "M. S. Rad, B. Bozorgtabar, U.-V. Marti, M. Basler, H. K. Ekenel, J.-P. Thiran. SROBB: Targeted "
    "Perceptual Loss for Single Image Super-Resolution. ICCV 2019",
    (Printed("SROBB", {}, "none", notes=(NOT_VERIFIED,)),),
)

BOUNDARY_TAP, BACKGROUND_TAP, OBJECT_TAP = "conv1_2", "conv3_4", "conv5_4"
"""Low-level features at boundaries, mid-level ones on background (told by readers of the paper); which layers
is open. For objects a survey names high-level features; the introduction's first figure names edges and
background alone."""

CROP_HR, BATCH_SIZE, RATE = 96, 16, 1e-4
PSNR_UPDATES, GAN_UPDATES = 75_000, 165_000
"""25 epochs of the pixel loss, then 55 with all terms, of about 50,000 images (from memory, unverified)."""

ADVERSARIAL_WEIGHT = 1e-3
"""Open; SRGAN's."""

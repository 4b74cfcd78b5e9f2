"""SROBB's paper as data: Rad et al., ICCV 2019, arXiv 1908.07222."""

from __future__ import annotations

from repro.papers.printed import NOT_VERIFIED, Paper, Printed

PAPER = Paper(
    "SROBB",
    "M. S. Rad, B. Bozorgtabar, U.-V. Marti, M. Basler, H. K. Ekenel, J.-P. Thiran. SROBB: Targeted "
    "Perceptual Loss for Single Image Super-Resolution. ICCV 2019",
    (Printed("SROBB", {}, "none", notes=(NOT_VERIFIED,)),),
)

"""SRNTT's paper as data: Zhang et al., CVPR 2019, arXiv 1903.00834."""

from __future__ import annotations

from repro.papers.printed import NOT_VERIFIED, Paper, Printed

PAPER = Paper(
    "SRNTT",
    "Z. Zhang, Z. Wang, Z. Lin, H. Qi. Image Super-Resolution by Neural Texture Transfer. CVPR 2019",
    (
        Printed(
            "SRNTT",
            {},
            "none",
            notes=(NOT_VERIFIED, "its data set is CUFED5; others' runs of a port gave 22 to 23 dB there"),
        ),
    ),
)

"""CrossNet's paper as data: Zheng et al., ECCV 2018, arXiv 1807.10547."""

from __future__ import annotations

from repro.papers.printed import NOT_VERIFIED, Paper, Printed

PAPER = Paper(
    "CrossNet",
    "H. Zheng, M. Ji, H. Wang, Y. Liu, L. Fang. CrossNet: An End-to-end Reference-based Super Resolution "
    "Network using Cross-scale Warping. ECCV 2018",
    (
        Printed(
            "CrossNet",
            {},
            "none",
            notes=(NOT_VERIFIED, "it claims 2 to 4 dB above single-image methods, on light fields"),
        ),
    ),
)

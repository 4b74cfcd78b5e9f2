"""Meta-SR's paper as data: Hu et al., CVPR 2019, arXiv 1903.00875."""

from __future__ import annotations

from repro.papers.printed import Paper, Printed
from repro.papers.protocols import YCHANNEL_EDSR

PAPER = Paper(
    "Meta-SR",
    "X. Hu, H. Mu, X. Zhang, Z. Wang, T. Tan, J. Sun. Meta-SR: A Magnification-Arbitrary Network for "
    "Super-Resolution. CVPR 2019",
    (
        Printed(
            "Meta-SR",
            {"Set5": (32.51, 0.8986), "Set14": (28.86, 0.7878), "BSD100": (27.76, 0.7419)},
            "third party, with the author's weights",
            YCHANNEL_EDSR,
            notes=("on RDN's features",),
        ),
    ),
)

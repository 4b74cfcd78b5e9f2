"""The papers of Table S, in its order."""

from __future__ import annotations

from repro.papers import crossnet, esrgan, meta_sr, ranksrgan, san, selfexsr, srfbn, srntt, srobb

PAPERS = (
    selfexsr.PAPER,
    esrgan.PAPER,
    ranksrgan.PAPER,
    srobb.PAPER,
    srfbn.PAPER,
    san.PAPER,
    meta_sr.PAPER,
    srntt.PAPER,
    crossnet.PAPER,
)
"""SelfExSR stands here with its own protocol; under the SRGAN paper's it is a row of Table 2."""

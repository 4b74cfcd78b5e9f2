"""Two terms of no paper that keep a short adversarial training honest: low frequencies, and no grid."""

from __future__ import annotations

from repro.methods.base import Term
from repro.nn import losses

CONSISTENCY = 1.0
GRID = 10.0
"""Weights of the terms in short schedules."""


def held(consistency_weight: float, grid_weight: float, scale: int) -> list[Term]:
    """down(SR) against LR, and the mean error by place in a cell of ``scale`` pixels; none where 0."""
    terms = []
    if consistency_weight > 0:
        consistent = Term(
            "lr_consistency",
            lambda c: losses.lr_consistency(c.sr, c.sample.lr_01, scale),
            consistency_weight,
        )
        terms.append(consistent)
    if grid_weight > 0:
        terms.append(Term("grid", lambda c: losses.grid(c.sr, c.hr, scale), grid_weight))
    return terms

"""How values are printed: decimals, signs, infinities, p-values."""

from __future__ import annotations

import math

DECIMALS = {"psnr_db": 2, "ssim": 4, "mos": 2}
"""As the paper prints them."""
DASH = "–"
"""Where there is no value."""
PARTIAL = "†"
"""Behind every mean over some of a data set's images."""


def number(value: float, digits: int) -> str:
    """A value as printed, zero without a sign; ``∞`` for infinity, a dash for NaN."""
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{round(value, digits) + 0.0:.{digits}f}"


def signed(value: float, digits: int) -> str:
    """A difference with its sign, a true minus, no sign for zero; a dash for NaN."""
    if math.isnan(value):
        return DASH
    text = f"{abs(value):.{digits}f}"
    if round(value, digits) == 0:
        return text
    return ("+" if value > 0 else "−") + text


def p_text(p: float) -> str:
    """A p-value: three decimals, or ``<0.001``."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def printed_difference(ours: float, paper: float, digits: int) -> float:
    """The difference of two values as printed (0 for two infinities, infinite for one)."""
    if math.isinf(ours) or math.isinf(paper):
        return 0.0 if ours == paper else math.copysign(math.inf, ours if math.isinf(ours) else -paper)
    return round(round(ours, digits) - paper, digits)

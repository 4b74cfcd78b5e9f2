"""How well a metric predicts opinions: a mapping, correlations, and tests between two of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

_F64 = NDArray[np.float64]
KINDS = ("srcc", "krcc", "plcc", "rmse")
"""Spearman's and Kendall's correlation, Pearson's after the mapping, and the mapping's RMSE in MOS.

Pearson's has the sign of the mapping's slope: a metric that ranks backwards is no good predictor.
"""


@dataclass(frozen=True)
class Logistic:
    """The mapping low + (high - low) / (1 + exp(-(x - middle) / width)); ``width`` is positive."""

    low: float
    high: float
    middle: float
    width: float

    @property
    def rises(self) -> bool:
        return self.high >= self.low

    def __call__(self, x: _F64) -> _F64:
        return _logistic(np.array([self.low, self.high, self.middle, math.log(self.width)]), x)


@dataclass(frozen=True)
class Line:
    """The mapping slope * x + start."""

    slope: float
    start: float

    @property
    def rises(self) -> bool:
        return self.slope >= 0

    def __call__(self, x: _F64) -> _F64:
        return self.slope * x + self.start


def fitted_line(x: _F64, y: _F64) -> Line:
    """The straight mapping of least squares, P.1401's for few points; constant where x does not vary."""
    if len(x) < 2 or np.ptp(x) == 0:
        return Line(0.0, float(y.mean()) if len(y) else math.nan)
    slope, start = np.polyfit(x - x.mean(), y, 1)
    return Line(float(slope), float(start - slope * x.mean()))


def fitted_logistic(x: _F64, y: _F64) -> Logistic:
    """The monotonic mapping from a metric to the scale of opinions that leaves the least squares.

    ITU-T P.1401 asks for a monotonic mapping before Pearson's correlation and the RMSE, so that a metric is
    not blamed for the scale that it is printed on; this is VQEG's logistic function with four parameters.

    Args:
        x: values of the metric, (n,), n at least 3, not all equal.
        y: mean opinions of the same images, (n,).
    """
    middle, spread = float(np.median(x)), float(x.std())
    rises = float(np.corrcoef(x, y)[0, 1]) >= 0
    low, high = float(y.min()), float(y.max())
    start = [low, high] if rises else [high, low]

    def residuals(parameters: _F64) -> _F64:
        return _logistic(parameters, (x - middle) / spread) - y

    # a slope past a hundredth of the spread is a step and past a hundredfold a line: no fit gains beyond
    bounds = ([-20, -20, -10, math.log(0.01)], [30, 30, 10, math.log(100)])
    found = optimize.least_squares(residuals, [*start, 0.0, math.log(0.5)], bounds=bounds, max_nfev=200)
    first, last, place, width = found.x
    return Logistic(
        float(first), float(last), middle + spread * float(place), spread * math.exp(float(width))
    )


def _logistic(parameters: _F64, x: _F64) -> _F64:
    low, high, middle, log_width = parameters
    with np.errstate(over="ignore"):
        return low + (high - low) / (1 + np.exp(-(x - middle) / math.exp(log_width)))


def correlations(x: _F64, y: _F64, mapping: Logistic | Line) -> dict[str, float]:
    """Each of :data:`KINDS` for a metric's values and opinions (n,); NaN where either does not vary."""
    mapped, sign = mapping(x), 1 if mapping.rises else -1
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0 or np.ptp(mapped) == 0:
        return dict.fromkeys(KINDS, math.nan)
    return {
        "srcc": float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1]),
        "krcc": float(stats.kendalltau(x, y).statistic),
        "plcc": sign * float(np.corrcoef(mapped, y)[0, 1]),
        "rmse": float(np.sqrt(np.mean((mapped - y) ** 2))),
    }


# --- two correlations that share a variable, from the same n units: r12 against r13 ------------------------


def _unfit(r12: float, r13: float, r23: float, n: int) -> bool:
    """Whether there is nothing to test: too few units, or a correlation of 1 (whose Fisher z is infinite)."""
    return n < 4 or max(abs(r12), abs(r13), abs(r23)) >= 1 - 1e-12


def williams_p(r12: float, r13: float, r23: float, n: int) -> float:
    """Two-sided p of Williams' t with n - 3 degrees of freedom (Steiger, Psychological Bulletin 87, 1980)."""
    if _unfit(r12, r13, r23, n):
        return math.nan
    determinant = 1 - r12**2 - r13**2 - r23**2 + 2 * r12 * r13 * r23
    mean = (r12 + r13) / 2
    variance = 2 * determinant * (n - 1) / (n - 3) + mean**2 * (1 - r23) ** 3
    t = (r12 - r13) * math.sqrt((n - 1) * (1 + r23) / variance)
    return float(2 * stats.t.sf(abs(t), n - 3))


def meng_z(r12: float, r13: float, r23: float, n: int) -> float:
    """Z of Meng, Rosenthal and Rubin, Psychological Bulletin 111, 1992, equation 1."""
    if _unfit(r12, r13, r23, n):
        return math.nan
    mean_square = (r12**2 + r13**2) / 2
    f = min(1.0, (1 - r23) / (2 * (1 - mean_square)))
    h = (1 - f * mean_square) / (1 - mean_square)
    return (math.atanh(r12) - math.atanh(r13)) * math.sqrt((n - 3) / (2 * (1 - r23) * h))


def meng_p(r12: float, r13: float, r23: float, n: int) -> float:
    """Two-sided p of :func:`meng_z`."""
    return float(2 * stats.norm.sf(abs(meng_z(r12, r13, r23, n))))


def zou_interval(r12: float, r13: float, r23: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of r12 - r13 from the intervals of both (Zou, Psychological Methods 12, 2007)."""
    if _unfit(r12, r13, r23, n):
        return math.nan, math.nan
    half = float(stats.norm.ppf(0.5 + confidence / 2)) / math.sqrt(n - 3)
    low12, high12 = math.tanh(math.atanh(r12) - half), math.tanh(math.atanh(r12) + half)
    low13, high13 = math.tanh(math.atanh(r13) - half), math.tanh(math.atanh(r13) + half)
    rest = 1 - r12**2 - r13**2 - r23**2
    between = ((r23 - r12 * r13 / 2) * rest + r23**3) / ((1 - r12**2) * (1 - r13**2))

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(0.0, a * a + b * b - 2 * between * a * b))

    difference = r12 - r13
    return (
        difference - reach(r12 - low12, high13 - r13),
        difference + reach(high12 - r12, r13 - low13),
    )

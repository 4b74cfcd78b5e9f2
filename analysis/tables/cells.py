"""Cells of numbers: a dash where there is none, its full precision for the CSV."""

from __future__ import annotations

import math

from analysis.io.numbers import DASH, number, signed
from analysis.stats.intervals import Interval
from analysis.tables.grid import Cell


def number_cell(value: float, digits: int) -> Cell:
    """A number with a true minus."""
    return Cell(DASH) if math.isnan(value) else Cell(number(value, digits).replace("-", "−"), value)


def signed_cell(value: float, digits: int) -> Cell:
    """A difference with its sign."""
    return Cell(DASH) if math.isnan(value) else Cell(signed(round(value, digits), digits), value)


def percent_cell(value: float) -> Cell:
    """A share in percent, one decimal."""
    return Cell(DASH) if math.isnan(value) else Cell(f"{value:.1%}", value)


def interval_cells(found: Interval, digits: int) -> tuple[Cell, Cell, Cell]:
    """Mean and both bounds."""
    low, high = (Cell(DASH) if b is None else number_cell(b, digits) for b in (found.low, found.high))
    return number_cell(found.mean, digits), low, high

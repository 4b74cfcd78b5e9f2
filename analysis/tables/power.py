"""Power as a table."""

from __future__ import annotations

from analysis.stats.defaults import Spread
from analysis.stats.power import Plan
from analysis.tables.grid import Cell, Column, Grid, Table


def power_table(plans: list[Plan], spread: Spread, simulations: int) -> Table:
    """The share of simulated studies that find each true difference."""
    columns = (
        Column("difference", "true ΔMOS"),
        Column("paper", "paper mode"),
        Column("robust", "robust mode"),
        Column("corrected", "robust, all pairs"),
    )
    grids = tuple(
        Grid(
            f"{planned.name}: {planned.images} images, {planned.raters} raters, {planned.pairs} pairs",
            columns,
            tuple(
                (
                    Cell(f"{found.difference:.2f}", found.difference),
                    *(Cell(f"{share:.0%}", share) for share in (found.paper, found.robust, found.corrected)),
                )
                for found in planned.powers
            ),
        )
        for planned in plans
    )
    return Table(
        "power",
        "Power: how often a true difference is found",
        grids,
        f"{simulations} simulated studies a line; standard deviations in MOS: image {spread.image:.2f}, "
        "rater "
        f"{spread.rater:.2f}, image x method {spread.image_method:.2f}, rater x method "
        f"{spread.rater_method:.2f}, noise {spread.noise:.2f}. At 0 the line shows false positives. All "
        "pairs: "
        "at Holm's first and hardest step.",
    )

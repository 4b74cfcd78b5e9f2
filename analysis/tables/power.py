"""Power as a table."""

from __future__ import annotations

from analysis.stats.defaults import Spread
from analysis.stats.design import LARGEST, equivalence_power, least, power_of, replication_raters
from analysis.stats.power import Plan
from analysis.tables.grid import Cell, Column, Grid, Table

IMAGES = (5, 10, 14, 20, 30, 50, 100, 200)


def solver_table(images: tuple[int, ...], raters: int, margin: float, power: float, spread: Spread) -> Table:
    """How many raters each number of images needs, and how many images the given raters need."""
    columns = (
        Column("images", "images"),
        Column("difference", "raters: two methods differ"),
        Column("equivalent", "raters: two methods equivalent"),
        Column("replicated", "raters: a MOS replicated"),
    )

    def found(size: int | None) -> Cell:
        return Cell(f"over {LARGEST:,}") if size is None else Cell(f"{size:,}", size)

    def finds(images: int, raters: int) -> bool:
        return power_of(margin, images, raters, spread) >= power

    def equates(images: int, raters: int) -> bool:
        return equivalence_power(0.0, margin, images, raters, spread) >= power

    rows = tuple(
        (
            Cell(str(count), count),
            found(least(lambda n: finds(count, n))),  # noqa: B023 (called at once)
            found(least(lambda n: equates(count, n))),  # noqa: B023
            found(replication_raters(margin, count, spread, power)),
        )
        for count in images
    )
    either = (least(lambda n: finds(n, raters)), least(lambda n: equates(n, raters)))
    differ, same = (f"over {LARGEST:,}" if size is None else f"{size:,}" for size in either)
    return Table(
        "solver",
        f"Raters for {margin:g} MOS with power {power:.0%}",
        (Grid("", columns, rows),),
        f"Two methods that differ by {margin:g} MOS are found to differ; two that are equal are shown to lie "
        f"within ±{margin:g}; a MOS on the same images is shown to lie within ±{margin:g} of the one that it "
        f"replicates. {raters} raters need {differ} images to find the difference, {same} to show "
        f"equivalence. {_deviations(spread)}",
        grid_key="",
    )


def _deviations(spread: Spread) -> str:
    return (
        f"Standard deviations in MOS: image {spread.image:.2f}, rater {spread.rater:.2f}, image x method "
        f"{spread.image_method:.2f}, rater x method {spread.rater_method:.2f}, noise {spread.noise:.2f}."
    )


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
        f"{simulations} simulated studies a line. {_deviations(spread)} At 0 the line shows false positives. "
        "All pairs: at Holm's first and hardest step.",
    )

"""What is known of the raters: agreement, one line for each, learning and fatigue."""

from __future__ import annotations

import math

from analysis.io.numbers import p_text, signed
from analysis.stats.reliability import Reliability
from analysis.study.results import Study
from analysis.tables.cells import number_cell, percent_cell, signed_cell
from analysis.tables.grid import Cell, Column, Grid, Table


def reliability(study: Study) -> Table:
    """Agreement of raters, over all stimuli and within each method."""
    columns = (
        Column("group", "stimuli of", numeric=False),
        *(
            Column(f"{key}{bound}", heading if not bound else bound.strip("_"))
            for key, heading in (("icc_single", "ICC(A,1)"), ("icc_mean", "ICC(A,k)"), ("alpha", "alpha"))
            for bound in ("", "_low", "_high")
        ),
        Column("stimuli", "stimuli"),
        Column("raters", "raters"),
    )
    grids = []
    for dataset, result in study.datasets.items():
        rows = [
            (
                Cell(name, name),
                *reliability_cells(found.icc_single),
                *reliability_cells(found.icc_mean),
                *reliability_cells(found.alpha),
                Cell(str(found.stimuli), found.stimuli),
                Cell(str(found.raters), found.raters),
            )
            for name, found in result.agreement.items()
        ]
        notes = study.notes if rows else (*study.notes, "agreement needs at least two raters and two images")
        grids.append(Grid(dataset, columns, tuple(rows), notes))
    return Table(
        "reliability",
        "Agreement between raters",
        tuple(grids),
        "ICC: two-way, absolute agreement, of one rater (A,1) and of the mean of k (A,k), over raters "
        "with all "
        "votes; alpha: Krippendorff's, ordinal. 95 % bootstrap intervals over images. 'all' mixes "
        "methods, and "
        "nearest and HR inflate it; within a method raters can only agree on which images came out well.",
        banner=study.banner,
    )


def reliability_cells(found: Reliability) -> tuple[Cell, Cell, Cell]:
    return number_cell(found.value, 2), number_cell(found.low, 2), number_cell(found.high, 2)


def rater_table(study: Study) -> Table:
    """One line per rater."""
    watched = study.ratings.watched
    columns = (
        Column("rater", "rater", numeric=False),
        Column("votes", "votes"),
        Column("mean", "mean"),
        Column("bias", "bias"),
        Column("inconsistency", "incons."),
        Column("correlation", "r others"),
        Column("mean_nearest", watched.low),
        Column("mean_hr", watched.high),
        Column("longest_run", "run"),
        Column("median_ms", "ms"),
        Column("fast_share", f"< {watched.fast_ms} ms"),
        Column("bt500_rejected", "BT.500", numeric=False),
        Column("p913_rejected", "P.913", numeric=False),
    )
    rows = tuple(
        (
            Cell(row.rater, row.rater),
            Cell(f"{row.votes:,}", row.votes),
            number_cell(row.mean, 2),
            signed_cell(row.bias, 2),
            number_cell(row.inconsistency, 2),
            number_cell(row.correlation, 2),
            number_cell(row.low_mean, 2),
            number_cell(row.high_mean, 2),
            Cell(str(row.longest_run), row.longest_run),
            number_cell(row.median_ms, 0),
            percent_cell(row.fast_share),
            Cell("out" if row.bt500_rejected else "", int(row.bt500_rejected)),
            Cell("out" if row.p913_rejected else "", int(row.p913_rejected)),
        )
        for row in study.raters
    )
    return Table(
        "raters",
        "Raters",
        (Grid("", columns, rows, study.notes),),
        "bias and inconsistency by P.910 Annex E; r others: correlation with the other raters' mean; "
        "run: longest "
        "run of one score; ms: median response time. 'out': the model leaves the rater out of its own figure "
        "(never of the plain MOS).",
        grid_key="",
        banner=study.banner,
    )


def blocks(study: Study) -> Table:
    """Learning and fatigue over blocks."""
    rows = tuple(
        (
            Cell(str(row.block), row.block),
            Cell(f"{row.votes:,}", row.votes),
            signed_cell(row.shift, 3),
            number_cell(row.noise, 3),
            number_cell(row.median_ms, 0),
        )
        for row in study.blocks
    )
    words = []
    for trend in study.trends:
        low, high = trend.slope.low, trend.slope.high
        bounds = f" [{signed(low, 3)}, {signed(high, 3)}]" if low is not None and high is not None else ""
        p = "" if math.isnan(trend.p) else f", p = {p_text(trend.p)}"
        words.append(f"{trend.name} {signed(trend.slope.mean, 3)}{bounds}{p} (n = {trend.raters} raters)")
    return Table(
        "blocks",
        "Learning and fatigue over blocks",
        (
            Grid(
                "",
                (
                    Column("block", "block"),
                    Column("votes", "votes"),
                    Column("shift", "shift"),
                    Column("noise", "noise"),
                    Column("median_ms", "ms"),
                ),
                rows,
                study.notes,
            ),
        ),
        "shift: votes minus their stimulus's mean over all raters; noise: its standard deviation; ms: median "
        "response time. Change per block, mean of raters' slopes [95 %]: "
        f"{'; '.join(words) or 'only one block'}.",
        grid_key="",
        banner=study.banner,
    )

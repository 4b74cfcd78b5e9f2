"""Mean opinion scores: by method, and by image."""

from __future__ import annotations

import math

from analysis.io.numbers import DASH
from analysis.stats.intervals import student_interval
from analysis.stats.rater_models import MODELS
from analysis.study.results import Study
from analysis.tables.cells import interval_cells, number_cell
from analysis.tables.grid import Cell, Column, Grid, Table


def opinions(study: Study) -> Table:
    """MOS with intervals, rater models and mean rank."""
    grids = []
    for dataset, result in study.datasets.items():
        columns = (
            Column("method", "method", numeric=False),
            Column("mos", "MOS"),
            Column("mos_low", "low"),
            Column("mos_high", "high"),
            Column("pooled_error", "s/√n"),
            *(Column(name.lower().replace(".", ""), name) for name in MODELS),
            Column("rank", "rank"),
            Column("rank_low", "low"),
            Column("rank_high", "high"),
            Column("raters", "raters"),
            Column("votes", "votes"),
        )
        rows = []
        for method, found in result.methods.items():
            missing = found.votes_of_full_design - found.votes
            notes = (f"{missing:,} of {found.votes_of_full_design:,} votes are missing",) if missing else ()
            rows.append(
                (
                    Cell(method, method, notes),
                    *interval_cells(found.mos, 3),
                    number_cell(found.pooled_error, 3),
                    *(number_cell(found.models.get(name, math.nan), 3) for name in MODELS),
                    *(interval_cells(found.rank, 2) if found.rank else (Cell(DASH),) * 3),
                    Cell(str(found.raters), found.raters),
                    Cell(f"{found.votes:,}", found.votes),
                )
            )
        grids.append(Grid(dataset, columns, tuple(rows), study.notes))
    rejected = {
        "BT.500": [row.rater for row in study.raters if row.bt500_rejected],
        "P.913": [row.rater for row in study.raters if row.p913_rejected],
    }
    words = "; ".join(
        f"{model} leaves out {', '.join(names) or 'nobody'}" for model, names in rejected.items()
    )
    return Table(
        "mos",
        "Opinions: plain MOS, rater models, mean rank",
        tuple(grids),
        "MOS and its 95 % two-way bootstrap interval (images and raters); s/√n over pooled votes is what "
        "papers "
        "print, too small because votes of one rater or one image are alike. BT.500: screened; P.913: biases "
        f"removed, then screened; P.910: Annex E. {words}. Rank: 1 is best, ties averaged.",
        banner=study.banner,
    )


def per_image(study: Study) -> Table:
    """MOS of every image by every method, with Student's interval over raters."""
    columns = (
        Column("image", "image", numeric=False),
        Column("method", "method", numeric=False),
        Column("mos", "MOS"),
        Column("low", "low"),
        Column("high", "high"),
        Column("votes", "votes"),
    )
    grids = []
    for dataset, result in study.datasets.items():
        rows = []
        for i, image in enumerate(result.ratings.images):
            for v, method in enumerate(result.ratings.methods):
                votes = result.ratings.ratings_irv[i, :, v]
                n = int((votes == votes).sum())
                if n:
                    rows.append(
                        (
                            Cell(image, image),
                            Cell(method, method),
                            *interval_cells(student_interval(votes), 2),
                            Cell(str(n), n),
                        )
                    )
        grids.append(Grid(dataset, columns, tuple(rows), study.notes))
    return Table(
        "images",
        "Opinions per image",
        tuple(grids),
        "MOS over raters with Student's 95 % interval.",
        banner=study.banner,
        formats=("csv",),
    )

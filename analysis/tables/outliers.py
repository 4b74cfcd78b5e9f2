"""Images on which a method is better or worse than method and image together let expect."""

from __future__ import annotations

from urllib.parse import quote

from analysis.io.numbers import p_text, signed
from analysis.stats.outliers import Outlier
from analysis.study.results import Study
from analysis.tables.grid import Cell, Column, Grid, Table

MOST = 20
"""Cells a data set in the pages; the CSV has all of them."""

_COLUMNS = (
    Column("image", "image", numeric=False),
    Column("method", "method", numeric=False),
    Column("residual", "residual"),
    Column("residual_low", "low"),
    Column("residual_high", "high"),
    Column("p", "p"),
    Column("q", "q"),
)


def outlier_tables(study: Study) -> list[Table]:
    """What is named, most striking first; and every cell, as CSV."""
    named, every = [], []
    for dataset, cells in study.outliers.items():
        found = [cell for cell in cells if cell.named]
        notes = (*study.notes, f"{len(found)} of {len(cells)} cells are named")
        named.append(Grid(dataset, _COLUMNS, tuple(_row(cell, dataset) for cell in found[:MOST]), notes))
        every.append(Grid(dataset, _COLUMNS, tuple(_row(cell, dataset) for cell in cells)))
    legend = (
        "residual: MOS of the image by the method minus what the means of method and image let expect, with "
        "Student's 95 % interval over raters. q: p adjusted over all cells of the data set "
        "(Benjamini and Hochberg); cells with q < 0.05 are named, of which 5 % are expected to be false. "
    )
    banner = study.banner
    return [
        Table(
            "outliers",
            "Images that suit or spoil a method",
            tuple(named),
            legend + f"At most {MOST} a data set; outliers_all.csv has every cell.",
            banner=banner,
            formats=("md", "tex", "html"),
        ),
        Table(
            "outliers_all",
            "Residuals of image x method",
            tuple(every),
            legend,
            banner=banner,
            formats=("csv",),
        ),
    ]


def viewer_link(dataset: str, image: str, method: str) -> str:
    """The report's fragment that opens an image by a method in the viewer."""
    return "view=" + "/".join(quote(name, safe="") for name in (dataset, image, method))


def _row(cell: Outlier, dataset: str) -> tuple[Cell, ...]:
    low, high = cell.residual.low, cell.residual.high
    return (
        Cell(cell.image, cell.image, link=viewer_link(dataset, cell.image, cell.method)),
        Cell(cell.method, cell.method),
        *(
            Cell("" if value is None else signed(round(value, 2) + 0.0, 2), value)
            for value in (cell.residual.mean, low, high)
        ),
        Cell(p_text(cell.p), cell.p),
        Cell(p_text(cell.q), cell.q),
    )

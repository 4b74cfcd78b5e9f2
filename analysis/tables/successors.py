"""Table S: the systems after SRGAN, as their papers print them and as their images score here."""

from __future__ import annotations

from analysis.io.methods import base_and_origin, ordered_datasets, ordered_methods
from analysis.io.metrics import Metrics
from analysis.io.numbers import DASH, DECIMALS, PARTIAL, number, printed_difference, signed
from analysis.tables.grid import Cell, Column, Grid, Table
from repro.papers.printed import BABOON, DATASETS, Paper, Printed
from repro.papers.protocols import DESCRIPTIONS
from repro.papers.srgan import TABLE2_METHODS, VARIANTS
from repro.papers.successors import PAPERS

_SINGLE_IMAGES = {BABOON: ("Set14", "img_001")}
_HEADINGS = {"psnr_db": "PSNR [dB]", "ssim": "SSIM"}


def successor_methods() -> set[str]:
    """The base names of the methods that Table S has rows for, SRGAN's own aside."""
    return {row.method for paper in PAPERS for row in paper.printed} - {"SRGAN-VGG54"}


def table_s(metrics: Metrics) -> Table:
    """Every printed row of :data:`repro.papers.successors.PAPERS` beside what the store's images score.

    One grid a data set, each row under the protocol that its printed values were measured with. What no paper
    here has, such as a model that was added, follows under the protocol that most papers use.
    """
    printed_rows = [(paper, printed) for paper in PAPERS for printed in paper.printed]
    added = [(_ADDED, Printed(name, {}, "")) for name in _added_methods(metrics)]
    rows = [*printed_rows, *added]
    more = [name for name in ordered_datasets(metrics.datasets()) if name not in DATASETS]
    grids = []
    for dataset in (*DATASETS, *more):
        here = [pair for pair in rows if dataset in pair[1].scores or _scored(metrics, pair[1], dataset)]
        if here or dataset in DATASETS:
            grids.append(_grid(metrics, dataset, here))
    unprinted = [(paper, printed) for paper, printed in printed_rows if not printed.scores]
    if unprinted:
        columns = (
            Column("method", "method", numeric=False),
            Column("why", "why", numeric=False, tex_mm=110),
        )
        lines = []
        for paper, row in unprinted:
            why = "; ".join(row.notes)
            lines.append((Cell(row.method, row.method, (paper.citation,)), Cell(why, why)))
        grids.append(Grid("Without printed values", columns, tuple(lines)))
    used = dict.fromkeys(row.protocol for _, row in rows if row.scores)
    protocols = " ".join(f"{name}: {DESCRIPTIONS[name]}." for name in used)
    return Table(
        "table_s",
        "Table S: the systems after SRGAN at x4, each row under the protocol that it was printed with",
        tuple(grids),
        "here: the mean over the images in the store, by us or, in brackets, by whom. diff = here minus "
        f"printed. {DASH}: no such images here, or not printed. Rows of different protocols are not "
        f"comparable. {protocols}",
    )


_ADDED = Paper("", "", ())


def _added_methods(metrics: Metrics) -> list[str]:
    """Base names in the store that are no row of a paper's."""
    known = successor_methods().union(VARIANTS, TABLE2_METHODS, ("HR", "SRGAN-VGG54"))
    bases = {base_and_origin(name)[0] for dataset in metrics.datasets() for name in metrics.methods(dataset)}
    return ordered_methods(bases - known)


def _names(metrics: Metrics, row: Printed, dataset: str) -> list[str]:
    stored = metrics.methods(_SINGLE_IMAGES.get(dataset, (dataset, ""))[0])
    return ordered_methods(name for name in stored if base_and_origin(name)[0] == row.method)


def _scored(metrics: Metrics, row: Printed, dataset: str) -> bool:
    """Whether images of ours or others' are to be shown though nothing is printed of the data set."""
    if dataset in _SINGLE_IMAGES or row.method == "SRGAN-VGG54":
        return False
    return bool(_names(metrics, row, dataset))


def _grid(metrics: Metrics, dataset: str, rows: list[tuple[Paper, Printed]]) -> Grid:
    columns = [Column("method", "method", numeric=False), Column("protocol", "protocol", numeric=False)]
    for metric, heading in _HEADINGS.items():
        columns += [
            Column(f"{metric}_printed", f"{heading} printed"),
            Column(metric, "here"),
            Column(f"{metric}_difference", "diff"),
        ]
    columns.append(Column("source", "printed by", numeric=False, tex_mm=30))
    lines = []
    for paper, row in rows:
        for name in _names(metrics, row, dataset) or [row.method]:
            lines.append(_line(metrics, dataset, name, paper, row))
    return Grid(dataset, tuple(columns), tuple(lines))


def _line(metrics: Metrics, dataset: str, name: str, paper: Paper, row: Printed) -> tuple[Cell, ...]:
    printed = dict(zip(_HEADINGS, row.scores.get(dataset, (None, None)), strict=True))
    cited = (paper.citation,) if paper.citation else ()
    cells = [Cell(name, name, (*cited, *row.notes)), Cell(row.protocol, row.protocol)]
    for metric, paper_value in printed.items():
        digits = DECIMALS[metric]
        here, notes = _here(metrics, dataset, name, metric, row.protocol)
        cells.append(Cell(DASH) if paper_value is None else Cell(number(paper_value, digits), paper_value))
        text = DASH if here is None else number(here, digits) + (PARTIAL if notes else "")
        cells.append(Cell(text, here, notes))
        if here is None or paper_value is None or notes:
            cells.append(Cell(DASH))
        else:
            difference = printed_difference(here, paper_value, digits)
            cells.append(Cell(signed(difference, digits), difference))
    source = row.source if dataset in row.scores else "not printed"
    return (*cells, Cell(source, source))


def _here(
    metrics: Metrics, dataset: str, method: str, metric: str, protocol: str
) -> tuple[float | None, tuple[str, ...]]:
    """The value of the store's images, and what must be said of it."""
    if dataset in _SINGLE_IMAGES:
        place, image = _SINGLE_IMAGES[dataset]
        value = metrics.values(place, method, metric, protocol).get(image)
        return (None if value is None else float(value)), ()
    mean = metrics.mean(dataset, method, metric, protocol)
    if mean is None:
        return None, ()
    return mean.value, () if mean.complete else (f"mean of {mean.images} of {mean.expected} images",)

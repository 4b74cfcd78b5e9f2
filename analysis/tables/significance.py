"""Which differences of mean opinion scores are significant: all pairs, and a matrix for each data set."""

from __future__ import annotations

from analysis.io.numbers import p_text
from analysis.stats.significance import PairTest
from analysis.study.results import DatasetResult, Study
from analysis.tables.cells import interval_cells, number_cell
from analysis.tables.grid import Cell, Column, Grid, Table

_WORDS = {">": "better", "<": "worse", "=": "no difference shown", "?": "cannot be decided"}
"""In CSV files: a spreadsheet would take the signs for formulas."""


def significance(study: Study) -> list[Table]:
    """All pairs in detail, and a matrix for each data set."""
    columns = (
        Column("first", "first", numeric=False),
        Column("second", "second", numeric=False),
        Column("difference", "ΔMOS"),
        Column("difference_low", "low"),
        Column("difference_high", "high"),
        Column("votes_n", "n"),
        Column("votes_zeros", "zeros"),
        Column("votes_p", "p"),
        Column("votes_effect", "r"),
        Column("images_n", "images n"),
        Column("images_zeros", "zeros"),
        Column("images_p", "p"),
        Column("images_effect", "r"),
        Column("raters_n", "raters n"),
        Column("raters_zeros", "zeros"),
        Column("raters_p", "p"),
        Column("raters_effect", "r"),
        Column("two_way_p", "two-way p"),
        Column("robust_p", "Holm p"),
        Column("paper_verdict", "paper", numeric=False),
        Column("robust_verdict", "robust", numeric=False),
    )
    pairs, matrices = [], []
    for dataset, result in study.datasets.items():
        if not result.tests.pairs:
            continue
        pairs.append(
            Grid(
                dataset,
                columns,
                tuple(_pair_row(pair) for pair in result.tests.pairs),
                study.notes,
            )
        )
        matrices.append(_matrix(result, study.notes))
    if not pairs:
        return []
    return [
        Table(
            "significance",
            "Significance of differences in MOS, matrices",
            tuple(matrices),
            "Above the diagonal paper mode (votes), below it robust mode (per image, per rater, over both, "
            "Holm). > the "
            "row's method is significantly better (p < 0.05) than the column's, < worse, = no difference "
            "shown.",
            banner=study.banner,
        ),
        Table(
            "pairs",
            "Significance of differences in MOS, all pairs",
            tuple(pairs),
            "Two-sided Wilcoxon signed-rank tests, exact with ties up to n = 50. Paper mode: n votes (same "
            "image, same rater), p uncorrected. Robust mode: sums per image, sums per rater, and Student's t "
            "with the two-way variance over both; Holm p = the largest of the three p, corrected over all "
            "pairs of the data set. zeros: pairs without a difference, left out of n. r: matched-pairs "
            "rank-biserial "
            "correlation. ΔMOS with a two-way bootstrap interval.",
            banner=study.banner,
            formats=("md", "csv", "html"),
        ),
    ]


def _pair_row(pair: PairTest) -> tuple[Cell, ...]:
    cells = [
        Cell(pair.first, pair.first),
        Cell(pair.second, pair.second),
        *interval_cells(pair.difference, 3),
    ]
    for test in (pair.votes, pair.per_image, pair.per_rater):
        cells += [
            Cell(str(test.n), test.n),
            Cell(str(test.zeros), test.zeros),
            Cell(p_text(test.p), test.p),
            number_cell(test.effect, 2),
        ]
    cells.append(Cell(p_text(pair.p_two_way), pair.p_two_way))
    cells.append(Cell(p_text(pair.p_robust), pair.p_robust))
    for differs, effect in (
        (pair.differs_paper, pair.votes.effect),
        (pair.differs_robust, pair.per_image.effect),
    ):
        verdict = "=" if not differs else ">" if effect > 0 else "<"
        cells.append(Cell(verdict, _WORDS[verdict]))
    return tuple(cells)


def _matrix(result: DatasetResult, notes: tuple[str, ...]) -> Grid:
    methods = list(result.methods)
    rows = []
    for i, row_method in enumerate(methods):
        cells = [Cell(row_method, row_method)]
        for j, column_method in enumerate(methods):
            pair = result.tests.between(row_method, column_method) if i != j else None
            if pair is None:
                cells.append(Cell("·", None))
                continue
            robust = i > j
            text = "?" if robust and result.undecidable else "="
            if pair.favours(row_method, robust=robust):
                text = ">"
            elif pair.favours(column_method, robust=robust):
                text = "<"
            cells.append(Cell(text, _WORDS[text]))
        rows.append(tuple(cells))
    if result.undecidable:
        notes = (*notes, f"robust mode cannot decide (?): {result.undecidable}")
    columns = (
        Column("method", "row", numeric=False),
        *(Column(name, name, numeric=False, tall=True) for name in methods),
    )
    return Grid(result.ratings.dataset, columns, tuple(rows), notes)

"""The pilot's images that were rated twice."""

from __future__ import annotations

from analysis.io.numbers import number, p_text, signed
from analysis.study.results import Study
from analysis.tables.grid import Cell, Column, Grid, Table


def retest_table(pilot: Study) -> Table:
    """The pilot's test-retest report."""
    result = pilot.retest
    if result is None:
        raise ValueError("no image was shown twice")
    low, high = result.difference.low, result.difference.high
    bounds = "" if low is None or high is None else f" [{signed(low, 3)}, {signed(high, 3)}]"
    lines: list[tuple[str, str, float | int]] = [
        ("pairs of votes", f"{result.pairs:,}", result.pairs),
        ("raters", str(result.raters), result.raters),
        ("same score", f"{result.exact:.1%}", result.exact),
        ("at most one apart", f"{result.within_one:.1%}", result.within_one),
        ("kappa, quadratic weights", number(result.kappa, 3), result.kappa),
        ("ICC(A,1)", number(result.icc, 3), result.icc),
        ("Wilcoxon p (paper: not significant)", p_text(result.wilcoxon.p), result.wilcoxon.p),
        ("non-zero differences", str(result.wilcoxon.n), result.wilcoxon.n),
        (
            "second minus first, raters' means [90 %]",
            signed(result.difference.mean, 3) + bounds,
            result.difference.mean,
        ),
    ]
    rows = tuple((Cell(name, name), Cell(text, value)) for name, text, value in lines)
    return Table(
        "retest",
        "Pilot: the same images rated twice",
        (
            Grid(
                "",
                (Column("measure", "measure", numeric=False), Column("value", "value")),
                rows,
                pilot.notes,
            ),
        ),
        f"{result.sentence} Equivalence: two one-sided t tests over raters' means at 5 %, margin "
        f"±{result.criteria.margin:g} MOS (ours; the paper states no criterion).",
        grid_key="",
        banner=pilot.banner,
    )

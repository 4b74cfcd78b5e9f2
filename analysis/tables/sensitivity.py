"""Does a claim depend on how raters are modelled?"""

from __future__ import annotations

from analysis.io.numbers import DASH
from analysis.judge.claims import Sensitivity
from analysis.study.results import Study
from analysis.tables.grid import Cell, Column, Grid, Table


def sensitivity_table(found: list[Sensitivity], study: Study) -> Table:
    """One row a claim on opinions, one column a rater model."""
    columns = (
        Column("claim", "the paper's claim", numeric=False, tex_mm=46),
        *(Column(name, name, numeric=False, tex_mm=15) for name in study.views),
        Column("agree", "all agree", numeric=False),
        *(Column(f"{name}: why", "", numeric=False) for name in study.views),
    )
    rows = tuple(
        (
            Cell(row.claim.text, row.claim.text),
            *(
                Cell(str(decision), str(decision), (why,) if row.unfitted(name) else ())
                for name, (decision, why) in row.decisions.items()
            ),
            Cell(DASH) if row.agree is None else Cell("yes" if row.agree else "no", int(row.agree)),
            *(Cell("", why) for _, why in row.decisions.values()),
        )
        for row in found
    )
    return Table(
        "sensitivity",
        "Claims under other models of the raters",
        (Grid("", columns, rows, study.notes),),
        "The same test of the same votes: plain; without the raters that BT.500 rejects; P.913: biases taken "
        "off, then BT.500; P.910 Annex E: biases taken off, raters weighted by consistency; ordinal: a "
        "cumulative probit model with crossed effects of image, rater and both with method (Wald tests, "
        "likelihood ratios where a method has one extreme score). All agree: among models that could judge.",
        grid_key="",
        banner=study.banner,
    )

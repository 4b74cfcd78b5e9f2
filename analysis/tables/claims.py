"""The paper's claims with our decisions."""

from __future__ import annotations

from analysis.judge.claims import Result
from analysis.tables.grid import Cell, Column, Grid, Table


def claims_table(claims: list[Result], banner: tuple[str, ...]) -> Table:
    """The paper's claims with our decisions."""
    rows = tuple(
        (
            Cell(found.claim.text, found.claim.text),
            Cell(str(found.decision), str(found.decision)),
            Cell(found.paper_mode, found.paper_mode),
            Cell(found.sentence, found.sentence),
            Cell(found.claim.plan, found.claim.plan),
        )
        for found in claims
    )
    columns = (
        Column("claim", "the paper's claim", numeric=False, tex_mm=38),
        Column("decision", "decision", numeric=False, tex_mm=13),
        Column("paper_mode", "paper's test", numeric=False, tex_mm=11),
        Column("sentence", "our data", numeric=False, tex_mm=58),
        Column("plan", "family, test, margin", numeric=False, tex_mm=40),
    )
    return Table(
        "claims",
        "The paper's claims, re-tested",
        (Grid("", columns, rows),),
        "Holds: shown. Does not hold: the opposite is shown. Undecided: neither, which refutes nothing. Not "
        "judged: a method or data set that the claim needs is missing. Paper's test: every vote a sample of "
        "its own, p < 0.05, uncorrected.",
        grid_key="",
        banner=banner,
    )

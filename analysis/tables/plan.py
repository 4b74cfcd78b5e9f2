"""The preregistered plan beside what was done."""

from __future__ import annotations

from analysis.judge.plan import Planned
from analysis.study.results import Study
from analysis.tables.grid import Cell, Column, Grid, Table

_WORDS = {True: "yes", False: "no", None: ""}


def plan_table(found: list[Planned], study: Study) -> Table:
    """One row a line of the plan."""
    columns = (
        Column("what", "what", numeric=False, tex_mm=18),
        Column("planned", "planned", numeric=False, tex_mm=78),
        Column("done", "done", numeric=False, tex_mm=48),
        Column("deviates", "deviates", numeric=False),
    )
    rows = tuple(
        (
            Cell(line.what, line.what),
            Cell(line.planned, line.planned),
            Cell(line.done, line.done),
            Cell(_WORDS[line.deviates], _WORDS[line.deviates], bold=line.deviates is True),
        )
        for line in found
    )
    return Table(
        "plan",
        "Planned and done",
        (Grid("", columns, rows),),
        "Planned: what mos_app init froze in the study's file before anyone voted, with a hash of the file. "
        "A claim that was not planned is exploratory.",
        grid_key="",
        banner=study.banner,
    )

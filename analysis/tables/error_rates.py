"""The table of error rates and power, and the way back from its CSV, so that it can be made in pieces."""

from __future__ import annotations

import csv
from itertools import groupby
from pathlib import Path

from analysis.io.numbers import DASH
from analysis.judge.error_rates import OPEN, REFUTED, SHOWN, Rate, key_of, settings
from analysis.tables.grid import Cell, Column, Grid, Table
from repro.core.errors import UserError

KEY = "error_rates"
_AGAIN = "remove the folder and run: python -m analysis errors"
_COLUMNS = (
    Column("truth", "truth", numeric=False, tex_mm=42),
    Column("interactions", "interactions", numeric=False),
    Column("missing", "missing"),
    Column("studies", "studies"),
    Column("shown", "shown"),
    Column("refuted", "refuted"),
    Column("undecided", "undecided"),
    Column("error", "error"),
    Column("error_low", "low"),
    Column("error_high", "high"),
    Column("power", "power"),
)


def error_table(rates: list[Rate]) -> Table:
    """One line a truth and a setting; rows in the order of :func:`settings`."""
    place = {key_of(*setting): number for number, setting in enumerate(settings())}
    rates = sorted(rates, key=lambda rate: place[rate.key])
    grids = tuple(
        Grid(name, _COLUMNS, tuple(_row(rate) for rate in found)) for name, found in groupby(rates, key=_name)
    )
    left = len(place) - len(rates)
    return Table(
        KEY,
        "Error rates and power of verdicts and claims",
        grids,
        "Simulated studies of the data set's size with 26 raters and the project's default spreads; "
        "interactions: SD 0.3 MOS of image x method, rater x method, both, or none; missing: share of "
        "votes, at random. Error: the share of studies in which what is false is said (nominal at most "
        "5 %), with Clopper and Pearson's 95 % interval; power: in which what is true is found."
        + (f" {left} of {len(place)} rows are not computed yet." if left else ""),
        grid_key="statement",
        formats=("md", "tex", "html"),  # the CSV is what the table is made from
    )


def read_rates(path: Path) -> list[Rate]:
    """The rows of ``error_rates.csv``; none where there is no file.

    Raises:
        UserError: a damaged file, or rows that this version does not know.
    """
    if not path.is_file():
        return []
    named = {}
    for setting in settings():
        text, dataset, *rest = key_of(*setting)
        named[f"{text} ({dataset})", *rest] = setting
    found = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                setting = named[row["statement"], row["truth"], row["interactions"], row["missing"]]
                found.append(Rate(*setting, int(row["studies"]), float(row["shown"]), float(row["refuted"])))
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path}: {error!r}", "rows of this version's table", _AGAIN) from None
    return found


def _name(rate: Rate) -> str:
    return f"{rate.statement.text} ({rate.statement.dataset})"


def _row(rate: Rate) -> tuple[Cell, ...]:
    right = rate.statement.right
    shares = (*(rate.share(outcome) for outcome in (SHOWN, REFUTED, OPEN)), rate.share(rate.statement.wrong))
    return (
        Cell(rate.statement.truth, rate.statement.truth),
        Cell(rate.interactions, rate.interactions),
        Cell(f"{rate.missing:.0%}", f"{rate.missing:g}"),
        Cell(str(rate.studies), rate.studies),
        *(Cell(f"{share:.1%}", share) for share in (*shares, *rate.error_bounds)),
        Cell(f"{rate.share(right):.1%}", rate.share(right)) if right else Cell(DASH),
    )

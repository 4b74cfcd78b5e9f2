"""A table as data.

A table has one grid per data set, so that each grid has just the columns that make sense for it. Footnotes
are sentences that hang on a cell, a row, a column or a grid; they are numbered where they first appear.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

FORMATS = ("md", "csv", "tex", "html")


@dataclass(frozen=True)
class Cell:
    """What is shown, and the number behind it.

    Attributes:
        text: as printed.
        value: for the CSV, at full precision; None leaves the CSV's cell empty.
        notes: footnote sentences.
        bold: the best of its column.
        aside: a second value, printed in grey behind the first (the paper's).
        marks: letters that another table explains.
        link: fragment of the report that the text leads to ("": none).
    """

    text: str
    value: str | float | int | None = None
    notes: tuple[str, ...] = ()
    bold: bool = False
    aside: str = ""
    marks: tuple[str, ...] = ()
    link: str = ""


@dataclass(frozen=True)
class Column:
    """A column: ``key`` heads it in the CSV, ``heading`` everywhere else (an empty one: only in the CSV).

    ``tex_mm``: width in LaTeX of a column of sentences, which wrap. ``group``: heads neighbouring columns.
    ``tall``: the heading is turned by a quarter in LaTeX.
    """

    key: str
    heading: str
    notes: tuple[str, ...] = ()
    numeric: bool = True
    tex_mm: int | None = None
    group: str = ""
    tall: bool = False

    @property
    def whole_heading(self) -> str:
        """Group and heading in one line, where headings have one line only."""
        return f"{self.group} {self.heading}".strip()


@dataclass(frozen=True)
class Grid:
    """The rows of one data set; every row has one cell per column."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def shown(self) -> Grid:
        """The grid without the columns that only the CSV has."""
        keep = [place for place, column in enumerate(self.columns) if column.heading]
        return Grid(
            self.name,
            tuple(self.columns[place] for place in keep),
            tuple(tuple(row[place] for place in keep) for row in self.rows),
            self.notes,
        )


@dataclass(frozen=True)
class Table:
    """A titled table. ``legend`` says how to read it; ``key`` names its files."""

    key: str
    title: str
    grids: tuple[Grid, ...]
    legend: str = ""
    grid_key: str = "dataset"
    banner: tuple[str, ...] = ()
    formats: tuple[str, ...] = FORMATS
    # sentences that nobody may overlook (synthetic raters), printed above the grids

    def footnotes(self) -> dict[str, int]:
        """Sentence -> number, in the order of first appearance."""
        return {note: number for number, note in enumerate(dict.fromkeys(self._all_notes()), start=1)}

    def _all_notes(self) -> Iterator[str]:
        for grid in self.grids:
            yield from grid.notes
            for column in grid.columns:
                yield from column.notes
            for row in grid.rows:
                for cell in row:
                    yield from cell.notes


def note_numbers(notes: tuple[str, ...], footnotes: dict[str, int]) -> list[int]:
    """The numbers of a cell's, row's or heading's sentences, each once, in order."""
    return sorted({footnotes[note] for note in notes})


def spans(columns: tuple[Column, ...]) -> list[tuple[str, int]]:
    """Neighbouring columns of one group, and how many they are."""
    return [(group, len(list(mine))) for group, mine in groupby(columns, key=lambda column: column.group)]

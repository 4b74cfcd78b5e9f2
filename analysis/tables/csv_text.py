"""A table as CSV."""

from __future__ import annotations

import csv
import io

from analysis.tables.grid import Table


def to_csv(table: Table) -> str:
    """One line per row at full precision; all grids' columns; footnotes as text in the last column."""
    keys = list(dict.fromkeys(column.key for grid in table.grids for column in grid.columns))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([table.grid_key, *keys, "notes"])
    for grid in table.grids:
        for row in grid.rows:
            values = dict(zip((column.key for column in grid.columns), row, strict=True))
            notes = [*table.banner, *grid.notes, *(note for cell in row for note in cell.notes)]
            writer.writerow(
                [
                    _plain(grid.name),
                    *(_plain(values[key].value) if key in values else "" for key in keys),
                    _plain(" | ".join(dict.fromkeys(notes))),
                ]
            )
    return buffer.getvalue()


def _plain(value: str | float | int | None) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return format(value, ".10g")
    # a spreadsheet would run a cell that starts like a formula
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text[:1] in {"=", "+", "-", "@", "\t"} else text

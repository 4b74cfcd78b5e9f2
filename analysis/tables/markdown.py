"""A table as Markdown."""

from __future__ import annotations

from analysis.tables.grid import Cell, Table, note_numbers

WIDEST = 60
"""Columns are padded to at most this many characters in Markdown; sentences run on."""


def to_markdown(table: Table) -> str:
    """GitHub-flavoured Markdown, columns padded so that it reads well in a terminal too."""
    footnotes = table.footnotes()

    def marked(text: str, notes: tuple[str, ...], bold: bool = False) -> str:
        text = text.replace("|", "\\|").replace("*", "\\*")
        text = f"**{text}**" if bold else text
        return text + "".join(f"[{number}]" for number in note_numbers(notes, footnotes))

    def printed(cell: Cell) -> str:
        text = marked(cell.text, cell.notes, cell.bold)
        text += f" [{', '.join(cell.marks)}]" if cell.marks else ""
        return f"{text} ({cell.aside})" if cell.aside else text

    parts = [f"## {table.title}"]
    parts += [f"> **{sentence}**" for sentence in table.banner]
    if table.legend:
        parts.append(table.legend)
    for grid in (grid.shown() for grid in table.grids):
        heading = [marked(column.whole_heading, column.notes) for column in grid.columns]
        body = [[printed(cell) for cell in row] for row in grid.rows]
        widths = [min(WIDEST, max(len(line[i]) for line in [heading, *body])) for i in range(len(heading))]
        rules = [
            ("-" * (w - 1) + ":") if c.numeric else "-" * w for w, c in zip(widths, grid.columns, strict=True)
        ]
        lines = [
            "| "
            + " | ".join(
                text.rjust(width) if column.numeric else text.ljust(width)
                for text, width, column in zip(line, widths, grid.columns, strict=True)
            )
            + " |"
            for line in [heading, rules, *body]
        ]
        if grid.name:
            parts.append(f"### {marked(grid.name, grid.notes)}")
        parts.append("\n".join(lines))
    if footnotes:
        parts.append("\n".join(f"- [{number}] {sentence}" for sentence, number in footnotes.items()))
    return "\n\n".join(parts) + "\n"

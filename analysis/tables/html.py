"""A table as HTML."""

from __future__ import annotations

import html

from analysis.tables.grid import Cell, Table, note_numbers, spans


def to_html(table: Table) -> str:
    """A ``<section>`` without styles of its own; footnotes link to the list below."""
    footnotes = table.footnotes()

    def marked(text: str, notes: tuple[str, ...], bold: bool = False) -> str:
        text = html.escape(text)
        text = f"<strong>{text}</strong>" if bold else text
        links = ",".join(
            f'<a href="#{table.key}-n{number}">{number}</a>' for number in note_numbers(notes, footnotes)
        )
        return text + (f"<sup>{links}</sup>" if links else "")

    def printed(cell: Cell) -> str:
        text = marked(cell.text, cell.notes, cell.bold)
        text = f'<a href="#{html.escape(cell.link)}">{text}</a>' if cell.link else text
        if cell.marks:
            links = ",".join(f'<a href="#deviation-{mark}">{mark}</a>' for mark in cell.marks)
            text += f"<sup>{links}</sup>"
        return f'{text} <span class="aside">{html.escape(cell.aside)}</span>' if cell.aside else text

    out = [f'<section class="grid" id="{table.key}">', f"<h3>{html.escape(table.title)}</h3>"]
    out += [f'<p class="warning">{html.escape(sentence)}</p>' for sentence in table.banner]
    if table.legend:
        out.append(f'<p class="legend">{html.escape(table.legend)}</p>')
    for grid in (grid.shown() for grid in table.grids):
        out.append('<div class="scroll"><table>')
        if grid.name:
            out.append(f"<caption>{marked(grid.name, grid.notes)}</caption>")
        kinds = ["num" if column.numeric else "txt" for column in grid.columns]
        out.append("<thead>")
        if any(column.group for column in grid.columns):
            heads = "".join(
                f'<th colspan="{count}" scope="colgroup">{html.escape(group)}</th>'
                for group, count in spans(grid.columns)
            )
            out.append(f"<tr>{heads}</tr>")
        out.append(
            "<tr>"
            + "".join(
                f'<th scope="col" class="{kind}">{marked(column.heading, column.notes)}</th>'
                for column, kind in zip(grid.columns, kinds, strict=True)
            )
            + "</tr></thead><tbody>"
        )
        for row in grid.rows:
            cells = [
                f'<td class="{kind}{_verdict_class(cell)}">{printed(cell)}</td>'
                for cell, kind in zip(row, kinds, strict=True)
            ]
            # other tables' letters link to their lines here
            anchor = f' id="deviation-{html.escape(row[0].text)}"' if table.key == "deviations" else ""
            out.append(f"<tr{anchor}>{''.join(cells)}</tr>")
        out.append("</tbody></table></div>")
    if footnotes:
        out.append('<ol class="notes">')
        out += [
            f'<li id="{table.key}-n{number}">{html.escape(sentence)}</li>'
            for sentence, number in footnotes.items()
        ]
        out.append("</ol>")
    out.append("</section>")
    return "\n".join(out) + "\n"


def _verdict_class(cell: Cell) -> str:
    words = {"reproduced": " yes", "holds": " yes", "not reproduced": " no", "does not hold": " no"}
    return words.get(cell.text, "")

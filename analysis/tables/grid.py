"""A table as data, and its four renderings: Markdown, CSV, LaTeX (booktabs) and HTML.

A table has one grid per data set, so that each grid has just the columns that make sense for it. Footnotes
are sentences that hang on a cell, a row, a column or a grid; they are numbered where they first appear.
"""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, zip_longest

COLUMN_INCHES, PAGE_INCHES = 3.25, 6.875
"""Widths of a column and of both, with their gap, in CVPR's style."""
FORMATS = ("md", "csv", "tex", "html")
WIDE = 10
"""Columns from which a table is set tighter in LaTeX."""
WIDEST = 60
"""Columns are padded to at most this many characters in Markdown; sentences run on."""


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


def _numbers(notes: tuple[str, ...], footnotes: dict[str, int]) -> list[int]:
    return sorted({footnotes[note] for note in notes})


# --- Markdown --------------------------------------------------------------------------------------------


def to_markdown(table: Table) -> str:
    """GitHub-flavoured Markdown, columns padded so that it reads well in a terminal too."""
    footnotes = table.footnotes()

    def marked(text: str, notes: tuple[str, ...], bold: bool = False) -> str:
        text = text.replace("|", "\\|").replace("*", "\\*")
        text = f"**{text}**" if bold else text
        return text + "".join(f"[{number}]" for number in _numbers(notes, footnotes))

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


# --- CSV -------------------------------------------------------------------------------------------------


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


# --- LaTeX -----------------------------------------------------------------------------------------------

_TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    '"': "''",
    "–": "--",
    "−": "$-$",
    "∞": r"$\infty$",
    "±": r"$\pm$",
    "≤": r"$\le$",
    "≠": r"$\neq$",
    "✓": r"$\checkmark$",
    "†": r"$\dagger$",
    "≥": r"$\ge$",
    "×": r"$\times$",
    "α": r"$\alpha$",
    "κ": r"$\kappa$",
    "Δ": r"$\Delta$",
    "≈": r"$\approx$",
    "·": r"$\cdot$",
    "√": r"$\surd$",
    "ρ": r"$\rho$",
    "τ": r"$\tau$",
    "δ": r"$\delta$",
}


def tex_escape(text: str) -> str:
    """Text as LaTeX prints it; characters that pdflatex does not know become a question mark."""
    return "".join(_TEX.get(c, c if c.isascii() or "\u00a0" < c < "\u0100" else "?") for c in text)


PAGE_LINES = 60
"""Of small print that surely fit a page in LaTeX."""


def _tex_lines(grid: Grid) -> int:
    """About how many lines a grid takes; four characters are 5 mm wide."""
    return sum(
        max(
            -(-5 * len(cell.text) // (4 * column.tex_mm)) if column.tex_mm else 1
            for cell, column in zip(row, grid.columns, strict=True)
        )
        for row in grid.rows
    )


def to_latex(table: Table) -> str:
    """A ``table*`` environment per grid, with notes below the last; needs the packages named there."""
    footnotes = table.footnotes()

    def marked(text: str, notes: tuple[str, ...], bold: bool = False, marks: tuple[str, ...] = ()) -> str:
        text = tex_escape(text)
        text = rf"\textbf{{{text}}}" if bold else text
        signs = ",".join([*marks, *(str(number) for number in _numbers(notes, footnotes))])
        return text + (rf"\textsuperscript{{{signs}}}" if signs else "")

    # LaTeX numbers its tables itself
    title = re.sub(r"^Table [\dS]+: ", "", table.title)
    title = tex_escape(title[:1].upper() + title[1:])
    lines = [r"% needs \usepackage{array,booktabs,xcolor,amssymb,graphicx}"]
    grids = [grid.shown() for grid in table.grids]
    for grid in grids:
        caption = title + (f": {marked(grid.name, grid.notes)}" if grid.name else "")
        gap = "1.5pt" if len(grid.columns) >= WIDE else "2.5pt"
        lines += [r"\begin{table*}[tbp]", rf"\centering\scriptsize\setlength{{\tabcolsep}}{{{gap}}}"]
        lines.append(rf"\caption{{{caption}}}")
        lines += [rf"{{\itshape {tex_escape(sentence)}\par}}" for sentence in table.banner]
        tall = _tex_lines(grid) > PAGE_LINES
        lines += [r"\sbox8{%"] * tall
        lines.append(r"\begin{tabular}{" + "".join(_tex_column(column) for column in grid.columns) + "}")
        lines.append(r"\toprule")
        lines += _tex_groups(grid.columns)
        heads = [marked(column.heading, column.notes) for column in grid.columns]
        heads = [
            rf"\rotatebox{{90}}{{{head}}}" if column.tall else head
            for head, column in zip(heads, grid.columns, strict=True)
        ]
        lines.append(" & ".join(heads) + r" \\")
        lines.append(r"\midrule")
        for row, following in zip_longest(grid.rows, grid.rows[1:]):
            cells = [marked(cell.text, cell.notes, cell.bold, cell.marks) for cell in row]
            lines.append(" & ".join(cells) + r" \\")
            lines += _tex_asides(row, following)
        lines += [r"\bottomrule", r"\end{tabular}"]
        # shrunk until it fits the page
        most = r".85\textheight"
        fitting = rf"}}\ifdim\dimexpr\ht8+\dp8\relax>{most}\resizebox*{{!}}{{{most}}}{{\copy8}}\else\copy8\fi"
        lines += [fitting] * tall
        if grid is grids[-1]:
            # only the last grid carries the notes: the numbers run through the whole table
            words = [tex_escape(table.legend)] if table.legend else []
            words += [
                rf"\textsuperscript{{{number}}} {tex_escape(sentence)}"
                for sentence, number in footnotes.items()
            ]
            lines += [rf"\par\smallskip\raggedright {word}" for word in words]
        lines.append(r"\end{table*}")
    return "\n".join(lines) + "\n"


def _tex_asides(row: tuple[Cell, ...], following: tuple[Cell, ...] | None) -> list[str]:
    """The paper's values as a grey line of their own, once below the rows that share them."""
    asides = [cell.aside for cell in row]
    if not any(asides) or (following is not None and [cell.aside for cell in following] == asides):
        return []
    cells = [rf"\textcolor{{gray}}{{{tex_escape(text)}}}" if text else "" for text in ("paper", *asides[1:])]
    return [" & ".join(cells) + r" \\"]


def _spans(columns: tuple[Column, ...]) -> list[tuple[str, int]]:
    """Neighbouring columns of one group, and how many they are."""
    return [(group, len(list(mine))) for group, mine in groupby(columns, key=lambda column: column.group)]


def _tex_groups(columns: tuple[Column, ...]) -> list[str]:
    """The line of groups above the headings, with rules; none where no column has a group."""
    if not any(column.group for column in columns):
        return []
    cells, rules, start = [], [], 1
    for group, count in _spans(columns):
        cells.append(rf"\multicolumn{{{count}}}{{c}}{{{tex_escape(group)}}}")
        if group:
            rules.append(rf"\cmidrule(lr){{{start}-{start + count - 1}}}")
        start += count
    return [" & ".join(cells) + r" \\", "".join(rules)]


def _tex_column(column: Column) -> str:
    if column.tex_mm is not None:
        return rf">{{\raggedright\arraybackslash}}p{{{column.tex_mm}mm}}"
    return "r" if column.numeric else "l"


FIGURES_TEX = "figures.tex"
"""What ``python -m analysis figures`` writes beside the figures, and the tables' document inputs."""


def latex_figures(figures: Iterable[tuple[str, float, str]]) -> str:
    """The environments of (file, width in inches, caption); those wider than a column span both."""
    lines = []
    for file, inches, caption in figures:
        star = "*" if inches > COLUMN_INCHES else ""
        lines += [
            rf"\begin{{figure{star}}}[tbp]\centering",
            rf"\includegraphics{{{file}}}",
            rf"\caption{{{tex_escape(caption.strip())}}}",
            rf"\end{{figure{star}}}",
        ]
    return "\n".join(lines) + "\n"


def latex_document(files: Iterable[str], figures: str) -> str:
    """A two-column document of CVPR's measures with all tables, and the figures where they were drawn.

    Args:
        files: of the tables.
        figures: the figures' folder, relative to the document.
    """
    place = f"{figures}/{FIGURES_TEX}"
    lines = [rf"\input{{{name}}}\clearpage" for name in files]
    lines.append(rf"\graphicspath{{{{{figures}/}}}}\IfFileExists{{{place}}}{{\input{{{place}}}}}{{}}")
    body = "\n".join(lines)
    return (
        "\\documentclass[10pt,twocolumn,letterpaper]{article}\n"
        "\\usepackage[utf8]{inputenc}\n"
        "\\usepackage{array,booktabs,xcolor,amssymb,graphicx}\n"
        f"\\usepackage[textwidth={PAGE_INCHES}in,textheight=8.875in,columnsep=0.3125in]{{geometry}}\n"
        "\\pagestyle{empty}\n\\pdfinfoomitdate=1\\pdftrailerid{}\n"
        "\\extrafloats{200}\n"
        f"\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )


# --- HTML ------------------------------------------------------------------------------------------------


def to_html(table: Table) -> str:
    """A ``<section>`` without styles of its own; footnotes link to the list below."""
    footnotes = table.footnotes()

    def marked(text: str, notes: tuple[str, ...], bold: bool = False) -> str:
        text = html.escape(text)
        text = f"<strong>{text}</strong>" if bold else text
        links = ",".join(
            f'<a href="#{table.key}-n{number}">{number}</a>' for number in _numbers(notes, footnotes)
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
            spans = "".join(
                f'<th colspan="{count}" scope="colgroup">{html.escape(group)}</th>'
                for group, count in _spans(grid.columns)
            )
            out.append(f"<tr>{spans}</tr>")
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

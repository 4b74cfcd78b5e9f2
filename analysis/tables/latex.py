"""A table as LaTeX (booktabs), and the document of all tables and figures."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import zip_longest

from analysis.tables.grid import Cell, Column, Grid, Table, note_numbers, spans

COLUMN_INCHES, PAGE_INCHES = 3.25, 6.875
"""Widths of a column and of both, with their gap, in CVPR's style."""

WIDE = 10
"""Columns from which a table is set tighter in LaTeX."""

PAGE_LINES = 60
"""Of small print that surely fit a page in LaTeX."""

FIGURES_TEX = "figures.tex"
"""What ``python -m analysis figures`` writes beside the figures, and the tables' document inputs."""

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


def to_latex(table: Table) -> str:
    """A ``table*`` environment per grid, with notes below the last; needs the packages named there."""
    footnotes = table.footnotes()

    def marked(text: str, notes: tuple[str, ...], bold: bool = False, marks: tuple[str, ...] = ()) -> str:
        text = tex_escape(text)
        text = rf"\textbf{{{text}}}" if bold else text
        signs = ",".join([*marks, *(str(number) for number in note_numbers(notes, footnotes))])
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


def _tex_lines(grid: Grid) -> int:
    """About how many lines a grid takes; four characters are 5 mm wide."""
    return sum(
        max(
            -(-5 * len(cell.text) // (4 * column.tex_mm)) if column.tex_mm else 1
            for cell, column in zip(row, grid.columns, strict=True)
        )
        for row in grid.rows
    )


def _tex_asides(row: tuple[Cell, ...], following: tuple[Cell, ...] | None) -> list[str]:
    """The paper's values as a grey line of their own, once below the rows that share them."""
    asides = [cell.aside for cell in row]
    if not any(asides) or (following is not None and [cell.aside for cell in following] == asides):
        return []
    cells = [rf"\textcolor{{gray}}{{{tex_escape(text)}}}" if text else "" for text in ("paper", *asides[1:])]
    return [" & ".join(cells) + r" \\"]


def _tex_groups(columns: tuple[Column, ...]) -> list[str]:
    """The line of groups above the headings, with rules; none where no column has a group."""
    if not any(column.group for column in columns):
        return []
    cells, rules, start = [], [], 1
    for group, count in spans(columns):
        cells.append(rf"\multicolumn{{{count}}}{{c}}{{{tex_escape(group)}}}")
        if group:
            rules.append(rf"\cmidrule(lr){{{start}-{start + count - 1}}}")
        start += count
    return [" & ".join(cells) + r" \\", "".join(rules)]


def _tex_column(column: Column) -> str:
    if column.tex_mm is not None:
        return rf">{{\raggedright\arraybackslash}}p{{{column.tex_mm}mm}}"
    return "r" if column.numeric else "l"


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

"""One table as a page of its own, in the report's dress."""

from __future__ import annotations

import html
from pathlib import Path

from analysis.tables.grid import Table
from analysis.tables.html import to_html


def stylesheet() -> str:
    """The rules for tables, which the report has too."""
    return (Path(__file__).parent / "table.css").read_text(encoding="utf-8")


def to_page(table: Table) -> str:
    """A whole HTML document without scripts; letters link to the page of deviations beside it."""
    section = to_html(table)
    if table.key != "deviations":
        section = section.replace('href="#deviation-', 'href="deviations.html#deviation-')
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(table.title)}</title>\n<style>\n{stylesheet()}</style>\n</head>\n"
        f"<body>\n<main>\n{section}</main>\n</body>\n</html>\n"
    )

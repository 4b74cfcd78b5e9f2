"""A page for printing: each rater's link as a QR code."""

from __future__ import annotations

from collections.abc import Mapping

import segno
from jinja2 import Template

_PAGE = Template(
    """<!doctype html>
<html><head><meta charset="utf-8"><title>{{ title }}</title>
<style>
body { font: 14px/1.4 system-ui, sans-serif; margin: 1cm; }
section { display: inline-block; width: 8cm; margin: .5cm; padding: .5cm; border: 1px solid #999;
  break-inside: avoid; text-align: center; }
p { overflow-wrap: anywhere; font-size: 10px; }
</style></head><body>
{% for code, link, drawing in cards %}<section><h2>{{ title }}</h2><h3>{{ code }}</h3>
{{ drawing | safe }}<p>{{ link }}</p></section>
{% endfor %}</body></html>
""",
    autoescape=True,
)


def invite_sheet(title: str, links: Mapping[str, str]) -> str:
    """HTML with one card per rater: title, pseudonym, QR code (error correction M) and the link itself.

    Args:
        title: of the study.
        links: pseudonym -> link.
    """
    cards = [
        (code, link, segno.make(link, error="m", micro=False).svg_inline(scale=3, border=2))
        for code, link in links.items()
    ]
    return _PAGE.render(title=title, cards=cards)

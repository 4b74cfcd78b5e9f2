"""How every figure looks and is saved: widths, fonts, colours, the caption beside it, the same bytes."""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from analysis.io.methods import base_and_origin
from analysis.tables.latex import COLUMN_INCHES

DPI = 200
SMALLEST_POINTS = 7.0
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, GREY, BLACK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#7F7F7F",
    "#000000",
)
"""Okabe and Ito's colours, which colour-blind eyes tell apart; markers differ as well, for grey prints."""

_STYLES: dict[str, tuple[str, str]] = {
    "nearest": (GREY, "s"),
    "bicubic": (GREY, "D"),
    "SRCNN": (SKY, "v"),
    "SelfExSR": (SKY, "^"),
    "DRCN": (BLUE, "<"),
    "ESPCN": (BLUE, ">"),
    "SRResNet-MSE": (GREEN, "o"),
    "SRResNet-VGG22": (GREEN, "P"),
    "SRGAN-MSE": (ORANGE, "X"),
    "SRGAN-VGG22": (ORANGE, "h"),
    "SRGAN-VGG34": (VERMILION, "d"),
    "SRGAN-VGG54": (VERMILION, "*"),
    "ESRGAN": (VERMILION, "X"),
    "ESRGAN-VGG34": (VERMILION, "p"),
    "RRDB-PSNR": (GREEN, "h"),
    "MSRResNet": (GREEN, "p"),
    "RankSRGAN": (PURPLE, "*"),
    "RankSRGAN-VGG34": (PURPLE, "X"),
    "SRResNet-noBN": (PURPLE, "o"),
    "SROBB": (PURPLE, "P"),
    "SROBB-PSNR": (PURPLE, "s"),
    "RCAN": (BLUE, "s"),
    "SRFBN": (BLUE, "D"),
    "SRFBN-S": (BLUE, "d"),
    "SAN": (BLUE, "p"),
    "Meta-SR": (BLUE, "v"),
    "SRNTT": (ORANGE, "<"),
    "SRNTT-rec": (ORANGE, "^"),
    "SRNTT-content": (ORANGE, "v"),
    "CrossNet": (ORANGE, ">"),
    "HR": (BLACK, "d"),
}

_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
}


@dataclass(frozen=True)
class Drawing:
    """A figure, rendered.

    Attributes:
        key: its files' name.
        title: what it is, with the paper's number.
        caption: how to read it.
        notes: what else the caption must say; warnings, which are printed in the figure too, come first.
        figure: as drawn.
        dpi: dots per inch of the PNG.
        png: the file's bytes.
    """

    key: str
    title: str
    caption: str
    notes: tuple[str, ...]
    figure: Figure
    dpi: float
    png: bytes

    @cached_property
    def pdf(self) -> bytes:
        """The PDF's bytes; rendered when asked for, because subsetting fonts takes longest."""
        with style():
            return _render(self.figure, "pdf", self.dpi)

    @property
    def caption_text(self) -> str:
        """The caption as its file has it: title, how to read it, and everything that must be said."""
        # LaTeX numbers figures itself
        title = re.sub(r"^Figure \d+: ", "", self.title)
        parts = [title[:1].upper() + title[1:], self.caption, *self.notes]
        return " ".join(part if part.endswith((".", "!")) else f"{part}." for part in parts if part) + "\n"


@dataclass(frozen=True)
class Missing:
    """A figure that cannot be drawn, and why, with the command that helps."""

    key: str
    title: str
    reason: str


@contextmanager
def style() -> Iterator[None]:
    """matplotlib's settings for all figures, for the time of the block only."""
    with mpl.rc_context(_RC):
        yield


def method_style(method: str, among: Iterable[str] = ()) -> tuple[str, str]:
    """Colour and marker of a method; unknown ones are purple, each with its own marker among those given."""
    base = base_and_origin(method)[0]
    unknown = sorted({base_and_origin(each)[0] for each in among} - _STYLES.keys())
    place = unknown.index(base) if base in unknown else 0
    return _STYLES.get(base, (PURPLE, _UNKNOWN[place % len(_UNKNOWN)]))


_UNKNOWN = "pHd<>8^v"
"""Markers of methods that no paper here has."""


def legend_inches(names: Iterable[str]) -> float:
    """Room for a legend of these names beside the axes, at the legend's font size."""
    return 0.5 + 0.066 * max(map(len, names), default=0)


def column_figure(names: Iterable[str]) -> tuple[Figure, Axes]:
    """A figure of one column's width, with axes and, above them, room for a legend of these names."""
    names = list(names)
    top = 0.12 + 0.17 * math.ceil(len(names) / _legend_columns(names))
    height = 2.3 + top
    figure = Figure(figsize=(COLUMN_INCHES, height))
    box = (0.52 / COLUMN_INCHES, 0.42 / height, 1 - 0.7 / COLUMN_INCHES, 1 - (0.42 + top) / height)
    return figure, figure.add_axes(box)


def legend_above(figure: Figure, axes: Axes) -> None:
    """The legend of a :func:`column_figure`."""
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="upper left", bbox_to_anchor=(0.0, 1.0), ncols=_legend_columns(names))


def _legend_columns(names: Iterable[str]) -> int:
    return 2 if 2 * legend_inches(names) <= COLUMN_INCHES else 1


def finish(
    figure: Figure,
    *,
    key: str,
    title: str,
    caption: str,
    warnings: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    dpi: float = DPI,
) -> Drawing:
    """Prints warnings below the figure (which grows by them) and renders it.

    Args:
        figure: drawn in figure coordinates of its own; kept as it is, moved up.
        warnings: printed in bold red (synthetic raters).
        notes: for the caption.
        dpi: of the PNG.
    """
    warnings, notes = tuple(dict.fromkeys(warnings)), tuple(dict.fromkeys(notes))
    width = float(figure.get_figwidth())
    lines = [line for text in warnings for line in textwrap.wrap(text, max(30, int(width * 15)))]
    if lines:
        _grow(figure, 0.125 * len(lines) + 0.08)
        height = float(figure.get_figheight())
        for number, line in enumerate(lines):
            y = (0.125 * (len(lines) - number) - 0.04) / height
            figure.text(0.01, y, line, fontsize=SMALLEST_POINTS, va="center", color="#B00020", weight="bold")
    return Drawing(key, title, caption, (*warnings, *notes), figure, dpi, _render(figure, "png", dpi))


def _grow(figure: Figure, inches: float) -> None:
    """Adds space at the bottom; everything drawn keeps its size in inches."""
    old = float(figure.get_figheight())
    new = old + inches
    figure.set_layout_engine("none")
    for axes in figure.axes:
        box = axes.get_position(original=True)
        axes.set_position(
            (box.x0, (box.y0 * old + inches) / new, box.width, box.height * old / new), which="both"
        )
    for text in figure.texts:
        x, y = text.get_position()
        text.set_position((x, (float(y) * old + inches) / new))
    for legend in figure.legends:
        bounds = legend.get_bbox_to_anchor().transformed(figure.transFigure.inverted())
        legend.set_bbox_to_anchor((bounds.x0, (bounds.y0 * old + inches) / new), transform=figure.transFigure)
    figure.set_figheight(new)


def _render(figure: Figure, kind: str, dpi: float) -> bytes:
    buffer = io.BytesIO()
    if kind == "png":
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    else:
        FigureCanvasPdf(figure)
        figure.savefig(
            buffer,
            format="pdf",
            dpi=dpi,
            metadata={"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None},
        )
    return buffer.getvalue()

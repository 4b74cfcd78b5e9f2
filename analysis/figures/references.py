"""What a reference image brings: the gain in PSNR and the NIQE, by the kind of reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.drawing import BLUE, GREEN, VERMILION, Drawing, Missing, finish, style
from analysis.io.references import COMMAND, KINDS, gains
from analysis.tables.grid import PAGE_INCHES

KEY, TITLE = "references", "What a reference image brings, by its kind"
_LOOKS = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "^"))


def references_figure(frame: pd.DataFrame | None) -> Drawing | Missing:
    """Every reference as a point, one colour a method; the mean of a kind as a line."""
    if frame is None:
        return Missing(KEY, TITLE, f"no results/references.csv: {COMMAND}")
    with style():
        return _draw(gains(frame))


def _draw(frame: pd.DataFrame) -> Drawing | Missing:
    figure = Figure(figsize=(PAGE_INCHES, 2.9))
    panels = (
        (figure.add_axes((0.08, 0.13, 0.33, 0.80)), "gain_db", "PSNR over none [dB]"),
        (figure.add_axes((0.49, 0.13, 0.33, 0.80)), "niqe", "NIQE"),
    )
    methods = list(dict.fromkeys(frame["method"]))
    for axes, column, label in panels:
        for number, (method, (colour, marker)) in enumerate(zip(methods, _LOOKS, strict=False)):
            for place, kind in enumerate(KINDS):
                values = frame[(frame["method"] == method) & (frame["kind"] == kind)][column].to_numpy(float)
                x = place + 0.24 * (number - (len(methods) - 1) / 2)
                if len(values):
                    axes.plot(
                        np.full(len(values), x), values, linestyle="none", marker=marker, markersize=4,
                        color=colour, alpha=0.7, label=method if place == 0 else None,
                    )  # fmt: skip
                    axes.plot([x - 0.1, x + 0.1], [values.mean()] * 2, color=colour, linewidth=1.2)
        axes.set_xticks(range(len(KINDS)), KINDS)
        axes.set_ylabel(label)
        axes.grid(axis="y", color="#E5E5E5", linewidth=0.6)
        axes.set_axisbelow(True)
    panels[0][0].axhline(0, color="black", linewidth=0.6)
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(0.83, 0.95))
    count = frame["image"].nunique()
    return finish(
        figure,
        key=KEY,
        title=TITLE,
        caption=f"{count} image{'s' if count > 1 else ''}; a point a reference, a line the mean of its kind. "
        "none: the image's own bicubic enlargement. same: the original itself, an upper bound.",
    )

"""What a reference image brings: the gain in PSNR and the NIQE, by the kind of reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.drawing import BLUE, GREEN, VERMILION, Drawing, Missing, finish, style
from analysis.io.references import COMMAND, KINDS, gains
from analysis.tables.latex import PAGE_INCHES

KEY, TITLE = "references", "What a reference image brings, by its kind"
_LOOKS = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "^"))


def references_figure(frame: pd.DataFrame | None) -> Drawing | Missing:
    """Every reference as a point, one colour a method; the mean of a kind as a line."""
    if frame is None or frame.empty:
        return Missing(KEY, TITLE, f"nothing in results/references.csv: {COMMAND}")
    with style():
        return _draw(gains(frame))


def _draw(frame: pd.DataFrame) -> Drawing | Missing:
    datasets = list(dict.fromkeys(frame["dataset"]))
    figure = Figure(figsize=(PAGE_INCHES, 2.5 * len(datasets)), layout="constrained")
    grid = figure.subplots(len(datasets), 2, squeeze=False)
    columns = (("gain_db", "PSNR over none [dB]"), ("niqe", "NIQE"))
    methods = list(dict.fromkeys(frame["method"]))
    for row, dataset in zip(grid, datasets, strict=True):
        count = frame[frame["dataset"] == dataset]["image"].nunique()
        for axes, (column, label) in zip(row, columns, strict=True):
            axes.set_title(f"{dataset}, {count} image{'s' if count > 1 else ''}")
            _panel(axes, frame[frame["dataset"] == dataset], column, methods)
            axes.set_ylabel(label)
        row[0].axhline(0, color="black", linewidth=0.6)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(methods))
    return finish(
        figure,
        key=KEY,
        title=TITLE,
        caption="A point a reference, a line the mean of its kind. none: the image's own bicubic "
        "enlargement. same: the original itself, an upper bound.",
    )


def _panel(axes: Axes, frame: pd.DataFrame, column: str, methods: list[str]) -> None:
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
    axes.grid(axis="y", color="#E5E5E5", linewidth=0.6)
    axes.set_axisbelow(True)

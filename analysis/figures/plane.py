"""The perception-distortion plane (Blau and Michaeli, CVPR 2018): error against looks, for every method."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.drawing import Drawing, Missing, finish, legend_inches, method_style, style
from analysis.io.methods import base_and_origin, ordered_datasets, ordered_methods
from analysis.io.metrics import Metrics
from analysis.judge.deviations import Deviations
from analysis.stats.intervals import Interval, student_interval
from analysis.stats.votes import SCORES
from analysis.study.results import Study
from analysis.tables.latex import PAGE_INCHES
from repro.papers.protocols import DAALA, NIQE, RGB

_MEASURES = (
    ("niqe", NIQE, "NIQE"),
    ("lpips", RGB, "LPIPS"),
    ("dists", RGB, "DISTS"),
)
_TITLE = "Perception against distortion"
_AGAIN = "python -m repro evaluate gives NIQE, evaluate --extra lpips,dists the rest, a study MOS"

Values = Callable[[str], Interval | None]
"""A method's mean over images with its interval, or None."""


def plane_figures(metrics: Metrics, study: Study | None, letters: Deviations) -> list[Drawing | Missing]:
    """One figure for each scored data set with something perceptual, a panel for each such measure."""
    with style():
        made = [_plane(metrics, study, dataset, letters) for dataset in ordered_datasets(metrics.datasets())]
    return [plane for plane in made if plane] or [Missing("plane", _TITLE, f"nothing to look at: {_AGAIN}")]


_LINE_INCHES = 0.165
"""Of the legend beside the plane, where every method has a line."""


def rmse(psnr_db: pd.Series) -> pd.Series:
    """Root mean square error in grey levels from PSNR with a peak of 255; 0 for infinite PSNR."""
    return 255 * 10.0 ** (-psnr_db / 20)


def _plane(metrics: Metrics, study: Study | None, dataset: str, letters: Deviations) -> Drawing | None:
    title = f"{_TITLE} on {dataset}"
    expected = metrics.expected_images(dataset)
    counted = {
        name: len(metrics.values(dataset, name, "psnr_db", DAALA)) for name in metrics.methods(dataset)
    }
    methods = ordered_methods(name for name, images in counted.items() if images == expected)
    panels: list[tuple[str, Values]] = []
    for metric, protocol, label in _MEASURES:
        panels.append((label, _of_metric(metrics, dataset, metric, protocol)))
    panels.append(("MOS", _of_study(study, dataset)))
    panels = [(label, values) for label, values in panels if any(values(method) for method in methods)]
    if not panels:
        return None

    distortion = {method: _distortion(metrics, dataset, method) for method in methods}
    legend, gap = legend_inches(methods), 0.5
    width, height = PAGE_INCHES, max(2.9, 0.3 + _LINE_INCHES * len(methods))
    panel = (width - legend - 0.1) / len(panels)
    figure = Figure(figsize=(width, height))
    drawn: dict[str, Line2D] = {}
    left_out = [
        f"{name}: {images} of {expected} images, left out"
        for name, images in sorted(counted.items())
        if images != expected
    ]
    for place, (label, values) in enumerate(panels):
        start = gap + place * panel
        axes = figure.add_axes((start / width, 0.5 / height, (panel - gap - 0.05) / width, 1 - 0.8 / height))
        lacking = []
        for method in methods:
            x, y = distortion[method], values(method)
            if x is None or y is None:
                lacking.append(method)
                continue
            drawn[method] = _point(axes, method, method_style(method, methods), x, y)
        _finish_axes(axes, label)
        if label == "MOS" and study is not None:
            low, high = study.datasets[dataset].ratings.bounds
            axes.set_ylim(high + 0.1, low - 0.1)
            axes.set_yticks(SCORES)
        if lacking:
            left_out.append(f"without {label}: {', '.join(lacking)}")
    names = ordered_methods(drawn)
    figure.legend(
        [drawn[name] for name in names],
        names,
        loc="upper left",
        bbox_to_anchor=((width - legend - 0.05) / width, 1 - 0.145 / height),
    )
    figure.text(0.3 / width, 1 - 0.16 / height, dataset, fontsize=9, weight="bold", va="center")
    return finish(
        figure,
        key=f"plane_{dataset}",
        title=title,
        caption="Means over images with Student's 95 % intervals (MOS: the study's, over images and raters). "
        "Below and to the left is better; filled marks are computed here, open ones imported. RMSE of the "
        f"luma of {DAALA} in grey levels, from PSNR.",
        warnings=study.banner if study is not None and any(label == "MOS" for label, _ in panels) else (),
        notes=(*left_out, *letters.note(names)),
    )


def _point(axes: Axes, method: str, look: tuple[str, str], x: Interval, y: Interval) -> Line2D:
    colour, marker = look
    ours = base_and_origin(method)[1] is None
    for value, other, across in ((x, y, True), (y, x, False)):
        if value.low is not None and value.high is not None:
            ends, still = [value.low, value.high], [other.mean, other.mean]
            axes.plot(*((ends, still) if across else (still, ends)), color=colour, linewidth=0.8, alpha=0.45)
    (handle,) = axes.plot(
        x.mean, y.mean, marker=marker, color=colour, markersize=7 if ours else 6.5, linestyle="none",
        zorder=4,
        markerfacecolor=colour if ours else "white", markeredgecolor="black" if ours else colour,
        markeredgewidth=0.5 if ours else 1.3,
    )  # fmt: skip
    return handle


def _finish_axes(axes: Axes, label: str) -> None:
    axes.set_xlabel("RMSE [grey levels]  ← less distortion")
    axes.set_xlim(left=min(-0.5, axes.get_xlim()[0]))
    axes.set_ylabel(f"{label}  ← better perception")
    axes.grid(color="#E5E5E5", linewidth=0.6)
    axes.set_axisbelow(True)


def _distortion(metrics: Metrics, dataset: str, method: str) -> Interval | None:
    return _interval(rmse(metrics.values(dataset, method, "psnr_db", DAALA)))


def _of_metric(metrics: Metrics, dataset: str, metric: str, protocol: str) -> Values:
    return lambda method: _interval(metrics.values(dataset, method, metric, protocol))


def _of_study(study: Study | None, dataset: str) -> Values:
    """Mean opinions with the study's own interval, over images and raters."""

    def of(method: str) -> Interval | None:
        if study is None or dataset not in study.datasets:
            return None
        found = study.datasets[dataset].methods.get(method)
        return None if found is None else found.mos

    return of


def _interval(values: Iterable[float]) -> Interval | None:
    found = np.array([value for value in values if math.isfinite(value)])
    return student_interval(found) if len(found) else None

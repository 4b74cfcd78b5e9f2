"""How far a training budget gets: PSNR against updates, and where that line would go."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.figures.drawing import BLUE, GREY, PAGE_INCHES, VERMILION, Drawing, Missing, finish, style
from analysis.io.training_runs import TRIALS_COMMAND
from repro.papers.srgan import DATASETS, SRRESNET_UPDATES, TABLE2

KEY, TITLE = "budget", "PSNR against updates: how far from the paper"
_METHOD = "SRResNet-MSE"


def budget_figure(trials: pd.DataFrame | None) -> Drawing | Missing:
    """Scores of whole schedules of growing length, of one run under way, and their extrapolation."""
    with style():
        return _draw(trials)


def extrapolated(
    updates: NDArray[np.float64], psnr_db: NDArray[np.float64], to: float
) -> tuple[float, float]:
    """Lower and upper guess of the PSNR of a schedule of ``to`` updates, from the two longest measured.

    The upper guess goes on in a straight line over the logarithm of the updates; the lower one halves the
    gain with each further factor that lay between the two, as a geometric series does. Neither is a
    measurement.

    Args:
        updates, psnr_db: of at least two schedules, in order of length.
        to: a longer schedule.
    """
    (first, last), (low, high) = np.log(updates[-2:]), psnr_db[-2:]
    factors = (np.log(to) - last) / (last - first)
    gain = float(high - low)
    return float(high) + gain * (1 - 0.5**factors), float(high) + gain * float(factors)


def _draw(trials: pd.DataFrame | None) -> Drawing | Missing:
    if trials is None:
        return Missing(KEY, TITLE, f"no results/trials.csv: {TRIALS_COMMAND}")
    scored = trials[trials["psnr_db"].notna()]
    whole = scored[scored["kind"] == "budget"].drop_duplicates("updates").sort_values("updates")
    if whole.empty:
        return Missing(KEY, TITLE, f"no budgets in results/trials.csv: {TRIALS_COMMAND}")
    dataset = str(whole["dataset"].iloc[-1])
    progress = scored[(scored["kind"] == "progress") & (scored["dataset"] == dataset)].sort_values("updates")
    figure = Figure(figsize=(PAGE_INCHES, 3.3))
    axes = figure.add_axes((0.09, 0.14, 0.63, 0.82))
    axes.set_xscale("log")
    updates, psnr_db = whole["updates"].to_numpy(float), whole["psnr_db"].to_numpy(float)
    axes.plot(updates, psnr_db, color=BLUE, marker="o", markersize=5, label="whole schedules")
    if not progress.empty:
        axes.plot(
            progress["updates"], progress["psnr_db"], color=GREY, marker=".", linewidth=0.9,
            label="the longest under way",
        )  # fmt: skip
    notes = []
    if dataset in DATASETS:
        _paper_lines(axes, dataset)
        ours, paper = psnr_db[-1], TABLE2[dataset, _METHOD].psnr_db
        srcnn = TABLE2[dataset, "SRCNN"].psnr_db
        notes.append(
            f"measured after {updates[-1]:,.0f} updates: {ours:.2f} dB, {ours - srcnn:+.2f} dB from SRCNN "
            f"and {ours - paper:+.2f} dB from the paper's SRResNet ({SRRESNET_UPDATES:,} updates)"
        )
    if len(whole) > 1 and updates[-1] < SRRESNET_UPDATES:
        # one step further, no more: the paper's own point shows how the line bends afterwards
        furthest = min(float(SRRESNET_UPDATES), updates[-1] ** 2 / updates[-2])
        ahead = np.geomspace(updates[-1], furthest, 40)
        lower, upper = np.transpose([extrapolated(updates, psnr_db, to) for to in ahead])
        axes.fill_between(
            ahead, lower, upper, facecolor=VERMILION, alpha=0.15, hatch="///", edgecolor=VERMILION,
            linewidth=0.0,
        )  # fmt: skip
        axes.plot(ahead, lower, color=VERMILION, linestyle="--", linewidth=0.9, label="extrapolation")
        axes.plot(ahead, upper, color=VERMILION, linestyle="--", linewidth=0.9)
        notes.append(
            f"extrapolation, not a measurement: {lower[-1]:.1f} to {upper[-1]:.1f} dB at "
            f"{furthest:,.0f} updates, from the two longest schedules (the gain of each "
            f"factor {updates[-1] / updates[-2]:.3g} of updates halves, or stays)"
        )
    axes.set_xlabel("updates (batch 16)")
    axes.set_ylabel(f"PSNR on {dataset} [dB]")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(color="#E5E5E5", linewidth=0.6)
    axes.set_axisbelow(True)
    figure.legend(*axes.get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(0.73, 0.97))
    return finish(
        figure,
        key=KEY,
        title=TITLE,
        caption=f"{_METHOD}, profile cpu. Each point of the line is a run of its own, decayed to zero.",
        notes=tuple(notes),
    )


def _paper_lines(axes: object, dataset: str) -> None:
    axes.plot(  # type: ignore[attr-defined]
        [SRRESNET_UPDATES], [TABLE2[dataset, _METHOD].psnr_db], color="black", marker="D", markersize=4,
        linestyle="none", label="SRResNet, paper",
    )  # fmt: skip
    for method, style_of_line in (("SRCNN", ":"), ("bicubic", "-.")):
        axes.axhline(  # type: ignore[attr-defined]
            TABLE2[dataset, method].psnr_db, color="black", linewidth=0.8, linestyle=style_of_line, zorder=0,
            label=f"{method}, paper",
        )  # fmt: skip

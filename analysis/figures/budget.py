"""How far a training budget gets: PSNR against updates."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.figures.drawing import BLUE, GREY, Drawing, Missing, column_figure, finish, legend_above, style
from analysis.io.training_runs import TRIALS_COMMAND
from repro.papers.srgan import DATASETS, SRRESNET_UPDATES, TABLE2

KEY, TITLE = "budget", "PSNR against updates: how far from the paper"
_METHOD = "SRResNet-MSE"
_WHOLE, _UNDER_WAY = "whole schedules", "longest under way"
_PAPER = {_METHOD: "SRResNet, paper", "SRCNN": "SRCNN, paper", "bicubic": "bicubic, paper"}


def budget_figure(trials: pd.DataFrame | None) -> Drawing | Missing:
    """Scores of whole schedules of growing length, and of one run under way, beside the paper's point."""
    with style():
        return _draw(trials)


def _draw(trials: pd.DataFrame | None) -> Drawing | Missing:
    if trials is None:
        return Missing(KEY, TITLE, f"no results/trials.csv: {TRIALS_COMMAND}")
    scored = trials[trials["psnr_db"].notna() & (trials["variant"] == _METHOD)]
    scored = scored.sort_values("updates", kind="stable")
    whole = scored[scored["kind"] == "budget"]
    if whole.empty:
        return Missing(KEY, TITLE, f"no budgets in results/trials.csv: {TRIALS_COMMAND}")
    dataset = str(whole["dataset"].iloc[-1])
    whole = whole[whole["dataset"] == dataset]
    progress = scored[(scored["kind"] == "progress") & (scored["dataset"] == dataset)]
    names = [_WHOLE] + [_UNDER_WAY] * (not progress.empty) + list(_PAPER.values()) * (dataset in DATASETS)
    figure, axes = column_figure(names)
    axes.set_xscale("log")
    axes.plot(
        whole["updates"], whole["psnr_db"], color=BLUE, marker="o", markersize=5, linestyle="none",
        label=_WHOLE,
    )  # fmt: skip
    means = whole.groupby("updates")["psnr_db"].mean()  # over seeds
    updates, psnr_db = means.index.to_numpy(float), means.to_numpy(float)
    axes.plot(updates, psnr_db, color=BLUE, linewidth=0.9)
    if not progress.empty:
        axes.plot(
            progress["updates"], progress["psnr_db"], color=GREY, marker=".", linewidth=0.9,
            label=_UNDER_WAY,
        )  # fmt: skip
    notes = []
    if dataset in DATASETS:
        _paper_lines(axes, dataset)
        ours, paper = psnr_db[-1], TABLE2[dataset, _METHOD].psnr_db
        srcnn = TABLE2[dataset, "SRCNN"].psnr_db
        notes.append(
            f"Measured after {updates[-1]:,.0f} updates: {ours:.2f} dB, {ours - srcnn:+.2f} dB from SRCNN "
            f"and {ours - paper:+.2f} dB from the paper's SRResNet ({SRRESNET_UPDATES:,} updates)"
        )
    if len(updates) > 1:
        gains = np.diff(psnr_db) / np.diff(np.log10(updates))
        steps = "; ".join(
            f"{gain:.2f} dB from {first:,.0f} to {last:,.0f} updates"
            for gain, first, last in zip(gains, updates[:-1], updates[1:], strict=True)
        )
        notes.append(f"Gain for ten times as many updates: {steps}")
    axes.set_xlabel("updates (batch 16)")
    axes.set_ylabel(f"PSNR on {dataset} [dB]")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(color="#E5E5E5", linewidth=0.6)
    axes.set_axisbelow(True)
    legend_above(figure, axes)
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
        linestyle="none", label=_PAPER[_METHOD],
    )  # fmt: skip
    for method, style_of_line in (("SRCNN", ":"), ("bicubic", "-.")):
        axes.axhline(  # type: ignore[attr-defined]
            TABLE2[dataset, method].psnr_db, color="black", linewidth=0.8, linestyle=style_of_line, zorder=0,
            label=_PAPER[method],
        )  # fmt: skip

"""Figures from training: Figure 7 (depth and skip connections), and validation PSNR over updates."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from analysis.figures.drawing import (
    BLUE,
    VERMILION,
    Drawing,
    Missing,
    column_figure,
    finish,
    legend_above,
    method_style,
    style,
)
from analysis.figures.images import NEAREST_SRGAN
from analysis.io.training_runs import TrainingRun
from analysis.judge.deviations import Deviations
from analysis.tables.latex import PAGE_INCHES
from repro.papers.srgan import RESIDUAL_BLOCKS, VARIANTS


def training_figures(
    ablation: pd.DataFrame | None, runs: list[TrainingRun], letters: Deviations
) -> list[Drawing | Missing]:
    """Figure 7 and the training curves."""
    with style():
        return [figure7(ablation, runs), *curves(runs, letters)]


def figure7(ablation: pd.DataFrame | None, runs: list[TrainingRun]) -> Drawing | Missing:
    """PSNR and forward time against the number of residual blocks, with and without the long skip."""
    title = "Figure 7: network depth and skip connections"
    if ablation is None or ablation.empty:
        return Missing("figure7", title, "no results/ablation.csv: python -m repro ablation")
    # one profile and one data set in one figure: the longest schedule, the paper's BSD100 where it is there
    updates = int(ablation["updates"].max())
    rows = ablation[ablation["updates"] == updates]
    dataset = "BSD100" if (rows["dataset"] == "BSD100").any() else str(sorted(set(rows["dataset"]))[0])
    rows = rows[rows["dataset"] == dataset]
    profile = str(rows["profile"].mode()[0])  # the one of most networks
    rows = rows[rows["profile"] == profile]
    notes = [f"profile {profile}: {updates:,} updates a network (paper: 1,000,000)"]
    if dataset != "BSD100":
        notes.append(f"data set {dataset}, where the paper has BSD100")
    by_name = {run.name: run for run in runs}
    for name in dict.fromkeys(rows["run"]):
        notes += by_name[name].notes if name in by_name else ()
    repeated = rows.duplicated(["blocks", "skip"]).any()
    if repeated:
        notes.append("several runs of one setting are shown as their mean")
    figure = Figure(figsize=(PAGE_INCHES, 2.9))
    panels = (("psnr_db", f"PSNR on {dataset} [dB]"), ("forward_ms", "forward time, 64 x 64 LR [ms]"))
    settings = ((True, "with skip", BLUE, "o", "-"), (False, "without skip", VERMILION, "s", "--"))
    for place, (metric, label) in enumerate(panels):
        axes = figure.add_axes((0.09 + 0.5 * place, 0.17, 0.39, 0.7))
        for skip, words, colour, marker, line in settings:
            mine = rows[rows["skip"] == skip].groupby("blocks")[metric].mean().dropna()
            if not mine.empty:
                axes.plot(
                    mine.index,
                    mine.to_numpy(),
                    color=colour,
                    marker=marker,
                    linestyle=line,
                    label=words,
                    markersize=5,
                )
        axes.axvline(RESIDUAL_BLOCKS, color="#BBBBBB", linewidth=0.8, zorder=0)
        axes.set_xlabel("residual blocks B")
        axes.set_ylabel(label)
        axes.set_xticks(sorted(set(rows["blocks"])))
        axes.grid(color="#E5E5E5", linewidth=0.6)
        axes.set_axisbelow(True)
        if metric == "forward_ms":
            axes.set_ylim(bottom=0)
        if axes.lines[:-1]:
            axes.legend(loc="lower right")
    return finish(
        figure,
        key="figure7",
        title=title,
        caption="Left: PSNR; right: mean time of a forward pass. The grey line marks the paper's B = 16.",
        notes=tuple(notes),
    )


def _notes(run: TrainingRun, letters: Deviations) -> tuple[str, ...]:
    """What a run's manifest says, or where, if that is too long for a caption."""
    notes = letters.run_notes(run.variant, run.notes)
    if sum(map(len, notes)) <= _LONGEST_NOTES:
        return notes
    return (f"{run.variant}: what differs is in its manifest.json",)


_LONGEST_NOTES = 300
"""Characters; TeX measures a caption in one line first, which must not be longer than its largest length."""


def curves(runs: list[TrainingRun], letters: Deviations) -> list[Drawing | Missing]:
    """Validation PSNR of every run over its updates, ablations aside: the paper's variants, other methods."""
    shown = [run for run in runs if run.validation and not run.ablated]
    ours = [run for run in shown if run.variant in (*VARIANTS, *NEAREST_SRGAN)]
    others = [run for run in shown if run not in ours]
    title = "Training: validation PSNR"
    if not shown:
        return [
            Missing("training", title, "no run with validation points under results/runs: make reproduce")
        ]
    held_out = "On images held out from training, never a benchmark set."
    drawn: list[Drawing | Missing] = []
    if ours:
        drawn.append(_curves("training", title, f"{held_out} SRGANs start from SRResNet-MSE.", ours, letters))
    if others:
        caption = f"{held_out} Networks and batches differ in size; SRNTT and CrossNet are given references."
        drawn.append(_curves("training_others", f"{title} of the other methods", caption, others, letters))
    return drawn


def _curves(key: str, title: str, caption: str, shown: list[TrainingRun], letters: Deviations) -> Drawing:
    labels = [
        run.variant if sum(other.variant == run.variant for other in shown) == 1 else run.name
        for run in shown
    ]
    figure, axes = column_figure(labels)
    for number, (run, label) in enumerate(zip(shown, labels, strict=True)):
        colour, marker = method_style(run.variant)
        x, y = zip(*run.validation, strict=True)
        axes.plot(
            x, y, color=colour, marker=marker, markersize=4, linewidth=1.0, label=label,
            linestyle=("-", "--", ":", "-.")[number % 4], markevery=max(1, len(x) // 12),
        )  # fmt: skip
    axes.set_xlabel("updates")
    axes.set_ylabel("PSNR on held-out images [dB]")
    # no ticks at quarters: labels like 25.75 are so wide that they push the axis's title out of the picture
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    ends = [run.validation[-1][0] for run in shown]
    if max(ends) > 10 * min(ends):
        axes.set_xscale("log")  # the short runs would lie on one another
        begun = min(run.validation[0][0] for run in shown)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(ends) < 100 * begun else (1,)))
        axes.xaxis.set_minor_formatter(NullFormatter())  # few majors would have labels between them
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(color="#E5E5E5", linewidth=0.6)
    legend_above(figure, axes)
    notes = dict.fromkeys(note for run in shown for note in _notes(run, letters))
    return finish(
        figure,
        key=key,
        title=title,
        caption=caption,
        notes=tuple(notes),
    )

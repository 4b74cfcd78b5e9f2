"""Figures from votes: Figure 5 and the supplement's versions, mean rank, metrics against MOS."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from scipy import stats

from analysis.figures.drawing import (
    BLACK,
    Drawing,
    Missing,
    finish,
    legend_inches,
    method_style,
    style,
)
from analysis.io.methods import base_and_origin, ordered_methods
from analysis.io.metrics import Metrics
from analysis.io.numbers import signed
from analysis.judge.deviations import Deviations
from analysis.stats.votes import SCORE_WORDS, SCORES, categories
from analysis.study.results import Study, image_scores
from analysis.tables.latex import PAGE_INCHES

_AGAINST = "PSNR, SSIM and NIQE against MOS"
_METRICS = (("psnr_db", "PSNR [dB]"), ("ssim", "SSIM"), ("niqe", "NIQE"))
_NO_VOTES = "no ratings yet: make mos runs a study, python -m mos_app simulate makes a synthetic one"


def opinion_figures(study: Study | None, metrics: Metrics, letters: Deviations) -> list[Drawing | Missing]:
    """All figures that need votes."""
    if study is None or not study.datasets:
        return [
            Missing("figure5", "Figure 5: distribution of opinion scores", _NO_VOTES),
            Missing("rank", "Mean rank (supplement)", _NO_VOTES),
            Missing("correlation", _AGAINST, _NO_VOTES),
        ]
    with style():
        made: list[Drawing | Missing] = []
        if "BSD100" not in study.datasets:
            reason = f"BSD100 was not rated in study '{study.ratings.study}'"
            made.append(Missing("figure5", "Figure 5: distribution of opinion scores on BSD100", reason))
        made += [distribution(study, dataset, letters) for dataset in study.datasets]
        made.append(ranks(study, letters))
        made.append(against_mos(study, metrics, letters))
        return made


def distribution(study: Study, dataset: str, letters: Deviations) -> Drawing:
    """Shares of the five scores for each method, colour-coded, with the mean marked."""
    result = study.datasets[dataset]
    methods = list(result.methods)
    shares = np.array(
        [
            [
                (categories(result.ratings.of(name)) == score).sum() / result.methods[name].votes
                for name in methods
            ]
            for score in SCORES
        ]
    )
    width = PAGE_INCHES
    figure = Figure(figsize=(width, 3.3))
    left, bottom, right, top = 0.95 / width, 0.29, 1 - 0.75 / width, 0.83
    axes = figure.add_axes((left, bottom, right - left, top - bottom))
    picture = axes.imshow(shares, origin="lower", cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            colour = "white" if share > 0.55 else "#222222"
            axes.text(column - 0.14, row, f"{share:.0%}", ha="center", va="center", fontsize=7, color=colour)
    for column, method in enumerate(methods):
        mos, x = result.methods[method].mos, column + 0.28
        if mos.low is not None and mos.high is not None:
            # a box beside the numbers: a short interval would vanish under a marker
            box = Rectangle(
                (x - 0.09, mos.low - 1), 0.18, mos.high - mos.low, facecolor="#FFD400", edgecolor=BLACK,
                linewidth=0.7, zorder=5,
            )  # fmt: skip
            axes.add_patch(box)
        axes.plot([x - 0.16, x + 0.16], [mos.mean - 1] * 2, color=BLACK, linewidth=1.3, zorder=6)
        axes.text(column, 4.62, f"{mos.mean:.2f}", fontsize=7, weight="bold", ha="center", va="bottom")
    axes.text(-0.62, 4.62, "MOS", fontsize=7, ha="right", va="bottom")
    axes.set_xticks(range(len(methods)), methods, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(5), [f"{score} {word}" for score, word in zip(SCORES, SCORE_WORDS, strict=True)])
    axes.set_xticks(np.arange(0.5, len(methods) - 1), minor=True)
    axes.grid(which="minor", axis="x", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar_axes = figure.add_axes((right + 0.12 / width, bottom, 0.13 / width, top - bottom))
    bar = figure.colorbar(picture, cax=bar_axes, format=lambda value, _: f"{value:.0%}")
    bar.set_label("share of votes", fontsize=7)
    bar.outline.set_visible(False)
    bar_axes.tick_params(labelsize=7, length=2)
    votes = {found.votes for found in result.methods.values()}
    counted = f"{min(votes):,}" if len(votes) == 1 else f"{min(votes):,} to {max(votes):,}"
    figure.text(left, 0.93, f"Opinion scores on {dataset}", fontsize=9.5, weight="bold")
    figure.text(right, 0.93, f"{counted} votes a method", fontsize=7.5, ha="right")
    figures = {"BSD100": "Figure 5: ", "Set5": "Supplement: ", "Set14": "Supplement: "}
    key = "figure5" if dataset == "BSD100" else f"scores_{dataset}"
    return finish(
        figure,
        key=key,
        title=f"{figures.get(dataset, '')}distribution of opinion scores on {dataset}",
        caption="Share of votes by score and method; line: MOS; yellow box: its 95 % interval.",
        warnings=study.banner,
        notes=(*study.notes, *_incomplete(study, dataset), *letters.note(methods)),
    )


def ranks(study: Study, letters: Deviations) -> Drawing:
    """Mean rank of each method with its interval, one panel per data set."""
    datasets = list(study.datasets)
    most = max(len(study.datasets[name].methods) for name in datasets)
    width, height = PAGE_INCHES, 1.0 + 0.2 * most
    panel = width / max(2, len(datasets))
    figure = Figure(figsize=(width, height))
    for number, name in enumerate(datasets):
        result = study.datasets[name]
        methods = [method for method, found in result.methods.items() if found.rank is not None]
        box = (
            (number * panel + 1.12) / width,
            0.5 / height,
            (panel - 1.2) / width,
            (height - 0.85) / height,
        )
        axes = figure.add_axes(box)
        for place, method in enumerate(methods):
            rank = result.methods[method].rank
            if rank is None:
                continue
            colour, marker = method_style(method, methods)
            if rank.low is not None and rank.high is not None:
                axes.plot([rank.low, rank.high], [place, place], color=BLACK, linewidth=1.0, zorder=5)
            axes.plot(rank.mean, place, marker=marker, color=colour, markersize=7, markeredgewidth=0)
        axes.set_yticks(range(len(methods)), methods)
        axes.set_ylim(len(methods) - 0.4, -0.6)
        axes.set_xlim(0.7, len(result.methods) + 0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("mean rank (1 is best)")
        axes.set_title(name, loc="left", weight="bold")
    return finish(
        figure,
        key="rank",
        title="Supplement: mean rank",
        caption="Rank of each method among all versions of an image by one rater, ties averaged, mean with "
        "its 95 % two-way bootstrap interval.",
        warnings=study.banner,
        notes=(
            *study.notes,
            *letters.note([method for result in study.datasets.values() for method in result.methods]),
        ),
    )


def against_mos(study: Study, metrics: Metrics, letters: Deviations) -> Drawing | Missing:
    """PSNR, SSIM and NIQE (where scored) of every image and method against its MOS, with correlations."""
    title = _AGAINST
    scores = image_scores(study, metrics)
    scores = scores[scores["method"] != "HR"]
    datasets = [name for name in study.datasets if (scores["dataset"] == name).any()]
    if not datasets:
        return Missing("correlation", title, "no image was both rated and scored: python -m repro evaluate")
    rows = [(metric, label) for metric, label in _METRICS if scores[metric].notna().any()]
    width, height = PAGE_INCHES, 2.3 * len(rows)
    panel = (width - 0.2 - legend_inches(scores["method"])) / len(datasets)
    figure = Figure(figsize=(width, height))
    seen: dict[str, Line2D] = {}
    for row, (metric, label) in enumerate(rows):
        for column, name in enumerate(datasets):
            frame = scores[(scores["dataset"] == name) & np.isfinite(scores[metric])]
            axes = figure.add_axes(
                (
                    (0.45 + panel * column) / width,
                    (0.45 + 2.3 * (len(rows) - 1 - row)) / height,
                    (panel - 0.35) / width,
                    1.45 / height,
                )
            )
            x, y = frame[metric].to_numpy(dtype=float), frame["mos"].to_numpy(dtype=float)
            for method in ordered_methods(frame["method"]):
                mine = frame[frame["method"] == method]
                colour, marker = method_style(method, frame["method"])
                axes.scatter(
                    mine[metric], mine["mos"], s=5, color=colour, alpha=0.3, linewidths=0, marker="o"
                )
                ours = base_and_origin(method)[1] is None
                (handle,) = axes.plot(
                    mine[metric].mean(), mine["mos"].mean(), marker=marker, color=colour, markersize=8,
                    markerfacecolor=colour if ours else "white", markeredgecolor="black" if ours else colour,
                    markeredgewidth=0.5 if ours else 1.3, linestyle="none", zorder=4, clip_on=False,
                )  # fmt: skip
                seen.setdefault(method, handle)
            if len(x) >= 3 and x.std() > 0 and y.std() > 0:
                words = (
                    f"r = {_signed(stats.pearsonr(x, y).statistic)}  "
                    f"ρ = {_signed(stats.spearmanr(x, y).statistic)}"
                )
                axes.set_title(words, fontsize=7, loc="left", pad=3)
            axes.text(0.0, 1.13, name, transform=axes.transAxes, fontsize=9, weight="bold")
            axes.set_xlabel(label)
            low, high = study.datasets[name].ratings.bounds
            axes.set_ylim(low - 0.1, high + 0.1)
            axes.set_yticks(SCORES)
            if column == 0:
                axes.set_ylabel("MOS")
            axes.grid(color="#E5E5E5", linewidth=0.6)
            axes.set_axisbelow(True)
    names = ordered_methods(seen)
    figure.legend(
        [seen[name] for name in names],
        names,
        loc="upper left",
        bbox_to_anchor=((0.2 + panel * len(datasets)) / width, 1 - 0.14 / height),
    )
    return finish(
        figure,
        key="correlation",
        title=title,
        caption="Dots: an image by a method; large marks: means of methods, open ones imported. r Pearson, "
        "ρ Spearman over dots; HR left out (infinite PSNR). Low NIQE is good.",
        warnings=study.banner,
        notes=(*study.notes, *letters.note(names)),
    )


def _signed(value: float) -> str:
    return signed(round(float(value), 2), 2)


def _incomplete(study: Study, dataset: str) -> tuple[str, ...]:
    missing = study.datasets[dataset].ratings.missing
    return (f"{missing:,} votes of the full design are missing",) if missing else ()

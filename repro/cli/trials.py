"""``python -m repro trials``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from repro.cli import common
from repro.cli.training import Sources, train_variant
from repro.core.errors import UserError

WORDS = ("schedule", "content", "gan", "budget", "all", "table")


def trials(
    part: Annotated[
        str, typer.Argument(help="schedule, content, gan, budget, all, or table (trains nothing).")
    ] = "table",
    dataset: Annotated[
        str, typer.Option("--dataset", help="What whole schedules are scored on; chooses nothing.")
    ] = "Set5",
    data: common.DataOption = None,
    train_root: common.TrainRootOption = None,
    results: common.ResultsOption = Path("results"),
    device: common.DeviceOption = "auto",
    vgg_weights: common.VGGOption = None,
    vgg_convention: common.ConventionOption = "auto",
    updates: Annotated[int | None, typer.Option("--updates", min=1, help="Length of a trial.")] = None,
    settings: common.SettingsOption = None,
    dry_run: common.DryRunOption = False,
) -> None:
    """Short runs behind profile `cpu`: what its recipe was chosen from, and what more updates bring.

    `schedule` (SRResNet-MSE), `content` (SRResNet-VGG22) and `gan` (SRGAN-VGG22): one thing changed in each,
    two seeds, compared on the validation images. `budget`: whole schedules of growing length. Then
    `results/trials.csv` is written from all finished runs in `results/trials/`, the profile's own run in
    `results/runs/` and that run's snapshots; schedules of the profile are scored on a test set. Every run is
    done once, and the lines of runs that are not there any more stay.
    """
    from repro.core.paths import Results
    from repro.experiments.ablation import measure
    from repro.experiments.trials import (
        Figure,
        changed_settings,
        configurations,
        figure_of,
        run_config,
        snapshots,
        write_csv,
    )
    from repro.inference.weights import SHIPPED
    from repro.train.finished import finished_runs

    if part not in WORDS:
        raise UserError(f"trials {part!r}", f"one of {', '.join(WORDS)}", "python -m repro trials all")
    out = common.console()
    layout = common.results_layout(results)
    root = common.data_root(data)
    configs = configurations(part, updates, settings or [])
    if dry_run:
        for config in configs:
            about = f"{config.variant}, {config.schedule.updates:,} updates, seed {config.seed}"
            out.print(f"{about}: {changed_settings(config) or 'the profile'}")
        return
    place = Results(layout.root / "trials")
    sources = Sources(root, train_root, vgg_weights=vgg_weights, vgg_convention=vgg_convention)
    for config in configs:
        start = {"generator": SHIPPED / f"{config.start}.safetensors"} if config.start else None
        train_variant(out, config, place, sources, device, start)

    def scored(figure: Figure, generator: Path) -> Figure:
        score = measure(generator, dataset, root, device)
        length = f"{figure.updates:,} of {figure.config.schedule.updates:,} updates"
        out.print(f"{figure.kind}, {length}: {score.psnr_db:.2f} dB on {dataset}")
        return replace(figure, dataset=dataset, score=score)

    figures: list[Figure] = []
    for run in finished_runs(place):
        figure = figure_of(run)
        figures.append(scored(figure, run.generator) if figure.kind == "budget" else figure)
    for run in finished_runs(layout):
        if (run.variant, run.profile) == ("SRResNet-MSE", "cpu"):
            figures.append(scored(figure_of(run), run.generator))
            for done, file in snapshots(run):
                figures.append(scored(Figure("progress", run_config(run), run.folder.name, done, {}), file))
    write_csv(layout.root / "trials.csv", figures)
    common.finished(out, layout.root / "trials.csv")

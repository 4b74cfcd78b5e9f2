"""``python -m repro trials``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repro.cli import common
from repro.cli.train import train_variant
from repro.core.errors import UserError

if TYPE_CHECKING:
    from repro.methods.config import RunConfig

PARTS = ("schedule", "budget", "all")


def trials(
    part: Annotated[str, typer.Argument(help="schedule, budget or all.")] = "all",
    dataset: Annotated[
        str, typer.Option("--dataset", help="What the budgets are scored on; chooses nothing.")
    ] = "Set5",
    seed: common.SeedOption = 0,
    data: common.DataOption = None,
    train_root: common.TrainRootOption = None,
    results: common.ResultsOption = Path("results"),
    device: common.DeviceOption = "auto",
    settings: common.SettingsOption = None,
    dry_run: common.DryRunOption = False,
) -> None:
    """Short runs behind profile `cpu`: which schedule, and what more updates bring.

    `schedule`: six runs of 600 updates, compared on the validation images. `budget`: whole schedules of
    growing length, the finished run of profile `cpu` the longest, and that run's snapshots, scored on a test
    set. Writes `results/trials.csv`; runs are kept in `results/trials/` and done once.
    """
    from repro.core.device import resolve_device
    from repro.core.paths import Results
    from repro.data.prepare import prepare_data
    from repro.experiments.ablation import measure
    from repro.experiments.trials import (
        Figure,
        budget_configurations,
        run_config,
        snapshots,
        trial_configurations,
        validation_psnr_db,
        write_csv,
    )
    from repro.methods.variants import configure
    from repro.train.finished import finished_runs

    if part not in PARTS:
        raise UserError(f"trials {part!r}", f"one of {', '.join(PARTS)}", "python -m repro trials all")
    out = common.console()
    layout = common.results_layout(results)
    root = common.data_root(data)
    profile = configure("SRResNet-MSE", "cpu", seed).with_settings(settings or [])
    short = trial_configurations(profile) if part != "budget" else []
    whole = budget_configurations(profile) if part != "schedule" else []
    if dry_run:
        for config in dict.fromkeys([*short, *whole]):
            schedule = config.schedule
            out.print(
                f"{schedule.updates:,} updates, learning rate {schedule.learning_rate:g}, warm-up "
                f"{schedule.warmup_updates}, {schedule.decay}, averaging {schedule.ema_decay:g}"
            )
        return
    resolve_device(device)
    place = Results(layout.root / "trials")
    held_out = profile.logging.validation_images
    packed = prepare_data(layout, root, train_root, held_out, profile.data.crop_hr, out)
    figures: list[Figure] = []

    def trained(config: RunConfig) -> Path:
        return train_variant(out, config, place, root, train_root, device, None, "auto", data=packed)

    def scored(kind: str, config: RunConfig, run: Path, generator: Path, updates: int) -> None:
        score = measure(generator, dataset, root, device)
        length = config.schedule.updates
        known = validation_psnr_db(run) if updates == length else None
        figures.append(Figure(kind, config, run.name, updates, known, dataset, score))
        out.print(f"{kind}, {updates:,} of {length:,} updates: {score.psnr_db:.2f} dB on {dataset}")

    for config in short:
        run = trained(config)
        figures.append(Figure("trial", config, run.name, config.schedule.updates, validation_psnr_db(run)))
    for config in whole:
        run = trained(config)
        scored("budget", config, run, run / "generator.safetensors", config.schedule.updates)
    if part != "schedule":
        long = [
            run
            for run in finished_runs(layout)
            if (run.variant, run.profile, run.seed) == ("SRResNet-MSE", "cpu", seed)
        ]
        for done in long:
            config = run_config(done)
            scored("budget", config, done.folder, done.generator, config.schedule.updates)
            for updates, file in snapshots(done):
                scored("progress", config, done.folder, file, updates)
    write_csv(layout.root / "trials.csv", figures)
    common.finished(out, layout.root / "trials.csv")

"""``python -m repro train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from repro.cli import common
from repro.cli.training import Sources, train_variant
from repro.core.errors import UserError

if TYPE_CHECKING:
    from repro.methods.config import RunConfig


def train(
    variant: Annotated[
        str,
        typer.Argument(
            help="SRResNet-MSE, SRResNet-VGG22, SRGAN-MSE, SRGAN-VGG22, SRGAN-VGG54; or SRCNN, ESPCN, DRCN."
        ),
    ],
    profile: common.ProfileOption = "quick",
    seed: common.SeedOption = 0,
    settings: common.SettingsOption = None,
    data: common.DataOption = None,
    train_root: common.TrainRootOption = None,
    reference_root: Annotated[
        Path | None,
        typer.Option(
            "--reference-root",
            help="For SRNTT, CrossNet: a reference of the same name for each image of --train-root (CUFED: "
            "its input/ and ref/); otherwise references are made from the training images.",
        ),
    ] = None,
    results: common.ResultsOption = Path("results"),
    device: common.DeviceOption = "auto",
    vgg_weights: common.VGGOption = None,
    vgg_convention: common.ConventionOption = "auto",
    start: Annotated[
        Path | None,
        typer.Option("--start", help="Generator that an SRGAN starts from (default: its SRResNet-MSE run)."),
    ] = None,
    shorter: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Folder of a shorter run with decay=hold: go on from where its decay began.",
            file_okay=False,
        ),
    ] = None,
    regions: Annotated[
        Path | None,
        typer.Option(
            "--regions",
            help="SROBB: label maps of the training images (COCO-Stuff or BSDS500's ground truth); without, "
            "segments are computed from the images.",
        ),
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", min=0.0, help="Stop with a checkpoint after this time.")
    ] = None,
    dry_run: common.DryRunOption = False,
) -> None:
    """Train one variant; the same command goes on where it was stopped.

    The run's folder is named after variant, profile, seed and a hash of configuration and inputs.
    Killed at any moment, it loses at most the updates since its last checkpoint and ends with the same
    weights, bit for bit on the CPU.

    On several GPUs: `torchrun --nproc-per-node 4 -m repro train ...`; the batch is shared out, the crops
    and the batch norm statistics are those of one device. Methods with a term of the whole batch refuse.
    """
    from repro.methods import method
    from repro.methods.variants import configure

    out = common.console()
    config = configure(variant, profile, seed).with_settings(settings or [])
    layout = common.results_layout(results)
    given: dict[str, Path] = {}
    if start is not None:
        asked = method(config.method).start_modules(config)
        given = {network: start for network, whose in asked.items() if whose and whose == config.start}
        if not given:
            raise UserError(
                f"--start with {config.variant}", "a variant that starts from another", "leave it out"
            )
    if dry_run:
        describe(out, config)
        return
    sources = Sources(
        common.data_root(data), train_root, reference_root, regions, vgg_weights, vgg_convention
    )
    folder = train_variant(
        out, config, layout, sources, device, given, max_minutes=max_minutes, shorter=shorter
    )
    common.finished(out, folder)


def describe(out: Console, config: RunConfig) -> None:
    """Prints what a run would do."""
    from repro.core.settings import leaves

    updates = config.schedule.updates
    out.print(f"{config.variant}, profile {config.profile}, seed {config.seed}: {updates:,} updates")
    for name, value in leaves(config):
        out.print(f"  {name} = {value}")

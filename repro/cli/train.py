"""``python -m repro train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from repro.cli import common
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.core.progress import updates_bar

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
    and the batch norm statistics are those of one device.
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
    folder = train_variant(
        out,
        config,
        layout,
        common.data_root(data),
        train_root,
        device,
        vgg_weights,
        vgg_convention,
        given,
        max_minutes,
        reference_root=reference_root,
        regions=regions,
        shorter=shorter,
    )
    common.finished(out, folder)


def describe(out: Console, config: RunConfig) -> None:
    """Prints what a run would do."""
    from repro.core.settings import leaves

    updates = config.schedule.updates
    out.print(f"{config.variant}, profile {config.profile}, seed {config.seed}: {updates:,} updates")
    for name, value in leaves(config):
        out.print(f"  {name} = {value}")


def train_variant(
    out: Console,
    config: RunConfig,
    results: Results,
    data_root: Path,
    train_root: Path | None,
    device: str,
    vgg_weights: Path | None,
    vgg_convention: Any,
    start: dict[str, Path] | None = None,
    max_minutes: float | None = None,
    data: Any = None,
    reference_root: Path | None = None,
    regions: Path | None = None,
    shorter: Path | None = None,
) -> Path:
    """Trains one configuration to its end (or the time limit) and gives the run's folder."""
    from repro.core.device import resolve_device
    from repro.data.prepare import prepare_data
    from repro.methods import method
    from repro.papers.srgan import CROP_HR
    from repro.train.distributed import barrier, joined_world
    from repro.train.finished import the_run
    from repro.train.lengthen import begin_from
    from repro.train.run import VGGSource, prepare
    from repro.train.run import train as run_training

    method(config.method).check_all(config)
    quick = config.profile == "quick"
    source = VGGSource(vgg_weights, vgg_convention, download=not quick, allow_random=quick)
    with joined_world(resolve_device(device).type) as world:
        if not world.primary:
            out.quiet = True
            barrier(world)  # process 0 packs the images, the others find them packed
        if data is None:
            side = max(config.data.crop_hr, CROP_HR)  # one packed dataset for all networks
            asks = "regions" in method(config.method).asks(config)
            if reference_root is not None and "reference" not in method(config.method).needs:
                raise UserError(
                    f"--reference-root with {config.variant}", "SRNTT or CrossNet", "leave it out"
                )
            if regions is not None and not asks:
                raise UserError(f"--regions with {config.variant}", "SROBB", "leave it out")
            count = config.logging.validation_images
            data = prepare_data(
                results,
                data_root,
                train_root,
                count,
                side,
                out,
                reference_root,
                asks,
                regions,
                sizes=config.data.sizes,
            )
        files = dict(start or {})
        for network, variant in method(config.method).start_modules(config).items():
            if network not in files:
                files[network] = the_run(results, variant, config.profile, config.seed).generator
        prepared = prepare(config, results, data, source, files, resolve_device(device))
        if world.primary:
            barrier(world)
        if prepared.is_done():
            out.print(f"{config.variant}: already trained")
            return prepared.folder
        if (
            shorter is not None
            and world.primary
            and not (prepared.folder / "checkpoint.safetensors").is_file()
        ):
            out.print(f"goes on from {shorter} after {begin_from(prepared, shorter):,} updates")
        barrier(world)
        with updates_bar(out, config.variant, config.schedule.updates) as progress:
            complete = run_training(prepared, progress, max_minutes, world)
    if not complete:
        out.print(f"{config.variant}: stopped by the time limit; the same command goes on")
    return prepared.folder

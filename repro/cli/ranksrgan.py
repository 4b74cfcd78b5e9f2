"""``python -m repro ranksrgan``: the two stages before RankSRGAN's generator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repro.cli import common
from repro.core.errors import UserError
from repro.core.progress import bar, updates_bar
from repro.papers import ranksrgan as paper

app = typer.Typer(
    help="RankSRGAN's first stages: `data`, then `ranker`; then `train RankSRGAN`.", no_args_is_help=True
)

FolderOption = Annotated[
    Path | None, typer.Option("--folder", help="Of the rank data (default: rank in the results folder).")
]


@app.command()
def data(
    versions: Annotated[
        list[str] | None,
        typer.Option(
            "--version",
            help="HR, nearest, bicubic or a trained variant; several times, two or more. The first two are "
            "compared when patches are chosen (default: ESRGAN-VGG34, SRGAN-VGG22, SRResNet-MSE).",
        ),
    ] = None,
    folder: FolderOption = None,
    images: Annotated[int, typer.Option("--images", min=2, help="Training images at most.")] = 10_000,
    side: Annotated[int, typer.Option("--side", help="Of a patch, in pixels.")] = paper.PATCH,
    stride: Annotated[int, typer.Option("--stride", help="From patch to patch, in pixels.")] = paper.STRIDE,
    profile: common.RunProfileOption = None,
    seed: common.SeedOption = 0,
    data: common.DataOption = None,
    train_root: common.TrainRootOption = None,
    results: common.ResultsOption = Path("results"),
    device: common.DeviceOption = "auto",
) -> None:
    """Upscale training images by several methods and label patches of them by NIQE (lower is better).

    Example: python -m repro ranksrgan data --version HR --version SRResNet --version bicubic
    """
    from repro.data.training import training_images
    from repro.inference.loading import trained_upscaler
    from repro.inference.rank_data import ORIGINAL, Selection, make_rank_data
    from repro.inference.upscaler import Options, Upscaler, direct_upscaler
    from repro.inference.weights import find_weights
    from repro.methods import DIRECT

    out, layout = common.console(), common.results_layout(results)
    selection = Selection(side, stride)
    makers: dict[str, Upscaler | None] = {}
    for name in dict.fromkeys(versions or ["ESRGAN-VGG34", "SRGAN-VGG22", "SRResNet-MSE"]):
        if name == ORIGINAL:
            makers[name] = None
        elif name in DIRECT:
            makers[name] = direct_upscaler(name)
        else:
            found = find_weights(name, layout, profile)
            upscaler = trained_upscaler(found.path, Options(device))
            out.print(f"{upscaler.name}: weights {found.origin}", markup=False)
            makers[upscaler.name] = upscaler
    chosen = training_images(train_root, common.data_root(data), console=out)
    step = -(-len(chosen) // images)  # spread over the whole list
    chosen = chosen[::step]
    target = folder or layout.root / "rank"
    with bar(out, "versions and labels", len(chosen)) as advance:
        count = make_rank_data(target, chosen, makers, selection, seed, advance)
    out.print(f"{count:,} places in {len(makers)} versions, from {len(chosen):,} images")
    common.finished(out, target)


@app.command()
def ranker(
    profile: common.ProfileOption = "quick",
    seed: common.SeedOption = 0,
    settings: common.SettingsOption = None,
    folder: FolderOption = None,
    results: common.ResultsOption = Path("results"),
    device: common.DeviceOption = "auto",
) -> None:
    """Train the ranker on labelled patches, and tell how many held-out pairs it orders as NIQE does.

    The same command goes on where it was stopped. `train RankSRGAN` finds the ranker of its profile and seed.
    """

    from repro.core.device import resolve_device
    from repro.methods.ranksrgan import RANKER_CONFIG, RankerTraining
    from repro.methods.variants import PROFILES
    from repro.train.ranker import describe, ranker_manifest, train_ranker

    out, layout = common.console(), common.results_layout(results)
    known = next((each for each in PROFILES if each == profile), None)
    if known is None:
        raise UserError(f"unknown profile {profile!r}", f"one of {', '.join(PROFILES)}", "--profile quick")
    config = RankerTraining().profile(RANKER_CONFIG.but(profile=known, seed=seed), known)
    config = config.with_settings(settings or [])
    with updates_bar(out, config.variant, config.schedule.updates) as progress:
        run, right = train_ranker(
            config, folder or layout.root / "rank", layout, resolve_device(device), progress
        )
    out.print(describe(right, ranker_manifest(run)[1]), markup=False)
    common.finished(out, run)

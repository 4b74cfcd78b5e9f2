"""``python -m repro reproduce``: every stage in order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from repro.cli import common
from repro.cli.importing import import_references
from repro.cli.train import describe
from repro.cli.training import Sources, train_variant
from repro.cli.upscalers import score_store, upscale_datasets
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.inference.upscaler import Options, Upscaler, direct_upscaler
from repro.methods import INTERPOLATIONS
from repro.methods.config import RunConfig
from repro.papers.srgan import VARIANTS

BASELINES = ("SRCNN-scratch", "ESPCN", "DRCN")
"""Methods of Table 2 that can be trained beside the five variants."""


def reproduce(
    profile: common.ProfileOption = "quick",
    seed: common.SeedOption = 0,
    data: common.DataOption = None,
    train_root: common.TrainRootOption = None,
    results: common.ResultsOption = Path("results"),
    device: common.DeviceOption = "auto",
    vgg_weights: common.VGGOption = None,
    vgg_convention: common.ConventionOption = "auto",
    fetch: Annotated[
        bool, typer.Option(help="Download images that are missing in the data root first.")
    ] = True,
    reference_methods: Annotated[
        bool,
        typer.Option("--reference-methods", help="Also train SRCNN, ESPCN and DRCN, the paper's baselines."),
    ] = False,
    settings: common.SettingsOption = None,
    dry_run: common.DryRunOption = False,
) -> None:
    """Train the five variants, upscale every test set, score all images. Stages that are done are skipped.

    Missing test and training images are downloaded (153 MB). Without a network the command goes on with
    what is there; where no benchmark is, crops of scikit-image's photographs are trained on and scored.
    """
    from repro.core.device import resolve_device
    from repro.data.benchmarks import CALIBRATION, SAMPLE, available_datasets
    from repro.experiments.cost import cost_lines
    from repro.inference.loading import has_srcnn, srcnn_upscaler, trained_upscaler
    from repro.methods.variants import configure

    out = common.console()
    layout = common.results_layout(results)
    root = common.data_root(data)
    if fetch and not dry_run:
        _fetch(out, root)
    wanted = [*VARIANTS, *(BASELINES if reference_methods else ())]
    configs = [configure(name, profile, seed).with_settings(settings or []) for name in wanted]
    there = [name for name in available_datasets(root) if name != SAMPLE]
    benchmarks = [name for name in there if name != CALIBRATION]
    datasets = there if benchmarks else [*there, SAMPLE]
    if not benchmarks:
        out.print(f"no benchmark under {root}: going on with `sample` (scikit-image's photographs)")
    if dry_run:
        out.print(f"data sets: {', '.join(datasets)}")
        for config in configs:
            describe(out, config)
        return

    for line in cost_lines([c for c in configs if not _is_done(layout, c)], resolve_device(device)):
        out.print(line)
    first = configs[0]
    sources = Sources(root, train_root, vgg_weights=vgg_weights, vgg_convention=vgg_convention)
    packed = sources.packed(first, layout, out)
    out.print(f"training on {packed.description}; {len(packed.validation)} held out for validation")
    generators: dict[str, Path] = {}
    for config in configs:
        start = {"generator": _start(config, generators)} if config.start else None
        folder = train_variant(out, config, layout, sources, device, start, data=packed)
        generators[config.variant] = folder / "generator.safetensors"
        out.print(f"{config.variant}: {folder}")

    options = Options(device, "float32" if profile == "quick" else "float64")
    upscalers: list[Upscaler] = [direct_upscaler(name) for name in INTERPOLATIONS]
    if has_srcnn(root):
        upscalers.append(srcnn_upscaler(root, options))
    upscalers += [trained_upscaler(path, options) for path in generators.values()]
    upscale_datasets(out, layout, root, datasets, upscalers)
    if benchmarks:
        import_references(out, layout, root)
    score_store(out, layout)
    _tell(out, layout, profile, [upscaler.name for upscaler in upscalers])
    common.finished(out, layout.metrics_csv)


def _is_done(layout: Results, config: RunConfig) -> bool:
    from repro.train.finished import finished_runs

    names = (config.variant, config.profile, config.seed)
    return any((run.variant, run.profile, run.seed) == names for run in finished_runs(layout))


def _start(config: RunConfig, generators: dict[str, Path]) -> Path:
    """Where a run starts from: in `quick` the published generator, if it is as deep, else one's own."""
    from repro.core import tensorfile
    from repro.inference.weights import SHIPPED

    published = SHIPPED / f"{config.start}.safetensors"
    if config.profile == "quick" and published.is_file():
        described = tensorfile.load(published)[1].get("network")
        described = described if isinstance(described, dict) else {}
        ours = config.network.as_dict()
        if all(ours[name] == described.get(name, ours[name]) for name in ours if name != "initial"):
            return published
    return generators[config.start]


def _tell(out: Console, layout: Results, profile: str, methods: list[str]) -> None:
    """The scores beside the published ones and the paper's, a contact sheet, and what to run next."""
    from rich.markup import escape
    from rich.table import Table

    from repro.evaluation.side_by_side import contact_sheet, side_by_side
    from repro.inference.weights import SHIPPED

    table = Table("data set", "method", profile, "published", "paper", title=escape("PSNR [dB] / SSIM"))
    for row in side_by_side(layout, Results(SHIPPED.parent), methods):
        scores = (
            f"{c.psnr_db:.2f} / {c.ssim:.4f}" if c else "" for c in (row.ours, row.published, row.paper)
        )
        table.add_row(escape(row.dataset), escape(row.method), *scores)
    out.print(table)
    sheet = layout.root / "contact_sheet.png"
    if contact_sheet(layout, sheet):
        out.print(f"a picture of it: {sheet}")
    longer = {"quick": "cpu", "cpu": "paper"}.get(profile)
    if longer:
        out.print(f"for more: make reproduce PROFILE={longer} (it says first how long that takes here)")


def _fetch(out: Console, root: Path) -> None:
    """Gets what is missing, if it can; whatever hinders it is told in a line and is no reason to stop."""
    from repro.data.sources import BASE_URL

    try:
        from repro.cli.data import fetch_missing

        fetch_missing(root, None, os.environ.get("SRGAN_DATA_URL", BASE_URL))
    except UserError as error:
        out.print(f"nothing fetched: {error.got}; going on with what is there")
    except ModuleNotFoundError as error:
        out.print(f"nothing fetched: {error.name} is not installed; going on with what is there")

"""``python -m repro reproduce``: every stage in order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from repro.cli import common
from repro.cli.enlarging import enlarge_datasets, score_store
from repro.cli.importing import import_references
from repro.cli.train import describe, train_variant
from repro.core.errors import UserError
from repro.inference.methods import INTERPOLATIONS, has_srcnn, srcnn, trained
from repro.methods import variants
from repro.methods.config import Arithmetic


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
        typer.Option("--reference-methods", help="Also train SRCNN, ESPCN and DRCN, the paper's rivals."),
    ] = False,
    dry_run: common.DryRunOption = False,
) -> None:
    """Train the five variants, enlarge every test set, score all images. Stages that are done are skipped.

    Missing test and training images are downloaded (153 MB). Without a network the command goes on with
    what is there; where no benchmark is, crops of scikit-image's photographs are trained on and scored.
    """
    from repro.data.benchmarks import CALIBRATION, SAMPLE, available_datasets
    from repro.data.prepare import prepare_data

    out = common.console()
    layout = common.results_layout(results)
    root = common.data_root(data)
    if fetch and not dry_run:
        _fetch(out, root)
    wanted = variants.TRAINABLE if reference_methods else variants.VARIANTS
    configs = [variants.configure(name, profile, seed) for name in wanted]
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

    packed = prepare_data(layout, root, train_root, configs[0].validation_images, configs[0].crop_hr, out)
    out.print(f"training on {packed.description}; {len(packed.validation)} held out for validation")
    generators: dict[str, Path] = {}
    for config in configs:
        folder = train_variant(
            out,
            config,
            layout,
            root,
            train_root,
            device,
            vgg_weights,
            vgg_convention,
            generators.get(config.start),
            data=packed,
        )
        generators[config.variant] = folder / "generator.safetensors"
        out.print(f"{config.variant}: {folder}")

    methods = [make() for make in INTERPOLATIONS.values()]
    if has_srcnn(root):
        methods.append(srcnn(root, device))
    arithmetic: Arithmetic = "float32" if profile == "quick" else "float64"
    methods += [trained(path, device, arithmetic) for path in generators.values()]
    enlarge_datasets(out, layout, root, datasets, methods)
    if benchmarks:
        import_references(out, layout, root)
    score_store(out, layout)
    common.finished(out, layout.metrics_csv)


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

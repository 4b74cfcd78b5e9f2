"""``python -m repro reproduce``: every stage in order."""

from __future__ import annotations

from pathlib import Path

from repro import variants
from repro.cli import common
from repro.cli.importing import import_references
from repro.cli.train import describe, train_variant
from repro.methods import INTERPOLATIONS, has_srcnn, srcnn, trained
from repro.progress import bar


def reproduce(
    profile: common.ProfileOption = "quick",
    seed: common.SeedOption = 0,
    data: common.DataOption = None,
    train_root: common.TrainRootOption = None,
    results: common.ResultsOption = Path("results"),
    device: common.DeviceOption = "auto",
    vgg_weights: common.VGGOption = None,
    vgg_convention: common.ConventionOption = "auto",
    dry_run: common.DryRunOption = False,
) -> None:
    """Train the five variants, enlarge every test set, score all images. Stages that are done are skipped.

    Where no benchmark is to be had, crops of scikit-image's photographs are trained on and scored.
    """
    from repro.data.prepare import prepare_data
    from repro.datasets import CALIBRATION, SAMPLE, available_datasets, load_dataset
    from repro.evaluate import PROTOCOLS, stored_images
    from repro.evaluate import evaluate as evaluate_store
    from repro.upscale import store_originals, upscale_dataset

    out = common.console()
    layout = common.results_layout(results)
    root = common.data_root(data)
    configs = [variants.configure(name, profile, seed) for name in variants.VARIANTS]
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
    methods += [trained(path, device) for path in generators.values()]
    for name in datasets:
        store_originals(layout, name, root)
        count = len(load_dataset(name, root))
        for method in methods:
            if name != CALIBRATION or method.name == "nearest":
                with bar(out, f"{name} {method.name}", count) as advance:
                    upscale_dataset(layout, name, method, root, advance)
        out.print(f"{name}: {count} images enlarged")

    if benchmarks:
        import_references(out, layout, root)
    total = sum(1 for _ in stored_images(layout))
    with bar(out, "scoring", total * len(PROTOCOLS)) as advance:
        evaluate_store(layout, advance)
    common.finished(out, layout.metrics_csv)

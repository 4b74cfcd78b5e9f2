"""``python -m repro upscale``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repro.cli import common
from repro.errors import UserError
from repro.methods import INTERPOLATIONS, Method, has_srcnn, srcnn, trained
from repro.progress import bar


def upscale(
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset", help="Set5, Set14, BSD100 or sample; several times (default: all there are)."
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", help="nearest, bicubic or a trained variant; several times (default: all there are)."
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="A generator's file, instead of a run's.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Of the run, where there are several.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the run, where there are several.")] = None,
    data: common.DataOption = None,
    results: common.ResultsOption = Path("results"),
    device: common.DeviceOption = "auto",
    bfloat16: Annotated[
        bool, typer.Option("--bfloat16", help="Faster; off by a grey level here and there.")
    ] = False,
    tile: Annotated[
        int | None, typer.Option("--tile", help="Side of a tile in LR pixels; 0 for none.")
    ] = None,
    dry_run: common.DryRunOption = False,
) -> None:
    """Enlarge a data set fourfold into `results/images/<dataset>/<method>/<image>.png`."""
    from repro.datasets import CALIBRATION, available_datasets, load_dataset
    from repro.paths import checked_name
    from repro.runs import finished_runs, the_run
    from repro.upscale import store_originals, upscale_dataset
    from repro.variants import canonical_variant

    out = common.console()
    layout = common.results_layout(results)
    root = common.data_root(data)
    datasets = dataset or list(available_datasets(root))
    names = method or [
        *INTERPOLATIONS,
        *(["SRCNN"] if has_srcnn(root) else []),
        *(run.variant for run in finished_runs(layout)),
    ]
    methods: list[Method] = []
    if weights is not None:
        if method is not None and len(method) != 1:
            raise UserError(
                f"--weights with {len(method)} methods", "one --method to name the results", "--method NAME"
            )
        name = checked_name(method[0], "method") if method else ""
        methods = [trained(weights, device, bfloat16, tile, name)]
    else:
        for name in dict.fromkeys(names):
            if name in INTERPOLATIONS:
                methods.append(INTERPOLATIONS[name]())
            elif name == "SRCNN":
                methods.append(srcnn(root, device, tile))
            else:
                run = the_run(layout, canonical_variant(name), profile, seed)
                methods.append(trained(run.generator, device, bfloat16, tile))
    for name in datasets:
        images = load_dataset(name, root)
        wanted = [m for m in methods if name != CALIBRATION or m.name == "nearest"]
        if dry_run:
            out.print(
                f"{name}: {len(images)} images by {', '.join(m.name for m in wanted)}, and the originals"
            )
            continue
        store_originals(layout, name, root)
        for one in wanted:
            with bar(out, f"{name} {one.name}", len(images)) as advance:
                written = upscale_dataset(layout, name, one, root, advance)
            out.print(f"{name}/{one.name}: {len(images)} images {'written' if written else 'there already'}")
    common.finished(out, layout.images)

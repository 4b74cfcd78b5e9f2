"""``python -m repro snapshots``: the paper's Figure 8."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repro.cli import common
from repro.core.progress import bar


def snapshots(
    variant: Annotated[
        str, typer.Argument(help="A trained variant; SRGAN: SRGAN-VGG54 (the paper's), or else VGG22.")
    ] = "SRGAN",
    image: Annotated[str, typer.Option("--image", help="A test image, e.g. baboon or img_001.")] = "baboon",
    dataset: Annotated[str, typer.Option("--dataset", help="The image's data set.")] = "Set14",
    profile: common.RunProfileOption = None,
    seed: common.RunSeedOption = None,
    data: common.DataOption = None,
    results: common.ResultsOption = Path("results"),
    device: common.DeviceOption = "auto",
) -> None:
    """Upscale one test image by every snapshot of a run: the output as training goes on (Figure 8).

    Writes `samples/step_NNNNNNN/<image>.png` in the run's folder, where `make figures` finds them. The
    images are only looked at: no snapshot is ever chosen by them.
    """
    from repro.core.errors import UserError
    from repro.data.benchmarks import load_dataset
    from repro.imaging.io import write_png
    from repro.inference.loading import trained_upscaler
    from repro.inference.upscaler import Options
    from repro.inference.weights import nearest
    from repro.train.finished import finished_runs, the_run

    out = common.console()
    layout = common.results_layout(results)
    variant = nearest(variant, {each.variant for each in finished_runs(layout)})
    run = the_run(layout, variant, profile, seed)
    images = load_dataset(dataset, common.data_root(data))
    wanted = [i for i in images if image.lower() in {i.name.lower(), i.image.lower()}]
    if not wanted:
        names = ", ".join(i.name for i in images[:20])
        raise UserError(f"{dataset} has no image {image!r}", f"one of {names}", "--image baboon")
    files = sorted((run.folder / "snapshots").glob("step_*.safetensors"))
    if not files:
        raise UserError(
            f"{run.folder}: no snapshots", "a run of this version", f"python -m repro train {variant}"
        )
    with bar(out, image, len(files)) as advance:
        for file in files:
            (pixels,) = trained_upscaler(file, Options(device))([wanted[0].lr_u8()])
            write_png(run.folder / "samples" / file.stem / f"{wanted[0].name}.png", pixels)
            advance(1)
    common.finished(out, run.folder / "samples")

"""``python -m repro evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repro.cli import common
from repro.core.progress import bar


def evaluate(
    results: common.ResultsOption = Path("results"),
    extra: Annotated[
        str,
        typer.Option("--extra", help="Some of lpips,dists (needs the extra `perceptual`)."),
    ] = "",
    device: common.DeviceOption = "auto",
    dask: common.DaskOption = "",
    dry_run: common.DryRunOption = False,
) -> None:
    """Score every image of the store, and only those, into `results/metrics.csv`.

    PSNR and SSIM under `daala-1` (the SRGAN paper's), `ychannel-1` (SAN's, SRFBN's and most others'),
    `ychannel-edsr-1` (EDSR's and Meta-SR's) and `ychannel-u8-1` (SelfExSR's); NIQE; the rms of LR - down(SR)
    in grey levels; the level of each octave of detail. --extra adds measures by networks, through pyiqa.
    The file is in long format; its columns are explained in `results/README.md`.
    """
    from repro.core.device import resolve_device
    from repro.evaluation.evaluate import evaluate as evaluate_store
    from repro.evaluation.evaluate import scored_images
    from repro.metrics.perceptual import library, measures, parse_metrics
    from repro.metrics.protocols import PROTOCOLS

    out = common.console()
    layout = common.results_layout(results)
    names = parse_metrics(extra)
    total = sum(1 for _ in scored_images(layout))
    if dry_run:
        out.print(f"{total} images in {layout.images} would be scored")
        return
    more = measures(names, resolve_device(device)) if names else {}
    with bar(out, "scoring", total * (1 + len(more))) as advance:
        count = evaluate_store(layout, advance, more, library() if more else "", dask)
    measured = ", ".join((*PROTOCOLS, "NIQE", "rms of LR - down(SR)", "detail by octave", *names))
    out.print(f"{count} images: {measured}")
    common.finished(out, layout.metrics_csv)

"""``python -m repro ablation``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repro.cli import common
from repro.cli.training import Sources, train_variant
from repro.core.errors import UserError


def ablation(
    blocks: Annotated[
        list[int] | None,
        typer.Option("--blocks", help="A depth; several times (default: all six)."),
    ] = None,
    skip: Annotated[str, typer.Option("--skip", help="The long skip connection: on, off or both.")] = "both",
    profile: common.ProfileOption = "quick",
    seed: common.SeedOption = 0,
    settings: common.SettingsOption = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Scored on (default: BSD100).")] = None,
    data: common.DataOption = None,
    train_root: common.TrainRootOption = None,
    results: common.ResultsOption = Path("results"),
    device: common.DeviceOption = "auto",
    dry_run: common.DryRunOption = False,
) -> None:
    """Train SRResNet-MSE at several depths, with and without the long skip; feeds Figure 7.

    Writes `results/ablation.csv`: PSNR and SSIM (daala) and the mean time of 100 forward passes on a
    64 x 64 LR image. Runs that are done are skipped.
    """
    from repro.core.device import resolve_device
    from repro.data.benchmarks import SAMPLE, available_datasets
    from repro.experiments.ablation import BLOCKS, ablated_runs, forward_ms, measure, write_csv
    from repro.methods.variants import configure

    out = common.console()
    layout = common.results_layout(results)
    root = common.data_root(data)
    skips = {"on": (True,), "off": (False,), "both": (True, False)}.get(skip)
    if skips is None:
        raise UserError(f"--skip {skip}", "on, off or both", "--skip both")
    scored = dataset or ("BSD100" if "BSD100" in available_datasets(root) else SAMPLE)
    base = configure("SRResNet-MSE", profile, seed).with_settings(settings or [])
    runs = ablated_runs(base, tuple(blocks or BLOCKS), skips)
    if dry_run:
        for depth, skipping, config in runs:
            out.print(f"B = {depth}, skip {skipping}: {config.schedule.updates:,} updates")
        return
    sources = Sources(root, train_root)
    packed = sources.packed(base, layout, out)
    where = resolve_device(device)
    rows: list[dict[str, object]] = []
    for depth, skipping, config in runs:
        folder = train_variant(out, config, layout, sources, device, data=packed)
        generator = folder / "generator.safetensors"
        score = measure(generator, scored, root, device)
        milliseconds = forward_ms(generator, where)
        rows.append(
            {
                "blocks": depth,
                "skip": "on" if skipping else "off",
                "profile": config.profile,
                "updates": config.schedule.updates,
                "dataset": scored,
                "psnr_db": f"{score.psnr_db:.6g}",
                "ssim": f"{score.ssim:.6g}",
                "forward_ms": f"{milliseconds:.4g}",
                "run": folder.name,
            }
        )
        out.print(f"B = {depth}, skip {skipping}: {score.psnr_db:.2f} dB on {scored}")
        write_csv(layout.root / "ablation.csv", rows)
    common.finished(out, layout.root / "ablation.csv")

"""``python -m repro bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from repro.cli import common
from repro.core.errors import UserError
from repro.core.paths import Results

PARTS = ("metrics", "data", "infer", "photo", "program", "train", "precision")
TERMS = "terms"
"""Not part of `all`: it needs a trained generator and VGG-19's weights."""


def bench(
    part: Annotated[str, typer.Argument(help=f"{', '.join(PARTS)}, {TERMS}, or all.")] = "all",
    results: common.ResultsOption = Path("results"),
    device: common.DeviceOption = "auto",
    data: common.DataOption = None,
    variant: Annotated[
        list[str] | None,
        typer.Option("--variant", help="Of infer, photo and train; several times."),
    ] = None,
    updates: Annotated[int, typer.Option("--updates", min=1, help="For train: timed updates a mode.")] = 11,
    profile: Annotated[
        str, typer.Option("--profile", help="For terms: of the finished SRResNet-MSE.")
    ] = "cpu",
    vgg_weights: common.VGGOption = None,
    vgg_convention: common.ConventionOption = "auto",
    dry_run: common.DryRunOption = False,
) -> None:
    """Measure speed against plain baselines in the same run; JSON and a table in `results/bench`.

    `metrics`: scoring. `data`: crops from the packed dataset. `infer`: upscaling. `photo`: a
    photograph from file to file, with its peak memory. `program`: commands from start to end, texture
    swapping, SelfExSR. `train`: updates (with
    `--device cuda`: eager, autocast, compiled and graph-captured, with the fraction of peak).
    `precision`: whether bfloat16 keeps the float32 loss curve (300 updates, three seeds; minutes).
    `terms` (not in `all`): what each loss term weighs where an SRGAN starts, from the finished SRResNet-MSE
    of --profile, with VGG features of unit mean activation and as released.
    """
    from repro.experiments.bench.table import write_table

    if part not in {*PARTS, TERMS, "all"}:
        raise UserError(
            f"benchmark {part!r}", f"one of {', '.join(PARTS)}, {TERMS}, all", "python -m repro bench all"
        )
    out = common.console()
    layout = common.results_layout(results)
    if part == TERMS and not dry_run:
        _print(out, _terms(layout, data, profile, vgg_weights, vgg_convention, out))
        common.finished(out, write_table(layout.bench))
        return
    parts = PARTS if part == "all" else (part,)
    if dry_run:
        out.print(f"would measure {', '.join(parts)}")
        return
    for name in parts:
        out.print(f"[bold]{name}[/]")
        _print(out, _run(name, layout.root, device, data, tuple(variant or ()), updates, out))
    common.finished(out, write_table(layout.bench))


def _run(
    name: str,
    results: Path,
    device: str,
    data: Path | None,
    variants: tuple[str, ...],
    updates: int,
    out: Any,
) -> dict[str, Any]:
    from repro.methods.variants import configure

    if name == "metrics":
        from repro.experiments.bench.metrics import run as metrics

        return metrics(results)
    if name == "data":
        from repro.experiments.bench.data import run as crops

        return crops(results)
    if name == "infer":
        from repro.experiments.bench.infer import DEFAULT
        from repro.experiments.bench.infer import run as infer

        return [infer(results, device, variant=name) for name in variants or (DEFAULT,)][-1]
    if name == "photo":
        from repro.experiments.bench.photo import DEFAULT
        from repro.experiments.bench.photo import run as photo

        return [photo(results, device, name) for name in variants or (DEFAULT,)][-1]
    if name == "program":
        from repro.experiments.bench.program import run as program

        return program(results)
    if name == "train":
        from repro.experiments.bench.train import run as train
        from repro.experiments.bench.train import timed

        return train(results, device, updates, [timed(name) for name in variants], out.print)
    from repro.data.prepare import prepare_data
    from repro.experiments.bench.precision import run as precision

    packed = prepare_data(Results(results), common.data_root(data), None, 24, 96, out)
    config = configure("SRResNet-MSE", "cpu").but(data={"batch_size": 4})
    return precision(results, packed, config, report=out.print)


def _terms(
    results: Results, data: Path | None, profile: str, vgg_weights: Path | None, convention: Any, out: Any
) -> dict[str, Any]:
    from repro.data.prepare import prepare_data
    from repro.experiments.bench.loss_terms import run
    from repro.methods.variants import configure
    from repro.train.finished import the_run
    from repro.train.run import VGGSource

    start = the_run(results, "SRResNet-MSE", profile)
    packed = prepare_data(results, common.data_root(data), None, 24, 96, out)
    config = configure("SRGAN-MSE", start.profile, start.seed)
    return run(results, packed, config, start, VGGSource(vgg_weights, convention, download=True))


def _print(out: Any, measured: dict[str, Any]) -> None:
    for key, value in measured.items():
        if key in {"versions", "variants", "curves_every_10"}:
            continue
        if key in {"modes", "terms", "costs"}:
            for label, row in value.items():
                out.print(f"  {label}: " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in row.items()))
        else:
            out.print(f"  {key.replace('_', ' ')}: {value}")

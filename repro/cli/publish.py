"""``python -m repro publish``: the weights of finished runs, and every figure made from them again."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from repro.cli import common
from repro.cli.export import half_of
from repro.cli.importing import import_references
from repro.cli.upscalers import score_store, takes_references, upscale_datasets
from repro.core.atomic import write_bytes
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.inference.upscaler import Options, direct_upscaler
from repro.methods import INTERPOLATIONS
from repro.papers.srgan import DATASETS

RECORDS = ("config.json", "manifest.json", "log.jsonl", "timing.jsonl")
"""What is published of a run beside its generator: what tables and figures read."""


def publish(
    profile: common.ProfileOption = "cpu",
    seed: common.SeedOption = 0,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", help="Several times; default: the paper's three.")
    ] = None,
    licence: Annotated[str, typer.Option("--licence", help="Of the weights; default: research use.")] = "",
    data: common.DataOption = None,
    results: common.ResultsOption = Path("results"),
    to: Annotated[
        Path | None, typer.Option("--to", help="Default: `published` in the results folder, which is in git.")
    ] = None,
    device: common.DeviceOption = "auto",
    scores_only: Annotated[
        bool, typer.Option("--scores-only", help="Keep `weights/` as it is; upscale and score with it.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", help="This variant, and others' scores as they were published; several times."
        ),
    ] = None,
    dry_run: common.DryRunOption = False,
) -> None:
    """Put the generators of one profile into `results/published`, and score what those files give.

    Kernels become float16 where that moves no data set's mean PSNR by 0.002 dB, else all but the first and
    last, else bfloat16; a model card stands beside each file; what was published from the same run before
    is kept. The benchmarks are then upscaled with those very files, in float64, so that every processor
    gives the same bytes; others' images are imported, and all is scored into `metrics.csv`. Weights that
    were published before and are not made again are scored beside them. Methods that need a reference are
    published without such scores (`python -m repro references` has theirs), RankSRGAN's ranker with its
    run. `python -m analysis tables --results results/published` goes on from there. With --scores-only no
    run is needed: that is how `make published` checks, in a folder of its own, what is committed; SelfExSR,
    which takes longest, is left out of that. With --only nothing else is upscaled, and the scores of all
    other methods stay unless the image store has images of theirs.
    """
    from repro.data.benchmarks import available_datasets
    from repro.evaluation.evaluate import unedited_rows
    from repro.inference.export import export_safetensors, load_trained
    from repro.inference.loading import has_srcnn, srcnn_upscaler, trained_upscaler
    from repro.methods.ranksrgan import RANKER
    from repro.methods.variants import canonical_variant, trainable
    from repro.train.finished import GENERATOR_FILE, finished_runs, the_run

    out = common.console()
    layout = common.results_layout(results)
    target = common.results_layout(to or results / "published")
    root = common.data_root(data)
    ran = {run.variant for run in finished_runs(layout) if (run.profile, run.seed) == (profile, seed)}
    if only is not None:
        if scores_only:
            raise UserError("--only with --scores-only", "one of them", "leave one out")
        only = [canonical_variant(name) for name in only]
        ran &= set(only)
        if absent := sorted(set(only) - ran):
            raise UserError(
                f"no finished run of {', '.join(absent)}, profile {profile}, seed {seed}",
                "a variant that was trained",
                f"python -m repro train {absent[0]} --profile {profile} --seed {seed}",
            )
    names = [] if scores_only else [name for name in trainable() if name in ran]
    there = [name for name in trainable() if (target.weights / f"{name}.safetensors").is_file()]
    if not (there if scores_only else names):
        raise UserError(
            f"no weights in {target.weights}" if scores_only else f"no finished run of profile {profile}",
            "a trained generator",
            f"python -m repro train SRResNet-MSE --profile {profile} --seed {seed}",
        )
    stay = set() if only is None else {row.method for row in unedited_rows(target.metrics_csv)} - set(names)
    datasets = dataset or list(DATASETS)
    missing = [name for name in datasets if name not in available_datasets(root)]
    if missing:
        raise UserError(
            f"no {', '.join(missing)} under {root}",
            "every data set that is published",
            "make data, or SRGAN_DATA=folder",
        )
    every = [name for name in trainable() if name in {*names, *(there if only is None else ())}]
    out.print(f"{', '.join(every)} on {', '.join(datasets)}")
    if dry_run:
        return
    for name in names:
        run = the_run(layout, name, profile, seed)
        path = target.weights / f"{name}.safetensors"
        if path.is_file() and not licence and _same_run(run.folder, target):
            out.print(f"{path}: published from this run before", markup=False)
            continue
        _check_whole(run.folder, RECORDS)  # before anything of it is published
        one = load_trained(run.folder)
        export_safetensors(one, path, licence, half_of(one, root, out))
        out.print(f"{path}: {path.stat().st_size / 1e6:.1f} MB", markup=False)
        _copy(run.folder, target, RECORDS)
        for old in target.runs.glob(f"{name}-{profile}-s{seed}-*"):
            if old.name != run.folder.name:
                shutil.rmtree(old)
    for run in finished_runs(layout) if names and only is None else ():
        if (run.variant, run.profile, run.seed) == (RANKER, profile, seed):
            _copy(run.folder, target, ("config.json", "manifest.json", "log.jsonl", GENERATOR_FILE))
    options = Options(device, "float64")
    alone = [name for name in every if not takes_references(name)]
    upscalers = [trained_upscaler(target.weights / f"{name}.safetensors", options) for name in alone]
    if only is None:
        srcnn = [srcnn_upscaler(root, options)] if has_srcnn(root) else []
        upscalers = [*(direct_upscaler(name) for name in INTERPOLATIONS), *srcnn, *upscalers]
    upscale_datasets(out, target, root, datasets, upscalers)
    if only is None:
        if not scores_only:  # seven minutes on a core each, where their images are not there yet
            theirs = [name for name in datasets if name in DATASETS]
            both = [direct_upscaler(name) for name in ("SelfExSR", "SelfExSR-repaired")]
            upscale_datasets(out, target, root, theirs, both)
        import_references(out, target, root)
    score_store(out, target, stay)
    write_cards(out, layout, target, names, profile, seed)
    common.finished(out, target.root)


def _same_run(run: Path, target: Results) -> bool:
    """Whether the published manifest, which has the generator's hash, is the run's."""
    published = target.runs / run.name / "manifest.json"
    return published.is_file() and published.read_bytes() == (run / "manifest.json").read_bytes()


def _check_whole(run: Path, files: Sequence[str]) -> None:
    missing = [name for name in files if not (run / name).is_file()]
    if missing:
        raise UserError(
            f"{run}: no {', '.join(missing)}", "the whole folder of a finished run", "train again"
        )


def _copy(run: Path, target: Results, files: Sequence[str]) -> None:
    for name in files:
        write_bytes(target.runs / run.name / name, (run / name).read_bytes())


def write_cards(
    out: Console, layout: Results, target: Results, names: list[str], profile: str, seed: int
) -> None:
    """Model cards with the values that the target's ``metrics.csv`` has of the exported files."""
    from repro.evaluation.evaluate import mean_scores
    from repro.evaluation.rows import read_rows
    from repro.inference.export import load_trained, write_card
    from repro.train.finished import the_run

    scored = read_rows(target.metrics_csv)
    for name in names:
        path = target.weights / f"{name}.safetensors"
        one = load_trained(the_run(layout, name, profile, seed).folder)
        write_card(one, path, mean_scores(scored, name))
        out.print(f"{path.with_suffix('.md')}", markup=False)

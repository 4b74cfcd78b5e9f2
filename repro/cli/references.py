"""``python -m repro references``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repro.cli import common

METHODS = ("SRNTT", "SRNTT-rec", "CrossNet")
"""Measured without --method, as far as they have weights."""


def references(
    images: Annotated[
        Path | None,
        typer.Option("--images", help="Folder in CUFED5's layout (default: the data root's CUFED5)."),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", help="SRNTT, SRNTT-rec or CrossNet; several times (default: what has weights)."
        ),
    ] = None,
    unrelated: Annotated[
        list[Path] | None,
        typer.Option(
            "--unrelated", help="A photograph of something else; several times (default: two of sample)."
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset", help="CUFED5 or made; several times (default: both, where CUFED5 is there)."
        ),
    ] = None,
    profile: common.RunProfileOption = None,
    seed: common.RunSeedOption = None,
    data: common.DataOption = None,
    results: common.ResultsOption = Path("results"),
    device: common.DeviceOption = "auto",
) -> None:
    """Measure what a reference brings by its kind: none, the same image, similar ones, unrelated ones, noise.

    `made` is five crops of scikit-image's photographs with references made from them, which everybody has. A
    whole image of CUFED5 with its five references takes SRNTT minutes on two cores.

    Writes `results/references.csv` (PSNR, SSIM, NIQE, each reference with the hash of its pixels), which
    `python -m analysis tables` and `figures` read, and the images into `results/references/`.
    """
    from repro.cli.upscalers import takes_references
    from repro.core.device import resolve_device
    from repro.core.errors import UserError
    from repro.core.progress import bar
    from repro.data.pairs import cufed5
    from repro.data.sample import PHOTOGRAPHS, photograph_path
    from repro.data.training import TrainingImage
    from repro.experiments.reference_kinds import (
        DATASETS,
        Case,
        Row,
        cufed5_cases,
        made_cases,
        measure,
        write_csv,
    )
    from repro.imaging.io import sha256_file, write_png
    from repro.inference.loading import load_network
    from repro.inference.weights import find_weights, trained_variants

    out = common.console()
    layout = common.results_layout(results)
    folder = images or common.data_root(data) / "SRNTT" / "data" / "test" / "CUFED5"
    chosen = dataset or [name for name in DATASETS if name == "made" or images or folder.is_dir()]
    unknown = [name for name in chosen if name not in DATASETS]
    if unknown:
        raise UserError(f"--dataset {unknown[0]}", ", ".join(DATASETS), "--dataset made")
    cases: list[Case] = []
    if "CUFED5" in chosen:
        strangers = unrelated or [photograph_path(photograph) for photograph in PHOTOGRAPHS[:2]]
        others = [TrainingImage(path.name, path, sha256_file(path)) for path in strangers]
        cases += cufed5_cases(cufed5(folder), others)
    if "made" in chosen:
        cases += made_cases()
    names = method or [name for name in METHODS if name in trained_variants(layout, False)]
    if not names:
        raise UserError("no weights of SRNTT or CrossNet", "a finished run", "python -m repro train CrossNet")
    rows: list[Row] = []
    for name in names:
        if not takes_references(name):
            raise UserError(f"{name} takes no reference", ", ".join(METHODS), "--method SRNTT")
        loaded = load_network(find_weights(name, layout, profile, seed, False).path)
        total = sum(case.count(loaded.method.several_references) for case in cases)
        with bar(out, name, total) as advance:
            for done, (row, sr) in enumerate(measure(loaded, cases, resolve_device(device)), start=1):
                file = f"{row.image}_{row.kind}_{Path(row.reference).stem}.png"
                write_png(layout.root / "references" / row.dataset / name / file, sr)
                rows.append(row)
                advance(1)
                about = f"{name} {done}/{total}: {row.dataset} {row.image}, {row.kind} ({row.reference})"
                out.print(f"{about}: {row.psnr_db:.2f} dB", markup=False)
    write_csv(layout.root / "references.csv", rows)
    common.finished(out, layout.root / "references.csv")
